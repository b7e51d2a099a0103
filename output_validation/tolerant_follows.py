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


GAP: Final = r"[\s\x00-\x1f\x7f\xa0\u200b-\u200f\u2060\ufeff]*"
LITERAL: Final = r"(?:true|false|null|True|False|None)\b"
_COLON: Final = rf"{GAP}(?:/\*[^*\"']{{0,200}}\*/{GAP}|//[^\"'\n]{{0,200}}\n{GAP})?(?:[:\uff1a]|=>?)"
KEY: Final = (
    r"""(?:(?:[uU]?(?:"(?:[^"\\\n]|\\.){0,2000}"|'(?:[^'\\\n]|\\.){0,2000}')"""
    r"""|`(?:[^`\\\n]|\\.){0,2000}`|\u201c[^\u201d\\\n]{0,2000}\u201d|\u201e[^\u201c\u201d\\\n]{0,2000}[\u201c\u201d]"""
    rf"""|"[^"\u201c\u201d\u201e\\\n]{{1,80}}\u201d){_COLON}"""
    r"""|"?[A-Za-z_$][\w$-]{0,80}"?\s*(?:[:\uff1a]|=>)"""
    r"""|""[\w $-]{1,80}""\s*:"""
    rf"""|"[A-Za-z_$][\w$-]{{0,80}}"\s+(?:["'\[{{]|-?[0-9]|{LITERAL}))"""
)
"""A key with its colon, in quotes of any kind or in none."""

COMMENT: Final = re.compile(rf"{GAP}(?:[,;\uff0c\uff1b]{GAP})?(?://|/\*|#)")
_AFTER_KEY: Final = re.compile(_COLON)
_AFTER_MEMBER: Final = re.compile(
    rf"{GAP}(?:\}}|\]|\Z|,{GAP}(?:{KEY}|[}}\],]|\Z)|[;\uff0c\uff1b]{GAP}(?:{KEY}|\Z)|;\s*\n\s*\}})"
)
_AFTER_ITEM: Final = re.compile(
    rf"""{GAP}(?:\]|\Z|,{GAP}(?:["'`\u201c\u201e\u2018\[\]{{}},.+-]|[uU]["']|[0-9]|\Z|(?:true|false|null|True|False|None|NaN)\b)"""
    rf"""|\uff0c{GAP}(?:["'`\u201c\u2018\[{{0-9-]|{LITERAL}))"""
)
_AFTER_TUPLE_ITEM: Final = re.compile(rf"""{GAP}(?:\)|\Z|,{GAP}(?:["'`({{\[)+-]|[uU]["']|[0-9]|\Z|{LITERAL}))""")
_AFTER: Final = (_AFTER_KEY, _AFTER_MEMBER, _AFTER_ITEM, _AFTER_TUPLE_ITEM)
_COMMENT_AFTER: Final = {
    opener: re.compile(
        rf"{GAP}(?:[,;\uff0c\uff1b]{GAP})?(?:(?://|\#)[^{closers}\n]*(?:\n|\Z)|/\*(?:[^*{closers}]|\*(?!/))*+\*/)"
    )
    for opener, closers in CLOSERS.items()
}
"""A comment behind a string: none of the string's own quotes stands in it, else it may be a part of the string."""

_QUOTING_COMMENT: Final = re.compile(
    rf"{GAP}[,;\uff0c\uff1b]{GAP}(?://|\#)[^\"\n]{{0,200}}(?:\"[^\"\n]{{0,200}}\"[^\"\n]{{0,200}}){{1,5}}"
    rf"(?:\n{GAP}(?:{KEY}|\"(?:[^\"\\\n]|\\.){{0,200}}\"\s*[,\]])|(?<![\"\s,])\n{GAP}[}}\]\"])"
)
"""One that does have quotes, in pairs, between a comma and what may follow it on the next line."""

_MISSING_COMMA: Final = re.compile(rf"\s+(?:{KEY})|(?:{KEY})")
_OTHER_KEY: Final = re.compile(
    rf"""{GAP}[,\uff0c]{GAP}(?:[^\W\d_][\w$-]{{0,80}}\s*[:\uff1a]\s*[^\W\d_]"""
    r"""|(?:[^\W\d_][\w$-]{0,80}|[0-9]{1,9})\s*[:\uff1a]\s*["'\u201c\u201e\[{0-9-])"""
)
"""A key that is a number or begins with a letter of another alphabet: what stands there may also be a clause."""

_AFTER_CURLED: Final = {
    Role.KEY: re.compile(rf"{GAP}[:\uff1a]"),
    Role.MEMBER: re.compile(rf"{GAP}(?:\}}|,{GAP}(?:\}}|{KEY}))"),
    Role.ITEM: re.compile(rf"{GAP}(?:\]|,{GAP}(?:[\]\"\[{{0-9-]|{LITERAL}))"),
    Role.TUPLE_ITEM: re.compile(r"(?!)"),
}
_MISSING_ITEM_COMMA: Final = re.compile(r"""\s*["']""")
_MISSING_COLON: Final = re.compile(rf"""\s+(?:["'\[{{]|-?[0-9]|{LITERAL})""")


def follows(text: str, end: int, limit: int, role: Role, opener: str) -> bool:
    """Return whether what stands at ``end`` may follow a string of that role, which ``opener`` opened."""
    if _AFTER[role].match(text, end, limit) is not None:
        return True
    if role is Role.KEY or COMMENT.match(text, end, limit) is None:
        return False
    return any(each.match(text, end, limit) for each in (_COMMENT_AFTER[opener], _QUOTING_COMMENT))


def may_follow_curled(text: str, end: int, limit: int, role: Role) -> bool:
    """Return whether it may follow a string that an ASCII quote opened and a curly one closed."""
    return _AFTER_CURLED[role].match(text, end, limit) is not None


def may_follow(text: str, end: int, limit: int, role: Role) -> bool:
    """Return whether it may, if a comma or a colon was left out, or the next key is unusual."""
    match role:
        case Role.KEY:
            return _MISSING_COLON.match(text, end, limit) is not None
        case Role.MEMBER:
            return any(each.match(text, end, limit) for each in (_MISSING_COMMA, _OTHER_KEY))
        case Role.ITEM:
            return _MISSING_ITEM_COMMA.match(text, end, limit) is not None or text[end : end + 1] == "}"
        case Role.TUPLE_ITEM:
            return False
