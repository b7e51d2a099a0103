"""The provider seam: what the model layer asks of any vendor, and what it gets back.

One provider instance serves one deployment and may be called concurrently up to the deployment's limit. A
call is made once: retries, budgets and the ledger are the stage's. Failures are ProviderError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import BaseModel, SecretStr

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call. ``model`` is the vendor's name for it; ``request_id`` is our attempt id, for logs only.

    ``schema`` is a JSON Schema the vendor is asked to enforce. It is taken as immutable: what is derived
    from it is cached by identity, so the same recipe should pass the same object.
    """

    model: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    request_id: str
    timeout_s: float
    temperature: float | None = None
    schema: Mapping[str, Any] | None = None
    schema_name: str = "output"


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """Billed tokens. ``input_tokens`` includes the cached ones, ``output_tokens`` the reasoning ones."""

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came back. ``raw`` is the exact response body; `Provider.decode_stored` reads it again.

    ``text`` is what the model wrote; with REFUSAL it is the words of the refusal. ``usage`` is None where
    the vendor reported none: the cost is then unknown, not zero (`pricing.charge`). ``request_id`` is the
    vendor's.
    """

    text: str
    finish_reason: FinishReason
    model_served: str
    usage: Usage | None
    request_id: str | None
    raw: bytes
    latency_ms: float


class Provider(Protocol):
    async def call(self, request: ModelRequest) -> ModelAnswer:
        """Make the call once. Raises ProviderError; a cancelled call may have been billed."""
        ...

    def decode_stored(self, raw: bytes) -> ModelAnswer:
        """Read a stored answer again without calling. What was only in headers or timing is None or 0."""
        ...

    async def close(self) -> None:
        """Release connections. Calls in flight fail; close after they are drained."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderSetup:
    """What a deployment gives its provider. ``options`` is an instance of the kind's own options model."""

    alias: str
    model: str
    base_url: str | None
    api_key: SecretStr | None
    concurrency: int
    options: BaseModel


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One row of the registry: how models.toml speaks of a provider, and how to build one (no I/O yet)."""

    name: str
    options: type[BaseModel]
    build: Callable[[ProviderSetup], Provider]
    networked: bool
    default_base_url: str | None = None
