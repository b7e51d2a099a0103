"""Reads the values of members that were written without quotes: several words, addresses, versions, times. Pure.

They are read as texts, and only where they are all on one line and what follows can only follow a value.
"""

import re
from typing import Final

from output_validation.tolerant_follows import KEY

_MAX_CHARS: Final = 300
_GROUPED: Final = r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,6}(?:\.[0-9]{1,20})?|,[0-9]{3}\.[0-9]{1,20})"
GROUPED: Final = re.compile(_GROUPED)
"""A number whose commas are certain."""

_SIGNS: Final = re.compile(
    rf"""(?:https?://(?:(?!//)[^\s,;"'`<>{{}}\[\]()\\#*\x00-\x1f\x7f\u2018-\u201f\ud800-\udfff]){{1,{_MAX_CHARS}}}"""
    rf"|{_GROUPED}"
    r"|[0-9]{1,9}(?:\.[0-9]{1,9}){2,5}"
    r"|[0-9]{1,9}(?:-[0-9]{1,9}){2,5}"
    r"|(?:[0-9]{4}-[0-9]{2}-[0-9]{2} )?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    rf"(?=\s*(?:\}}|,\s*(?:\}}|{KEY})))"
)
"""An address, a number whose commas are certain, a version, groups of digits, a time, a UUID; and a member's end."""

_WORD: Final = r"[^\W\d_](?:[^\W_]|[.&-](?=[^\W_]))*+\.?"
_PHRASE: Final = re.compile(
    rf"{_WORD}(?:[ \t]+{_WORD}){{1,60}}"
    r"(?=\s*(?:\}|,\s*(?:\}|\"(?:[^\"\\\n]|\\.){1,200}\"\s*:)))"
)
"""Several words before the end of an object or a key in quotes."""

_PARTICLES: Final = frozenset(
    {"of", "the", "de", "la", "le", "du", "da", "van", "von", "der", "den", "del", "el", "al", "bin", "ibn", "y", "e"}
    | {"am", "an", "auf"}
)
"""What a name may hold between its words without a capital letter."""

_NO_NAME: Final = re.compile(
    r"\b(?:true|false|null|none|nil|nan|undefined|infinity|or|and|more|rest|remaining|omitted|truncated|etc"
    r"|found|missing|blank|pending|required|ipsum)\b"
    r"|\A(?:see|same|as|your|my|some|any|to|not?|none|unknown|insert|enter|tbd|todo|placeholder|example|sample"
    r"|array|list|string|number|integer|boolean|type)\b"
    r"|\b(?:here|above|below|name|value|string|number|integer|boolean|placeholder)s?\Z",
    re.IGNORECASE,
)
"""What makes an expression of words, or says that something else is to stand in their place."""


def read_bare(text: str, start: int, limit: int, *, quoted_key: bool) -> str | None:
    """Return the text that stands without quotes at ``start``, if it is certain that it is one and where it ends.

    Several words must be a name, and need the keys' quotes: without them, "Cats, dogs: a story" would be two members.
    """
    if found := _SIGNS.match(text, start, limit):
        return found.group()
    found = _PHRASE.match(text, start, min(limit, start + _MAX_CHARS)) if quoted_key else None
    return found.group() if found and _is_name(found.group()) else None


def _is_name(phrase: str) -> bool:
    """Return whether the words are written as a name's are: each with a capital letter, and not all in capitals."""
    words = phrase.split()
    named = [word for word in words if word not in _PARTICLES]
    if words[0] in _PARTICLES or words[-1] in _PARTICLES or _NO_NAME.search(phrase):
        return False
    return all(word[0].isupper() for word in named) and not all(word.isupper() for word in named)
