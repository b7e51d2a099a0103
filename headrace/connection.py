"""Where client commands find the API: HEADRACE_URL and HEADRACE_API_KEY, else the stack on this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from common.errors import StackError
from headrace.local.ports import LOOPBACK
from headrace.local.state import State, home


@dataclass(frozen=True, slots=True)
class Connection:
    url: str
    api_key: str = field(repr=False)


def connect() -> Connection:
    """The connection of this process's environment."""
    return find_connection(os.environ)


def find_connection(environ: Mapping[str, str]) -> Connection:
    """Raises StackError that says how to start a stack or name another installation."""
    key = environ.get("HEADRACE_API_KEY")
    if url := environ.get("HEADRACE_URL"):
        # The key of this machine's stack is not for other addresses.
        if not key:
            raise StackError("HEADRACE_URL is set, but there is no key.", "Set HEADRACE_API_KEY to one of its keys.")
        return Connection(url.rstrip("/"), key)
    state = State(home(environ))
    port = _local_port(state, "ingestion", "set HEADRACE_URL and HEADRACE_API_KEY to one elsewhere")
    return Connection(f"http://{LOOPBACK}:{port}", key or _local_key(state))


def find_kafka(environ: Mapping[str, str]) -> str:
    """Bootstrap address of Kafka: HEADRACE_KAFKA_BOOTSTRAP, else this machine's stack. Raises StackError."""
    if bootstrap := environ.get("HEADRACE_KAFKA_BOOTSTRAP"):
        return bootstrap
    port = _local_port(State(home(environ)), "kafka", "set HEADRACE_KAFKA_BOOTSTRAP to a Kafka elsewhere")
    return f"{LOOPBACK}:{port}"


def _local_port(state: State, name: str, otherwise: str) -> int:
    record = state.run_record()
    process = record.processes.get(name) if record is not None else None
    if process is None or process.port is None or not state.locked():
        raise StackError(f"No Headrace runs on {state.folder}.", f"Start one with headrace up, or {otherwise}.")
    return process.port


def _local_key(state: State) -> str:
    try:
        return state.api_key_file.read_text().strip()
    except FileNotFoundError as error:
        raise StackError("There is no API key.", "Set HEADRACE_API_KEY to one of the installation.") from error
