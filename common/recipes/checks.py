"""Checks beyond the schema, as recipes state them: cross-field, unique, from the input, quoted from the input. Pure.

A check that does not hold is a violation like any of the schema's, and feeds the same re-ask.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.errors import RenderError, TemplateError
from common.recipes.grounding import Source, Span, TextsSource, plain_words
from common.recipes.manifest import Check
from common.schema import Json, Violation, dump_json
from common.schema.violations import brief
from common.templates import CompiledExpression, compile_expression

CHECK: Final = "check"
_VARIABLES: Final = frozenset({"input", "output"})
_PARTNERS: Final[dict[str, str | None]] = {"that": None, "unique": None, "values": "within", "quotes": "source"}
_MOST_NAMED: Final = 5
_MOST_COMPARED: Final = 2_000_000
"""Values that one check compares: more than an input and its output may hold."""

_MOST_STEPS: Final = 1_000_000_000
"""Characters searched for the quotes of one check: seconds, in a source of a megabyte a thousand quotes."""


@dataclass(frozen=True, slots=True)
class CompiledCheck:
    """One check, ready to run. ``kind`` is the key of recipe.toml that states it."""

    check: Check
    kind: str
    subject: CompiledExpression
    partner: CompiledExpression | None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the checks of a recipe found, and where in its source each quote stands."""

    violations: tuple[Violation, ...]
    quotes: tuple[Span, ...]


def compile_check(check: Check, name: str) -> CompiledCheck:
    """Return ``check`` compiled. Raises TemplateError saying what is wrong with it; ``name`` is what it is called."""
    kinds = [kind for kind in _PARTNERS if getattr(check, kind) is not None]
    if len(kinds) != 1:
        raise TemplateError(f"{name}: state exactly one of {', '.join(_PARTNERS)}")
    kind = kinds[0]
    wanted = _PARTNERS[kind]
    stray = [key for key in ("within", "source") if key != wanted and getattr(check, key) is not None]
    if stray or (wanted is not None and getattr(check, wanted) is None):
        raise TemplateError(f"{name}: {kind} goes with {wanted or 'no other key'}")
    if check.distinct and kind != "quotes":
        raise TemplateError(f"{name}: distinct goes with quotes")
    subject = _expression(getattr(check, kind), name)
    partner = _expression(getattr(check, wanted), name) if wanted is not None else None
    return CompiledCheck(check, kind, subject, partner)


def _expression(source: str, name: str) -> CompiledExpression:
    compiled = compile_expression(source, name)
    unknown = sorted(compiled.variables - _VARIABLES)
    if unknown:
        raise TemplateError(f"{name}: it reads {', '.join(unknown)}; a check knows input and output")
    return compiled


def run_checks(checks: Sequence[CompiledCheck], input_value: Json, output: Json) -> CheckReport:
    """Return what does not hold between an input and an output that satisfies its schema."""
    variables = {"input": input_value, "output": output}
    violations: list[Violation] = []
    quotes: list[Span] = []
    for check in checks:
        try:
            fault = _fault(check, variables, quotes)
        except RenderError as error:
            fault = f"cannot be checked: {error}"
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            # Of what is no JSON, as a list of namespaces: comparing, searching and printing it fail each in its way.
            fault = f"cannot be checked: {str(error)[:200] or type(error).__name__}"
        if fault is not None:
            told = check.check.message or f"must pass the check {check.check.name}"
            message = f"{told}: {fault}" if fault else told
            violations.append(Violation(check.check.at, CHECK, message, expected=check.check.name))
    return CheckReport(tuple(violations), tuple(quotes))


def _fault(check: CompiledCheck, variables: Mapping[str, Any], quotes: list[Span]) -> str | None:
    """Return what is wrong, empty if the check's own message says it all, None if nothing is."""
    subject = check.subject.evaluate(variables)
    partner = check.partner.evaluate(variables) if check.partner is not None else None
    match check.kind:
        case "that":
            return None if subject else ""
        case "unique":
            return _repeated(_items(subject))
        case "values":
            key_of = _Keys()
            allowed = {key_of(each) for each in _items(partner)}
            strays = [each for each in _items(subject) if key_of(each) not in allowed]
            return f"{_named(strays)} is not among them" if strays else None
        case _:
            return _not_found(_items(subject), partner, quotes, distinct=check.check.distinct)


def _items(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return list(value.values()) if isinstance(value, dict) else [value]


def _repeated(items: Sequence[Any]) -> str | None:
    key_of = _Keys()
    seen: set[Hashable] = set()
    repeated = []
    for item in items:
        key = key_of(item)
        if key in seen:
            repeated.append(item)
        seen.add(key)
    return f"{_named(repeated)} stands twice" if repeated else None


class _Keys:
    """Called, returns what is equal for what JSON takes as equal: 1 and 1.0, members in any order; not 1 and true."""

    def __init__(self) -> None:
        self._left = _MOST_COMPARED

    def __call__(self, value: Any) -> Hashable:
        self._left -= 1
        if self._left < 0:
            raise RenderError("render_budget", f"it compares more than {_MOST_COMPARED} values")
        match value:
            case bool():
                return ("boolean", value)
            case dict():
                return ("object", frozenset((name, self(member)) for name, member in value.items()))
            case list() | tuple():
                return ("array", tuple(self(item) for item in value))
            case None | str() | int() | float():
                return value
            case _:
                raise RenderError("render_failed", "it compares what is no JSON value")


def _not_found(items: Sequence[Any], source: Any, quotes: list[Span], *, distinct: bool) -> str | None:
    sources = _sources(source)
    found: dict[str, Span | None] = {}
    steps_left = _MOST_STEPS
    missing = []
    for item in items:
        if isinstance(item, str) and item not in found:
            steps_left -= sum(len(each.text) for each in sources)
            if steps_left < 0:
                return f"{len(items)} quotes are too many to be looked for in so long a source"
            found[item] = next((span for each in sources if (span := each.find(item))), None)
        span = found.get(item) if isinstance(item, str) else None
        if span is None:
            missing.append(item)
        else:
            quotes.append(span)
    if missing or not distinct:
        return f"{_named(missing)} does not stand in the source" if missing else None
    given = Counter(map(plain_words, items))
    surplus = [words for words, times in given.items() if times > 1 and times > max(s.count(words) for s in sources)]
    return f"{_named(surplus)} is given more often than it stands in the source" if surplus else None


def _sources(source: Any) -> list[Source]:
    """Return where quotes are looked for: in a text, else in the texts of JSON, then in it as it is printed."""
    if isinstance(source, str):
        return [Source(source)]
    return [TextsSource(source), Source(dump_json(source).decode())]


def _named(values: Sequence[Any]) -> str:
    shown = ", ".join(dump_json(brief(value)).decode() for value in values[:_MOST_NAMED])
    return shown if len(values) <= _MOST_NAMED else f"{shown} and {len(values) - _MOST_NAMED} more"
