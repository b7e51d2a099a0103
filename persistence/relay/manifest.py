"""The last record of each public transaction: which rows it published, and where their records stand.

Recovery reads the newest one: it says which rows are out and still to be deleted. Rows are named by revision.
Only rows of the same installation (the same database) may be deleted by it.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from common.errors import UndecodableMessage, UnsupportedVersion
from common.kafka.transactions import Extent

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one committed transaction published for one shard."""

    installation: UUID
    shard: int
    epoch: int
    revs: tuple[int, ...]
    extents: tuple[Extent, ...]


def manifest_key(shard: int) -> bytes:
    """Return the record key: compaction keeps the newest manifest of each shard."""
    return b"shard-%d" % shard


def encode(manifest: Manifest) -> bytes:
    """Return the record value."""
    return orjson.dumps(
        {
            "v": _VERSION,
            "installation": str(manifest.installation),
            "shard": manifest.shard,
            "epoch": manifest.epoch,
            "revs": manifest.revs,
            "extents": [list(extent) for extent in manifest.extents],
        }
    )


def decode(value: bytes | None) -> Manifest:
    """Return the manifest in a record. Raises UndecodableMessage or UnsupportedVersion: do not publish."""
    try:
        fields: dict[str, Any] = orjson.loads(value or b"")
        if fields["v"] != _VERSION:
            raise UnsupportedVersion(f"a relay manifest of version {fields['v']}; this build reads {_VERSION}")
        return Manifest(
            installation=UUID(fields["installation"]),
            shard=int(fields["shard"]),
            epoch=int(fields["epoch"]),
            revs=tuple(int(rev) for rev in fields["revs"]),
            extents=tuple(Extent(*extent) for extent in fields["extents"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UndecodableMessage("the newest record on the manifest topic is no manifest") from error
