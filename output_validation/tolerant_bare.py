"""Reads the values of members that were written without quotes: several words, addresses, versions, times. Pure.

They are read as texts, and only where they are all on one line and what follows can only follow a value.
"""

import re
from typing import Final

from output_validation.tolerant_follows import KEY

_MAX_CHARS: Final = 300
_GROUPED: Final = r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,6}(?:\.[0-9]{1,20})?|,[0-9]{3}\.[0-9]{1,20})"
_SIGNS: Final = re.compile(
    rf"""(?:https?://(?:(?!//)[^\s,;"'`<>{{}}\[\]()\\#*\u2018-\u201f]){{1,{_MAX_CHARS}}}"""
    rf"|{_GROUPED}"
    r"|[0-9]{1,9}(?:\.[0-9]{1,9}){2,5}"
    r"|[0-9]{1,9}(?:-[0-9]{1,9}){1,5}"
    r"|(?:[0-9]{4}-[0-9]{2}-[0-9]{2} )?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    rf"(?=\s*(?:\}}|,\s*(?:\}}|{KEY})))"
)
"""An address, a number whose commas are certain, a version, a range, a time or a UUID, and what ends a member."""

_WORD: Final = r"[^\W_][\w.&%+@!?-]*+"
_PHRASE: Final = re.compile(
    rf"[^\W\d_][\w.&%+@!?-]*+(?:[ \t]+(?:{_WORD}|&(?=[ \t]))){{1,60}}"
    r"(?=\s*(?:\}|,\s*(?:\}|\"(?:[^\"\\\n]|\\.){1,200}\"\s*:)))"
)
"""Several words before the end of an object or a key in quotes."""

_NO_PHRASE: Final = re.compile(
    r"\b(?:true|false|null|none|nil|nan|undefined|infinity|or)\b|\.\.|\u2026"
    r"|\A(?-i:new|await|typeof|not|void|lambda|return|delete|yield|async|if)\b"
    r"|\b(?:more|rest|remaining|omitted|truncated|etc)\b",
    re.IGNORECASE,
)
"""What makes an expression of words, or says that there are others in their place."""


def read_bare(text: str, start: int, limit: int, *, quoted_key: bool) -> str | None:
    """Return the text that stands without quotes at ``start``, if it is certain that it is one and where it ends.

    Several words need the keys' quotes: without them, "Cats, dogs: a story" would be two members.
    """
    if found := _SIGNS.match(text, start, limit):
        return found.group()
    found = _PHRASE.match(text, start, min(limit, start + _MAX_CHARS)) if quoted_key else None
    return found.group() if found and _NO_PHRASE.search(found.group()) is None else None
