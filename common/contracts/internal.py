"""Messages between the stages. Private: they may change between releases, guarded by ``v``.

Each carries the reference of the step it is about and only what the next stage needs; what belongs to the
record (usage, cost, model served) is in the ledger, not on the wire. Decoding validates once, at the edge.
"""

from enum import StrEnum
from typing import Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import UndecodableMessage, UnsupportedVersion
from common.ids import derive


class Lane(StrEnum):
    """Service class of a job: which topics it travels on and its weight at the model layer."""

    INTERACTIVE = "interactive"
    STANDARD = "standard"
    BULK = "bulk"


LANES: tuple[Lane, ...] = tuple(Lane)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StepRef(_Frozen):
    """What every internal message says of itself. (job, step, item, attempt) is the ledger's key."""

    v: Literal[1] = 1
    tenant_id: str
    job_id: UUID
    step: str
    item: int = 0
    attempt: int = Field(ge=1, description="Number of the attempt this message leads to, or came from.")
    reasks: int = Field(default=0, ge=0, description="How often this step was asked again so far.")
    lane: Lane
    recipe: str = Field(description="name@version")
    recipe_hash: str
    batch_id: UUID | None = None
    deadline_ms: int | None = Field(default=None, description="Unix milliseconds; no call starts after it.")
    budgeted: bool = Field(default=False, description="The job has a budget row of its own.")
    model: str | None = Field(default=None, description="Escalated to: asked instead of the recipe's model.")
    max_output_tokens: int | None = Field(default=None, description="Raised after an answer was cut off.")
    faults: tuple[str, ...] = Field(default=(), description="What was wrong with this model's previous answer.")
    passed: int = Field(default=0, ge=0, description="Attempts up to this number are over: a re-ask is a later one.")
    free: int = Field(default=0, ge=0, description="Attempts before this one that cost nothing, for sure.")

    @property
    def next_attempt(self) -> int:
        """Return the number of the attempt that a re-ask leads to."""
        return max(self.attempt, self.passed) + 1

    def paid(self, attempt: int) -> int:
        """Return how many attempts up to ``attempt`` may have cost something, itself included."""
        return max(1, attempt - self.free)

    def reference(self, attempt: int | None = None) -> dict[str, Any]:
        """Return the fields of the reference, for the next message; ``attempt`` replaces the number."""
        mine = self.__dict__
        fields = {name: mine[name] for name in StepRef.model_fields}
        if attempt is not None:
            fields["attempt"] = attempt
        return fields

    def message_id(self, purpose: str) -> UUID:
        """Return this message's id: derived, so parking or sending it twice is doing it once."""
        return derive(self.job_id, f"{purpose}:{self.step}:{self.item}:{self.attempt}")


class ViolationNote(_Frozen):
    """One fault of an answer, as it travels back for a re-ask."""

    pointer: str
    keyword: str
    message: str
    expected: Any = None
    actual: Any = None


class Reask(_Frozen):
    """Why the previous answer was not accepted. prompt_engine words it."""

    previous_answer: str
    violations: tuple[ViolationNote, ...]


class Step(StepRef):
    """``steps.<lane>``: compile the prompt of this step. Without ``input`` it is read from Postgres."""

    input: str | None = None
    reask: Reask | None = None


class PromptPart(_Frozen):
    """One message of the conversation sent to a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(StepRef):
    """``prompts.<lane>``: call a model with this conversation."""

    messages: tuple[PromptPart, ...]
    prompt_hash: str
    input_tokens_bound: int = Field(ge=0, description="No tokenizer makes more tokens of this prompt.")


class FailedAnswer(_Frozen):
    """Why there is no answer; ``code`` is stable and public."""

    code: str
    detail: str


class Completion(StepRef):
    """``completions``: what a model answered, or why there is no answer."""

    text: str | None = None
    finish_reason: str | None = None
    error: FailedAnswer | None = None


class VerdictKind(StrEnum):
    """What validation decided about one attempt."""

    ACCEPT = "accept"
    REASK = "re-ask"
    ESCALATE = "escalate"
    REJECT = "reject"


class RepairNote(_Frozen):
    """One thing done to an answer to get at its value, and where: character offsets, end exclusive."""

    kind: str
    start: int
    end: int
    pointer: str | None = None


class ExtractionNote(_Frozen):
    """What the output gate made of an answer that was not simply valid: for people who look at an attempt."""

    strict: bool = Field(description="The text itself was strictly valid JSON.")
    confidence: str = Field(description="strict, lossless-repair or lossy-repair")
    repairs: tuple[RepairNote, ...] = Field(default=(), description="At most the first twenty.")
    candidates: int = Field(description="Parts of the text that were considered.")
    reason: str = Field(description="Why the chosen candidate won, or why none did.")


class Verdict(StepRef):
    """``verdicts``: the decision about one attempt, for the record and for the job's ending."""

    verdict: VerdictKind
    output: str | None = Field(default=None, description="JSON text of the accepted value.")
    failure: FailedAnswer | None = None
    violations: tuple[ViolationNote, ...] = ()
    confidence: str = "strict"
    extraction: ExtractionNote | None = Field(default=None, description="Absent for a strictly valid answer.")


M = TypeVar("M", bound=StepRef)


def decode(model: type[M], value: bytes | None) -> M:
    """Return the message in ``value``.

    Raises UndecodableMessage or UnsupportedVersion; the text names the fields at fault, never their content.
    """
    if value is None:
        raise UndecodableMessage(f"a {model.__name__} message has no value")
    try:
        return model.model_validate_json(value)
    except ValidationError as error:
        faults = [(".".join(map(str, e["loc"])) or "(root)", e["type"]) for e in error.errors()]
        if ("v", "literal_error") in faults:
            raise UnsupportedVersion(f"a {model.__name__} message names a version other than 1") from None
        listed = ", ".join(f"{where}: {kind}" for where, kind in faults[:5])
        raise UndecodableMessage(f"not a {model.__name__} message: {listed}") from None
