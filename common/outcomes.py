"""What a stage makes of a delivery, as values. The runner acts on them."""

from dataclasses import dataclass

from common.kafka.producer import Record
from common.ports import ParkedMessage


@dataclass(frozen=True, slots=True)
class Forward:
    """Publish these records; the delivery is finished once each is acknowledged."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again at the parked message's time."""

    message: ParkedMessage


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep until released on command (the parked message has no time)."""

    message: ParkedMessage


@dataclass(frozen=True, slots=True)
class Reject:
    """Poison: set the record aside with its reason; ``exception`` is the class that found it."""

    reason: str
    exception: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to publish."""

    reason: str


Outcome = Forward | Retry | Hold | Reject | Done
