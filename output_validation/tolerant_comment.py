"""Tells whether a comment in faulty JSON says that values were left out, or that one is not meant. Pure, linear."""

import re
from typing import Final

from output_validation.denials import denies_part, denies_whole

_MARKS: Final = "/*# \t\r\n"
_TO_DO: Final = re.compile(r"(?:TODO|XXX)\W++")
_LEAVES_OUT: Final = re.compile(
    r"\.{3}|\u2026|\b(?:(?<!or )more(?! than)|rest|remaining|omitted|truncated)\b|\u7701\u7565|\u4ee5\u4e0b\u7565",
    re.IGNORECASE,
)
_BEGINS_BY_LEAVING_OUT: Final = re.compile(
    r"(?:(?:and|und|et|y|e|i|\u0438) )?(?:so on|so forth|etc\b|usw\b|u\. ?s\. ?w\b|so weiter|ainsi de suite"
    r"|as\u00ed sucesivamente|cos\u00ec via|tak dalej"
    r"|\u0442\u0430\u043a \u0434\u0430\u043b\u0435\u0435|\u0442\. ?\u0434\b"
    r"|(?:the )?others?\s*\Z|repeat for|continue (?:for|like|with|similarly)|plus others?\b"
    r"|same (?:for|as) (?:the )?(?:others?|rest|remaining)\b"
    r"|(?:the )?(?:other|additional|further) (?:\d+ )?"
    r"(?:items?|entries|rows?|records?|elements?|objects?|results?|ones?)"
    r"\W*(?:\Z|(?:here|as needed|follow|go|would|in the same|similarly)\b)"
    r"|(?:[\w ]{1,40} )?follow(?:s|ing)? the same (?:pattern|format|structure)\b"
    r"|(?:add|insert|fill in|list|put) (?:in )?(?:others|(?:all )?the (?:others?|further|missing|same))\b"
    r"|\u7b49+[\u3002.]?\Z|\u4ee5\u6b64\u7c7b\u63a8)",
    re.IGNORECASE,
)
"""What stands for values that were left out if a comment begins with it: "fees, tax etc." says what a value is."""

_UNFINISHED: Final = re.compile(
    r"(?:fixme\b|change[ _-]?me\b|(?:to be )?fill(?:ed)? in\b"
    r"|(?:replace|change) (?:(?:this|it) )?with\b|replace (?:me\b|(?:this|it)\W*+\Z)|\u5360\u4f4d\u7b26?\Z)",
    re.IGNORECASE,
)
"""What says at the beginning of a comment that the value is still to be put in its place.

That there is something to do, or to see as an example, is no such thing.
"""

_SHOULD_BE: Final = re.compile(
    r"(?:(?:this|it|actually|no),? )*+should (?:actually |really )?(?:be|have been) "
    r"(?:(\"[^\"\n]*+\"|'[^'\n]*+')|[\"'\[{]"
    r"|([-+]?[0-9]++(?:[.,][0-9]++)*+|true|false|null)(?:\W*+\Z|[,;]| (?:not|but|instead|according)\b))",
    re.IGNORECASE,
)
"""What names another value. One group holds it if it is a text, the other if it is a number or a literal."""


def leaves_out(comment: str) -> bool:
    """Return whether a comment says that values were left out."""
    said = comment.strip(_MARKS)
    return _LEAVES_OUT.search(said) is not None or _BEGINS_BY_LEAVING_OUT.match(said) is not None


def takes_back(comment: str, before: str) -> bool:
    """Return whether a comment says that the value is wrong, or stands for another; ``before`` is what precedes it."""
    said = comment.strip(_MARKS)
    if to_do := _TO_DO.match(said):
        said = said[to_do.end() :]
    if named := _SHOULD_BE.match(said):
        return not _is_last(named[1] or named[2], before.rstrip(" \t,"))
    return _UNFINISHED.match(said) is not None or denies_part(said)


def takes_back_whole(comment: str) -> bool:
    """Return whether a comment beside a whole value says that it is wrong, a part or an example.

    What it says of a rest, or of more, may be in the text from which the value was taken.
    """
    said = comment.strip(_MARKS)
    is_part = said.startswith(("...", "\u2026")) or _BEGINS_BY_LEAVING_OUT.match(said) is not None
    return is_part or takes_back(comment, "") or denies_whole(said)


def _is_last(value: str | None, line: str) -> bool:
    """Return whether the value is what the line ends with, and not the end of a longer one."""
    if value is None or not line.endswith(value):
        return False
    return line[: -len(value)].endswith((" ", "\t", ":", ",", "[", "\n"))
