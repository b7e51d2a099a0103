"""The operator of a run: exhausts the tenant's budget for a while, and pauses many jobs at once, then lets them go.

While the budget is 0 no call may start; while an operation has paused jobs, none of theirs. Both are written down
with their times, as confirmed by the API.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Any

import orjson

from headrace.local.services import TENANT
from tests.chaos.history import Journal
from tests.chaos.load import Answered, client, until_answered
from tests.chaos.workload import STEERED_TAG

ENOUGH_USD = "100000"
EVERY_S = (9.0, 16.0)
LASTS_S = (1.5, 4.0)


@dataclass
class Operator:
    """Steers the whole installation over REST, as patiently as the clients."""

    api: str
    api_key: str
    seed: int
    journal: Journal

    def __post_init__(self) -> None:
        self._chance = random.Random(f"operator {self.seed}")

    async def run(self, duration_s: float) -> None:
        """Trouble the jobs from time to time; everything is let go again at the end."""
        began = asyncio.get_running_loop().time()
        troubles = [self.squeeze, self.pause_many]
        while asyncio.get_running_loop().time() - began < duration_s - EVERY_S[1]:
            await asyncio.sleep(self._chance.uniform(*EVERY_S))
            await self._chance.choice(troubles)()

    async def set_budget(self, limit_usd: str) -> None:
        """Set what the tenant may spend in all."""
        body = {"tenant": TENANT, "scope": "tenant", "limit_usd": limit_usd}
        await self._ask("PUT", "/budgets", body, {200, 201})

    async def squeeze(self) -> None:
        """Let nobody spend anything for a while."""
        await self.set_budget("0")
        since = self.journal.note("budget_empty")
        await asyncio.sleep(self._chance.uniform(*LASTS_S))
        self.journal.note("budget_filling", since=since)
        await self.set_budget(ENOUGH_USD)

    async def pause_many(self) -> None:
        """Pause all jobs of a tag for a while."""
        asked = self.journal.note("pausing_many")
        await self._operation("pause")
        since = self.journal.note("paused_many")
        await asyncio.sleep(self._chance.uniform(*LASTS_S))
        self.journal.note("resuming_many", asked=asked, since=since)
        await self._operation("resume")

    async def _operation(self, action: str) -> None:
        body = {"action": action, "filter": {"tag": STEERED_TAG}}
        begun = await self._ask("POST", "/operations", body, {202})
        while (await self._ask("GET", f"/operations/{begun['id']}", None, {200}))["state"] != "done":
            await asyncio.sleep(0.1)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None, wanted: set[int]) -> dict[str, Any]:
        content = b"" if body is None else orjson.dumps(body)
        async with client(self.api_key) as session:
            answered: Answered = await until_answered(
                session, method, self.api + path, content, {"content-type": "application/json"}, self._chance, wanted
            )
        if answered.status not in wanted:
            raise AssertionError(f"{method} {path} was answered with {answered.status}: {answered.body}")
        return answered.body
