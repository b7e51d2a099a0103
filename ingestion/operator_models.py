"""What operators are shown, as models: the source of their part of the OpenAPI document."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeadLetter(_Model):
    """A message that was set aside. An open one keeps its job on hold."""

    id: int
    state: Literal["open", "replayed", "discarded"]
    stage: str = Field(description="who set it aside; `relay`: Kafka refused it")
    topic: str
    partition: int = Field(description="-1: it never was in Kafka")
    offset: int
    job_id: UUID | None = Field(description="the job its key names")
    reason: str
    exception: str = Field(description="class of the error")
    count: int = Field(description="how often it came")
    edited: bool
    size_bytes: int
    created_at: datetime
    ended_at: datetime | None = Field(description="when it was replayed or discarded")


class Contents(_Model):
    """Bytes: `text` where they are UTF-8, else `base64`."""

    text: str | None = None
    base64: str | None = None


class Header(_Model):
    """One header of a message."""

    name: str
    value: Contents


class DeadLetterDetail(DeadLetter):
    """A dead letter with its bytes."""

    key: Contents | None
    value: Contents | None = Field(description="what a replay sends: edited, where it was")
    original: Contents | None = Field(description="as it was received")
    headers: list[Header]


class DeadLetterPage(_Model):
    """One page of dead letters."""

    dead_letters: list[DeadLetter]
    next_before: int | None = Field(description="pass as `before` for the next page")


class ErrorEntry(_Model):
    """Failures of one kind in one stage."""

    job_id: UUID | None = Field(description="null: of servers, no job's fault")
    stage: str
    kind: str = Field(description="class of the error, or its code")
    detail: str = Field(description="the last one's words")
    count: int
    first_at: datetime
    last_at: datetime


class ErrorList(_Model):
    """The error log, newest first."""

    errors: list[ErrorEntry]
