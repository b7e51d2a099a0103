"""decide turns a reading, the provider's word and the history into one verdict."""

import json

import pytest

from common.contracts import FailedAnswer, VerdictKind
from common.schema import Violation
from output_validation import Extraction, extract
from output_validation.verdict import Decision, History, Limits, decide, fingerprints

SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
GOOD = extract('{"n": 1}', SCHEMA)
BAD = extract('{"n": "x"}', SCHEMA)


def decided(
    extraction: Extraction | None = BAD,
    finish_reason: str | None = "stop",
    error: FailedAnswer | None = None,
    history: History = History(),  # noqa: B008  # frozen
    limits: Limits = Limits(),  # noqa: B008  # frozen
) -> Decision:
    return decide(extraction, finish_reason=finish_reason, error=error, history=history, limits=limits)


def test_a_good_value_is_accepted() -> None:
    assert decided(GOOD) == Decision(VerdictKind.ACCEPT)


def test_a_good_value_is_accepted_though_the_answer_was_cut_off_after_it() -> None:
    assert decided(GOOD, "length").kind is VerdictKind.ACCEPT


def test_the_first_bad_value_is_asked_again_with_its_faults() -> None:
    decision = decided(BAD)

    assert decision.kind is VerdictKind.REASK
    assert [v.pointer for v in decision.violations] == ["/n"]
    assert decision.failure is None


@pytest.mark.parametrize(
    ("history", "limits"),
    [
        (History(attempts=2, reasks=1), Limits()),
        (History(attempts=1, reasks=0), Limits(max_reasks=0)),
        (History(attempts=4, reasks=0), Limits(max_attempts=4)),
        (History(attempts=3, reasks=2), Limits(max_reasks=2)),
    ],
)
def test_a_bad_value_is_rejected_when_nothing_is_left(history: History, limits: Limits) -> None:
    decision = decided(BAD, history=history, limits=limits)

    assert decision.kind is VerdictKind.REJECT
    assert decision.failure is not None
    assert decision.failure.code == "answer_invalid"
    assert "/n: must be of type integer" in decision.failure.detail


def test_a_second_re_ask_is_allowed_where_the_recipe_says_so() -> None:
    assert decided(BAD, history=History(2, 1), limits=Limits(max_reasks=2)).kind is VerdictKind.REASK


def test_a_cut_off_answer_gets_more_room_then_is_rejected_as_such() -> None:
    cut = extract('{"n": 1', SCHEMA)

    again = decided(cut, "length", limits=Limits(max_output_tokens=100))
    rejected = decided(cut, "length", history=History(2, 1))

    assert [v.keyword for v in again.violations] == ["truncated"]
    assert again.kind is VerdictKind.REASK
    assert (again.anew, again.max_output_tokens) == (True, 200)
    assert rejected.failure is not None
    assert rejected.failure.code == "answer_truncated"


@pytest.mark.parametrize(
    ("finish_reason", "code"), [("refusal", "model_refused"), ("content_filter", "content_filtered")]
)
@pytest.mark.parametrize("extraction", [GOOD, BAD, None])
def test_a_refusal_is_never_asked_again(finish_reason: str, code: str, extraction: Extraction | None) -> None:
    decision = decided(extraction, finish_reason)

    assert decision.kind is VerdictKind.REJECT
    assert decision.failure is not None
    assert decision.failure.code == code


def test_a_failure_before_validation_keeps_its_code() -> None:
    failed = FailedAnswer(code="provider_unauthorized", detail="the key is not accepted")

    assert decided(None, None, failed) == Decision(VerdictKind.REJECT, failure=failed)


def test_an_answer_without_text_is_asked_again() -> None:
    assert decided(None).kind is VerdictKind.REASK


def test_where_the_limit_cannot_be_raised_a_cut_off_answer_is_asked_to_be_shorter() -> None:
    decision = decided(
        extract('{"n": 1', SCHEMA), "length", limits=Limits(max_output_tokens=100, max_output_tokens_if_cut=100)
    )

    assert (decision.kind, decision.anew, decision.max_output_tokens) == (VerdictKind.REASK, False, None)


LADDER = Limits(max_reasks=3, escalate_to=("larger", "largest"))


