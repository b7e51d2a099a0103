"""Says where the references of a schema lead. Pure; nothing is fetched."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from common.schema.faults import draft_number
from common.schema.violations import Json


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
