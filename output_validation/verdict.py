"""Decides about one attempt: accept, ask again, or reject. A pure function of the answer, its reading and history.

The codes of rejections are public and stable. Escalation to another model is not decided here yet.
"""

from dataclasses import dataclass
from typing import Final

from common.contracts import FailedAnswer, VerdictKind
from common.schema import Violation
from output_validation.extraction import Extraction

LENGTH: Final = "length"
REFUSALS: Final = {"refusal": "model_refused", "content_filter": "content_filtered"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step allows: paid calls in all, and how many of them may be re-asks."""

    max_attempts: int = 4
    max_reasks: int = 1


@dataclass(frozen=True, slots=True)
class History:
    """What was spent on this step so far: paid calls including this one, and re-asks among them."""

    attempts: int = 1
    reasks: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict. ``failure`` only with REJECT; ``violations`` are what a re-ask is to be worded from."""

    kind: VerdictKind
    violations: tuple[Violation, ...] = ()
    failure: FailedAnswer | None = None


def decide(
    extraction: Extraction | None,
    *,
    finish_reason: str | None,
    error: FailedAnswer | None,
    history: History,
    limits: Limits,
) -> Decision:
    """Return what is to become of an attempt.

    ``extraction`` is None only where there was no text to read. ``error`` is a provider's failure, whose own
    retries are over: it is passed on with its code. A refusal is never asked again: the same words bring the
    same answer. A value that satisfies the schema is accepted even if the answer was cut off after it.
    """
    if error is not None:
        return _reject(error.code, error.detail)
    if finish_reason in REFUSALS:
        return _reject(REFUSALS[finish_reason], "the model would not answer; change the input or the recipe")
    if extraction is not None and extraction.ok:
        return Decision(VerdictKind.ACCEPT)
    violations = _faults(extraction, finish_reason)
    if history.reasks < limits.max_reasks and history.attempts < limits.max_attempts:
        return Decision(VerdictKind.REASK, violations)
    code = "answer_truncated" if finish_reason == LENGTH else "answer_invalid"
    return _reject(code, _summed_up(violations, history), violations)


def _faults(extraction: Extraction | None, finish_reason: str | None) -> tuple[Violation, ...]:
    if finish_reason == LENGTH:
        # What a cut-off answer lacks says nothing; that it was too long does.
        return (Violation("", "truncated", "the answer was cut off at the output limit"),)
    if extraction is None:
        return (Violation("", "json", "the answer is empty"),)
    return extraction.violations


def _summed_up(violations: tuple[Violation, ...], history: History) -> str:
    first = violations[0]
    more = f", and {len(violations) - 1} more faults" if len(violations) > 1 else ""
    where = first.pointer or "the whole answer"
    return f"after {history.attempts} attempts, {history.reasks} of them re-asks: {where}: {first.message}{more}"


def _reject(code: str, detail: str, violations: tuple[Violation, ...] = ()) -> Decision:
    return Decision(VerdictKind.REJECT, violations, FailedAnswer(code=code, detail=detail))
