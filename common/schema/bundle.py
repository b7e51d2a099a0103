"""Finds bundled schemas by URI, for the validator to read when a reference leads to them. Pure; nothing is fetched.

Only what is referred to is read: a bundled schema that the checked one does not use cannot spoil it, and each is read
under the draft that it names itself.
"""

from collections.abc import Callable, Mapping

from common.schema.references import parts_with_ids
from common.schema.violations import Json


def bundled(resources: Mapping[str, Json], draft: int) -> Callable[[str], Json]:
    """Return what gives the schema of a URI: one of ``resources``, by its key or its $id, or a named part of one.

    ``draft``: of those that name none.
    """
    known: dict[str, Json] = {uri.partition("#")[0]: resource for uri, resource in resources.items()}
    for uri, resource in resources.items():
        named = {"$schema": resource["$schema"]} if isinstance(resource, dict) and "$schema" in resource else {}
        for name, part in parts_with_ids(uri, resource, draft):
            known.setdefault(name, {**named, **part})

    def retrieve(uri: str) -> Json:
        try:
            return known[uri.partition("#")[0]]
        except KeyError:
            raise LookupError("it is not among the bundled schemas") from None

    return retrieve
