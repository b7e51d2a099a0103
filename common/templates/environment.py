"""The sandbox: Jinja2 cut down to what prompts need, every growing operation on a budget.

No includes, imports, inheritance or private attributes (refused when compiled); filters, tests and methods by
list; loops, calls, operators and output counted. Undefined names are errors.
"""

from typing import Any, Final

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from common.templates.budget import BudgetError
from common.templates.filters import (
    CHARS_AS_ITEM,
    FILTERS,
    TESTS,
    BudgetedContext,
    budget_of,
    counted,
    items_in,
    spend,
)
from common.templates.rewrite import refuse_forbidden, with_budgets

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


class SandboxEnvironment(ImmutableSandboxedEnvironment):
    """Compiles and guards the templates of this package."""

    context_class = BudgetedContext
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            finalize=spend,
            trim_blocks=True,
            lstrip_blocks=True,
            # Folded when compiled, 1e308 * 10 would become the name inf, and no budget counts what filters make.
            optimized=False,
            cache_size=0,
        )
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
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
        budget = budget_of(context)
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
        budget = budget_of(context)
        budget.enter()
        text = getattr(obj, "__self__", None)
        text = text if isinstance(text, str) else None
        if isinstance(obj, LoopContext) and args:
            args = (counted(context, args[0]), *args[1:])
        elif text is not None:
            budget.search(len(text) // CHARS_AS_ITEM)
        result = super().call(context, obj, *args, **kwargs)
        if text is not None and result is not text:
            budget.filter(result)
        budget.leave()
        return result


def _size_of(value: Any, times: int) -> int:
    """Return how many characters and items there are in a value so many times: it may hold one list many times."""
    if times <= 1:
        return len(value) * max(0, times)
    return items_in(value) * times
