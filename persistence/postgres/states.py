"""Small integers stored in Postgres and their public names. Numbers are never reused.

job:      open ──> succeeded | failed | cancelled | expired
          (shown as queued, running or held while open)
attempt:  reserved ──> answered | failed | unknown;   unknown ──> answered (a late answer)
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from common.contracts import Lane


class JobState(IntEnum):
    """A job is open until it has ended, once."""

    OPEN = 0
    SUCCEEDED = 1
    FAILED = 2
    CANCELLED = 3
    EXPIRED = 4


class StepState(IntEnum):
    """A step is open until its job ends or an attempt is accepted."""

    OPEN = 0
    DONE = 1
    FAILED = 2


class AttemptState(IntEnum):
    """A ledger row is reserved before the call and leaves that state once it is known how the call ended."""

    RESERVED = 0
    ANSWERED = 1
    FAILED = 2
    UNKNOWN = 3


TRANSITIONS: Final[Mapping[AttemptState, frozenset[AttemptState]]] = MappingProxyType(
    {
        AttemptState.RESERVED: frozenset({AttemptState.ANSWERED, AttemptState.FAILED, AttemptState.UNKNOWN}),
        AttemptState.ANSWERED: frozenset(),
        AttemptState.FAILED: frozenset(),
        AttemptState.UNKNOWN: frozenset({AttemptState.ANSWERED}),
    }
)
"""Where an attempt may go. ``attempt_may_1`` says the same in SQL, and every update of a state asks it."""


class HoldKind(IntEnum):
    """Why a message is set aside with its job on hold, in the order in which a job's reasons are told."""

    BUDGET = 0
    PAUSED = 1
    OPERATOR = 2
    DEAD_LETTER = 3


class JobAction(IntEnum):
    """What can be done to many jobs at once."""

    CANCEL = 0
    PAUSE = 1
    RESUME = 2
    RETRY = 3


class VerdictCode(IntEnum):
    """Verdicts that are written to the ledger; an accepted attempt is named by its step."""

    ACCEPT = 0
    REASK = 1
    ESCALATE = 2
    REJECT = 3


class ReleaseLane(IntEnum):
    """Which queue of the outbox a row stands in."""

    INTERACTIVE = 0
    STANDARD = 1
    BULK = 2
    INTERIOR = 3
    PUBLIC = 4


LANE_NUMBER: dict[Lane, int] = {Lane.INTERACTIVE: 0, Lane.STANDARD: 1, Lane.BULK: 2}
LANE_OF_NUMBER: dict[int, Lane] = {number: lane for lane, number in LANE_NUMBER.items()}
