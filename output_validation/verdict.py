"""Decides about one attempt: accept, ask again, escalate to the next model, or reject. Pure.

A function of the answer, its reading, the recipe's limits and the history. The codes of rejections are public
and stable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from common.contracts import FailedAnswer, VerdictKind
from common.schema import Violation
from common.schema.violations import MAX_VIOLATIONS
from output_validation.extraction import Extraction

LENGTH: Final = "length"
TRUNCATED: Final = "truncated"
REFUSALS: Final = {"refusal": "model_refused", "content_filter": "content_filtered"}
_OF_ONE_THING: Final = frozenset({"required", "check"})
_MAX_FINGERPRINT_CHARS: Final = 64
_HASH_CHARS: Final = 32


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step allows: paid calls in all, re-asks among them, its own model and those after it, output limits."""

    max_attempts: int = 4
    max_reasks: int = 1
    model: str | None = None
    escalate_to: tuple[str, ...] = ()
    max_output_tokens: int = 1024
    max_output_tokens_if_cut: int | None = None

    @property
    def raised_output_tokens(self) -> int:
        """Return the output limit of an attempt that follows one that was cut off."""
        return max(self.max_output_tokens, self.max_output_tokens_if_cut or 2 * self.max_output_tokens)


@dataclass(frozen=True, slots=True)
class History:
    """What was spent on this step so far: paid calls including this one, re-asks among them, and with whom.

    ``model``: whom the step was escalated to, if it was. ``faults``: fingerprints of what was wrong with the same
    model's previous answer. ``max_output_tokens``: the raised limit this attempt had, if it was raised.
    """

    attempts: int = 1
    reasks: int = 0
    model: str | None = None
    faults: tuple[str, ...] = ()
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict. ``failure`` only with REJECT; ``violations`` are what a re-ask is to be worded from.

    ``model``: whom the next attempt asks. ``max_output_tokens``: its output limit, where it was raised.
    ``anew``: it is asked as if for the first time, without the answer that was given.
    """

    kind: VerdictKind
    violations: tuple[Violation, ...] = ()
    failure: FailedAnswer | None = None
    model: str | None = None
    max_output_tokens: int | None = None
    anew: bool = False


def fingerprints(violations: Sequence[Violation]) -> tuple[str, ...]:
    """Return what tells an error that is made again: place, keyword, and which member or check it is about.

    Of every violation, for any may be the one that is made again; ``MAX_VIOLATIONS`` bounds them.
    """
    return tuple(dict.fromkeys(map(_fingerprint, violations[:MAX_VIOLATIONS])))


def _fingerprint(violation: Violation) -> str:
    subject = f":{violation.expected}" if violation.keyword in _OF_ONE_THING else ""
    told = f"{violation.pointer}:{violation.keyword}{subject}"
    if len(told) <= _MAX_FINGERPRINT_CHARS:
        return told
    return f"{violation.keyword}:{sha256(told.encode(errors='replace')).hexdigest()[:_HASH_CHARS]}"


def decide(
    extraction: Extraction | None,
    *,
    finish_reason: str | None,
    error: FailedAnswer | None,
    history: History,
    limits: Limits,
    checks: Sequence[Violation] = (),
) -> Decision:
    """Return what is to become of an attempt.

    ``extraction`` is None only where there was no text to read. ``checks`` are the recipe's own that do not hold.
    ``error`` is a provider's failure, whose own retries are over: it is passed on with its code. A refusal is
    never asked again: the same words bring the same answer. A value that satisfies the schema is accepted even if
    the answer was cut off after it. A model that repeats an error is not asked a third time.
    """
    if error is not None:
        return _reject(error.code, error.detail)
    if finish_reason in REFUSALS:
        return _reject(REFUSALS[finish_reason], "the model would not answer; change the input or the recipe")
    if extraction is not None and extraction.ok and not checks:
        return Decision(VerdictKind.ACCEPT)
    violations = _faults(extraction, finish_reason, checks)
    if extraction is not None and extraction.ok:
        # The value is whole: what was cut off came after it.
        finish_reason = None
    if history.attempts >= limits.max_attempts:
        return _rejected(violations, finish_reason, history)
    repeated = not set(history.faults).isdisjoint(fingerprints(violations))
    if history.reasks < limits.max_reasks and not repeated:
        return _asked_again(violations, finish_reason, history, limits)
    following = _next_model(history.model, limits)
    if following is None:
        return _rejected(violations, finish_reason, history)
    raised = limits.raised_output_tokens if finish_reason == LENGTH else history.max_output_tokens
    return Decision(VerdictKind.ESCALATE, violations, model=following, max_output_tokens=raised, anew=True)


def _asked_again(
    violations: tuple[Violation, ...], finish_reason: str | None, history: History, limits: Limits
) -> Decision:
    current = history.max_output_tokens or limits.max_output_tokens
    if finish_reason == LENGTH and limits.raised_output_tokens > current:
        raised = limits.raised_output_tokens
        return Decision(VerdictKind.REASK, violations, model=history.model, max_output_tokens=raised, anew=True)
    return Decision(VerdictKind.REASK, violations, model=history.model, max_output_tokens=history.max_output_tokens)


def _next_model(model: str | None, limits: Limits) -> str | None:
    """Return whom to ask after ``model``, or after the recipe's own; nobody stands in the order twice."""
    order = tuple(dict.fromkeys((limits.model, *limits.escalate_to)))
    place = order.index(model) + 1 if model in order else 1
    return order[place] if place < len(order) else None


def _faults(
    extraction: Extraction | None, finish_reason: str | None, checks: Sequence[Violation]
) -> tuple[Violation, ...]:
    if extraction is not None and extraction.ok:
        return tuple(checks)
    if finish_reason == LENGTH:
        # What a cut-off answer lacks says nothing; that it was too long does.
        return (Violation("", TRUNCATED, "the answer was cut off at the output limit"),)
    if extraction is None:
        return (Violation("", "json", "the answer is empty"),)
    return extraction.violations


def _rejected(violations: tuple[Violation, ...], finish_reason: str | None, history: History) -> Decision:
    cut = finish_reason == LENGTH and violations[0].keyword == TRUNCATED
    return _reject("answer_truncated" if cut else "answer_invalid", _summed_up(violations, history), violations)


def _summed_up(violations: tuple[Violation, ...], history: History) -> str:
    first = violations[0]
    more = f", and {len(violations) - 1} more faults" if len(violations) > 1 else ""
    where = first.pointer or "the whole answer"
    return f"after {history.attempts} attempts, {history.reasks} of them re-asks: {where}: {first.message}{more}"


def _reject(code: str, detail: str, violations: tuple[Violation, ...] = ()) -> Decision:
    return Decision(VerdictKind.REJECT, violations, FailedAnswer(code=code, detail=detail))
