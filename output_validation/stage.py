"""The validation stage: completion in, verdict out; for a re-ask, the step again with what was wrong.

Every verdict goes to ``verdicts`` for the record. A re-ask travels beside it as data; prompt_engine words it. The
input is read only for recipes that have checks of their own. Judging computes: between answers the loop is shared.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from common.clock import Clock, monotonic_clock
from common.contracts import (
    Completion,
    ExtractionNote,
    FailedAnswer,
    Reask,
    RepairNote,
    Step,
    Verdict,
    VerdictKind,
    ViolationNote,
    decode,
)
from common.errors import JobError, PoisonError, RecipeError, StrictJsonError
from common.inputs import inputs_in_parts
from common.kafka.consumer import Delivery
from common.kafka.producer import Record
from common.outcomes import Forward, Outcome, Reject
from common.pipeline import STEPS_OF, Topic
from common.ports import InputStore
from common.recipes import Recipe
from common.recipes.checks import run_checks
from common.recipes.manifest import Step as StepPolicy
from common.recipes.shelf import RecipeShelf
from common.schema import Violation, dump_json, parse_json
from common.turns import Turns
from output_validation.extract import extract
from output_validation.extraction import Extraction
from output_validation.metrics import VerdictMetrics
from output_validation.thoughts import thoughts
from output_validation.verdict import Decision, History, Limits, decide, fingerprints

# What of a wrong answer travels back, half of it from its beginning and half from its end: the wording shows less.
_PREVIOUS_CHARS = 16_000
_NOTES = 20
# More travel back: what is wrong in many places is said in one line.
_REASK_NOTES = 60


class _Counted(NamedTuple):
    """One verdict as the metrics count it."""

    recipe: str
    model: str
    kind: VerdictKind
    extraction: Extraction | None


class ValidationStage:
    """``common.runner.BatchStage``."""

    def __init__(
        self, shelf: RecipeShelf, inputs: InputStore, metrics: VerdictMetrics, clock: Clock = monotonic_clock
    ) -> None:
        self._shelf = shelf
        self._inputs = inputs
        self._metrics = metrics
        self._clock = clock

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Judge a batch. Raises DatabaseUnavailable when a recipe or an input cannot be read."""
        outcomes: list[Outcome | None] = [None] * len(batch)
        verdicts: list[_Counted] = []
        turns = Turns(self._clock)
        known: dict[int, tuple[Completion, Recipe, StepPolicy]] = {}
        for place, delivery in enumerate(batch):
            await turns.share()
            try:
                completion = decode(Completion, delivery.value)
            except PoisonError as poison:
                outcomes[place] = Reject(str(poison), type(poison).__name__)
                continue
            try:
                recipe = await self._shelf.recipe(completion.recipe_hash)
                known[place] = completion, recipe, recipe.step(completion.step)
            except (JobError, RecipeError) as error:
                failure = FailedAnswer(code=getattr(error, "code", "recipe_unusable"), detail=str(error))
                outcomes[place] = _forward(completion, None, Decision(VerdictKind.REJECT, failure=failure))
        wanted: dict[UUID, list[int]] = {}
        for place, (completion, recipe, policy) in known.items():
            await turns.share()
            if recipe.checks and completion.text:
                wanted.setdefault(completion.job_id, []).append(place)
            else:
                outcomes[place], verdict = self._judged(completion, recipe, policy, {})
                verdicts.append(verdict)
        async for job_ids, inputs in inputs_in_parts(self._inputs, wanted):
            for place in (place for job_id in job_ids for place in wanted[job_id]):
                await turns.share()
                outcomes[place], verdict = self._judged(*known[place], inputs)
                verdicts.append(verdict)
        # At the end: the runner hands a batch in again, in halves, if judging one of it raised.
        for verdict in verdicts:
            self._metrics.judged(*verdict)
        return [outcome for outcome in outcomes if outcome is not None]

    def _judged(
        self, completion: Completion, recipe: Recipe, policy: StepPolicy, inputs: Mapping[UUID, bytes]
    ) -> tuple[Forward, _Counted]:
        extraction = extract(completion.text, recipe.output) if completion.text is not None else None
        error = completion.error
        checks: tuple[Violation, ...] = ()
        if error is None and recipe.checks and extraction is not None and extraction.ok:
            try:
                checks = run_checks(recipe.checks, parse_json(inputs[completion.job_id]), extraction.value).violations
            except KeyError:
                error = FailedAnswer(code="input_missing", detail="the job's input is no longer stored")
            except StrictJsonError as unreadable:
                error = FailedAnswer(code="input_unreadable", detail=str(unreadable))
        decision = decide(
            extraction,
            finish_reason=completion.finish_reason,
            error=error,
            history=History(
                attempts=completion.paid(completion.attempt),
                reasks=completion.reasks,
                model=completion.model,
                faults=completion.faults,
                max_output_tokens=completion.max_output_tokens,
            ),
            limits=Limits(
                max_attempts=policy.max_attempts,
                max_reasks=policy.max_reasks,
                model=policy.model,
                escalate_to=policy.escalate_to,
                max_output_tokens=policy.max_output_tokens,
                max_output_tokens_if_cut=policy.max_output_tokens_if_cut,
            ),
            checks=checks,
        )
        counted = _Counted(recipe.name, completion.model or policy.model, decision.kind, extraction)
        return _forward(completion, extraction, decision), counted


