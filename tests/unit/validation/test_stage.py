"""The stage judges completions with the recipe that ships: its schema, and its checks against the input."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry

from common.contracts import Completion, Lane, Step, Verdict, VerdictKind, decode
from common.errors import DatabaseUnavailable
from common.kafka.consumer import Delivery
from common.outcomes import Forward
from common.pipeline import Topic
from common.recipes import RecipeCatalogue, load_folder, shipped_recipes
from common.recipes.shelf import RecipeShelf
from common.schema import Violation
from output_validation.metrics import VerdictMetrics
from output_validation.stage import ValidationStage
from prompt_engine.reask import word_reask
from tests.unit.common.test_turns import Passing, turns_of_others

RECIPE = load_folder(shipped_recipes() / "invoice-extract")
INPUT = RECIPE.examples["examples/01-kettles.json"]
RIGHT: dict[str, Any] = {
    "seller": "Boil & Sons Ltd",
    "currency": "EUR",
    "lines": [
        {"quote": "2 x Kettle, steel 79.80", "item": "Kettle", "amount": 79.8},
        {"quote": "1 x Descaler 6.20", "item": "Descaler", "amount": 6.2},
    ],
    "total_quote": "Total due EUR 86.00",
    "total": 86.0,
}


class Stored:
    """The inputs and bundles of one job; ``common.ports.InputStore`` and ``RecipeBundles``."""

    async def inputs(self, job_ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
        return dict.fromkeys(job_ids, json.dumps(INPUT).encode())

    async def bundle(self, content_hash: str) -> Mapping[str, str] | None:
        return None


class Unreachable(Stored):
    """A store that cannot be read."""

    async def inputs(self, job_ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
        raise DatabaseUnavailable("gone")


def delivered(text: str | None, **fields: Any) -> Delivery:
    completion = Completion(
        tenant_id="t",
        job_id=uuid4(),
        step="extract",
        attempt=fields.pop("attempt", 1),
        lane=Lane.STANDARD,
        recipe=RECIPE.reference,
        recipe_hash=RECIPE.content_hash,
        text=text,
        finish_reason=fields.pop("finish_reason", "stop"),
        **fields,
    )
    return Delivery(
        topic=Topic.COMPLETIONS,
        name="completions",
        partition=0,
        offset=0,
        key=b"",
        value=completion.model_dump_json().encode(),
        headers=(),
    )


async def judged(text: str | None, **fields: Any) -> tuple[Verdict, Step | None, CollectorRegistry]:
    registry = CollectorRegistry()
    shelf = RecipeShelf(RecipeCatalogue([RECIPE]), Stored())
    stage = ValidationStage(shelf, Stored(), VerdictMetrics(registry))
    (outcome,) = await stage.handle([delivered(text, **fields)])
    assert isinstance(outcome, Forward)
    steps = [decode(Step, record.value) for record in outcome.records[1:]]
    return decode(Verdict, outcome.records[0].value), (steps[0] if steps else None), registry


async def test_an_output_that_holds_against_its_input_is_accepted() -> None:
    verdict, step, registry = await judged(f"```json\n{json.dumps(RIGHT)}\n```")

    assert (verdict.verdict, step) == (VerdictKind.ACCEPT, None)
    assert json.loads(verdict.output or "") == RIGHT
    assert verdict.extraction is not None
    assert {repair.kind for repair in verdict.extraction.repairs} == {"fence-removed"}
    labels = {"recipe": "invoice-extract", "model": "default", "outcome": "repaired"}
    assert registry.get_sample_value("headrace_output_validation_verdicts_total", labels) == 1


async def test_nothing_is_counted_of_a_batch_that_is_judged_again() -> None:
    registry = CollectorRegistry()
    stage = ValidationStage(RecipeShelf(RecipeCatalogue([RECIPE]), Stored()), Unreachable(), VerdictMetrics(registry))

    with pytest.raises(DatabaseUnavailable):
        await stage.handle([delivered(None, finish_reason="content_filter"), delivered(json.dumps(RIGHT))])

    assert list(registry.collect())
    assert not [sample for family in registry.collect() for sample in family.samples]


async def test_a_strictly_valid_answer_leaves_no_note_of_its_reading() -> None:
    verdict, _, _ = await judged(json.dumps(RIGHT))

    assert (verdict.verdict, verdict.extraction) == (VerdictKind.ACCEPT, None)


@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"total": 85.0}, "/total", "must add up to the total"),
        ({"total_quote": "Total: 86 euros"}, "/total_quote", "word for word"),
        ({"currency": "USD"}, "/currency", '"USD" is not among them'),
    ],
)
async def test_what_does_not_hold_is_asked_again_in_words_of_the_recipe(
    changes: dict[str, Any], pointer: str, said: str
) -> None:
    verdict, step, _ = await judged(json.dumps(RIGHT | changes))

    assert verdict.verdict is VerdictKind.REASK
    assert [note.pointer for note in verdict.violations] == [pointer]
    assert step is not None
    assert step.reask is not None
    (fault,) = step.faults
    assert fault.startswith(f"{pointer}:check:")
    note = step.reask.violations[0]
    faults = [Violation(note.pointer, note.keyword, note.message, note.expected, note.actual)]
    assert said in word_reask(faults, step.reask.previous_answer, RECIPE.output.schema)[-1].content


async def test_the_same_error_again_ends_the_job_where_nobody_else_can_be_asked() -> None:
    wrong = json.dumps(RIGHT | {"total": 85.0})

    verdict, step, _ = await judged(wrong, attempt=2, reasks=1, faults=("/total:check:total-is-the-sum",))

    assert (verdict.verdict, step) == (VerdictKind.REJECT, None)
    assert verdict.failure is not None
    assert verdict.failure.code == "answer_invalid"


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("<think>" + "perhaps " * 2_000 + "</think>\n{}", "{}", "{}"),
        ('{"total": "' + "a" * 20_000 + 'z"} Done.', '{"total": "a', 'z"} Done.'),
        ("<think>perhaps", "<think>perhaps", "perhaps"),
    ],
)
async def test_of_a_long_answer_its_beginning_and_its_end_are_told_again_and_no_thoughts(
    text: str, begins: str, ends: str
) -> None:
    _, step, _ = await judged(text)

    assert step is not None
    assert step.reask is not None
    told = step.reask.previous_answer
    assert told.startswith(begins)
    assert told.endswith(ends)
    assert len(told) <= 16_000
    (answer, _) = word_reask([Violation("", "json", "m")], told, RECIPE.output.schema)
    assert answer.content.startswith(begins)
    assert answer.content.endswith(ends)


async def test_more_faults_travel_back_than_are_kept_for_the_record() -> None:
    verdict, step, _ = await judged(json.dumps(RIGHT | {"lines": [{}] * 30}))

    assert len(verdict.violations) == 20
    assert step is not None
    assert step.reask is not None
    assert len(step.reask.violations) > 20


async def test_refusals_that_cost_nothing_take_no_re_ask_away() -> None:
    wrong = json.dumps(RIGHT | {"total": 85.0})

    verdict, step, _ = await judged(wrong, attempt=5, free=4)
    assert verdict.verdict is VerdictKind.REASK
    assert step is not None
    assert (step.attempt, step.free) == (6, 4)

    verdict, _, _ = await judged(wrong, attempt=5, free=1)
    assert verdict.verdict is VerdictKind.REJECT


async def test_a_cut_off_answer_is_asked_for_anew_with_more_room() -> None:
    verdict, step, _ = await judged(json.dumps(RIGHT)[:150], finish_reason="length")

    assert verdict.verdict is VerdictKind.REASK
    assert step is not None
    assert (step.reask, step.max_output_tokens, step.reasks) == (None, 3600, 1)


@pytest.mark.parametrize("text", [json.dumps(RIGHT), None])
async def test_a_batch_that_takes_long_lets_others_have_the_loop(text: str | None) -> None:
    shelf = RecipeShelf(RecipeCatalogue([RECIPE]), Stored())
    stage = ValidationStage(shelf, Stored(), VerdictMetrics(CollectorRegistry()), Passing(1.0))
    batch = [delivered(text) for _ in range(10)]

    # Ten are decoded and ten are judged.
    assert await turns_of_others(lambda: stage.handle(batch)) >= 20


@pytest.mark.parametrize("text", ['{"a\\u0000": 1}', '{"a\0": 1}', '{"lines": [{"\\u0000": "\0"}]}', "\0"])
async def test_a_verdict_holds_no_nul_for_nothing_could_store_it(text: str) -> None:
    verdict, _, _ = await judged(text, attempt=3, reasks=2)

    assert verdict.verdict is not VerdictKind.ACCEPT
    assert "\\u0000" not in verdict.model_dump_json()
