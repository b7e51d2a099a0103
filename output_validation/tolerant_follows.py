"""Says what may follow a string of faulty JSON, by which its end is known. Pure, linear."""

import re
from enum import IntEnum
from typing import Final

CLOSERS: Final[dict[str, str]] = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": '\u201d"',
    "\u2018": "\u2019'",
    "\u201e": '\u201c\u201d"',
}
"""What opens a string, and what may close it."""


class Role(IntEnum):
    """What a string is, which decides what may follow it."""

    KEY = 0
    MEMBER = 1
    ITEM = 2
    TUPLE_ITEM = 3


_GAP: Final = r"[\s\x00-\x1f\x7f\xa0\u200b-\u200f\u2060\ufeff]*"
LITERAL: Final = r"(?:true|false|null|True|False|None)\b"
_QUOTED_KEY: Final = (
    r"""(?:(?:"(?:[^"\\\n]|\\.){0,2000}"|'(?:[^'\\\n]|\\.){0,2000}'"""
    rf"""|`(?:[^`\\\n]|\\.){{0,2000}}`|\u201c[^\u201d\\\n]{{0,2000}}\u201d|\u201e[^\u201c\u201d\\\n]{{0,2000}}[\u201c\u201d]){_GAP}(?:[:\uff1a]|=>?)"""
    r"""|"?[A-Za-z_$][\w$-]{0,80}"?\s*(?:[:\uff1a]|=>)"""
    r"""|""[\w $-]{1,80}""\s*:"""
    rf"""|"[A-Za-z_$][\w$-]{{0,80}}"\s+(?:["'\[{{]|-?[0-9]|{LITERAL}))"""
)
COMMENT: Final = re.compile(rf"{_GAP}(?:[,;\uff0c\uff1b]{_GAP})?(?://|/\*|#)")
_AFTER_KEY: Final = re.compile(rf"{_GAP}(?:[:\uff1a]|=>?)")
_AFTER_MEMBER: Final = re.compile(
    rf"{_GAP}(?:\}}|\]|\Z|,{_GAP}(?:{_QUOTED_KEY}|[}}\],]|\Z)|[;\uff0c\uff1b]{_GAP}(?:{_QUOTED_KEY}|\Z)|;\s*\n\s*\}})"
)
_AFTER_ITEM: Final = re.compile(
    rf"""{_GAP}(?:\]|\Z|,{_GAP}(?:["'`\u201c\u201e\u2018\[\]{{}},.+-]|[0-9]|\Z|(?:true|false|null|True|False|None|NaN)\b)"""
    rf"""|\uff0c{_GAP}(?:["'`\u201c\u2018\[{{0-9-]|{LITERAL}))"""
)
_AFTER_TUPLE_ITEM: Final = re.compile(rf"""{_GAP}(?:\)|\Z|,{_GAP}(?:["'`({{\[)+-]|[0-9]|\Z|{LITERAL}))""")
_AFTER: Final = (_AFTER_KEY, _AFTER_MEMBER, _AFTER_ITEM, _AFTER_TUPLE_ITEM)
_COMMENT_AFTER: Final = {
    opener: re.compile(
        rf"{_GAP}(?:[,;\uff0c\uff1b]{_GAP})?(?:(?://|\#)[^{closers}\n]*(?:\n|\Z)|/\*(?:[^*{closers}]|\*(?!/))*+\*/)"
    )
    for opener, closers in CLOSERS.items()
}
"""A comment behind a string: none of the string's own quotes stands in it, else it may be a part of the string."""

_QUOTING_COMMENT: Final = re.compile(
    rf"{_GAP}[,;\uff0c\uff1b]{_GAP}(?://|\#)[^\"\n]{{0,200}}(?:\"[^\"\n]{{0,200}}\"[^\"\n]{{0,200}}){{1,5}}"
    rf"(?:\n{_GAP}(?:{_QUOTED_KEY}|\"(?:[^\"\\\n]|\\.){{0,200}}\"\s*[,\]])|(?<![\"\s,])\n{_GAP}[}}\]\"])"
)
"""One that does have quotes, in pairs, between a comma and what may follow it on the next line."""

_MISSING_COMMA: Final = re.compile(rf"\s+(?:{_QUOTED_KEY})|(?:{_QUOTED_KEY})")
_MISSING_ITEM_COMMA: Final = re.compile(r"""\s*["']""")
_MISSING_COLON: Final = re.compile(rf"""\s+(?:["'\[{{]|-?[0-9]|{LITERAL})""")


def follows(text: str, end: int, limit: int, role: Role, opener: str) -> bool:
    """Return whether what stands at ``end`` may follow a string of that role, which ``opener`` opened."""
    if _AFTER[role].match(text, end, limit) is not None:
        return True
    if role is Role.KEY or COMMENT.match(text, end, limit) is None:
        return False
    return any(each.match(text, end, limit) for each in (_COMMENT_AFTER[opener], _QUOTING_COMMENT))


def may_follow(text: str, end: int, limit: int, role: Role) -> bool:
    """Return whether it may, if a comma or a colon was left out."""
    match role:
        case Role.KEY:
            return _MISSING_COLON.match(text, end, limit) is not None
        case Role.MEMBER:
            return _MISSING_COMMA.match(text, end, limit) is not None
        case Role.ITEM:
            return _MISSING_ITEM_COMMA.match(text, end, limit) is not None or text[end : end + 1] == "}"
        case Role.TUPLE_ITEM:
            return False