def _forward(completion: Completion, extraction: Extraction | None, decision: Decision) -> Forward:
    key = str(completion.job_id).encode()
    notes = tuple(
        ViolationNote(pointer=v.pointer, keyword=v.keyword, message=v.message, expected=v.expected, actual=v.actual)
        for v in decision.violations[:_REASK_NOTES]
    )
    output = None
    if decision.kind is VerdictKind.ACCEPT and extraction is not None:
        output = dump_json(extraction.value).decode()
    verdict = Verdict(
        **completion.reference(),
        verdict=decision.kind,
        output=output,
        failure=decision.failure,
        violations=notes[:_NOTES],
        confidence=extraction.confidence.value if extraction else "",
        extraction=_noted(extraction, decision.kind) if extraction else None,
    )
    records = [Record(Topic.VERDICTS, key, verdict.model_dump_json(exclude_none=True).encode())]
    if decision.kind in (VerdictKind.REASK, VerdictKind.ESCALATE):
        value = _next_step(completion, decision, notes).model_dump_json(exclude_none=True).encode()
        records.append(Record(STEPS_OF[completion.lane], key, value))
    return Forward(tuple(records))


def _noted(extraction: Extraction, kind: VerdictKind) -> ExtractionNote | None:
    """Return what the record says of a reading; nothing of the usual one, a strictly valid answer that is accepted."""
    if kind is VerdictKind.ACCEPT and extraction.strict and not extraction.repairs:
        return None
    return ExtractionNote(
        strict=extraction.strict,
        confidence=extraction.confidence.value,
        repairs=tuple(
            RepairNote(kind=r.kind.value, start=r.start, end=r.end, pointer=r.pointer)
            for r in extraction.repairs[:_NOTES]
        ),
        candidates=len(extraction.candidates),
        reason=extraction.reason,
    )


def _next_step(completion: Completion, decision: Decision, notes: tuple[ViolationNote, ...]) -> Step:
    """Return the step of the next attempt: with what was wrong, or asked anew of a model or with more room."""
    asked_again = decision.kind is VerdictKind.REASK
    changes = {
        "reasks": completion.reasks + asked_again,
        "model": decision.model,
        "max_output_tokens": decision.max_output_tokens,
        "faults": fingerprints(decision.violations) if asked_again else (),
    }
    reask = None
    if not decision.anew:
        reask = Reask(previous_answer=_told_again(completion.text or ""), violations=notes)
    return Step(**completion.reference(completion.next_attempt) | changes, reask=reask)


def _told_again(text: str) -> str:
    """Return of an answer what travels back: without thoughts, unless it is nothing else, and of bounded length."""
    parts, position = [], 0
    for start, end in thoughts(text):
        parts.append(text[position:start])
        position = end
    answer = "".join((*parts, text[position:])).strip() or text
    half = _PREVIOUS_CHARS // 2
    return answer if len(answer) <= _PREVIOUS_CHARS else answer[:half] + answer[-half:]
