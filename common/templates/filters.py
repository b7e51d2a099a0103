"""The filters and tests of the sandbox, each on the budget of the render that calls it."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, KeysView, Sized
from typing import Any, Final, cast

import orjson
from jinja2 import pass_context
from jinja2.filters import FILTERS as _JINJAS
from jinja2.runtime import Context, Undefined
from jinja2.tests import TESTS as _JINJAS_TESTS

from common.templates.budget import Budget, BudgetError

_PLAIN: Final = frozenset(
    {
        "abs",
        "capitalize",
        "count",
        "d",
        "default",
        "dictsort",
        "first",
        "float",
        "groupby",
        "int",
        "items",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "reverse",
        "select",
        "selectattr",
        "sort",
        "string",
        "title",
        "trim",
        "truncate",
        "unique",
        "upper",
    }
)
_NO_TESTS: Final = frozenset({"callable", "escaped", "filter", "test"})
CHARS_AS_ITEM: Final = 16
"""As many characters are looked through in the time in which one item of a list is compared."""

_CHARS_COMPARED_AS_ITEM: Final = 256
"""As many characters of two texts are compared in that time."""

_ITEMS_AS_COUNT: Final = 8
"""As many items are compared in the time in which one is counted."""

_MOST_DECIMALS: Final = 308
_MAKING: Final = frozenset(
    {
        "capitalize",
        "dictsort",
        "groupby",
        "list",
        "lower",
        "reverse",
        "sort",
        "string",
        "title",
        "trim",
        "truncate",
        "upper",
    }
)
"""Filters that make a text or a list as large as what they are given."""


class BudgetedContext(Context):
    """A render's variables, with what the render may still spend."""

    budget: Budget


def budget_of(context: Context) -> Budget:
    """Return what the render may still spend."""
    return cast("BudgetedContext", context).budget


@pass_context
def counted(context: Context, items: Iterable[Any]) -> Iterable[Any]:
    """Return what a loop goes over, on the budget."""
    if isinstance(items, Undefined):
        return items  # iterating over it raises, naming it
    return _Counted(budget_of(context), items)


class _Counted:
    """An iterable on a budget that keeps its length, which ``loop.length`` and ``loop.last`` ask for."""

    __slots__ = ("_budget", "_items")

    def __init__(self, budget: Budget, items: Iterable[Any]) -> None:
        self._budget = budget
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self._budget.counted(self._items)

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]  # TypeError of an unsized iterable is what Jinja expects


@pass_context
def spend(context: Context, value: Any) -> Any:
    """Count what an expression prints, before it is printed. All but text and numbers print as JSON."""
    if isinstance(value, Undefined):
        return value  # printing it raises, naming it
    text = value if isinstance(value, str) else _json(value)
    budget_of(context).produce(len(text))
    return text


def _text(value: Any) -> str:
    """Return a value as it is printed."""
    return str(value) if isinstance(value, str | Undefined) else _json(value)


def _json(value: Any, indent: bool = False) -> str:
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits; anything but JSON is refused here too.
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2 if indent else None)
    if "null" in text and _holds_no_number(value):
        raise ValueError("it makes a number that is none of JSON's")  # for which orjson writes null
    return text


