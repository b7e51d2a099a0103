"""Failures in OpenAI's protocols: what went wrong, may it have cost, may it be repeated.

Pure. Messages hold status and identifiers only: vendors echo prompts in their prose, so it stays in ``raw``.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

from common.errors import ProviderError, ProviderErrorKind
from model_layer.providers.retry_advice import retry_after_s, should_retry

# These come as 429 but waiting does not help: somebody must pay or raise a limit.
_STOP_CODES = frozenset(
    {
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "insufficient_quota",
    }
)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")

_BY_STATUS: Mapping[int, ProviderErrorKind] = {
    401: ProviderErrorKind.AUTH,
    402: ProviderErrorKind.QUOTA,
    403: ProviderErrorKind.AUTH,
    408: ProviderErrorKind.TIMEOUT,
    409: ProviderErrorKind.SERVER_ERROR,
    429: ProviderErrorKind.RATE_LIMITED,
    503: ProviderErrorKind.OVERLOADED,
    504: ProviderErrorKind.TIMEOUT,
    529: ProviderErrorKind.OVERLOADED,
}
_IN_BODY: Mapping[str, ProviderErrorKind] = {
    "rate_limit_exceeded": ProviderErrorKind.RATE_LIMITED,
    "server_is_overloaded": ProviderErrorKind.OVERLOADED,
}
_RETRYABLE = frozenset(
    {
        ProviderErrorKind.RATE_LIMITED,
        ProviderErrorKind.OVERLOADED,
        ProviderErrorKind.TIMEOUT,
        ProviderErrorKind.SERVER_ERROR,
    }
)
# Refused before any work, so not billed. A 408, 500, 502 or 504 may come from a proxy before a model that
# went on.
_FREE_SERVER_STATUSES = frozenset({501, 503, 529})


def decode_failure(status: int, headers: Mapping[str, str], body: bytes, received_at_s: float) -> ProviderError:
    """The error that this answer means; a 200 with an error inside counts as begun, and so as billed."""
    content = loaded(body)
    error = _error_object(content)
    code = _identifier(error.get("code")) or _identifier(error.get("type"))
    kind = _kind(status, error, code)
    advised = should_retry(headers)
    retryable = kind in _RETRYABLE if advised is None or kind is ProviderErrorKind.QUOTA else advised
    parameter = _identifier(error.get("param"))
    return ProviderError(
        kind,
        " ".join(part for part in (f"status {status}", code, f"parameter {parameter}" if parameter else None) if part),
        sent=_may_be_billed(status),
        retryable=retryable,
        retry_after_s=retry_after_s(headers, received_at_s),
        status=status,
        code=code,
        request_id=name_of(headers.get("x-request-id")),
        raw=body,
    )


def unusable(problem: str, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """A 200 whose body is not an answer: paid for, and of no use."""
    return ProviderError(
        ProviderErrorKind.BAD_RESPONSE,
        problem,
        sent=True,
        retryable=True,
        status=200,
        request_id=name_of(headers.get("x-request-id")),
        raw=body,
    )


def loaded(body: bytes) -> object:
    """The JSON value, or None. Lenient where orjson is not (lone surrogates, NaN): the answer is paid for."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        value: object = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value


def name_of(written: object) -> str | None:
    """A name or identifier as a server wrote it, if it is one that can be stored and shown; else None."""
    return written if isinstance(written, str) and 0 < len(written) <= 200 and written.isprintable() else None


def _error_object(content: object) -> Mapping[str, Any]:
    """`error` where OpenAI puts it, or the top level where older vLLM does; empty if neither."""
    if not isinstance(content, dict):
        return {}
    error = content.get("error")
    if error is None and isinstance(content.get("choices"), list) and content["choices"]:
        choice = content["choices"][0]
        error = choice.get("error") if isinstance(choice, dict) else None
    if isinstance(error, dict):
        return error
    return content if content.get("object") == "error" else {}


def _kind(status: int, error: Mapping[str, Any], code: str | None) -> ProviderErrorKind:
    if code in _STOP_CODES or _identifier(error.get("type")) in _STOP_CODES:
        return ProviderErrorKind.QUOTA
    if status == 200:
        number = error.get("code")
        if isinstance(number, int) and number != 200:
            return _kind(number, {}, None)
        return _IN_BODY.get(code or "", ProviderErrorKind.SERVER_ERROR)
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    return ProviderErrorKind.SERVER_ERROR if status >= 500 else ProviderErrorKind.INVALID_REQUEST


def _may_be_billed(status: int) -> bool:
    if status in {200, 408}:
        return True
    return status >= 500 and status not in _FREE_SERVER_STATUSES


def _identifier(written: object) -> str | None:
    return written if isinstance(written, str) and _IDENTIFIER.fullmatch(written) else None
