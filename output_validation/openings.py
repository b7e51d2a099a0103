"""Tells whether a bracket in a text that is still arriving opens its value. Pure.

What it says holds whatever arrives later: where that could change it, it says UNDECIDED. How far it looks ahead is
bounded, blanks behind the bracket apart. What opens like JSON with faults, as ``candidates`` sees it, is never passed
by, for a part of it is not the value.
"""

import re
from enum import Enum, auto
from typing import Final

from output_validation.citations import CITATION

LOOK_BACK_CHARS: Final = 128
"""Of what stands before a bracket no more than this is looked at."""

_BLANKS: Final = r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*+"
_QUOTES: Final = r"\"'`\u201c\u201e\u2018"
_STRICT: Final = re.compile(
    r'\{[ \t\r\n]*+["}]|\[[ \t\r\n]*+(?:["\[{\]\-0-9]|(?:true|false|null)[ \t\r\n]{0,200}[,\]])'
)


def json_opening(*, spaces: str, some: str, literal_end: str, other_keys: str = "") -> re.Pattern[str]:
    """Return the pattern of a bracket that opens JSON, strict or with faults.

    ``spaces`` and ``some`` say how often blanks, and signs of which there is at least one, may repeat;
    ``literal_end`` is what stands behind true, false and null, and ``other_keys`` what else may begin an object.
    """
    either = rf"[{_QUOTES}]|//|/\*|\\{some}[\"nrt]|&\#"
    return re.compile(
        rf"\{{{_BLANKS}(?:{either}|[}}\#]|,\s{spaces}[\"']|&\w{some};|[\w$-]{{1,80}}\"?\s{spaces}(?::|=>){other_keys})"
        rf"|\[{_BLANKS}(?:{either}|[uU]?[{_QUOTES}\[{{\]]|\#[^\n\]]{spaces}\n|[+-]?\.?[0-9]|,\s{spaces}[\"'{{\[]|&quot;"
        rf"|(?:true|false|null|True|False|None|NaN|TRUE|FALSE|NULL){literal_end})"
    )


_FAULTY: Final = json_opening(
    spaces="{0,200}",
    some="{1,20}",
    literal_end=r"\s{0,200}[,\]]",
    other_keys=r'|[^{}\[\]:"\n<]{0,200}[:"]',
)
"""The same as in ``candidates``, with bounds, and words that are no literals let pass: [true story]."""

_MAY_BE_ONE: Final = re.compile(
    rf'\{{{_BLANKS}(?:,\s{{0,200}}|[\w$-]{{1,80}}\s{{0,200}}=?|[^{{}}\[\]:"\n<]{{0,200}})?\Z'
    rf"|\[{_BLANKS}(?:\#[^\n\]]{{0,200}}|[+-]?\.?|/[A-Za-z]{{0,5}}|,\s{{0,200}}|\\{{1,20}}|&[quot]{{0,4}}"
    r"|[A-Za-z]{1,5}\s{0,200})?\Z"
)
"""The beginnings of both, and of the tags that begin with a bracket."""

_ASIDE: Final = re.compile(rf"\{{\s*+\}}|\[\s*+\]|{CITATION.pattern}")
_MAY_BE_ASIDE: Final = re.compile(r"[\[{]\s*+\Z|\[[0-9][0-9, ]{0,20}\Z")
SUBSCRIPT: Final = re.compile(r"""(?<=[A-Za-z0-9_)])\[(?:"[^"\\\n]{0,80}"|'[^'\\\n]{0,80}'|-?[0-9]{1,9})\]""")
"""What stands behind a name in code: the ["n"] of data["n"]."""

_MAY_BE_SUBSCRIPT: Final = re.compile(r"""(?<=[A-Za-z0-9_)])\[(?:"[^"\\\n]{0,80}"?|'[^'\\\n]{0,80}'?|-?[0-9]{0,9})\Z""")
_BEGINS_JSON_BLOCK: Final = re.compile(
    r"\n[ \t]{0,3}(?:`{3,}|~{3,})[ \t]*(?:json|jsonc|json5)\b[^\n`\[{]*\n\s*\Z", re.I
)

_IS_MEMBER: Final = re.compile(r'\n[ \t]*"[^"\\\n]{1,80}"\s*:\s*\Z')
"""What stands before a member of an object whose own bracket was left out."""


_CDATA: Final = "<![CDATA["


class Opening(Enum):
    """What a bracket opens: strict JSON so far, JSON with faults, nothing; or what follows will tell."""

    VALUE = auto()
    FAULTY = auto()
    NOTHING = auto()
    UNDECIDED = auto()


def opening(text: str, at: int, *, leads_line: bool) -> Opening:
    """Return what the bracket at ``at`` opens. In a line with words, {} and [1] are no value, nor a subscript ever."""
    if SUBSCRIPT.match(text, at) or (not leads_line and _ASIDE.match(text, at)):
        return Opening.NOTHING
    if text.startswith(_CDATA, max(0, at - 2)) or text.endswith(_CDATA[:-1], 0, at):
        return Opening.NOTHING
    if _MAY_BE_SUBSCRIPT.match(text, at) or (not leads_line and _MAY_BE_ASIDE.match(text, at)):
        return Opening.UNDECIDED
    if _STRICT.match(text, at):
        is_member = _IS_MEMBER.search(text, max(0, at - LOOK_BACK_CHARS), at)
        return Opening.FAULTY if is_member else Opening.VALUE
    if _FAULTY.match(text, at):
        return Opening.FAULTY
    if _MAY_BE_ONE.match(text, at):
        return Opening.UNDECIDED
    begins_block = _BEGINS_JSON_BLOCK.search(text, max(0, at - LOOK_BACK_CHARS), at)
    return Opening.FAULTY if begins_block else Opening.NOTHING
