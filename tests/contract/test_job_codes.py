"""docs/api.md tells every code of a failure, a hold, a verdict and a failed call, and no other.

Codes are written where failures are made, so they are read there: a code without a row on the page fails here, and so
does an expression whose codes cannot be read from the source. ``HANDED_ON`` says what those can be.
"""

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.contracts import VerdictKind
from common.errors import ProviderError, ProviderErrorKind
from common.ports import NOT_CALLED
from ingestion.budget_routes import MOST_GROUPS
from ingestion.longpoll import _MOST_WAITING
from ingestion.small_body import MOST_BYTES
from model_layer.retry import aftermath
from model_layer.routing.route import NoRouteCode
from model_layer.scheduler import DEFAULT_WEIGHTS
from persistence.reserve_decision import LEASE_EXPIRED, BudgetFacts, exhausted_reason
from tests.architecture.source_tree import ROOT, Module, all_modules, functions

STAGES = ("common", "model_layer", "output_validation", "persistence", "prompt_engine")
PAGE = (ROOT / "docs" / "api.md").read_text()

Function = ast.FunctionDef | ast.AsyncFunctionDef
HandedOn = Mapping[str, frozenset[str]]

NONE: frozenset[str] = frozenset()
KINDS = frozenset(kind.value for kind in ProviderErrorKind)


def holds_the_job(kind: ProviderErrorKind) -> bool:
    """Whether a call that fails so is the operator's business, even if it is the last and not to be repeated."""
    error = ProviderError(kind, "", sent=False, retryable=False)
    return aftermath(error, attempt=99, paid=99, max_attempts=1, reserved_nanos=0, jitter=0.0).retry


HOLDING = frozenset(kind.value for kind in ProviderErrorKind if holds_the_job(kind))
EXHAUSTED = exhausted_reason(BudgetFacts(1, "acme", "tenant", "", 0, 0, 0), 1)


def table(head: str) -> list[str]:
    """The codes in the first column of the table with this head."""
    rows = PAGE.split(f"\n{head}\n")[1].split("\n\n")[0].splitlines()[1:]
    return [code for row in rows for code in re.findall(r"`([a-z_-]+)`", row.split("|")[1])]


@dataclass(frozen=True)
class Call:
    """A call, and where it stands."""

    module: Module
    function: Function
    node: ast.Call

    @property
    def name(self) -> str:
        called = self.node.func
        return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")

    def argument(self, place: int, name: str) -> ast.expr | None:
        named = [keyword.value for keyword in self.node.keywords if keyword.arg == name]
        return next(iter([*named, *self.node.args[place : place + 1]]), None)

    def codes(self, expression: ast.expr | None, handed_on: HandedOn) -> frozenset[str]:
        """What an argument can be: texts, or the beginnings of texts."""
        assert expression is not None, f"{self.where}: a code is missing"
        written = ast.unparse(expression)
        if written in handed_on:
            return handed_on[written]
        parts: list[ast.expr] = []
        match expression:
            case ast.Constant(value=str(code)):
                return frozenset({code})
            case ast.IfExp(body=body, orelse=other):
                parts = [body, other]
            case ast.BoolOp(values=values):
                parts = values
            case ast.JoinedStr(values=[ast.FormattedValue(value=first), *_]) | ast.JoinedStr(values=[first, *_]):
                parts = [first]
            case ast.Subscript(value=ast.Name(id=name)):
                return frozenset(self.constant(name).values())
            case ast.Name(id=name) if name in parameters(self.function):
                return NONE  # who calls this function says it
            case ast.Name(id=name) if assigned := assignments(self.function, name):
                parts = assigned
            case ast.Name(id=name):
                return frozenset({self.constant(name)})
        assert parts, f"{self.where}: which codes can {written} be? Say so in HANDED_ON"
        return NONE.union(*(self.codes(part, handed_on) for part in parts))

    def constant(self, name: str) -> Any:
        return getattr(importlib.import_module(self.module.name.removesuffix(".py").replace("/", ".")), name)

    @property
    def where(self) -> str:
        return f"{self.module.name}:{self.node.lineno}"


def calls(*names: str) -> Iterator[Call]:
    for module in all_modules(*STAGES):
        for function in functions(module):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and (not names or Call(module, function, node).name in names):
                    yield Call(module, function, node)


def parameters(function: Function) -> list[str]:
    given = [each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return given[1:] if given[:1] == ["self"] else given


def assignments(function: Function, name: str) -> list[ast.expr]:
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    ]


