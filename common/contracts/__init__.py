"""Messages: frozen, versioned models, JSON on the wire. Internal topics are private; outputs and events are public."""

from common.contracts.internal import (
    Completion,
    FailedAnswer,
    Lane,
    Prompt,
    PromptPart,
    Reask,
    Step,
    StepRef,
    Verdict,
    VerdictKind,
    ViolationNote,
    decode,
)
from common.contracts.public import (
    DeadLetterRecord,
    EventRecord,
    EventType,
    Failure,
    Lineage,
    OutputRecord,
    cloud_event_headers,
)

__all__ = [
    "Completion",
    "DeadLetterRecord",
    "EventRecord",
    "EventType",
    "FailedAnswer",
    "Failure",
    "Lane",
    "Lineage",
    "OutputRecord",
    "Prompt",
    "PromptPart",
    "Reask",
    "Step",
    "StepRef",
    "Verdict",
    "VerdictKind",
    "ViolationNote",
    "cloud_event_headers",
    "decode",
]
