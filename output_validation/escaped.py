r"""Undoes what made a string of a JSON text, {\"a\": 1} with line breaks written as \n or not, or HTML of it. Pure."""

import html
import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # public, missing in typeshed
from typing import Final

_OPENING: Final = re.compile(r'[\[{](?:\s|\\[nrt])*(?:[\[{](?:\s|\\[nrt])*){0,3}\\+["nrt]')
_HTML_OPENING: Final = re.compile(r"[\[{]\s*(?:[\[{]\s*){0,3}&(?:quot|#34|#x22);")
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
"""An entity of HTML. Those without a semicolon are rather parts of an address: ?a=1&copy=2."""

_HALF_ESCAPED: Final = re.compile(r'(?<!\\)\\\\(?=")')
"""Two backslashes before a quote: as many as no string has that was escaped, but for an inner quote three are meant."""

_QUOTES_ONLY: Final = re.compile(r'(?:[^\\]|\\{1,2}")*+')
"""What was escaped in its quotes alone. Another backslash may be one that was not escaped: C:\\temp."""

_TOKEN_OR_BLANK: Final = re.compile(r'("(?:[^"\\]|\\.)*+"?)|\\[nrt]')
_BLANKS_ONLY: Final = re.compile(r"[\[{](?:\s|\\[nrt]|[\[{])*+[^\s\\\[{]")
"""Before the first sign that is neither blank nor bracket: a quote that is not escaped, a number, a word."""

_ESCAPED_ONCE: Final = re.compile(r'(?<!\\)\\"')
_BARE_QUOTE: Final = re.compile(r'(?<!\\)"')
MAX_LEVELS: Final = 3


def is_escaped(text: str, start: int) -> bool:
    """Return whether the value that opens at ``start`` was escaped as if it stood in a string, or in HTML."""
    return _OPENING.match(text, start) is not None or _HTML_OPENING.match(text, start) is not None


def unescape(text: str, start: int, limit: int) -> tuple[str, int] | None:
    """Return the escaped value that opens at ``start`` as plain text, and its end; None if it is not one.

    It reaches to the last closing bracket before the first quote that is not escaped.
    """
    bare = _BARE_QUOTE.search(text, start, limit)
    closer = "}" if text[start] == "{" else "]"
    end = text.rfind(closer, start, bare.start() if bare else limit) + 1
    if end <= start:
        return _without_escaped_blanks(text, start, text.rfind(closer, start, limit) + 1)
    if _HTML_OPENING.match(text, start):
        return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text[start:end]), end
    plain = _unescaped(text[start:end])
    if plain is None and _QUOTES_ONLY.fullmatch(text, start, end):
        plain = _unescaped(_HALF_ESCAPED.sub(r"\\\\\\", text[start:end]))
    return (plain, end) if plain is not None else None


def _without_escaped_blanks(text: str, start: int, end: int) -> tuple[str, int] | None:
    r"""Return the value where only the blanks between its tokens were escaped.

    Signs escaped twice may be as they were meant, or have been escaped with the blanks. An inner quote tells which.
    """
    if end <= start or _BLANKS_ONLY.match(text, start) is None:
        return None
    if text.find("\\\\", start, end) >= 0 and _ESCAPED_ONCE.search(text, start, end) is None:
        return None
    return _TOKEN_OR_BLANK.sub(lambda found: found[1] or " ", text[start:end]), end


def _unescaped(part: str) -> str | None:
    try:
        # Raw line breaks may stand between the tokens.
        plain, used = scanstring(part + '"', 0, False)
    except JSONDecodeError:
        return None
    return plain if used == len(part) + 1 else None
