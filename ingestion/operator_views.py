"""Turns what the operators' stores return into the bodies of answers. Pure."""

import base64
from collections.abc import Sequence
from typing import Any

from common.operator_ports import ErrorView, LetterView

Body = dict[str, Any]


def letter_summary(letter: LetterView) -> Body:
    """Return a letter without its contents."""
    return {
        "id": letter.letter_id,
        "state": letter.state.value,
        "stage": letter.stage,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "job_id": None if letter.job_id is None else str(letter.job_id),
        "reason": letter.reason,
        "exception": letter.exception,
        "count": letter.count,
        "edited": letter.edited,
        "size_bytes": letter.size_bytes,
        "created_at": letter.created_at,
        "ended_at": letter.ended_at,
    }


def letter_detail(letter: LetterView) -> Body:
    """Return a letter with its bytes."""
    return {
        **letter_summary(letter),
        "key": _contents(letter.key),
        "value": _contents(letter.value),
        "original": _contents(letter.original),
        "headers": [{"name": name, "value": _contents(value)} for name, value in letter.headers],
    }


def error_log(errors: Sequence[ErrorView]) -> list[Body]:
    """Return rows of the error log."""
    return [
        {
            "job_id": None if error.job_id is None else str(error.job_id),
            "stage": error.stage,
            "kind": error.kind,
            "detail": error.detail,
            "count": error.count,
            "first_at": error.first_at,
            "last_at": error.last_at,
        }
        for error in errors
    ]


def _contents(value: bytes | None) -> Body | None:
    if value is None:
        return None
    try:
        return {"text": value.decode(), "base64": None}
    except UnicodeDecodeError:
        return {"text": None, "base64": base64.b64encode(value).decode()}