def test_a_repeated_error_escalates_at_once() -> None:
    decision = decided(BAD, history=History(2, 1, faults=fingerprints(BAD.violations)), limits=LADDER)

    assert decision.kind is VerdictKind.ESCALATE
    assert (decision.model, decision.anew) == ("larger", True)


def test_another_error_is_asked_again_of_the_same_model() -> None:
    decision = decided(BAD, history=History(3, 1, model="larger", faults=("/m:enum",)), limits=LADDER)

    assert (decision.kind, decision.model) == (VerdictKind.REASK, "larger")


def test_used_up_re_asks_escalate_and_the_last_model_is_the_last() -> None:
    used_up = History(3, 3, model="larger")
    last = History(3, 3, model="largest")

    assert decided(BAD, history=used_up, limits=LADDER).model == "largest"
    assert decided(BAD, history=last, limits=LADDER).kind is VerdictKind.REJECT


@pytest.mark.parametrize("escalate_to", [("a", "b", "a"), ("a", "a", "b", "b"), ("own", "a", "own", "b", "a")])
def test_no_model_is_escalated_to_twice_nor_the_recipes_own(escalate_to: tuple[str, ...]) -> None:
    limits = Limits(max_attempts=20, max_reasks=0, model="own", escalate_to=escalate_to)
    asked: list[str] = []

    decision = decided(BAD, limits=limits)
    while decision.kind is VerdictKind.ESCALATE and len(asked) < 10:
        asked.append(decision.model or "")
        decision = decided(BAD, history=History(len(asked) + 1, model=decision.model), limits=limits)

    assert asked == ["a", "b"]
    assert decision.kind is VerdictKind.REJECT


def test_an_error_that_is_repeated_late_among_many_is_repeated() -> None:
    items = {"items": {"type": "integer"}}
    first = extract(json.dumps(["x"] * 30), items)
    second = extract(json.dumps([1] * 25 + ["x"] * 5), items)

    decision = decided(second, history=History(2, 1, faults=fingerprints(first.violations)), limits=LADDER)

    assert decision.kind is VerdictKind.ESCALATE


def test_fingerprints_are_small() -> None:
    far = [Violation(f"/{'x' * 900}/{n}", "unevaluatedProperties", "must not be") for n in range(500)]

    told = fingerprints(far)

    assert len(set(told)) == 100
    assert sum(map(len, told)) < 7_000


def test_a_repeated_error_is_rejected_where_nobody_else_can_be_asked() -> None:
    repeated = History(2, 1, faults=fingerprints(BAD.violations))

    assert decided(BAD, history=repeated, limits=Limits(max_reasks=3)).kind is VerdictKind.REJECT


def test_a_check_that_does_not_hold_is_asked_again_like_any_fault() -> None:
    fault = Violation("/n", "check", "make n the sum")

    decision = decide(GOOD, finish_reason="stop", error=None, history=History(), limits=Limits(), checks=[fault])

    assert (decision.kind, decision.violations) == (VerdictKind.REASK, (fault,))


def test_another_member_or_check_at_one_place_is_another_error() -> None:
    both = {"type": "object", "required": ["a", "b"]}
    lacks_b, lacks_a = extract('{"a": 1}', both), extract('{"b": 1}', both)
    after_the_first = History(2, 1, faults=fingerprints(lacks_b.violations))

    assert decided(lacks_a, history=after_the_first, limits=LADDER).kind is VerdictKind.REASK
    assert decided(lacks_b, history=after_the_first, limits=LADDER).kind is VerdictKind.ESCALATE
    checks = [Violation("/n", "check", "make it so", expected=name) for name in ("sum", "order")]
    assert len(fingerprints(checks)) == 2
    far = [Violation("/x" * 100 + end, "type", "must be of type integer") for end in ("/1", "/2")]
    assert len(fingerprints(far)) == 2


def test_a_whole_value_that_fails_a_check_is_corrected_though_the_answer_was_cut_off_after_it() -> None:
    fault = Violation("/n", "check", "make n the sum", expected="sum")

    decision = decide(GOOD, finish_reason="length", error=None, history=History(), limits=Limits(), checks=[fault])

    assert (decision.kind, decision.violations, decision.anew) == (VerdictKind.REASK, (fault,), False)
    assert decision.max_output_tokens is None
