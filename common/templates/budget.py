"""What one render may spend: iterations, characters produced, comparisons, nested calls. Counted, never timed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

_ITEM_CHARS: Final = 8
"""An item of a list takes as many bytes, whatever it holds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one render.

    ``produced_chars`` counts every expression's text, also what is captured and thrown away; it is what stops
    a template that doubles a string thirty times. ``filtered_chars`` counts what filters and methods make of texts and
    lists, an item as eight characters: that is about as large as what they are given, and given again and again.
    """

    output_chars: int = 1 << 20
    produced_chars: int = 4 << 20
    filtered_chars: int = 64 << 20
    iterations: int = 100_000
    compared_items: int = 100_000_000
    nested_calls: int = 40
    integer_bits: int = 4096


DEFAULT_LIMITS: Final = Limits()


class BudgetError(Exception):
    """A budget is used up. Becomes RenderError before it leaves this package."""


class Budget:
    """The spending of one render."""

    __slots__ = ("_calls", "_compared", "_filtered", "_iterations", "_produced", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._iterations = limits.iterations
        self._compared = limits.compared_items
        self._produced = limits.produced_chars
        self._filtered = limits.filtered_chars
        self._calls = 0

    def counted(self, items: Iterable[T]) -> Iterator[T]:
        """Yield from ``items``, one iteration each."""
        for item in items:
            self._iterations -= 1
            if self._iterations < 0:
                raise BudgetError(f"its loops go round more than {self.limits.iterations} times")
            yield item

    def produce(self, chars: int) -> None:
        """Spend ``chars`` on text that an expression makes."""
        self._produced -= chars
        if self._produced < 0:
            raise BudgetError(f"its expressions make more than {self.limits.produced_chars} characters")

    def filter(self, made: object) -> None:
        """Spend what a filter has made: a text or a list; anything else is small, or made when it is looped over."""
        if isinstance(made, str | list):
            self._filtered -= len(made) * (1 if isinstance(made, str) else _ITEM_CHARS)
            if self._filtered < 0:
                raise BudgetError(f"its filters make more than {self.limits.filtered_chars} characters")

    def search(self, items: int) -> None:
        """Spend a look through ``items`` for one among them."""
        self._compared -= items
        if self._compared < 0:
            raise BudgetError(f"it compares more than {self.limits.compared_items} items with others")

    def enter(self) -> None:
        """Note that a call begins."""
        self._calls += 1
        if self._calls > self.limits.nested_calls:
            raise BudgetError(f"its macros call one another more than {self.limits.nested_calls} deep")

    def leave(self) -> None:
        """Note that a call has ended."""
        self._calls -= 1
