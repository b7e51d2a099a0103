"""The five services as child processes of ``headrace up``, and the two chores that run before them.

A service is told where everything is by HEADRACE_* variables; whatever else the environment holds (provider
keys, the operator's own settings) is inherited. Services may be killed at any moment by design, so a dead
supervisor takes them along at once.
"""

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from common.errors import StackError
from headrace.local.llm import MODEL_ALIAS
from headrace.local.ports import LOOPBACK
from headrace.local.process import Command, run_to_end
from headrace.local.server import Server, Site, get_json_status
from headrace.local.state import State, write_private

SERVICES = ("ingestion", "prompt_engine", "model_layer", "output_validation", "persistence")
DRAIN_S = 5
LONGEST_DRAIN_S = 600.0
MIGRATE_BOUND_S = 120.0
TENANT = "default"
SCOPES = "jobs,recipes,operator"

MODELS_TOML = f"""\
# Which models Headrace may call. The reference is docs/models.md.
# This file is yours: headrace up wrote it once and leaves it alone.
default = "{MODEL_ALIAS}"

# The small local model that headrace up runs. It shows the pipeline, not quality.
[[deployment]]
alias = "{MODEL_ALIAS}"
provider = "openai_chat"
model = "{MODEL_ALIAS}"
base_url = "${{HEADRACE_LLM_BASE_URL}}"
tier = "small"
limits = {{ concurrency = 2, timeout_s = 300, max_output_tokens = 1024, context_tokens = 4096 }}
price = {{ input_usd_per_mtok = 0, output_usd_per_mtok = 0 }}

# Your own: three lines and a price. The key comes from the environment.
# [[deployment]]
# model = "gpt-5-mini"
# key_env = "OPENAI_API_KEY"
# price = {{ input_usd_per_mtok = 0.25, output_usd_per_mtok = 2.00 }}
"""


class Service(Server):
    """One of the five, run as ``python -m <name>``."""

    def __init__(self, name: str, site: Site, environment: Mapping[str, str]) -> None:
        super().__init__(site)
        self.name = name
        self.stop_bound_s = drain_s(environment) + 5.0
        self._environment = environment
        self._reason = ""

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def prepare(self) -> Command:
        variable = "HEADRACE_PORT" if self.name == "ingestion" else "HEADRACE_HEALTH_PORT"
        return Command(
            argv=[sys.executable, "-P", "-m", self.name],
            cwd=Path.cwd(),
            log=self.site.log(self.name),
            env={**self._environment, variable: str(self.port)},
            death_signal=signal.SIGKILL,
        )

    async def probe(self) -> bool:
        status, body = await get_json_status(self.port, "/health/ready")
        self._reason = _reason_of(body)
        return status == 200

    def unready_reason(self) -> str:
        return self._reason or "does not answer"


def _reason_of(body: bytes) -> str:
    try:
        return str(json.loads(body).get("reason", ""))
    except (ValueError, AttributeError):
        return ""


def service_environment(environ: Mapping[str, str], endpoints: Mapping[str, str], models_file: Path) -> dict[str, str]:
    """What all services are told. An operator's own models file and drain time win over ours."""
    ours = {
        "HEADRACE_MODELS_FILE": str(models_file),
        "HEADRACE_DRAIN_S": str(DRAIN_S),
        "PYTHONUNBUFFERED": "1",
    }
    return {**ours, **environ, **endpoints}


def drain_s(environment: Mapping[str, str]) -> float:
    """Return how many seconds services may take to end; what is no number they refuse themselves at their start."""
    try:
        return min(max(0.0, float(environment.get("HEADRACE_DRAIN_S", DRAIN_S))), LONGEST_DRAIN_S)
    except ValueError:
        return DRAIN_S


def write_models_file(state: State) -> None:
    """At the first start; afterwards the file is the operator's."""
    if not state.models_file.exists():
        write_private(state.models_file, MODELS_TOML)


def forget_models_file(state: State) -> None:
    """Removes it if nobody has changed it."""
    if state.models_file.exists() and state.models_file.read_text() == MODELS_TOML:
        state.models_file.unlink()


async def migrate(site: Site, environment: Mapping[str, str]) -> None:
    """Brings the database's schema up to date."""
    await run_to_end("the database schema", _chore(site, environment, "migrate"), MIGRATE_BOUND_S)


async def ensure_api_key(site: Site, environment: Mapping[str, str]) -> None:
    """One key for the owner of this machine's installation, made once and kept with the state."""
    state = site.state
    if state.api_key_file.exists():
        return
    printed = state.folder / "api_key.printed"
    printed.unlink(missing_ok=True)
    arguments = ("create-key", "--tenant", TENANT, "--scopes", SCOPES)
    try:
        await run_to_end("the first API key", _chore(site, environment, *arguments, output=printed), MIGRATE_BOUND_S)
        words = printed.read_text().split()
    finally:
        printed.unlink(missing_ok=True)
    if not words:
        raise StackError("python -m persistence create-key printed no key.", f"See {site.log('persistence')}.")
    write_private(state.api_key_file, words[-1] + "\n")


def _chore(site: Site, environment: Mapping[str, str], *arguments: str, output: Path | None = None) -> Command:
    return Command(
        argv=[sys.executable, "-P", "-m", "persistence", *arguments],
        cwd=Path.cwd(),
        log=site.log("persistence"),
        env=environment,
        death_signal=signal.SIGKILL,
        output=output,
    )
