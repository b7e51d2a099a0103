"""A whole Headrace as ``headrace up`` runs it, seen from outside: REST, processes, the command line, Postgres."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from headrace.local.process import send_signal
from headrace.local.stack import Stack
from headrace.local.state import ProcessRecord, State

RECIPES = Path(__file__).with_name("recipes")
ENDED = {"succeeded", "failed", "cancelled", "expired"}

# What the bookkeeper answers: a line that is not in the invoice, then the right one, its amount as text.
INVOICES = [
    {
        "seller": "Ott",
        "currency": "EUR",
        "lines": [{"quote": quote, "item": "Stairs", "amount": amount}],
        "total_quote": "Due 86.00",
        "total": 86,
    }
    for quote, amount in (("Stairs 90.00", 90), ("Stairs 86.00", "86.00"))
]

MODELS = """
default = "smollm2-135m"

[[deployment]]
alias = "smollm2-135m"
model = "smollm2-135m"
base_url = "${HEADRACE_LLM_BASE_URL}"
limits = { concurrency = 2, timeout_s = 300, max_output_tokens = 1024, context_tokens = 4096 }
price = { input_usd_per_mtok = 0, output_usd_per_mtok = 0 }

[[deployment]]
alias = "scripted"
provider = "scripted"
model = "scripted-1"
latency_ms = [20, 60]
output = '{"note": "answered ${request_id}"}'
limits = { concurrency = 8 }
price = { input_usd_per_mtok = 0.10, output_usd_per_mtok = 0.40 }

[[deployment]]
alias = "slow"
provider = "scripted"
model = "scripted-slow"
latency_ms = 3000
output = '{"note": "late"}'
price = { input_usd_per_mtok = 0.10, output_usd_per_mtok = 0.40 }

[[deployment]]
alias = "forgetful"
provider = "scripted"
model = "scripted-forgetful"
outputs = ['{"wrong": 1}', '{"note": "now as asked"}']
price = { input_usd_per_mtok = 0.10, output_usd_per_mtok = 0.40 }

[[deployment]]
alias = "bookkeeper"
provider = "scripted"
model = "scripted-bookkeeper"
outputs = INVOICES
price = { input_usd_per_mtok = 0.10, output_usd_per_mtok = 0.40 }
""".replace("INVOICES", json.dumps([json.dumps(invoice) for invoice in INVOICES]))


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


class WholeSystem:
    """Services and servers run in processes of their own; this only looks, asks and kills."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self.state = State(folder)
        self._session = session

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "HEADRACE_HOME": str(self.state.folder)}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.process('ingestion').port}/api/v1"

    @property
    def kafka(self) -> str:
        return f"127.0.0.1:{self.process('kafka').port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.state.api_key_file.read_text().strip()}"}

    def process(self, name: str) -> ProcessRecord:
        record = self.state.run_record()
        assert record is not None, "nothing runs"
        return record.processes[name]

    def send(self, name: str, number: signal.Signals) -> None:
        send_signal(self.process(name).pid, number)

    async def restarted(self, name: str, before: ProcessRecord) -> None:
        """Until its next incarnation runs."""
        await until(lambda: self._is_new(name, before), f"{name} is started again")

    async def _is_new(self, name: str, before: ProcessRecord) -> bool:
        return self.process(name).pid != before.pid

    async def get(self, path: str, **query: str | int) -> Any:
        async with self._session.get(self.url + path, params=query, headers=self.headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body of one POST."""
        async with self._session.post(self.url + path, json=body, headers={**self.headers, **headers}) as answer:
            return answer.status, await answer.json(content_type=None)

    async def submit(self, recipe: str, text: str, key: str | None = None) -> str:
        """The id of a job that is accepted, repeated by its key until it is."""
        body = {"recipe": recipe, "input": {"text": text}}
        headers = {"Idempotency-Key": key} if key else {}
        deadline = time.monotonic() + 60
        while True:
            try:
                status, answer = await self.post("/jobs", body, **headers)
            except aiohttp.ClientError:
                status, answer = 0, None
            if status == 202:
                return str(answer["id"])
            assert status in {0, 503}, answer
            assert key is not None, "nothing to repeat it by"
            assert time.monotonic() < deadline, "ingestion does not come back"
            await asyncio.sleep(0.2)

    async def ended(self, job_ids: Iterable[str], bound_s: float = 90) -> dict[str, dict[str, Any]]:
        """Every job when it has ended."""
        left, found = set(job_ids), {}
        deadline = time.monotonic() + bound_s
        while left:
            for job_id in sorted(left):
                job = await self.get(f"/jobs/{job_id}", wait=5)
                if job["state"] not in ENDED:
                    break
                found[job_id] = job
                left.discard(job_id)
            assert time.monotonic() < deadline, f"{len(left)} jobs have not ended, as {job}"
        return found

    async def attempts(self, job_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(f"/jobs/{job_id}/attempts"))["attempts"]
        return found

    async def rows(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Straight from Postgres, which is the truth."""
        stack = Stack(self.state.folder, ["postgres"])
        stack.attach()
        connection = await asyncpg.connect(stack.endpoints.database_url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def headrace(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> Done:
        """The command line, in a process of its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "headrace",
            *arguments,
            env={**self.environ, "COLUMNS": "200", **(environ or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin)
        return Done(process.returncode or 0, out.decode(), err.decode())

    async def headrace_json(self, *arguments: str, stdin: bytes = b"") -> Any:
        done = await self.headrace(*arguments, "--json", stdin=stdin)
        assert done.code == 0, done.err
        return json.loads(done.out)


async def until(condition: Callable[[], Awaitable[bool]], what: str, bound_s: float = 60) -> None:
    deadline = time.monotonic() + bound_s
    while not await condition():
        assert time.monotonic() < deadline, f"it never came to be that {what}"
        await asyncio.sleep(0.1)
