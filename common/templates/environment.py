"""The sandbox: Jinja2 cut down to what prompts need, every growing operation on a budget.

No includes, imports, inheritance or private attributes (refused when compiled); filters, tests and methods by
list; loops, calls, operators and output counted. Undefined names are errors.
"""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

import orjson
from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Namespace

from common.templates.budget import Budget, BudgetError
from common.templates.rewrite import refuse_forbidden, with_budgets

_FILTERS: Final = frozenset(
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
        "wordcount",
    }
)
_TESTS: Final = frozenset(TESTS) - {"callable", "escaped", "filter", "test"}
_STRING_METHODS: Final = frozenset(
    {
        "capitalize",
        "count",
        "endswith",
        "find",
        "isalnum",
        "isalpha",
        "isdigit",
        "islower",
        "isspace",
        "isupper",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "title",
        "upper",
    }
)
_DICT_METHODS: Final = frozenset({"get", "items", "keys", "values"})
_CHARS_AS_ITEM: Final = 16
"""As many characters are looked through in the time in which one item of a list is compared."""

_MOST_DECIMALS: Final = 308


class BudgetedContext(Context):
    """A render's variables, with what the render may still spend."""

    budget: Budget


def _budget(context: Context) -> Budget:
    return cast("BudgetedContext", context).budget


@pass_context
def _counted(context: Context, items: Iterable[Any]) -> Iterable[Any]:
    if isinstance(items, Undefined):
        return items  # iterating over it raises, naming it
    return _Counted(_budget(context), items)


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
def _spend(context: Context, value: Any) -> Any:
    """Count what an expression prints, before it is printed. All but text and numbers print as JSON."""
    if isinstance(value, Undefined):
        return value  # printing it raises, naming it
    text = value if isinstance(value, str) else _json(value)
    _budget(context).produce(len(text))
    return text


def _text(value: Any) -> str:
    """Return a value as it is printed."""
    return str(value) if isinstance(value, str | Undefined) else _json(value)


def _json(value: Any, indent: bool = False) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it makes a number that is none of JSON's")  # orjson would write null
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits; anything but JSON is refused here too.
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2 if indent else None)


@pass_context
def _concat(context: Context, parts: list[Any]) -> str:
    texts = [_text(part) for part in parts]
    _budget(context).produce(sum(map(len, texts)))
    return "".join(texts)


