"""The prompt stage over batches: others have the event loop between prompts."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import pytest

from common.contracts import Lane, Step
from common.kafka.consumer import Delivery
from common.outcomes import Forward
from common.pipeline import Topic
from common.recipes import RecipeCatalogue
from common.recipes.shelf import RecipeShelf
from prompt_engine.stage import PromptStage
from tests.unit.common.test_turns import Passing, turns_of_others
from tests.unit.prompting.test_prompting import recipe

RECIPE = recipe()
INPUT = '{"who": "Ada"}'


class Stored:
    """Every job's input; ``common.ports.InputStore`` and ``RecipeBundles``."""

    async def inputs(self, job_ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
        return dict.fromkeys(job_ids, INPUT.encode())

    async def bundle(self, content_hash: str) -> Mapping[str, str] | None:
        return None


def delivered(offset: int, text: str | None) -> Delivery:
    step = Step(
        tenant_id="t",
        job_id=uuid4(),
        step="greet",
        attempt=1,
        lane=Lane.STANDARD,
        recipe=RECIPE.reference,
        recipe_hash=RECIPE.content_hash,
        input=text,
    )
    return Delivery(Topic.STEPS_STANDARD, "steps", 0, offset, b"key", step.model_dump_json().encode(), ())


@pytest.mark.parametrize("text", [INPUT, None])
async def test_a_batch_that_takes_long_lets_others_have_the_loop(text: str | None) -> None:
    stage = PromptStage(RecipeShelf(RecipeCatalogue([RECIPE]), Stored()), Stored(), Passing(1.0))
    batch = [delivered(offset, text) for offset in range(10)]

    # Ten are decoded and ten are compiled.
    assert await turns_of_others(lambda: stage.handle(batch)) >= 20
    assert all(isinstance(outcome, Forward) for outcome in await stage.handle(batch))
