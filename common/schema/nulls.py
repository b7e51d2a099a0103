"""Says where a schema takes null, and removes the null members that it neither takes nor requires. Pure.

Of alternatives only those count that a value may be one of, as far as its members' names and constants tell.
"""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import jsonschema_rs

from common.schema.faults import draft_number
from common.schema.violations import Json, json_type

_MOST_READINGS: Final = 64

_Nodes: TypeAlias = tuple[Mapping[str, Any], ...]
"""Parts of a schema that hold together, references and alternatives resolved."""


def without_nulls(value: Json, schema: Json) -> Json:
    """Return ``value`` without the null members that the schema does not allow and does not require."""
    return _cleared(value, schema, schema)


def takes_null(schema: Json, root: Json, seen: tuple[str, ...] = ()) -> bool:
    """Return whether null may stand where ``schema``, a part of ``root``, says what may."""
    if not isinstance(schema, Mapping):
        return schema is not False
    reference = schema.get("$ref")
    if isinstance(reference, str) and (reference in seen or not _target_takes_null(reference, root, seen)):
        return False
    types = schema.get("type", "null")
    if "null" not in ([types] if isinstance(types, str) else types):
        return False
    if None not in schema.get("enum", (None,)) or schema.get("const") is not None:
        return False
    if not all(takes_null(part, root, seen) for part in schema.get("allOf", ())):
        return False
    branches = (schema.get(keyword) for keyword in ("anyOf", "oneOf"))
    return all(any(takes_null(part, root, seen) for part in parts) for parts in branches if parts)


def _target_takes_null(reference: str, root: Json, seen: tuple[str, ...]) -> bool:
    found = target(root, reference)
    return found is None or takes_null(found, root, (*seen, reference))


def target(root: Json, reference: str) -> Json:
    """Return what ``reference`` refers to by its path in ``root``; None for an anchor or another document."""
    path, _, pointer = unquote(reference).partition("/")
    if path != "#":
        return None
    node: Any = root
    for token in pointer.split("/") if "/" in reference else ():
        if node is not root and has_own_base(node, root):
            return None
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(name)] if name.isdecimal() and int(name) < len(node) else None
        else:
            node = node.get(name) if isinstance(node, Mapping) else None
    return node


def has_own_base(schema: Json, root: Json) -> bool:
    """Return whether the references in a part of a schema start from that part, by its $id, in draft 4 its id."""
    name = "id" if draft_number(root) == jsonschema_rs.Draft4 else "$id"
    base = schema.get(name) if isinstance(schema, Mapping) else None
    return isinstance(base, str) and not base.startswith("#")


def _cleared(value: Json, schema: Json, root: Json) -> Json:
    if not isinstance(value, dict | list):
        return value
    readings = list(islice(_readings(schema, root, ()), _MOST_READINGS))
    readings = [nodes for nodes in readings if _may_be(value, nodes)] or readings
    if isinstance(value, list):
        items = _either([[node["items"] for node in nodes if "items" in node] for nodes in readings])
        return [_cleared(item, items, root) for item in value]
    kept = {}
    for key, member in value.items():
        if member is None and _is_filler(key, readings, root):
            continue
        kept[key] = _cleared(member, _either([_declared(nodes, key) for nodes in readings]), root)
    return kept


def _is_filler(key: str, readings: list[_Nodes], root: Json) -> bool:
    """Return whether a null member stands only for one that may be left out."""
    optional = False
    for nodes in readings:
        parts = _declared(nodes, key)
        is_open = bool(parts) or not any(node.get("additionalProperties") is False for node in nodes)
        if is_open and all(takes_null(part, root) for part in parts):
            return False
        optional = optional or (bool(parts) and not any(key in node.get("required", ()) for node in nodes))
    return optional


def _either(alternatives: list[list[Json]]) -> Json:
    parts = [{"allOf": parts} for parts in alternatives if parts]
    return {"anyOf": parts} if parts else True


def _declared(nodes: _Nodes, key: str) -> list[Json]:
    return [node["properties"][key] for node in nodes if key in node.get("properties", ())]


def _readings(schema: Json, root: Json, seen: tuple[str, ...]) -> Iterator[_Nodes]:
    """Yield what the schema may mean: one tuple of parts for each choice among its alternatives, at least one."""
    if not isinstance(schema, Mapping):
        yield ()
        return
    groups: list[list[Json]] = [[part] for part in schema.get("allOf", ())]
    groups += [schema[keyword] for keyword in ("anyOf", "oneOf") if schema.get(keyword)]
    reference = schema.get("$ref")
    choices = [_of_any(group, root, seen) for group in groups]
    if isinstance(reference, str) and reference not in seen:
        choices.append(_of_any([target(root, reference)], root, (*seen, reference)))
    for chosen in product(*choices):
        yield (schema, *(node for nodes in chosen for node in nodes))


def _of_any(group: list[Json], root: Json, seen: tuple[str, ...]) -> list[_Nodes]:
    readings = (nodes for part in group for nodes in _readings(part, root, seen))
    return list(islice(readings, _MOST_READINGS))


def _may_be(value: Json, nodes: _Nodes) -> bool:
    return all(_may_match(value, node) for node in nodes)


def _may_match(value: Json, node: Mapping[str, Any]) -> bool:
    if not _may_stand(value, node):
        return False
    types = node.get("type", json_type(value))
    if json_type(value) not in ([types] if isinstance(types, str) else types):
        return False
    if not isinstance(value, dict):
        return True
    declared = node.get("properties", {})
    is_closed = node.get("additionalProperties") is False and "patternProperties" not in node
    if any(name not in value for name in node.get("required", ())):
        return False
    if is_closed and any(key not in declared for key in value):
        return False
    return all(_may_stand(value[key], part) for key, part in declared.items() if value.get(key) is not None)


def _may_stand(member: Json, part: Json) -> bool:
    if not isinstance(part, Mapping):
        return part is not False
    return member == part.get("const", member) and member in part.get("enum", (member,))
