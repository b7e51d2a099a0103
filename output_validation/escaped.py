r"""Undoes what made a string of a JSON text: {\"a\": 1}, with or without line breaks written as \n. Pure."""

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # public, missing in typeshed
from typing import Final

_OPENING: Final = re.compile(r'[\[{](?:\s|\\[nrt])*(?:[\[{](?:\s|\\[nrt])*){0,3}\\+["nrt]')
_BARE_QUOTE: Final = re.compile(r'(?<!\\)"')
MAX_LEVELS: Final = 3


def is_escaped(text: str, start: int) -> bool:
    """Return whether the value that opens at ``start`` was escaped as if it stood in a string."""
    return _OPENING.match(text, start) is not None


def unescape(text: str, start: int, limit: int) -> tuple[str, int] | None:
    """Return the escaped value that opens at ``start`` as plain text, and its end; None if it is not one.

    It reaches to the last closing bracket before the first quote that is not escaped.
    """
    bare = _BARE_QUOTE.search(text, start, limit)
    closer = "}" if text[start] == "{" else "]"
    end = text.rfind(closer, start, bare.start() if bare else limit) + 1
    if end <= start:
        return None
    try:
        # Raw line breaks may stand between the tokens.
        plain, used = scanstring(text[start:end] + '"', 0, False)
    except JSONDecodeError:
        return None
    return (plain, end) if used == end - start + 1 else None
