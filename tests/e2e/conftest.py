"""One whole running system for all end-to-end tests, with the local LLM and scripted models beside it."""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from headrace.local.inspection import inspect_stack
from headrace.local.postgres import delete_outside
from headrace.local.process import Child, Command
from tests.e2e.whole_system import MODELS, RECIPES, WholeSystem, until

READY_BOUND_S = 150.0
STOP_BOUND_S = 45.0


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def system() -> AsyncIterator[WholeSystem]:
    folder = Path(tempfile.mkdtemp(prefix="headrace e2e "))
    models = folder / "models.toml"
    models.write_text(MODELS)
    environ = {
        **os.environ,
        "HEADRACE_HOME": str(folder / "state"),
        "HEADRACE_MODELS_FILE": str(models),
        "HEADRACE_RECIPES_PATH": str(RECIPES),
        "HEADRACE_LEASE_S": "4",
    }
    log = folder / "up.log"
    up = Command([sys.executable, "-m", "headrace", "up", "--free-ports"], Path.cwd(), log, environ)
    child = Child("headrace up", up)
    try:
        async with aiohttp.ClientSession() as session:
            system = WholeSystem(folder / "state", session)
            await until(lambda: _ready(system, child), "all is ready", READY_BOUND_S)
            yield system
    finally:
        child.send(signal.SIGTERM)
        assert await child.wait(STOP_BOUND_S), "headrace up did not stop"
        delete_outside(system.state)
        shutil.rmtree(folder, ignore_errors=True)


async def _ready(system: WholeSystem, child: Child) -> bool:
    if child.exit_code() is not None:
        pytest.fail(f"headrace up ended: {child.last_words()}")
    status = await inspect_stack(system.state)
    names = {process.name for process in status.processes}
    return status.all_ready and {"persistence", "ingestion", "llm", "elasticsearch"} <= names
