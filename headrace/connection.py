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
    state = State(home(environ))
    url = environ.get("HEADRACE_URL") or _local_url(state)
    key = environ.get("HEADRACE_API_KEY") or _local_key(state)
    return Connection(url.rstrip("/"), key)


def _local_url(state: State) -> str:
    record = state.run_record()
    ingestion = record.processes.get("ingestion") if record is not None else None
    if ingestion is None or ingestion.port is None or not state.locked():
        raise StackError(
            f"No Headrace runs on {state.folder}.",
            "Start one with headrace up, or set HEADRACE_URL (and HEADRACE_API_KEY) to one elsewhere.",
        )
    return f"http://{LOOPBACK}:{ingestion.port}"


def _local_key(state: State) -> str:
    try:
        return state.api_key_file.read_text().strip()
    except FileNotFoundError as error:
        raise StackError("There is no API key.", "Set HEADRACE_API_KEY to one of the installation.") from error