def failures_made() -> Iterator[tuple[Call, ast.expr | None]]:
    """Every failure with its code: made itself, or by a function of the same module that takes a ``code`` for one."""
    helpers: dict[tuple[str, str], int] = {}
    for call in calls("JobError", "RenderError", "FailedAnswer", "Failure"):
        code = call.argument(0, "code")
        yield call, code
        if isinstance(code, ast.Name) and code.id in parameters(call.function):
            helpers[call.module.name, call.function.name] = parameters(call.function).index(code.id)
    for call in calls():
        if (place := helpers.get((call.module.name, call.name))) is not None:
            yield call, call.argument(place, "code")
    for call in calls("ReserveDecision"):
        if ast.unparse(call.node.args[0]) == "ReserveKind.FAILED":
            yield call, call.argument(99, "reason")


def error_codes() -> frozenset[str]:
    """What is written into the ledger about a call without an answer."""
    handed_on: HandedOn = {"error.kind.value": KINDS}
    settled = [(call, call.argument(99, "error_code")) for call in calls("Settlement")]
    found = NONE.union(*(call.codes(code, handed_on) for call, code in settled if code is not None))
    for call in calls("execute"):
        statement, *values = call.node.args
        if isinstance(statement, ast.Name) and statement.id.isupper() and sets_error_code(call.constant(statement.id)):
            codes = [value.id for value in values if isinstance(value, ast.Name) and value.id.isupper()]
            assert codes, f"{call.where}: which error code is this?"
            found |= {call.constant(code) for code in codes if isinstance(call.constant(code), str)}
    return found


def sets_error_code(statement: object) -> bool:
    return isinstance(statement, str) and re.search(r"error_code = \$\d", statement) is not None


def reasons_to_hold() -> Iterator[tuple[Call, ast.expr | None]]:
    for call in calls("Held"):
        yield call, call.argument(2, "reason")
    for call in calls("Hold"):
        if len(call.node.args) > 1:
            yield call, call.argument(3, "reason")
        else:
            assert ast.unparse(call.node.args[0]).startswith("self._parked("), f"{call.where}: for which reason?"
    for call in calls("_parked"):
        time = ast.unparse(call.node.args[2])
        assert time in {"None", "not_before", "until"}, f"{call.where}: does this hold the job?"
        if time != "until":
            yield call, call.argument(3, "reason")


def test_every_failure_of_a_job_has_a_row() -> None:
    handed_on: HandedOn = {
        # Of failures that were made elsewhere.
        "error.code": NONE,
        "given.code": NONE,
        "decision.reason": NONE,
        "getattr(error, 'code', 'recipe_unusable')": frozenset({"recipe_unusable"}),
        # Told of a hold, not of a failure.
        "reasons[job.job_id].partition(':')[0].strip().replace(' ', '_')": NONE,
        # What the operator has to mend holds the job, and is never the end of an attempt.
        "error.kind.value": KINDS - HOLDING,
        "row.error_code": error_codes() - HOLDING - {NOT_CALLED, LEASE_EXPIRED},
    }

    codes = NONE.union(*(call.codes(code, handed_on) for call, code in failures_made()))

    assert sorted(table("| code | meaning | what to do |")) == sorted(codes)


def test_every_reason_to_hold_a_job_has_a_row() -> None:
    handed_on: HandedOn = {
        # Of holds that were decided elsewhere.
        "h.reason": NONE,
        "m.reason": NONE,
        "found.code": frozenset(code.value for code in NoRouteCode),
        "error.kind.value": HOLDING,
        "exhausted_reason(exhausted, amount)": frozenset({EXHAUSTED}),
    }

    reasons = NONE.union(*(call.codes(reason, handed_on) for call, reason in reasons_to_hold()))

    # As ``persistence.postgres.holds.tell`` makes a code of a reason.
    codes = {reason.partition(":")[0].strip().replace(" ", "_") for reason in reasons}
    assert sorted(table("| code | waits for | what ends it |")) == sorted(codes)


def test_every_verdict_has_a_row() -> None:
    assert table("| verdict | meaning |") == [kind.value for kind in VerdictKind]


def test_every_error_code_of_an_attempt_has_a_row() -> None:
    assert sorted(table("| error code | meaning |")) == sorted(error_codes())


def test_the_page_of_the_topics_leads_to_the_codes() -> None:
    topics = (ROOT / "docs" / "topics.md").read_text()

    assert [place for place in ("failures", "holds") if f"(api.md#{place})" not in topics] == []
    assert [place for place in ("Failures", "Holds", "Attempts") if f"\n## {place}\n" not in PAGE] == []


def test_limits_that_no_setting_moves_are_told_as_they_are() -> None:
    assert f"| bytes of a `PUT /budgets` or a `POST /operations` | {MOST_BYTES // 1024} KiB |" in PAGE
    assert f"| long polls at once, in one process | {_MOST_WAITING:,} |" in PAGE
    assert f"| groups of a `GET /usage` | {MOST_GROUPS:,} |" in PAGE
    assert f"its slots {':'.join(str(weight) for weight in DEFAULT_WEIGHTS.values())};" in PAGE
