"""Finds bundled schemas by URI, for the validator to read when a reference leads to them. Pure; nothing is fetched.

Only what is referred to is read: a bundled schema that the checked one does not use cannot spoil it, and each is read
under the draft that it names itself.
"""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urldefrag, urljoin

from common.schema.keywords import VALUES
from common.schema.violations import Json


def bundled(resources: Mapping[str, Json]) -> Callable[[str], Json]:
    """Return what gives the schema of a URI: one of ``resources``, by its key or its $id, or a named part of one."""
    known: dict[str, Json] = {urldefrag(uri).url: resource for uri, resource in resources.items()}
    for uri, resource in resources.items():
        for name, part in _named(uri, resource):
            known.setdefault(name, part)

    def retrieve(uri: str) -> Json:
        try:
            return known[urldefrag(uri).url]
        except KeyError:
            raise LookupError("it is not among the bundled schemas") from None

    return retrieve


def _named(uri: str, resource: Json) -> Iterator[tuple[str, Json]]:
    """Yield the parts of a resource that have a URI of their own, under the draft that the resource names."""
    draft = {"$schema": resource["$schema"]} if isinstance(resource, dict) and "$schema" in resource else {}
    waiting = [(urldefrag(uri).url, resource)]
    while waiting:
        base, part = waiting.pop()
        if isinstance(part, dict):
            name = part.get("$id", part.get("id"))
            if isinstance(name, str) and not name.startswith("#"):
                base = urldefrag(urljoin(base, name)).url
                yield base, {**draft, **part}
            waiting += [(base, each) for key, each in part.items() if key not in VALUES]
        elif isinstance(part, list):
            waiting += [(base, each) for each in part]
