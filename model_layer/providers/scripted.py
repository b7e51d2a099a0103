"""A deterministic model for tests and benchmarks; its table in models.toml is its script.

Same seed, same table, same calls: same answers. Chance (latency ranges, fault rates) is drawn from the seed
and the attempt id, not from the order of calls; `outputs` and a rule's `times` count calls of this process.
It calls nobody, counts four characters a token, and obeys the output cap as a vendor would.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.errors import ProviderError, ProviderErrorKind
from model_layer.provider import FinishReason, ModelAnswer, ModelRequest, ProviderKind, ProviderSetup, Usage
from model_layer.providers.identity_cache import IdentityCache
from model_layer.providers.schema_sample import sample_text

_CHARACTERS_PER_TOKEN = 4

# As the adapters report them: (sent, retryable).
_FAULTS: Mapping[ProviderErrorKind, tuple[bool, bool]] = {
    ProviderErrorKind.RATE_LIMITED: (False, True),
    ProviderErrorKind.OVERLOADED: (False, True),
    ProviderErrorKind.TIMEOUT: (True, True),
    ProviderErrorKind.CONNECTION: (False, True),
    ProviderErrorKind.INVALID_REQUEST: (False, False),
    ProviderErrorKind.AUTH: (False, False),
    ProviderErrorKind.QUOTA: (False, False),
    ProviderErrorKind.BAD_RESPONSE: (True, True),
    ProviderErrorKind.SERVER_ERROR: (True, True),
}

_Probability = Annotated[float, Field(ge=0, le=1)]


class Rule(BaseModel):
    """Applies to prompts that contain ``match``, the first ``times`` times (always, if absent)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str = Field(min_length=1)
    output: str | None = None
    error: ProviderErrorKind | None = None
    finish_reason: FinishReason | None = None
    retry_after_s: float | None = Field(default=None, ge=0)
    latency_ms: float | None = Field(default=None, ge=0)
    times: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_effect(self) -> Self:
        if self.output is not None and self.error is not None:
            raise ValueError("a rule has either `output` or `error`")
        return self


