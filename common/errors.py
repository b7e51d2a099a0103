"""The one error tree. The class decides what happens; nobody matches on message text.

HeadraceError
├── ConfigurationError        stop at start: what is wrong, where, what to do
│   ├── RecipeError           a recipe folder or bundle is not usable
│   ├── TemplateError         a template does not parse (configured wrongly)
│   └── UnpricedModelError    a deployment without a price (P5)
├── InfrastructureError       wait with back-off and resume; never the job's fault (P9)
│   ├── DatabaseUnavailable
│   ├── BrokerUnavailable
│   ├── CacheUnavailable
│   └── SearchUnavailable
├── ProviderError             one call to a model failed; ``kind``, ``sent`` and ``retryable`` decide (P3)
├── PoisonError               set this one message aside (P6)
│   ├── UndecodableMessage
│   └── UnsupportedVersion
├── JobError                  this job cannot succeed; it ends as failed with ``code``
│   └── RenderError           its prompt cannot be rendered
├── RequestError              a caller's mistake; becomes problem+json
└── StackError                the one-machine stack could not do what was asked; ``mend`` says what to do
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class HeadraceError(Exception):
    """Root of everything Headrace raises on purpose."""


class ConfigurationError(HeadraceError):
    """What the operator configured cannot work; raised at start."""


class RecipeError(ConfigurationError):
    """A recipe folder or bundle is not usable."""


class TemplateError(ConfigurationError):
    """A template does not parse, or uses what the sandbox forbids."""


class SchemaError(ConfigurationError):
    """A JSON Schema cannot be used. ``faults`` point into the schema."""

    def __init__(self, detail: str, faults: "Sequence[Fault]" = ()) -> None:
        super().__init__(detail)
        self.faults = tuple(faults)


class UnpricedModelError(ConfigurationError):
    """A deployment has no price. Write 0 if it is free (P5)."""


class InfrastructureError(HeadraceError):
    """A server is away, hung or restarting. The caller waits and repeats."""


class DatabaseUnavailable(InfrastructureError):
    """Postgres did not answer, or the outcome of a commit is unknown. Repeat by unique key."""


class BrokerUnavailable(InfrastructureError):
    """Kafka did not take or give records. Repeat; effects are keyed."""


class CacheUnavailable(InfrastructureError):
    """Valkey/Redis did not answer. Nothing that matters lives there."""


class SearchUnavailable(InfrastructureError):
    """Elasticsearch did not answer. The projection catches up later."""


class ProviderErrorKind(StrEnum):
    """Why a call to a model failed. The values are stored in the ledger; never rename one."""

    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    INVALID_REQUEST = "invalid_request"
    AUTH = "auth"
    QUOTA = "quota"
    BAD_RESPONSE = "bad_response"
    SERVER_ERROR = "server_error"


class ProviderError(HeadraceError):
    """One call to a model failed.

    ``sent``: the call may have been billed, because the request may have reached the vendor and no answer came
    that is known to be free. The ledger then records it as unknown and charges the whole reservation (P3).
    ``retryable``: the same request may succeed later; ``retry_after_s`` is the vendor's own word on when.
    The message is bounded and holds no payload; ``raw`` is the exact answer body, for the ledger only.
    """

    def __init__(
        self,
        kind: ProviderErrorKind,
        message: str,
        *,
        sent: bool,
        retryable: bool,
        retry_after_s: float | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        raw: bytes = b"",
    ) -> None:
        super().__init__(f"{kind.value}: {message}")
        self.kind = kind
        self.message = message
        self.sent = sent
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code
        self.request_id = request_id
        self.raw = raw


class PoisonError(HeadraceError):
    """One message cannot be handled, now or later. It is set aside; its neighbours proceed."""


class UndecodableMessage(PoisonError):
    """The bytes are not a message of the contract this topic carries."""


class UnsupportedVersion(PoisonError):
    """The message names a contract version this build does not read."""


class RecordRefused(PoisonError):
    """Kafka refuses a record for what it is (too large). ``suspects``: which of those sent it may be, by index.

    A refused batch takes its neighbours along, so several suspects are sent again, each alone.
    """

    def __init__(self, reason: str, suspects: Sequence[int]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suspects = tuple(suspects)


class JobError(HeadraceError):
    """The job itself cannot succeed. ``code`` is stable and public."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class RenderError(JobError):
    """The prompt of this job cannot be rendered from its input."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One place in a request that is wrong: JSON Pointer, what, and what to do."""

    pointer: str
    detail: str
    keyword: str | None = None


class StrictJsonError(HeadraceError):
    """A text is not the JSON we take. Where: ``pointer`` if known, byte ``offset``, ``line``, ``column``.

    ``code`` is stable: syntax, encoding, depth, duplicate-key, nul.
    """

    def __init__(
        self, code: str, problem: str, *, mend: str, pointer: str, offset: int, line: int, column: int
    ) -> None:
        super().__init__(f"line {line}, column {column}: {problem}. {mend}")
        self.code = code
        self.problem = problem
        self.mend = mend
        self.pointer = pointer
        self.offset = offset
        self.line = line
        self.column = column


class RequestError(HeadraceError):
    """A caller's mistake. Rendered as ``application/problem+json`` with the stable ``code``."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        faults: Sequence[Fault] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.headers = headers or {}


class StackError(HeadraceError):
    """The one-machine stack could not do what was asked."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem} {mend}")
        self.problem = problem
        self.mend = mend
