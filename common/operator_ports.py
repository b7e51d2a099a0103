"""Ports of what operators look after, as protocols that ``persistence`` implements: dead letters and the error log.

Every method may raise DatabaseUnavailable; repeating it is safe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class LetterState(StrEnum):
    """What has become of a dead letter. An open one keeps its job on hold."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class LetterView:
    """A record that was set aside. ``count``: how often it came. ``value``: edited, where it was; None in lists.

    ``offset``: where it stood in its topic; in partition -1, the revision of an outbox row that Kafka refused.
    """

    letter_id: int
    state: LetterState
    stage: str
    topic: str
    partition: int
    offset: int
    job_id: UUID | None
    reason: str
    exception: str
    count: int
    created_at: datetime
    ended_at: datetime | None
    edited: bool
    size_bytes: int
    key: bytes | None = None
    value: bytes | None = None
    original: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters to list: all given conditions hold."""

    state: LetterState | None = LetterState.OPEN
    stage: str | None = None
    job_id: UUID | None = None


class NotReplayable(Exception):
    """A letter cannot be sent again as it is; the message says why and what to do."""


class DeadLetters(Protocol):
    """Letters, newest first. ``edit``, ``replay`` and ``discard`` give None where there is no such letter."""

    async def letters(self, wanted: LetterFilter, *, before: int | None, limit: int) -> Sequence[LetterView]: ...

    async def letter(self, letter_id: int) -> LetterView | None: ...

    async def edit(self, letter_id: int, value: bytes) -> LetterView | None: ...

    async def replay(self, letter_id: int) -> LetterView | None: ...

    async def discard(self, letter_id: int) -> LetterView | None: ...


@dataclass(frozen=True, slots=True)
class ErrorView:
    """Failures of one kind in one stage. ``job_id`` None: of servers, no job's fault."""

    job_id: UUID | None
    stage: str
    kind: str
    detail: str
    count: int
    first_at: datetime
    last_at: datetime


class Errors(Protocol):
    """The error log."""

    async def of_job(self, tenant_id: str, job_id: UUID) -> Sequence[ErrorView] | None: ...

    async def recent(self, *, since: datetime, stage: str | None, limit: int) -> Sequence[ErrorView]: ...
