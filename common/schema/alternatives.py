"""Rewrites a schema so that the validator tells of failed alternatives without telling what each of them lacks. Pure.

For every anyOf and oneOf the validator builds the faults of all branches, and of the alternatives in them: where a
schema refers to itself, that is exponential in the depth of the instance. Nobody reads them. Under the rewritten
schema it only asks whether a branch matches; what is valid, and where faults are, stays the same.
"""

from collections.abc import Mapping
from typing import Any, Final

from common.schema.keywords import HELD_BY_NAME, REFERENCES, VALUES
from common.schema.violations import HIDDEN_KEYWORD, Json

_ALTERNATIVES: Final = ("anyOf", "oneOf")
_UNEVALUATED: Final = frozenset({"unevaluatedProperties", "unevaluatedItems"})


def may_nest(parts: Json) -> bool:
    """Return whether there are both alternatives and references, so that one may hold itself."""
    keys = _keys(parts)
    return bool(keys & set(_ALTERNATIVES)) and bool(keys & REFERENCES)


def without_branch_faults(schema: Json, resources: Mapping[str, Json] | None) -> tuple[Json, dict[str, Json] | None]:
    """Return the schema and its resources rewritten. A reference into an alternative leads nowhere then."""
    # A condition passes on which members it evaluated, as an alternative does; drafts 4 and 6 have none.
    conditional = bool(_keys((schema, dict(resources or {}))) & _UNEVALUATED)
    parts = {uri: _rewritten(part, conditional) for uri, part in resources.items()} if resources else None
    return _rewritten(schema, conditional), parts


def _rewritten(schema: Json, conditional: bool) -> Json:
    if isinstance(schema, list):
        return [_rewritten(each, conditional) for each in schema]
    if not isinstance(schema, dict):
        return schema
    node: dict[str, Any] = {}
    for key, value in schema.items():
        if key in VALUES:
            node[key] = value
        elif key in HELD_BY_NAME and isinstance(value, dict):
            node[key] = {name: _rewritten(each, conditional) for name, each in value.items()}
        else:
            node[key] = _rewritten(value, conditional)
    for keyword in _ALTERNATIVES:
        if isinstance(node.get(keyword), list):
            hidden = _hidden(keyword, node.pop(keyword), conditional)
            node["allOf"] = [*node.get("allOf", ()), hidden]
    return node


def _hidden(keyword: str, branches: list[Json], conditional: bool) -> dict[str, Json]:
    if conditional:
        return {"if": {keyword: branches}, "else": {"not": {HIDDEN_KEYWORD: keyword}}}
    return {"not": {"not": {keyword: branches}, HIDDEN_KEYWORD: keyword}}


def _keys(part: Json) -> set[str]:
    found: set[str] = set()
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found.update(part)
            waiting.extend(part.values())
        elif isinstance(part, list | tuple):
            waiting.extend(part)
    return found
