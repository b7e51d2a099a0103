"""Counts the steps that the patterns of a schema may take with an instance, at most. Pure.

Each pattern counts for the strings that it applies to. Where that cannot be told, as under patternProperties, it counts
for all that it may apply to.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from common.schema.pattern_cost import PatternCost, pattern_cost
from common.schema.pattern_reach import ANY, HERE, ITEMS, KEYS, NAMED, OTHERS, Node, PatternReach
from common.schema.violations import Json

_MOST_WAYS: Final = 1 << 20
_MOST_LOOKED_AT: Final = 200_000
"""Parts of a schema, while it is found out what applies where. Beyond it every pattern counts for every string."""

_MOST_KEPT: Final = 2_000

_Ways: TypeAlias = Counter[int]
"""Which parts apply to a place, by their ids, and in how many ways each of them is reached."""


class _TooManyPartsError(Exception):
    """It costs too much to find out what applies where."""


_Costs: TypeAlias = list[tuple[PatternCost, int]]


@dataclass(slots=True)
class _Leads:
    """Where a part of a schema leads to costly patterns: ids of parts, by the places that they apply to."""

    costs: list[PatternCost]
    key_costs: list[PatternCost]
    names: frozenset[str]
    plain: dict[str, list[int]] = field(default_factory=dict)
    named: dict[str, list[int]] = field(default_factory=dict)
    placed: dict[int, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Applied:
    """What applies to one place: the costs for its string and its keys, and what applies beneath it, once asked."""

    ways: _Ways
    costs: _Costs
    key_costs: _Costs
    names: set[str]
    placed: int
    beneath: dict[str | int | None, "_Applied | None"] = field(default_factory=dict)


@dataclass(slots=True)
class _Look:
    """One look at a schema: what is known of its places, and how many parts may still be looked at."""

    known: dict[frozenset[tuple[int, int]], _Applied]
    left: int

    def take(self, parts: int) -> None:
        self.left -= parts
        if self.left < 0:
            raise _TooManyPartsError


class PatternSteps:
    """Counts the steps that the costly patterns of a schema may take with an instance.

    Threads may count at the same time: what was found out is shared and only added to, the rest is each one's own.
    """

    def __init__(self, reach: PatternReach, few_places: int, times: int) -> None:
        """Prepare. Costly is what backtracks or has many places; where is unknown, each is asked ``times`` times."""
        self._few = few_places
        self._leads = self._leading(reach)
        self._start: _Ways = Counter({id(reach.root): 1}) if id(reach.root) in self._leads else Counter()
        self._is_static = reach.is_static
        self._known: dict[frozenset[tuple[int, int]], _Applied] = {}
        self._all = [(cost, times) for leads in self._leads.values() for cost in (*leads.costs, *leads.key_costs)]

    @property
    def are_counted(self) -> bool:
        """Whether there are costly patterns at all."""
        return bool(self._start)

    def at_most(self, length: int) -> int:
        """Return what texts of so many bytes in all may take if each pattern is asked once of each."""
        return _steps(self._all, length)

    def exceed(self, instance: Json, most: int) -> bool:
        """Return whether the patterns may take more steps than ``most`` with the strings that they apply to."""
        look = _Look(self._known, _MOST_LOOKED_AT)
        try:
            start = self._applied(self._start, look) if self._is_static else None
            return self._count(instance, start, most, look) > most
        except _TooManyPartsError:
            return self._count(instance, None, most, look) > most
        finally:
            if len(look.known) > _MOST_KEPT and self._known is look.known:
                self._known = {}

    def _count(self, instance: Json, start: _Applied | None, most: int, look: _Look) -> int:
        """``start``: what applies to the instance; None: all to everything."""
        steps = 0
        waiting: list[tuple[Json, _Applied | None]] = [(instance, start)]
        while waiting and steps <= most:
            value, applied = waiting.pop()
            costs, key_costs = (applied.costs, applied.key_costs) if applied is not None else (self._all, self._all)
            if isinstance(value, str):
                steps += _steps(costs, _bytes(value))
                continue
            if isinstance(value, dict):
                parts: Iterable[tuple[str | int, Json]] = value.items()
                if key_costs:
                    steps += sum(_steps(key_costs, _bytes(key)) for key in value)
            elif isinstance(value, list | tuple):
                parts = enumerate(value)
            else:
                continue
            if applied is None:
                waiting += [(part, None) for _, part in parts]
            else:
                pairs = ((part, self._beneath(applied, at, look)) for at, part in parts)
                waiting += [pair for pair in pairs if pair[1] is not None]
        return steps

    def _beneath(self, applied: _Applied, at: str | int, look: _Look) -> _Applied | None:
        """Return what applies to a member or an item; None: nothing costly."""
        name = at if at in applied.names else None
        selector = min(at, applied.placed) if isinstance(at, int) else name
        if selector not in applied.beneath:
            found: _Ways = Counter()
            for node_id, ways in applied.ways.items():
                for child in _children(self._leads[node_id], selector):
                    found[child] += ways
            look.take(len(found))
            applied.beneath[selector] = self._applied(found, look) if found else None
        return applied.beneath[selector]

    def _applied(self, start: _Ways, look: _Look) -> _Applied:
        key = frozenset(start.items())
        known = look.known.get(key)
        if known is None:
            ways = self._here(start, look)
            costs: Counter[PatternCost] = Counter()
            key_costs: Counter[PatternCost] = Counter()
            for node_id, times in ways.items():
                leads = self._leads[node_id]
                costs.update({cost: times * n for cost, n in Counter(leads.costs).items()})
                key_costs.update({cost: times * n for cost, n in Counter(leads.key_costs).items()})
                for key_id, key_times in self._here(Counter(leads.plain.get(KEYS, ())), look).items():
                    in_all = times * key_times
                    key_costs.update(dict.fromkeys(self._leads[key_id].costs, in_all))
            known = _Applied(
                ways,
                list(costs.items()),
                list(key_costs.items()),
                names=set().union(*(self._leads[node_id].names for node_id in ways)),
                placed=max((at + 1 for node_id in ways for at in self._leads[node_id].placed), default=0),
            )
            known = look.known.setdefault(key, known)
        return known

    def _here(self, start: _Ways, look: _Look) -> _Ways:
        """Return all parts that apply to the place of ``start``; what leads back to itself is asked no second time."""
        order: list[int] = []
        seen: set[int] = set()
        waiting = [(node_id, False) for node_id in start]
        while waiting:
            node_id, is_done = waiting.pop()
            if is_done:
                order.append(node_id)
            elif node_id not in seen:
                seen.add(node_id)
                waiting.append((node_id, True))
                children = self._leads[node_id].plain.get(HERE, ())
                look.take(len(children) + 1)
                waiting += [(child, False) for child in children]
        ways: _Ways = Counter(start)
        done: set[int] = set()
        for node_id in reversed(order):
            done.add(node_id)
            for child in self._leads[node_id].plain.get(HERE, ()):
                if child not in done:
                    ways[child] = min(ways[child] + ways[node_id], _MOST_WAYS)
        return ways

    def _leading(self, reach: PatternReach) -> dict[int, _Leads]:
        above: dict[int, list[int]] = {}
        waiting: list[int] = []
        costs: dict[int, tuple[list[PatternCost], list[PatternCost]]] = {}
        for node_id, node in reach.nodes.items():
            for _, _, child in node.edges:
                above.setdefault(id(child), []).append(node_id)
            costs[node_id] = self._costly(node.patterns), self._costly(node.key_patterns)
            if any(costs[node_id]):
                waiting.append(node_id)
        leading: set[int] = set()
        while waiting:
            node_id = waiting.pop()
            if node_id not in leading:
                leading.add(node_id)
                waiting += above.get(node_id, ())
        return {node_id: _leads(reach.nodes[node_id], leading, *costs[node_id]) for node_id in leading}

    def _costly(self, patterns: list[str]) -> list[PatternCost]:
        found = [pattern_cost(pattern) for pattern in patterns]
        return [cost for cost in found if cost.backtracks or cost.places > self._few]


def _leads(node: Node, leading: set[int], costs: list[PatternCost], key_costs: list[PatternCost]) -> _Leads:
    names = frozenset(name for kind, name, _ in node.edges if kind == NAMED and isinstance(name, str))
    found = _Leads(costs, key_costs, names)
    for kind, where, child in node.edges:
        if id(child) not in leading:
            continue
        if isinstance(where, str):
            found.named.setdefault(where, []).append(id(child))
        elif isinstance(where, int):
            found.placed.setdefault(where, []).append(id(child))
        else:
            found.plain.setdefault(kind, []).append(id(child))
    return found


def _children(leads: _Leads, selector: str | int | None) -> Iterator[int]:
    """Yield the parts for a member (by its name, None where no name is told of) or an item."""
    if isinstance(selector, int):
        yield from leads.plain.get(ITEMS, ())
        yield from leads.placed.get(selector, ())
        return
    yield from leads.plain.get(ANY, ())
    if selector is None or selector not in leads.names:
        yield from leads.plain.get(OTHERS, ())
    elif selector in leads.named:
        yield from leads.named[selector]


def _steps(costs: _Costs, length: int) -> int:
    return sum(cost.steps(length) * times for cost, times in costs)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
