"""What several tests of the gate read answers by."""

from typing import Any

ONE_NUMBER: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def fenced(text: str) -> str:
    """Return ``text`` as a block of JSON."""
    return f"```json\n{text}\n```\n"
