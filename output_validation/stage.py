"""The validation stage: completion in, verdict out; for a re-ask, the step again with what was wrong.

Every verdict goes to ``verdicts`` for the record. A re-ask travels beside it as data; prompt_engine words it.
"""

from collections.abc import Sequence

from common.contracts import Completion, FailedAnswer, Reask, Step, Verdict, VerdictKind, ViolationNote, decode
from common.errors import JobError, PoisonError, RecipeError
from common.kafka.consumer import Delivery
from common.kafka.producer import Record
from common.outcomes import Forward, Outcome, Reject
from common.pipeline import STEPS_OF, Topic
from common.recipes.shelf import RecipeShelf
from common.schema import dump_json
from output_validation.extract import extract
from output_validation.extraction import Extraction
from output_validation.verdict import Decision, History, Limits, decide

# What of a wrong answer travels back: the wording shows its beginning and its end.
_PREVIOUS_CHARS = 16_000
_NOTES = 20


class ValidationStage:
    """``common.runner.BatchStage``."""

    def __init__(self, shelf: RecipeShelf) -> None:
        self._shelf = shelf

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Judge a batch. Raises DatabaseUnavailable when a recipe cannot be read."""
        return [await self._judged(delivery) for delivery in batch]

    async def _judged(self, delivery: Delivery) -> Outcome:
        try:
            completion = decode(Completion, delivery.value)
        except PoisonError as poison:
            return Reject(str(poison), type(poison).__name__)
        try:
            recipe = await self._shelf.recipe(completion.recipe_hash)
            policy = recipe.step(completion.step)
        except (JobError, RecipeError) as error:
            failure = FailedAnswer(code=getattr(error, "code", "recipe_unusable"), detail=str(error))
            return _forward(completion, None, Decision(VerdictKind.REJECT, failure=failure))
        extraction = extract(completion.text, recipe.output) if completion.text is not None else None
        decision = decide(
            extraction,
            finish_reason=completion.finish_reason,
            error=completion.error,
            history=History(attempts=completion.attempt, reasks=completion.reasks),
            limits=Limits(max_attempts=policy.max_attempts, max_reasks=policy.max_reasks),
        )
        return _forward(completion, extraction, decision)


def _forward(completion: Completion, extraction: Extraction | None, decision: Decision) -> Forward:
    key = str(completion.job_id).encode()
    notes = tuple(
        ViolationNote(pointer=v.pointer, keyword=v.keyword, message=v.message, expected=v.expected, actual=v.actual)
        for v in decision.violations[:_NOTES]
    )
    output = None
    if decision.kind is VerdictKind.ACCEPT and extraction is not None:
        output = dump_json(extraction.value).decode()
    verdict = Verdict(
        **completion.reference(),
        verdict=decision.kind,
        output=output,
        failure=decision.failure,
        violations=notes,
        strict=extraction.strict if extraction else False,
        confidence=extraction.confidence.value if extraction else "",
        repairs=tuple(repair.kind.value for repair in extraction.repairs) if extraction else (),
    )
    records = [Record(Topic.VERDICTS, key, verdict.model_dump_json(exclude_none=True).encode())]
    if decision.kind is VerdictKind.REASK:
        again = Step(
            **completion.reference(completion.next_attempt) | {"reasks": completion.reasks + 1},
            reask=Reask(previous_answer=(completion.text or "")[:_PREVIOUS_CHARS], violations=notes),
        )
        value = again.model_dump_json(exclude_none=True).encode()
        records.append(Record(STEPS_OF[completion.lane], key, value))
    return Forward(tuple(records))
