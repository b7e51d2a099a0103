"""Two messages that lead to one ledger row make one call (P3)."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from common.contracts import Lane, Prompt, PromptPart
from common.kafka.consumer import Delivery
from common.outcomes import Forward
from common.pipeline import Topic
from common.ports import Reservation, ReserveDecision, ReserveKind, Settlement
from common.recipes import load_catalogue, shipped_recipes
from common.recipes.shelf import RecipeShelf
from model_layer.deployments import load_deployments
from model_layer.lease import Lease
from model_layer.provider import FinishReason, ModelAnswer, ModelRequest
from model_layer.stage import ModelStage

MODELS = """
[[deployment]]
model = "one"
base_url = "http://127.0.0.1:1/v1"
price = { input_usd_per_mtok = 1, output_usd_per_mtok = 1 }
"""


class LedOn:
    """A ledger whose first row was abandoned: attempt 2 is granted, then in flight, whichever message asks."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.settled: list[Settlement] = []

    async def reserve(self, items: Sequence[Reservation]) -> Sequence[ReserveDecision]:
        decisions = []
        for item in items:
            kind = ReserveKind.IN_FLIGHT if self.asked else ReserveKind.GRANTED
            self.asked.append(item.ref.attempt)
            decisions.append(ReserveDecision(kind, 2))
        return decisions

    async def settle(self, items: Sequence[Settlement]) -> None:
        self.settled += items

    async def renew_lease(self) -> None:
        return None


class Slow:
    """A provider that answers when told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.answer = asyncio.Event()

    async def call(self, request: ModelRequest) -> ModelAnswer:
        self.calls += 1
        await self.answer.wait()
        return ModelAnswer(
            text="{}",
            finish_reason=FinishReason.STOP,
            model_served="one",
            usage=None,
            request_id="r-1",
            raw=b"{}",
            latency_ms=1.0,
        )

    def decode_stored(self, raw: bytes) -> ModelAnswer:
        raise AssertionError("nothing is stored")

    async def close(self) -> None:
        return None


class NoBundles:
    async def bundle(self, content_hash: str) -> Mapping[str, str] | None:
        return None


def _delivery(prompt: Prompt, offset: int) -> Delivery:
    value = prompt.model_dump_json().encode()
    return Delivery(Topic.PROMPTS_STANDARD, "prompts", 0, offset, b"key", value, ())


@pytest.fixture
def first(tmp_path: Path) -> Prompt:
    recipe = load_catalogue([shipped_recipes()]).list()[0]
    return Prompt(
        tenant_id="t",
        job_id=uuid4(),
        step=recipe.manifest.step[0].id,
        attempt=1,
        lane=Lane.STANDARD,
        recipe=f"{recipe.name}@{recipe.version}",
        recipe_hash=recipe.content_hash,
        messages=(PromptPart(role="user", content="hello"),),
        prompt_hash="h",
        input_tokens_bound=5,
    )


async def test_p3_a_successor_that_meets_the_call_of_an_older_message_joins_it(first: Prompt, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text(MODELS)
    catalogue = load_deployments(tmp_path / "models.toml", {})
    ledger, provider = LedOn(), Slow()
    stage = ModelStage(
        shelf=RecipeShelf(load_catalogue([shipped_recipes()]), NoBundles()),
        catalogue=catalogue,
        providers={deployment.alias: provider for deployment in catalogue.deployments},
        ledger=ledger,
        lease=Lease(ledger, 10.0, lambda: 0.0),
    )
    older = asyncio.create_task(stage.handle_one(_delivery(first, 1)))
    successor = asyncio.create_task(stage.handle_one(_delivery(first.model_copy(update={"attempt": 2}), 2)))
    async with asyncio.timeout(5):
        while len(ledger.asked) < 2 or not provider.calls:
            await asyncio.sleep(0)
    provider.answer.set()

    outcomes = await asyncio.gather(older, successor)

    assert ledger.asked == [1, 2]
    assert provider.calls == 1
    assert [settled.attempt for settled in ledger.settled] == [2]
    assert all(isinstance(outcome, Forward) for outcome in outcomes)
