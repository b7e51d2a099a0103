"""Says where the references of a schema lead, by path or by name, as the validator reads them. Pure.

Nothing is fetched. RootReferences follows those that start from the root, which is all that most schemas have; Places
follows all, to bundled schemas too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final
from urllib.parse import unquote, urljoin

import jsonschema_rs

from common.schema.faults import draft_number
from common.schema.keywords import HELD_BY_NAME
from common.schema.violations import Json

_INDEX: Final = re.compile(r"\+?0*([0-9]{1,9})")
"""The validator takes +1 and 001 for places in a list too. More digits than these no list needs, nor will int read."""

_LATER: Final = frozenset(
    {"$defs", "prefixItems", "dependentSchemas", "unevaluatedItems", "unevaluatedProperties", "contentSchema"}
)
_UNREAD: Final[Mapping[int, frozenset[str]]] = {
    jsonschema_rs.Draft4: frozenset(),
    jsonschema_rs.Draft6: _LATER | {"if", "then", "else"},
    jsonschema_rs.Draft7: _LATER,
    jsonschema_rs.Draft201909: frozenset({"prefixItems"}),
    jsonschema_rs.Draft202012: frozenset({"dependencies", "additionalItems"}),
}
"""Words in which the validator looks for no names, by draft; found by trying."""

_SCHEMAS: Final = _LATER | {
    *HELD_BY_NAME,
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contains", "propertyNames"),
    *("additionalProperties", "items", "additionalItems"),
}

_MOST_ALIKE: Final = 8
"""Different parts with one name, of which each reference to it is looked up in all."""

_NOTHING: Final[Json] = {}
_BEYOND_WEIGHING: Final[Json] = reduce(lambda part, _: {"allOf": [part, part]}, range(64), _NOTHING)
"""What more parts than these count for: it asks more than any schema may."""


def index_in_list(token: str) -> int | None:
    """Return the place in a list that a token of a JSON Pointer stands for; None if it stands for none."""
    found = _INDEX.fullmatch(token)
    return int(found[1]) if found else None


def unescaped(token: str) -> str:
    """Return the name that a token of a JSON Pointer stands for."""
    return token.replace("~1", "/").replace("~0", "~")


class RootReferences:
    """Where those references of a schema lead that start from its root."""

    __slots__ = ("_draft", "_names", "_root")

    def __init__(self, root: Json) -> None:
        self._root = root
        self._draft = draft_number(root)
        self._names: dict[str, Json] | None = None

    def target(self, reference: str) -> Json:
        """Return what is referred to; None for nothing, another document, or what lies within a part with a base."""
        if not reference.startswith("#"):
            return None
        fragment = unquote(reference[1:])
        if fragment and not fragment.startswith("/"):
            return self._by_name().get(fragment)
        node = self._root
        for token in fragment.split("/")[1:]:
            if node is not self._root and self.has_own_base(node):
                return None
            node = _within(node, token)
        return node

    def has_own_base(self, part: Json) -> bool:
        """Return whether the references in a part of the schema start from that part, by its $id, in draft 4 its id."""
        return isinstance(part, dict) and _own_base(part, self._draft) is not None

    def _by_name(self) -> dict[str, Json]:
        if self._names is None:
            names: dict[str, Json] = {}
            own_base = None
            for each in _parts(self._root, "", self._draft):
                own_base = each.base if own_base is None else own_base
                for name in each.names if each.base == own_base else ():
                    # Of two parts with one name it cannot be told which is meant.
                    names[name] = None if name in names else each.part
            self._names = names
        return self._names


class Places:
    """Where references lead, as far as that can be told without an instance.

    Where several parts have one name, to all of them: whoever weighs a schema must not take the lighter one.
    """

    def __init__(self, schema: Json, resources: Mapping[str, Json]) -> None:
        self._bases: dict[int, str] = {}
        self._named: dict[str, list[Json]] = {}
        self._joint: dict[tuple[int, ...], Json] = {}
        draft = draft_number(schema)
        for uri, root in (("", schema), *resources.items()):
            self._enter(uri.partition("#")[0], root)
            for each in _parts(root, uri, draft):
                self._bases[id(each.part)] = each.base
                if each.is_base:
                    self._enter(each.base, each.part)
                for name in each.names:
                    self._enter(f"{each.base}#{name}", each.part)

    def _enter(self, name: str, part: Json) -> None:
        known = self._named.setdefault(name, [])
        if len(known) <= _MOST_ALIKE and not any(each is part for each in known) and known[:1] != [part]:
            known.append(part)

    def target(self, node: Json, reference: str) -> Json:
        """Return what ``reference``, which stands in ``node``, refers to; None for nothing that is known."""
        uri, _, fragment = _joined(self._bases.get(id(node), ""), reference).partition("#")
        is_path = fragment.startswith("/")
        found = self._named.get(f"{uri}#{fragment}" if fragment and not is_path else uri, [])
        if len(found) > _MOST_ALIKE:
            return _BEYOND_WEIGHING
        if is_path:
            found = [_pointed_at(root, unquote(fragment)) for root in found]
        if len(found) < 2:
            return found[0] if found else None
        return self._joint.setdefault(tuple(map(id, found)), {"allOf": found})


def _pointed_at(node: Json, pointer: str) -> Json:
    for token in pointer.split("/")[1:]:
        node = _within(node, token)
    return node


def _within(node: Json, token: str) -> Json:
    """Return what a token of a JSON Pointer leads to from ``node``; None: to nothing."""
    if isinstance(node, list):
        index = index_in_list(token)
        return node[index] if index is not None and index < len(node) else None
    return node.get(unescaped(token)) if isinstance(node, dict) else None


@dataclass(frozen=True, slots=True)
class _Part:
    part: dict[str, Any]
    base: str
    is_base: bool
    names: tuple[str, ...]


def parts_with_ids(uri: str, root: Json, draft: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of a schema at ``uri`` that have a URI of their own; ``draft``: of a schema that names none."""
    yield from ((each.base, each.part) for each in _parts(root, uri, draft) if each.is_base)


