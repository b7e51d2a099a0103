"""Small integers stored in Postgres and their public names. Numbers are never reused.

job:      open ──> succeeded | failed | cancelled | expired
          (shown as queued, running or held while open)
attempt:  reserved ──> answered | failed | unknown;   unknown ──> answered (a late answer)
"""

from enum import IntEnum

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
