"""OpenAI's chat completions: OpenAI itself, and the servers that speak it (vLLM, llama.cpp, Ollama).

What differs between servers is data (`Profile`), not branches. Encoding and decoding are pure; a failure says
whether it may have been billed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
import structlog
from pydantic import BaseModel, ConfigDict

from common.errors import ProviderError
from common.schema import PROFILES as SCHEMA_PROFILES
from common.schema import SchemaProfile
from model_layer.provider import FinishReason, ModelAnswer, ModelRequest, ProviderKind, ProviderSetup, Usage
from model_layer.providers.http import HttpTransport
from model_layer.providers.identity_cache import IdentityCache
from model_layer.providers.openai_errors import decode_failure, loaded, name_of, unusable
from model_layer.providers.schema_wording import WHOLE, Wording, word_schema

log = structlog.get_logger(__name__)

_MOST_TOLD: Final = 20
_MOST_TOKENS: Final = 2**31 - 1
_PATH = "/chat/completions"
_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_OPENAI_BASE_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Profile:
    """How a family of servers wants the same request. ``schema``: what it takes of one; None: all of it."""

    system_role: str
    output_cap: str
    schema: SchemaProfile | None
    sampling: bool


PROFILES: Mapping[str, Profile] = {
    "openai": Profile("developer", "max_completion_tokens", SCHEMA_PROFILES["openai"], sampling=False),
    "generic": Profile("system", "max_tokens", None, sampling=True),
}


class OpenAIChatOptions(BaseModel):
    """Without ``profile``: `openai` for OpenAI's own address, `generic` elsewhere. None: as the profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["openai", "generic"] | None = None
    sampling: bool | None = None
    enforce_schema: bool = True
    schema_profile: Literal["whole", "openai", "anthropic", "gemini", "grammar"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class ChatEncoder:
    """Builds request bodies. What a schema becomes on the wire is kept by the schema's identity."""

    def __init__(self, profile: Profile, options: OpenAIChatOptions, deployment: str = "") -> None:
        self._profile = profile
        self._deployment = deployment
        self._schema_profile = _schema_profile(profile, options)
        self._options = options
        self._sampling = profile.sampling if options.sampling is None else options.sampling
        self._formats: IdentityCache[tuple[bool, orjson.Fragment]] = IdentityCache()

    def encode(self, request: ModelRequest) -> bytes:
        system_role = self._profile.system_role
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [
                {
                    "role": system_role if message.role == "system" else message.role,
                    "content": message.content,
                }
                for message in request.messages
            ],
            self._profile.output_cap: request.max_output_tokens,
        }
        if request.temperature is not None and self._sampling:
            body["temperature"] = request.temperature
        if self._options.reasoning_effort is not None:
            body["reasoning_effort"] = self._options.reasoning_effort
        if request.schema is not None and self._options.enforce_schema:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": self._named(request.schema, request.schema_name),
            }
        return orjson.dumps(body)

    def _named(self, schema: Mapping[str, Any], name: str) -> dict[str, Any]:
        strict, fragment = self._formats.get(schema, lambda new: self._worded(new, name))
        return {"name": _schema_name(name), "strict": strict, "schema": fragment}

    def _worded(self, schema: Mapping[str, Any], recipe: str) -> tuple[bool, orjson.Fragment]:
        worded = word_schema(schema, self._schema_profile)
        if worded.dropped:
            _tell(worded, recipe, self._deployment)
        return worded.strict, orjson.Fragment(orjson.dumps(worded.schema))


class OpenAIChatProvider:
    """One deployment. Nothing is connected before the first call."""

    def __init__(self, setup: ProviderSetup, options: OpenAIChatOptions, base_url: str) -> None:
        name = options.profile or ("openai" if base_url.startswith("https://api.openai.com/") else "generic")
        headers = {"Authorization": f"Bearer {setup.api_key.get_secret_value()}"} if setup.api_key else {}
        self._encoder = ChatEncoder(PROFILES[name], options, setup.alias)
        self._transport = HttpTransport(base_url, headers, setup.concurrency)
        self._model = setup.model

    async def call(self, request: ModelRequest) -> ModelAnswer:
        reply = await self._transport.post(_PATH, self._encoder.encode(request), request.timeout_s)
        return decode(
            reply.status,
            reply.headers,
            reply.body,
            requested_model=request.model,
            latency_ms=reply.latency_ms,
            received_at_s=reply.received_at_s,
        )

    def decode_stored(self, raw: bytes) -> ModelAnswer:
        return decode(200, {}, raw, requested_model=self._model)

    async def close(self) -> None:
        await self._transport.close()


