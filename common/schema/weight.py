"""Weighs a schema: how much it can ask of one place of an instance, and how many faults it can find there. Pure.

References make small schemas large: thirty definitions of which each names the next one twice ask a thousand million
questions. Whoever weighs a schema first can refuse it, or tell less about what is wrong. One pass over the schema,
each part once; the figures are upper bounds.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeAlias

from common.schema.keywords import BY_NAME, REFERENCES
from common.schema.references import Places
from common.schema.violations import Json

_HERE: Final = "here"
_BRANCH: Final = "branch"
_ASIDE: Final = "aside"
_NAMED: Final = "named"
_OTHERS: Final = "others"
_PLACED: Final = "placed"
_ITEMS: Final = "items"

_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "allOf", "then", "else"), _HERE),
    **dict.fromkeys(("dependentSchemas", "dependencies"), _HERE),
    **dict.fromkeys(("anyOf", "oneOf"), _BRANCH),
    **dict.fromkeys(("not", "if", "contains", "propertyNames"), _ASIDE),
    "properties": _NAMED,
    **dict.fromkeys(("patternProperties", "additionalProperties", "unevaluatedProperties"), _OTHERS),
    "prefixItems": _PLACED,
    **dict.fromkeys(("items", "additionalItems", "unevaluatedItems"), _ITEMS),
}
"""What the schemas under a keyword speak of: the same place (told of or not), its members, its items."""

_READ_AGAIN: Final = 3
"""How often the validator may go through what stands beside a keyword that asks what was evaluated."""

_Part: TypeAlias = tuple[str, Json]


@dataclass(frozen=True, slots=True)
class Weight:
    """``questions`` and ``faults``: the most that one place can get. Faults are infinite where they grow with depth."""

    questions: float
    faults: float


def weigh(schema: Json, resources: Mapping[str, Json] | None, *, branches_are_told: bool) -> Weight:
    """Return the weight of ``schema``; ``branches_are_told``: the faults of failed alternatives count, too."""
    # Where nothing is referred to, nobody asks for places.
    scale = _Scale(cache(lambda: Places(schema, resources or {})), branches_are_told)
    found = scale.weighed(schema)
    return Weight(max(found.questions), max(found.faults))


@dataclass(slots=True)
class _Found:
    """Of one part: questions and faults at its own place, and the most at a place beneath it.

    ``ways_back``: how many ways lead from here, at the same time, to each of the parts that it stands in.
    """

    questions: tuple[float, float] = (1, 0)
    faults: tuple[float, float] = (1, 0)
    ways_back: dict[int, int] = field(default_factory=dict)


class _Scale:
    """Weighs part by part, the inner ones first."""

    def __init__(self, places: Callable[[], Places], branches_are_told: bool) -> None:
        self._places = places
        self._told = {_HERE, _BRANCH} if branches_are_told else {_HERE}
        self._done: dict[int, _Found] = {}
        self._open: set[int] = set()

    def weighed(self, root: Json) -> _Found:
        waiting: list[tuple[Json, list[_Part] | None]] = [(root, None)]
        while waiting:
            node, parts = waiting.pop()
            if parts is not None:
                found = self._summed_up(node, parts)
                self._open.discard(id(node))
                found.ways_back.pop(id(node), None)
                self._done[id(node)] = found
            elif isinstance(node, dict) and id(node) not in self._done and id(node) not in self._open:
                parts = list(self._parts(node))
                if not parts:
                    self._done[id(node)] = _Found(faults=(_own_faults(node), 0))
                    continue
                self._open.add(id(node))
                waiting.append((node, parts))
                waiting += [(part, None) for _, part in parts]
        return self._done.get(id(root), _Found())

    def _parts(self, node: dict[str, Any]) -> Iterator[_Part]:
        for keyword, value in node.items():
            kind = _KINDS.get(keyword)
            if kind is None:
                continue
            if keyword in REFERENCES:
                yield kind, self._places().target(node, value) if isinstance(value, str) else None
            elif keyword in BY_NAME:
                yield from ((kind, part) for part in (value.values() if isinstance(value, dict) else ()))
            elif isinstance(value, list):
                yield from ((_PLACED if kind == _ITEMS else kind, part) for part in value)
            else:
                yield kind, value

    def _summed_up(self, node: dict[str, Any], parts: list[_Part]) -> _Found:
        """Add up what is asked at the same time; of members with different names, and items, the heaviest counts."""
        kinds: dict[str, list[_Found]] = {}
        for kind, part in parts:
            kinds.setdefault(kind, []).append(self._done.get(id(part)) or self._unweighed(part))
        here = kinds.get(_HERE, [])
        asked = [*here, *kinds.get(_BRANCH, ()), *kinds.get(_ASIDE, ())]
        told = [found for kind, all_found in kinds.items() if kind in self._told for found in all_found]
        times = _READ_AGAIN if node.keys() & {"unevaluatedProperties", "unevaluatedItems"} else 1
        pairs = ((_NAMED, _OTHERS), (_PLACED, _ITEMS))
        beneath = [(kinds.get(one, []), kinds.get(all_, [])) for one, all_ in pairs]
        ways = _ways(told, self._open)
        ways_beneath = [_widest(one, self._open) + _ways(all_, self._open) for one, all_ in beneath]
        ways.update(max(ways_beneath, key=_total))
        faults = (
            _own_faults(node) + sum(found.faults[0] for found in told),
            sum(found.faults[1] for found in told)
            + max(_most(f.faults for f in one) + sum(max(f.faults) for f in all_) for one, all_ in beneath),
        )
        questions = (
            1 + times * sum(found.questions[0] for found in asked),
            times * sum(found.questions[1] for found in asked)
            + max(_most(f.questions for f in one) + sum(max(f.questions) for f in all_) for one, all_ in beneath),
        )
        return _Found(questions, (math.inf, math.inf) if _total(ways) > 1 else faults, ways)

    def _unweighed(self, part: Json) -> _Found:
        return _Found(ways_back={id(part): 1}) if id(part) in self._open else _Found()


def _own_faults(node: Mapping[str, Any]) -> int:
    needed = node.get("required")
    by_name = node.get("dependentRequired", node.get("dependencies"))
    lists = [needed, *(by_name.values() if isinstance(by_name, dict) else ())]
    return len(node) + sum(len(each) for each in lists if isinstance(each, list))


def _most(pairs: Iterable[tuple[float, float]]) -> float:
    return max((max(pair) for pair in pairs), default=0)


def _ways(found: Iterable[_Found], still_open: set[int]) -> Counter[int]:
    ways: Counter[int] = Counter()
    for each in found:
        ways.update({to: n for to, n in each.ways_back.items() if to in still_open})
    return ways


def _widest(found: Iterable[_Found], still_open: set[int]) -> Counter[int]:
    return max((_ways([each], still_open) for each in found if each.ways_back), key=_total, default=Counter())


def _total(ways: Mapping[int, int]) -> int:
    return sum(ways.values())
