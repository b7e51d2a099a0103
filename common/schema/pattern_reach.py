"""Finds the patterns that a schema applies, and by which ways from its root. Pure.

Only what is asked of an instance is looked at: a text that is data, as in an enum, is no pattern.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, TypeAlias

from common.schema.keywords import BY_NAME
from common.schema.references import Places
from common.schema.violations import Json

HERE: Final = "here"
NAMED: Final = "named"
OTHERS: Final = "others"
ANY: Final = "any"
ITEMS: Final = "items"
KEYS: Final = "keys"

_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "not", "if", "then", "else"), HERE),
    **dict.fromkeys(("dependentSchemas", "dependencies"), HERE),
    "properties": NAMED,
    "patternProperties": ANY,
    **dict.fromkeys(("additionalProperties", "unevaluatedProperties"), OTHERS),
    **dict.fromkeys(("prefixItems", "items", "additionalItems", "unevaluatedItems", "contains"), ITEMS),
    "propertyNames": KEYS,
}
_PLACED: Final = frozenset({"prefixItems", "items"})
_DYNAMIC: Final = frozenset({"$dynamicRef", "$recursiveRef"})

_Edge: TypeAlias = tuple[str, str | int | None, Json]


@dataclass(slots=True)
class Node:
    """A part of a schema: the patterns it has for strings and for keys, and the parts that stand in it."""

    part: dict[str, Any]
    edges: list[_Edge]
    patterns: list[str] = field(default_factory=list)
    key_patterns: list[str] = field(default_factory=list)


class PatternReach:
    """The patterns that a schema applies anywhere."""

    def __init__(self, schema: Json, resources: Mapping[str, Json]) -> None:
        places = cache(lambda: Places(schema, resources))
        self.root = schema
        self.is_static = True
        self.nodes: dict[int, Node] = {}
        waiting = [schema]
        while waiting:
            part = waiting.pop()
            if not isinstance(part, dict) or id(part) in self.nodes:
                continue
            edges = list(_edges(part))
            if isinstance(part.get("$ref"), str):
                edges.append((HERE, None, places().target(part, part["$ref"])))
            self.is_static = self.is_static and not _DYNAMIC & part.keys()
            for keyword in _DYNAMIC & part.keys():
                if isinstance(part[keyword], str):
                    edges.append((HERE, None, places().target(part, part[keyword])))
            node = self.nodes[id(part)] = Node(part, [edge for edge in edges if isinstance(edge[2], dict)])
            if isinstance(part.get("pattern"), str):
                node.patterns.append(part["pattern"])
            if isinstance(part.get("patternProperties"), dict):
                node.key_patterns += (each for each in part["patternProperties"] if isinstance(each, str))
            waiting += [child for _, _, child in node.edges]

    def patterns(self) -> Iterator[tuple[dict[str, Any], str, str]]:
        """Yield each pattern with the part of the schema and the keyword that it stands in."""
        for node in self.nodes.values():
            yield from ((node.part, "pattern", pattern) for pattern in node.patterns)
            yield from ((node.part, "patternProperties", pattern) for pattern in node.key_patterns)


def _edges(part: dict[str, Any]) -> Iterator[_Edge]:
    for keyword, value in part.items():
        kind = _KINDS.get(keyword)
        if kind is None:
            continue
        if keyword in BY_NAME:
            members = value.items() if isinstance(value, dict) else ()
            yield from ((kind, name if kind == NAMED else None, child) for name, child in members)
        elif isinstance(value, list):
            yield from ((kind, n if keyword in _PLACED else None, child) for n, child in enumerate(value))
        else:
            yield kind, None, value