@pass_context
def _join(context: Context, items: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        items = FILTERS["map"](context, items, attribute=attribute)
    budget = _budget(context)
    texts: list[str] = []
    for item in items:
        text = _text(item)
        budget.produce(len(text) + len(separator))
        texts.append(text)
    return separator.join(texts)


@pass_context
def _sum(context: Context, items: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    if attribute is not None:
        items = FILTERS["map"](context, items, attribute=attribute)
    if not isinstance(start, list | tuple):
        return sum(items, start)
    # Added one by one, lists are copied each time.
    joined = list(start)
    for item in items:
        _budget(context).produce(len(item))
        joined.extend(item)
    return joined


@pass_context
def _is_in(context: Context, value: Any, container: Any) -> bool:
    """Do what the operator ``in`` does, on the budget; it is rewritten to this test."""
    if isinstance(container, list | tuple):
        _budget(context).search(len(container))
    elif isinstance(container, str):
        _budget(context).search(len(container) // _CHARS_AS_ITEM)
    return bool(value in container)


@pass_context
def _round(_context: Context, value: Any, precision: int = 0, method: Any = "common") -> Any:
    if abs(precision) > _MOST_DECIMALS:
        raise BudgetError(f"it rounds to more than {_MOST_DECIMALS} decimals")
    return FILTERS["round"](value, precision, method)


@pass_context
def _replace(context: Context, text: str, old: str, new: str, count: int = -1) -> str:
    text = str(text)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    _budget(context).produce(len(text) + times * max(0, len(new) - len(old)))
    return text.replace(old, new, count)


@pass_context
def _indent(context: Context, text: str, width: int = 4, first: bool = False) -> str:
    text = str(text)
    _budget(context).produce(len(text) + (text.count("\n") + 1) * max(0, width))
    return str(FILTERS["indent"](text, width, first))


@pass_context
def _to_json(context: Context, value: Any, indent: int | None = None) -> str:
    """Write ``value`` as JSON for a model to read: every script as it is, nothing escaped for HTML."""
    if isinstance(value, Undefined):
        str(value)  # raises, naming it
    text = _json(value, bool(indent))
    _budget(context).produce(len(text))
    return text


class SandboxEnvironment(ImmutableSandboxedEnvironment):
    """Compiles and guards the templates of this package."""

    context_class = BudgetedContext
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            finalize=_spend,
            trim_blocks=True,
            lstrip_blocks=True,
            # Folded when compiled, 1e308 * 10 would become the name inf, and no budget counts what filters make.
            optimized=False,
            cache_size=0,
        )
        self.filters = {name: FILTERS[name] for name in _FILTERS} | {
            "_counted": _counted,
            "_concat": _concat,
            "indent": _indent,
            "join": _join,
            "replace": _replace,
            "round": _round,
            "sum": _sum,
            "tojson": _to_json,
        }
        self.tests = {name: TESTS[name] for name in _TESTS} | {"in": _is_in}
        self.globals = {name: self.globals[name] for name in ("dict", "namespace", "range")}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        refuse_forbidden(tree, name, filename)
        return with_budgets(tree)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the member of an object before any method: an input may well have a member ``items``."""
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            if attribute not in _DICT_METHODS:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return a member or item, never an attribute."""
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def wrap_str_format(self, value: Any) -> None:
        """Offer no ``format``: its widths make any size of text from a few characters."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow listed methods of strings and objects, and what Jinja's own loop and namespace offer."""
        match obj:
            case str():
                return attr in _STRING_METHODS
            case dict():
                return attr in _DICT_METHODS
            case LoopContext() | Namespace():
                return super().is_safe_attribute(obj, attr, value)
            case _:
                return False

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Do the operation, unless its result could be far larger than its operands."""
        budget = _budget(context)
        match operator, left, right:
            case "+", str() | list() | tuple(), str() | list() | tuple():
                budget.produce(len(left) + len(right))
            case "*", str() | list() | tuple(), int():
                budget.produce(_size_of(left, right))
            case "*", int(), str() | list() | tuple():
                budget.produce(_size_of(right, left))
            case "*", int(), int() if left.bit_length() + right.bit_length() > budget.limits.integer_bits:
                raise BudgetError("its arithmetic makes huge numbers")
            case "**", int(), int() if left.bit_length() * max(0, right) > budget.limits.integer_bits:
                raise BudgetError("its arithmetic makes huge numbers")
            case "%", str(), _:
                raise SecurityError("formatting with % is not allowed; put the expressions into the text")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call macros, loops and listed methods, counting how deep they nest."""
        budget = _budget(context)
        budget.enter()
        if isinstance(obj, LoopContext) and args:
            args = (_counted(context, args[0]), *args[1:])
        elif isinstance(text := getattr(obj, "__self__", None), str):
            budget.search(len(text) // _CHARS_AS_ITEM)
        result = super().call(context, obj, *args, **kwargs)
        budget.leave()
        return result


def _size_of(value: Any, times: int) -> int:
    """Return how many characters and items there are in a value so many times: it may hold one list many times."""
    if times <= 1:
        return len(value) * max(0, times)
    sizes: dict[int, int] = {}

    def size_of(part: Any) -> int:
        if isinstance(part, str):
            return len(part)
        if not isinstance(part, list | tuple | dict):
            return 1
        if id(part) not in sizes:
            parts = part.values() if isinstance(part, dict) else part
            sizes[id(part)] = len(part) + sum(map(size_of, parts))
        return sizes[id(part)]

    return size_of(value) * times
