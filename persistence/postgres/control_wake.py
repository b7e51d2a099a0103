"""Wakes budgets' releaser and the controller through Postgres: hints, sent after the commit they tell of.

b<id>    the budget may have room for jobs on hold (a limit was raised, a settle freed money, it was removed)
o        an operation on many jobs was asked for
*        look at everything
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from persistence.postgres.pool import Connection

CHANNEL: Final = "headrace_control"
OPERATION_TOKEN: Final = "o"  # noqa: S105 - a wake token is no secret
EVERYTHING_TOKEN: Final = "*"  # noqa: S105 - a wake token is no secret

_MOST_TOKENS: Final = 200


@dataclass(frozen=True, slots=True)
class ControlWake:
    """What one notification tells."""

    everything: bool = False
    operations: bool = False
    budgets: frozenset[int] = frozenset()


def budget_token(budget_id: int) -> str:
    """Return the token of one budget."""
    return f"b{budget_id}"


def read_payload(payload: str) -> ControlWake:
    """Return what a payload tells. What is not understood wakes everything: a wake too many is harmless."""
    tokens = payload.split(",")
    known = {t for t in tokens if t == OPERATION_TOKEN or (t.startswith("b") and t[1:].isdecimal())}
    return ControlWake(
        everything=len(known) < len(set(tokens)),
        operations=OPERATION_TOKEN in known,
        budgets=frozenset(int(t[1:]) for t in known if t != OPERATION_TOKEN),
    )


async def notify_control(connection: Connection, tokens: Iterable[str]) -> None:
    """Wake every controller of this database. Call it after the commit: inside, commits queue on one lock."""
    told = sorted(set(tokens))
    if told:
        payload = ",".join(told) if len(told) <= _MOST_TOKENS else EVERYTHING_TOKEN
        await connection.execute("select pg_notify($1, $2)", CHANNEL, payload)