def _holds_no_number(value: Any) -> bool:
    """Return whether an infinity or NaN is a value or stands in it, of the nesting that orjson writes."""
    if isinstance(value, float):
        return not math.isfinite(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(map(_holds_no_number, parts))


@pass_context
def _concat(context: Context, parts: list[Any]) -> str:
    texts = [_text(part) for part in parts]
    budget_of(context).produce(sum(map(len, texts)))
    return "".join(texts)


@pass_context
def _join(context: Context, items: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        items = _JINJAS["map"](context, items, attribute=attribute)
    budget = budget_of(context)
    texts: list[str] = []
    for item in items:
        text = _text(item)
        budget.produce(len(text) + len(separator))
        texts.append(text)
    return separator.join(texts)


@pass_context
def _sum(context: Context, items: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    if attribute is not None:
        items = _JINJAS["map"](context, items, attribute=attribute)
    if not isinstance(start, list | tuple):
        return sum(items, start)
    # Added one by one, lists are copied each time.
    joined = list(start)
    for item in items:
        budget_of(context).produce(len(item))
        joined.extend(item)
    return joined


@pass_context
def _is_in(context: Context, value: Any, container: Any) -> bool:
    """Do what the operator ``in`` does, on the budget; it is rewritten to this test."""
    budget = budget_of(context)
    if isinstance(container, list | tuple):
        budget.search((len(container) + _ITEMS_AS_COUNT) * _compared_size(value))
    elif isinstance(container, str):
        budget.search(len(container) // CHARS_AS_ITEM)
    elif isinstance(container, Iterable) and not isinstance(container, dict | KeysView):
        size = _compared_size(value)
        if isinstance(container, Sized):
            budget.search((len(container) + _ITEMS_AS_COUNT) * size)
        else:
            container = _searched(budget, container, size)
    return bool(value in container)


@pass_context
def _is_equal(context: Context, value: Any, other: Any) -> bool:
    """Do what the operator ``==`` does, on the budget; it is rewritten to this test."""
    if isinstance(value, dict | list | tuple) and isinstance(other, type(value)) and value is not other:
        budget_of(context).search((1 + _ITEMS_AS_COUNT) * min(_compared_size(value), _compared_size(other)))
    return bool(value == other)


@pass_context
def _is_unequal(context: Context, value: Any, other: Any) -> bool:
    return not _is_equal(context, value, other)


def _compared_size(value: Any) -> int:
    """Return how many items are compared at most where a value is compared with another."""
    if isinstance(value, str):
        return 1 + len(value) // _CHARS_COMPARED_AS_ITEM
    return 1 + items_in(value, _CHARS_COMPARED_AS_ITEM) if isinstance(value, list | tuple | dict) else 1


def _searched(budget: Budget, items: Iterable[Any], size: int) -> Iterator[Any]:
    for item in items:
        budget.search(size)
        yield item


def _metered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return one of Jinja's filters on the budget, also where ``map`` calls it: what it makes is counted."""
    passed = getattr(getattr(function, "jinja_pass_arg", None), "name", None)

    @pass_context
    def metered(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        match passed:
            case None:
                made = function(value, *args, **kwargs)
            case "environment":
                made = function(context.environment, value, *args, **kwargs)
            case _:
                made = function(context.eval_ctx, value, *args, **kwargs)
        if made is not value:
            budget_of(context).filter(made)
        return made

    return metered


@pass_context
def _made(context: Context, value: Any) -> Any:
    budget_of(context).filter(value)
    return value


@pass_context
def _wordcount(context: Context, text: str) -> int:
    budget_of(context).filter(text)
    return int(_JINJAS["wordcount"](text))


@pass_context
def _round(_context: Context, value: Any, precision: int = 0, method: Any = "common") -> Any:
    if abs(precision) > _MOST_DECIMALS:
        raise BudgetError(f"it rounds to more than {_MOST_DECIMALS} decimals")
    return _JINJAS["round"](value, precision, method)


@pass_context
def _replace(context: Context, text: str, old: str, new: str, count: int = -1) -> str:
    text = str(text)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    budget_of(context).produce(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


@pass_context
def _indent(context: Context, text: str, width: int = 4, first: bool = False) -> str:
    text = str(text)
    budget_of(context).produce(len(text) + (text.count("\n") + 1) * max(0, width))
    return str(_JINJAS["indent"](text, width, first))


@pass_context
def _to_json(context: Context, value: Any, indent: int | None = None) -> str:
    """Write ``value`` as JSON for a model to read: every script as it is, nothing escaped for HTML."""
    if isinstance(value, Undefined):
        str(value)  # raises, naming it
    text = _json(value, bool(indent))
    budget_of(context).produce(len(text))
    return text


def items_in(value: Any, chars_as_item: int = 1) -> int:
    """Return how many items there are in a value, its own and its parts', with so many characters of texts for one."""
    sizes: dict[int, int] = {}

    def size_of(part: Any) -> int:
        if isinstance(part, str):
            return len(part) // chars_as_item
        if not isinstance(part, list | tuple | dict):
            return 1
        if id(part) not in sizes:
            parts = part.values() if isinstance(part, dict) else part
            sizes[id(part)] = len(part) + sum(map(size_of, parts))
        return sizes[id(part)]

    return size_of(value)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    **{name: _metered(_JINJAS[name]) if name in _MAKING else _JINJAS[name] for name in _PLAIN},
    "_counted": counted,
    "_concat": _concat,
    "_made": _made,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "sum": _sum,
    "tojson": _to_json,
    "wordcount": _wordcount,
}
"""The filters there are. Those with an underscore are what ``rewrite`` makes of loops, ``~`` and slices."""

TESTS: Final[dict[str, Callable[..., Any]]] = {
    **{name: cast("Callable[..., Any]", test) for name, test in _JINJAS_TESTS.items() if name not in _NO_TESTS},
    **dict.fromkeys(("eq", "equalto", "=="), _is_equal),
    **dict.fromkeys(("ne", "!="), _is_unequal),
    "in": _is_in,
}
"""The tests there are."""