def _parts(root: Json, uri: str, draft: int) -> Iterator[_Part]:
    """Yield every object in a schema with the base of references in it, and the names by which it is referred to.

    Only schemas have names: what stands in data, or under a word that the draft does not know, has none.
    """
    draft = draft_number(root) if isinstance(root, dict) and "$schema" in root else draft
    waiting: list[tuple[Json, str, bool]] = [(root, uri.partition("#")[0], True)]
    unread = _UNREAD[draft]
    while waiting:
        part, base, is_schema = waiting.pop()
        if isinstance(part, list):
            waiting += [(each, base, is_schema) for each in part]
        if not isinstance(part, dict):
            continue
        own = _own_base(part, draft) if is_schema else None
        if own is not None:
            base = _joined(base, own).partition("#")[0]
        yield _Part(part, base, own is not None, _names(part, draft) if is_schema else ())
        for keyword, value in part.items():
            if not isinstance(value, dict | list):
                continue
            holds_schemas = is_schema and keyword in _SCHEMAS and keyword not in unread
            if holds_schemas and keyword in HELD_BY_NAME and isinstance(value, dict):
                waiting += [(each, base, True) for each in value.values()]
            else:
                waiting.append((value, base, holds_schemas))


def _own_base(part: Mapping[str, Any], draft: int) -> str | None:
    name = _id(part, draft)
    return name if name is not None and not name.startswith("#") else None


def _names(part: Mapping[str, Any], draft: int) -> tuple[str, ...]:
    if draft > jsonschema_rs.Draft7:
        names = (part.get(keyword) for keyword in ("$anchor", "$dynamicAnchor"))
        return tuple(name for name in names if isinstance(name, str))
    name = _id(part, draft)
    return (name[1:],) if name is not None and name.startswith("#") else ()


def _id(part: Mapping[str, Any], draft: int) -> str | None:
    if draft <= jsonschema_rs.Draft7 and "$ref" in part:
        return None  # beside a reference nothing else is read
    name = part.get("id" if draft == jsonschema_rs.Draft4 else "$id")
    return name if isinstance(name, str) else None


def _joined(base: str, reference: str) -> str:
    if reference.startswith("#"):
        return base + reference
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference
