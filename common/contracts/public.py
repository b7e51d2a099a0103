"""Records on the public topics, as CloudEvents 1.0 in Kafka binary mode.

The value is the event's data as JSON; attributes travel as ``ce_*`` headers. These models change only
compatibly: fields are added, never removed, renamed or narrowed.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from common.contracts.internal import Lane


class _Public(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Lineage(_Public):
    """Where an output came from."""

    recipe_hash: str = Field(description="sha256 over the recipe's files")
    prompt_hash: str = Field(description="sha256 over the messages sent for the accepted attempt")
    deployment: str = Field(description="alias in models.toml")
    model_served: str = Field(description="the model the provider says it used")
    price_version: str
    attempts: int = Field(description="every call tried for this job, refusals that cost nothing included")
    input_tokens: int = Field(description="over all attempts, cached tokens included")
    output_tokens: int
    cost_usd: str = Field(description="decimal US dollars over all attempts, 9 places")
    validation: str = Field(description="strict, lossless-repair or lossy-repair")
    accepted_at: datetime = Field(description="when the job was accepted")
    finished_at: datetime


class Failure(_Public):
    """Why a job did not succeed; ``code`` is stable."""

    code: str
    detail: str


class OutputRecord(_Public):
    """``outputs``: the one record of a job that succeeded."""

    job_id: UUID
    tenant_id: str
    batch_id: UUID | None = None
    recipe: str = Field(description="name@version")
    lane: Lane
    tags: tuple[str, ...] = ()
    revision: int = Field(description="rises with each change of the job; use it as an external version")
    output: Any = Field(description="valid under the recipe's output schema")
    lineage: Lineage


class EventType(StrEnum):
    """What ``events`` tells: every ending that has no output record, and holds."""

    FAILED = "headrace.job.failed"
    CANCELLED = "headrace.job.cancelled"
    EXPIRED = "headrace.job.expired"
    HELD = "headrace.job.held"


class EventRecord(_Public):
    """``events``: something that happened to a job. ``sequence`` orders the events of one job."""

    job_id: UUID
    tenant_id: str
    batch_id: UUID | None = None
    recipe: str
    lane: Lane
    tags: tuple[str, ...] = ()
    type: EventType
    sequence: int
    terminal: bool
    failure: Failure | None = None
    at: datetime


class DeadLetterRecord(_Public):
    """``dead-letters``: a message that a stage has set aside. Its bytes are shown by the API, under ``letter_id``."""

    letter_id: int
    job_id: UUID | None = Field(default=None, description="the job its key names; on hold until it is dealt with")
    stage: str
    topic: str
    partition: int
    offset: int
    reason: str
    exception: str = Field(description="class of the error")
    at: datetime


DEAD_LETTER_TYPE: Literal["headrace.dead-letter"] = "headrace.dead-letter"
OUTPUT_TYPE: Literal["headrace.output"] = "headrace.output"


def cloud_event_headers(event_id: UUID, kind: str, source: str, subject: UUID, at: datetime) -> list[tuple[str, str]]:
    """Return the CloudEvents headers of a public record; ``event_id`` is stable across redelivery."""
    return [
        ("ce_specversion", "1.0"),
        ("ce_id", str(event_id)),
        ("ce_type", kind),
        ("ce_source", source),
        ("ce_subject", str(subject)),
        ("ce_time", at.isoformat()),
        ("content-type", "application/json"),
    ]
