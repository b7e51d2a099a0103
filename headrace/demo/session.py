"""The stack under the demo: one that runs already, or one of its own, stopped again unless it is to be kept."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from common.errors import StackError
from headrace.commands import running
from headrace.commands.client import Api, connect
from headrace.connection import find_kafka
from headrace.demo.models import ModelChoice, keep_models_file
from headrace.local.inspection import inspect_stack
from headrace.local.ports import DEFAULT_PORTS, is_free, owner_of
from headrace.local.stack import SERVERS
from headrace.local.state import State

READY_BOUND_S: Final = 90.0
POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Session:
    """A ready system. ``stays``: it goes on running when the demo has ended."""

    api: Api
    kafka: str
    state: State
    stays: bool
    has_search: bool


@contextmanager
def running_system(state: State, choice: ModelChoice | None, console: Console, *, keep: bool) -> Iterator[Session]:
    """Uses what runs on this state, else starts it. Raises StackError."""
    if state.locked():
        if choice is not None:
            raise StackError(
                f"A Headrace runs on {state.folder} with models of its own.",
                "Stop it with headrace down first; then the demo can start one with the model you name.",
            )
        _await_ready(state)
        console.print(f"Using the Headrace that runs on {state.folder}.", highlight=False, soft_wrap=True)
        yield _session(state, stays=True)
        return
    wanted = _prefer_usual_ports(state)
    models_file = keep_models_file(state, choice)
    settings = {"HEADRACE_MODELS_FILE": str(models_file)} if models_file is not None else {}
    if choice is None and models_file is not None:
        console.print("Your models.toml is left aside: the demo uses the bundled model.")
    for name, port in wanted.items():
        if not is_free(port):
            by = owner_of(port)
            taken = f"Port {port} is taken{f' by {by}' if by else ''}: {name} gets a free one."
            console.print(taken, highlight=False, soft_wrap=True)
    running.in_background(state.folder, list(SERVERS), free_ports=True, settings=settings, outlives_us=keep)
    try:
        yield _session(state, stays=keep)
    finally:
        if not keep:
            console.print("\nStopping what the demo started…")
            running.stop_running(state)


def _session(state: State, *, stays: bool) -> Session:
    record = state.run_record()
    has_search = record is not None and "elasticsearch" in record.processes
    return Session(connect(), find_kafka(os.environ), state, stays, has_search)


def _prefer_usual_ports(state: State) -> dict[str, int]:
    """Writes down the usual ports where the state has none yet, so that only taken ones are replaced."""
    state.acquire()
    try:
        ports = {**DEFAULT_PORTS, **state.ports()}
        state.keep_ports(ports)
    finally:
        state.release()
    return ports


def _await_ready(state: State) -> None:
    deadline = time.monotonic() + READY_BOUND_S
    while not (found := asyncio.run(inspect_stack(state))).all_ready or found.url is None:
        if time.monotonic() > deadline or not found.running:
            unready = ", ".join(f"{each.name} ({each.reason})" for each in found.processes if not each.ready)
            raise StackError(
                f"The Headrace on {state.folder} is not ready: {unready or 'it is starting or stopping'}.",
                "See headrace status and headrace logs, or stop it with headrace down and try again.",
            )
        time.sleep(POLL_S)
