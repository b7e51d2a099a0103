"""The child process that serves the local model until it is told to stop."""

import os
import signal
import sys
import threading
from types import FrameType

import xllamacpp

from headrace.local.llm import MODEL_ALIAS
from headrace.local.ports import LOOPBACK

CONTEXT_TOKENS = 4096
# More threads would wait for one another at barriers, which starves them beside the rest of the stack.
THREADS = 1
# The default of 8 GB of prompt cache is more than the rest of the stack together.
PROMPT_CACHE_MIB = 64


def main(port: str, model_file: str) -> None:
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model_file
    parameters.model_alias = {MODEL_ALIAS}
    parameters.hostnames = [LOOPBACK]
    parameters.port = int(port)
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = THREADS
    parameters.cpuparams_batch.n_threads = THREADS
    parameters.cache_ram_mib = PROMPT_CACHE_MIB
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    stopping.wait()
    del server
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:3])
