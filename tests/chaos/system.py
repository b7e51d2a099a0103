"""One whole Headrace over real servers in a folder of its own, with the scripted model, for one run."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.local.ports import LOOPBACK
from headrace.local.postgres import delete_outside
from headrace.local.services import SERVICES, ensure_api_key, migrate, service_environment
from headrace.local.stack import Stack
from headrace.local.state import write_private
from tests.chaos.fleet import REPOSITORY, Fleet, Instance, ModelServer
from tests.chaos.history import Journal
from tests.chaos.workload import RECIPES_FOLDER, models_toml

INSTALLATION: Final = "chaos"
MODEL_SERVER: Final = "model_server"
SCALED: Final = ("prompt_engine", "model_layer", "output_validation", "persistence")
MOST_INSTANCES: Final = 3
CORE_SERVERS: Final = ("postgres", "valkey", "kafka")
_LEASE_S: Final = 4


@dataclass(frozen=True)
class System:
    """A running system, as the nemesis and the load see it."""

    stack: Stack
    fleet: Fleet
    folder: Path
    history: Path
    orders: Path
    journal: Journal
    environment: Mapping[str, str]

    @property
    def api(self) -> str:
        """Base URL of the API."""
        return f"http://{LOOPBACK}:{self.stack.ports['ingestion']}/api/v1"

    @property
    def api_key(self) -> str:
        """A key that may submit."""
        return self.stack.state.api_key_file.read_text().strip()

    @property
    def calls_file(self) -> Path:
        """The model server's log."""
        return self.history / "calls.jsonl"

    def topic(self, name: str) -> str:
        """The full name of a topic."""
        return f"{INSTALLATION}.{name}"

    def order(self, point: str, action: str) -> Path:
        """Order a crash point; return the file that appears once it was carried out."""
        write_private(self.orders / point, action)
        return self.orders / f"{point}.done"

    def another(self, stage: str, number: int) -> Instance:
        """One more instance of a stage."""
        name = f"{stage}-{number}"
        port = self.stack.ports[name]
        return _service(name, stage, self.stack, self.environment, port)


def _service(name: str, stage: str, stack: Stack, environment: Mapping[str, str], port: int) -> Instance:
    variable = "HEADRACE_PORT" if stage == "ingestion" else "HEADRACE_HEALTH_PORT"
    return Instance(name, stage, [stage], stack.site, {**environment, variable: str(port)}, port)


def new_history(root: Path, label: str) -> Path:
    """Make the folder of a run's history."""
    root.mkdir(parents=True, exist_ok=True)
    number = len(list(root.iterdir()))
    while (folder := root / f"{number:04d}-{label}").exists():
        number += 1
    folder.mkdir()
    return folder


@asynccontextmanager
async def running_system(
    history: Path, *, seed: int, fault_share: float, elasticsearch: bool, settings: Mapping[str, str] | None = None
) -> AsyncIterator[System]:
    """Run everything; all of it has ended on leaving, and its logs are in ``history``."""
    folder = Path(tempfile.mkdtemp(prefix="headrace-chaos-"))
    servers = (*CORE_SERVERS, "elasticsearch") if elasticsearch else CORE_SERVERS
    extra = [f"{stage}-{number}" for stage in SCALED for number in range(2, MOST_INSTANCES + 1)]
    async with AsyncExitStack() as cleanup:
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        stack = Stack(folder, servers, free_ports=True, other_ports=(*SERVICES, *extra, MODEL_SERVER))
        cleanup.callback(_keep_logs, folder, history)
        await cleanup.enter_async_context(stack)
        cleanup.callback(delete_outside, stack.state)
        journal = Journal(history / "history.jsonl")
        cleanup.callback(journal.close)
        orders = folder / "orders"
        orders.mkdir()
        environment = _environment(stack, orders, settings or {})
        write_private(stack.state.models_file, models_toml(f"http://{LOOPBACK}:{stack.ports[MODEL_SERVER]}/v1"))
        await migrate(stack.site, environment)
        await ensure_api_key(stack.site, environment)
        fleet = Fleet(journal)
        cleanup.push_async_callback(fleet.stop)
        system = System(stack, fleet, folder, history, orders, journal, environment)
        await fleet.add(_model_server(system, seed, fault_share))
        await fleet.add(*(_service(name, name, stack, environment, stack.ports[name]) for name in SERVICES))
        watching = asyncio.create_task(fleet.watch(), name="fleet-watch")
        cleanup.push_async_callback(_ended, watching)
        yield system


def _environment(stack: Stack, orders: Path, settings: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    ours = {
        "HEADRACE_INSTALLATION": INSTALLATION,
        "HEADRACE_RECIPES_PATH": str(RECIPES_FOLDER),
        "HEADRACE_FAILPOINTS": str(orders),
        "HEADRACE_LEASE_S": str(_LEASE_S),
        **settings,
    }
    return service_environment({**own, **ours}, stack.endpoints.environment(), stack.state.models_file)


def _model_server(system: System, seed: int, fault_share: float) -> ModelServer:
    port = system.stack.ports[MODEL_SERVER]
    arguments = ["tests.chaos.model_server", str(port), str(seed), str(fault_share), str(system.calls_file)]
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(REPOSITORY)}
    return ModelServer(MODEL_SERVER, MODEL_SERVER, arguments, system.stack.site, environment, port)


def _keep_logs(folder: Path, history: Path) -> None:
    with suppress(OSError):
        shutil.copytree(folder / "logs", history / "logs", dirs_exist_ok=True)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
