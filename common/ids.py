"""Identifiers: UUIDv7 made by the client, and message ids derived from a parent and a purpose.

A derived id keeps the parent's 48 time bits, so that keys stay in insertion order (a plain hash would be
UUIDv4 in disguise and cost three times the CPU per insert). Nobody counts rows to get the next number.
"""

import hashlib
import os
import time
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_RANDOM_A_MASK = 0xFFF << 64
_RANDOM_B_MASK = (1 << 62) - 1


def uuid7() -> UUID:
    """Return a new UUIDv7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    return _compose(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10)))


def derive(parent: UUID, purpose: str) -> UUID:
    """Return the id of what follows from ``parent`` for ``purpose``: the same inputs, the same id."""
    digest = hashlib.blake2b(purpose.encode(), key=parent.bytes, digest_size=10).digest()
    return _compose(parent.int >> 80, int.from_bytes(digest))


def shard_of(job_id: UUID, shards: int) -> int:
    """Return the relay shard of a job: a hash of its random bits, stored with every outbox row."""
    return (job_id.int & 0xFFFFFFFF) % shards


def _compose(unix_ms: int, random: int) -> UUID:
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80
    value |= _VERSION_7 | (random & _RANDOM_A_MASK) | _VARIANT | (random & _RANDOM_B_MASK)
    return UUID(int=value)