def decode(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    requested_model: str = "",
    latency_ms: float = 0.0,
    received_at_s: float = 0.0,
) -> ModelAnswer:
    """The answer, or ProviderError. Header names are lower case, or the mapping ignores case.

    ``requested_model`` stands in where a server does not say which model it served; ``received_at_s`` (Unix
    time) is what a Retry-After date is counted from where the answer has no date of its own.
    """
    try:
        return _decoded(status, headers, body, requested_model, latency_ms, received_at_s)
    except ProviderError:
        raise
    except Exception as surprise:  # whatever a server thought of: the answer is paid for, and is kept
        log.exception("answer not understood", status=status)
        raise unusable(f"the answer cannot be read ({type(surprise).__name__})", headers, body) from surprise


def _decoded(
    status: int, headers: Mapping[str, str], body: bytes, requested_model: str, latency_ms: float, received_at_s: float
) -> ModelAnswer:
    if status != 200:
        raise decode_failure(status, headers, body, received_at_s)
    content = loaded(body)
    if not isinstance(content, dict):
        raise unusable("the body is not a JSON object", headers, body)
    choices = content.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    error = content.get("error") or (choice.get("error") if isinstance(choice, dict) else None)
    if error or (isinstance(choice, dict) and choice.get("finish_reason") == "error"):
        raise decode_failure(status, headers, body, received_at_s)
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not isinstance(choice, dict):
        raise unusable("the body has no choices[0].message", headers, body)
    refusal = message.get("refusal")
    return ModelAnswer(
        text=_text(refusal or message.get("content")),
        finish_reason=FinishReason.REFUSAL if refusal else _reason(choice.get("finish_reason")),
        model_served=name_of(content.get("model")) or requested_model,
        usage=_usage(content.get("usage")),
        request_id=name_of(headers.get("x-request-id")) or name_of(content.get("id")),
        raw=body,
        latency_ms=latency_ms,
    )


def _text(content: object) -> str:
    """A message's text: a string, or (some servers) a list of parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    # A lone surrogate is legal in JSON and in no UTF-8 that could carry it on.
    return content if content.isascii() else content.encode("utf-8", "replace").decode()


def _reason(written: object) -> FinishReason:
    return _REASONS.get(written, FinishReason.OTHER) if isinstance(written, str) else FinishReason.OTHER


def _usage(written: object) -> Usage | None:
    """What the server says it counted, or None: a count that is missing is not zero."""
    if not isinstance(written, dict):
        return None
    read, output = _count(written.get("prompt_tokens")), _count(written.get("completion_tokens"))
    if read is None or output is None:
        return None
    cached = _detail(written, "prompt_tokens_details", "cached_tokens")
    reasoning = _detail(written, "completion_tokens_details", "reasoning_tokens")
    return Usage(read, min(cached, read), output, min(reasoning, output))


def _detail(usage: Mapping[str, Any], table: str, key: str) -> int:
    details = usage.get(table)
    return (_count(details.get(key)) if isinstance(details, dict) else None) or 0


def _count(written: object) -> int | None:
    """A number of tokens; what no answer can have is no count."""
    if not isinstance(written, int) or isinstance(written, bool):
        return None
    return written if 0 <= written <= _MOST_TOKENS else None


def _schema_profile(profile: Profile, options: OpenAIChatOptions) -> SchemaProfile | None:
    if options.schema_profile is None:
        return profile.schema
    return None if options.schema_profile == WHOLE else SCHEMA_PROFILES[options.schema_profile]


def _tell(worded: Wording, recipe: str, deployment: str) -> None:
    """Say what the provider will not enforce: parts of the recipe's schema, never of an answer."""
    log.info(
        "schema reworded" if worded.strict else "schema sent unstrict",
        recipe=recipe,
        deployment=deployment,
        dropped=[f"{d.pointer or '/'}: {d.keyword}: {d.reason}" for d in worded.dropped[:_MOST_TOLD]],
        more=max(0, len(worded.dropped) - _MOST_TOLD),
    )


def _schema_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "output"


def _build(setup: ProviderSetup) -> OpenAIChatProvider:
    if not isinstance(setup.options, OpenAIChatOptions) or setup.base_url is None:
        raise TypeError("this provider is built from OpenAIChatOptions and a base URL")
    return OpenAIChatProvider(setup, setup.options, setup.base_url)


KIND = ProviderKind(
    name="openai_chat",
    options=OpenAIChatOptions,
    build=_build,
    networked=True,
    default_base_url=_OPENAI_BASE_URL,
)