class ScriptedOptions(BaseModel):
    """The script. Without ``output`` and ``outputs``, answers are minimal samples of the schema."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    latency_ms: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = (0.0, 0.0)
    output: str | None = None
    outputs: tuple[str, ...] = Field(default=(), max_length=1_000)
    faults: dict[ProviderErrorKind, _Probability] = Field(default_factory=dict)
    fault_retry_after_s: float | None = Field(default=None, ge=0)
    rule: tuple[Rule, ...] = Field(default=(), max_length=1_000)

    @model_validator(mode="before")
    @classmethod
    def _fixed_latency(cls, table: object) -> object:
        if isinstance(table, dict) and not isinstance(table.get("latency_ms", ()), list | tuple):
            return {**table, "latency_ms": (table["latency_ms"], table["latency_ms"])}
        return table

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.latency_ms[0] > self.latency_ms[1]:
            raise ValueError("`latency_ms` is a number, or [least, most]")
        if self.output is not None and self.outputs:
            raise ValueError("write either `output` or `outputs`")
        if sum(self.faults.values()) > 1:
            raise ValueError("the probabilities of `faults` sum to more than 1")
        return self


class ScriptedProvider:
    """See the module. Each instance has its own counters."""

    def __init__(self, options: ScriptedOptions, model: str) -> None:
        self._options = options
        self._model = model
        self._outputs = options.outputs or ((options.output,) if options.output is not None else ())
        self._calls = 0
        self._left = [rule.times for rule in options.rule]
        self._samples: IdentityCache[str] = IdentityCache()
        self._draws = bool(options.faults) or options.latency_ms[0] != options.latency_ms[1]

    async def call(self, request: ModelRequest) -> ModelAnswer:
        number = self._calls
        self._calls += 1
        chance, spread = self._draw(request.request_id) if self._draws else (1.0, 0.0)
        rule = self._rule(request) if self._options.rule else None
        least, most = self._options.latency_ms
        latency_ms = least + (most - least) * spread
        if rule is not None and rule.latency_ms is not None:
            latency_ms = rule.latency_ms
        if latency_ms > 0:
            await _wait(latency_ms / 1_000, request.timeout_s)
        error = rule.error if rule is not None else self._fault(chance)
        if error is not None:
            raise _failure(error, rule.retry_after_s if rule else self._options.fault_retry_after_s)
        text = rule.output if rule is not None else None
        if text is None:
            text = self._text(request, number)
        reason = rule.finish_reason if rule is not None else None
        return self._answer(request, text, reason or FinishReason.STOP, latency_ms)

    def decode_stored(self, raw: bytes) -> ModelAnswer:
        try:
            body = orjson.loads(raw)
            return ModelAnswer(
                text=body["text"],
                finish_reason=FinishReason(body["finish_reason"]),
                model_served=body["model"],
                usage=Usage(*body["usage"]),
                request_id=body["id"],
                raw=raw,
                latency_ms=0.0,
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ProviderError(
                ProviderErrorKind.BAD_RESPONSE,
                "the stored answer is not one of the scripted provider's",
                sent=True,
                retryable=False,
                raw=raw,
            ) from error

    async def close(self) -> None:
        return None

    def _draw(self, request_id: str) -> tuple[float, float]:
        digest = hashlib.blake2b(f"{self._options.seed}:{request_id}".encode(), digest_size=16).digest()
        return int.from_bytes(digest[:8], "big") / 2**64, int.from_bytes(digest[8:], "big") / 2**64

    def _rule(self, request: ModelRequest) -> Rule | None:
        for index, rule in enumerate(self._options.rule):
            left = self._left[index]
            if left == 0 or not any(rule.match in message.content for message in request.messages):
                continue
            if left is not None:
                self._left[index] = left - 1
            return rule
        return None

    def _fault(self, chance: float) -> ProviderErrorKind | None:
        for kind, probability in self._options.faults.items():
            if chance < probability:
                return kind
            chance -= probability
        return None

    def _text(self, request: ModelRequest, number: int) -> str:
        if self._outputs:
            text = self._outputs[number % len(self._outputs)]
            if "${" in text:
                text = text.replace("${request_id}", request.request_id).replace("${call}", str(number + 1))
            return text
        if request.schema is None:
            return "{}"
        return self._samples.get(request.schema, sample_text)

    def _answer(self, request: ModelRequest, text: str, reason: FinishReason, latency_ms: float) -> ModelAnswer:
        written = _tokens(len(text))
        if written > request.max_output_tokens:
            text = text[: request.max_output_tokens * _CHARACTERS_PER_TOKEN]
            written, reason = request.max_output_tokens, FinishReason.LENGTH
        read = _tokens(sum(len(message.content) for message in request.messages))
        request_id = f"scripted-{request.request_id}"
        body: dict[str, Any] = {
            "id": request_id,
            "model": request.model,
            "finish_reason": reason,
            "usage": (read, 0, written, 0),
            "text": text,
        }
        return ModelAnswer(
            text=text,
            finish_reason=reason,
            model_served=request.model,
            usage=Usage(read, 0, written, 0),
            request_id=request_id,
            raw=orjson.dumps(body),
            latency_ms=latency_ms,
        )


async def _wait(latency_s: float, timeout_s: float) -> None:
    await asyncio.sleep(min(latency_s, timeout_s))
    if latency_s > timeout_s:
        raise _failure(ProviderErrorKind.TIMEOUT, None)


def _failure(kind: ProviderErrorKind, retry_after_s: float | None) -> ProviderError:
    sent, retryable = _FAULTS[kind]
    return ProviderError(kind, "scripted", sent=sent, retryable=retryable, retry_after_s=retry_after_s)


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)


def _build(setup: ProviderSetup) -> ScriptedProvider:
    if not isinstance(setup.options, ScriptedOptions):
        raise TypeError("the scripted provider is built from ScriptedOptions")
    return ScriptedProvider(setup.options, setup.model)


KIND = ProviderKind(name="scripted", options=ScriptedOptions, build=_build, networked=False)
