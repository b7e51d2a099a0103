"""Wakes the relay through Postgres: a NOTIFY in a statement of its own, after the commit it tells of.

Hints only. A wake that is lost costs the relay's refresh interval (1 s); one too many costs an empty read.

    p                 public rows (outputs, events) were committed
    <lane>:<tenant>   rows of that tenant in that lane (0..3) were committed
    l                 rows for later (``not_before``) were committed
    *                 look at everything
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from persistence.postgres.pool import Connection

CHANNEL = "headrace_outbox"
PUBLIC_TOKEN = "p"  # noqa: S105 - a wake token is no secret
LATER_TOKEN = "l"  # noqa: S105 - a wake token is no secret
EVERYTHING_TOKEN = "*"  # noqa: S105 - a wake token is no secret

_PAYLOAD_LIMIT = 7_900  # Postgres refuses 8,000 bytes
_MOST_PAYLOADS = 8
_PLAIN = re.compile(r"[A-Za-z0-9._:-]*")
_NOTIFY = "select pg_notify($1, payload) from unnest($2::text[]) payload"


@dataclass(frozen=True, slots=True)
class Wake:
    """What one notification tells. ``tenants`` are (lane, tenant) pairs."""

    public: bool = False
    later: bool = False
    everything: bool = False
    tenants: tuple[tuple[int, str], ...] = ()


def steps_token(lane: int, tenant_id: str) -> str:
    """Return the token of rows of ``tenant_id`` in ``lane`` (0..3)."""
    name = tenant_id if _PLAIN.fullmatch(tenant_id) else quote(tenant_id, safe="")
    return f"{lane}:{name}"


def payloads(tokens: Iterable[str]) -> list[str]:
    """Return the tokens as notification payloads, each once; a flood becomes one ``*``."""
    packed: list[str] = []
    line: list[str] = []
    size = 0
    for token in sorted(set(tokens)):
        length = len(token) + 1
        if line and size + length > _PAYLOAD_LIMIT:
            packed.append(",".join(line))
            line, size = [], 0
        line.append(token)
        size += length
    if line:
        packed.append(",".join(line))
    return packed if len(packed) <= _MOST_PAYLOADS else [EVERYTHING_TOKEN]


def read_payload(payload: str) -> Wake:
    """Return what a payload tells. What is not understood wakes everything: a wake too many is harmless."""
    tokens = set(payload.split(","))
    tenants = []
    everything = False
    for token in tokens - {PUBLIC_TOKEN, LATER_TOKEN}:
        lane, colon, name = token.partition(":")
        if colon and lane in {"0", "1", "2", "3"}:
            tenants.append((int(lane), unquote(name)))
        else:
            everything = True
    return Wake(PUBLIC_TOKEN in tokens, LATER_TOKEN in tokens, everything, tuple(tenants))


async def notify(connection: Connection, tokens: Iterable[str]) -> None:
    """Wake every relay of this database. Call it after the commit: inside, commits queue on one lock."""
    packed = payloads(tokens)
    if packed:
        await connection.execute(_NOTIFY, CHANNEL, packed)
