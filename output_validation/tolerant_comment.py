"""Tells whether a comment in faulty JSON says that values were left out, or that one is not meant. Pure, linear."""

import re
from typing import Final

_MARKS: Final = "/*# \t\r\n"
_LEAVES_OUT: Final = re.compile(
    r"\.{3}|\u2026|\b(?:(?<!or )more(?! than)|rest|remaining|omitted|truncated)\b|\u7701\u7565|\u4ee5\u4e0b\u7565",
    re.IGNORECASE,
)
_BEGINS_BY_LEAVING_OUT: Final = re.compile(
    r"(?:(?:and|und|et|y|e|i|\u0438) )?(?:so on|so forth|etc\b|usw\b|u\. ?s\. ?w\b|so weiter|ainsi de suite"
    r"|as\u00ed sucesivamente|cos\u00ec via|tak dalej"
    r"|\u0442\u0430\u043a \u0434\u0430\u043b\u0435\u0435|\u0442\. ?\u0434\b"
    r"|(?:the )?others?\s*\Z|repeat for|continue (?:for|like|with)"
    r"|(?:add|insert|fill in|list|put) (?:in )?(?:others|(?:all )?the (?:others?|further|missing|same))\b"
    r"|\u7b49+[\u3002.]?\Z|\u4ee5\u6b64\u7c7b\u63a8)",
    re.IGNORECASE,
)
"""What stands for values that were left out if a comment begins with it: "fees, tax etc." says what a value is."""

_TAKES_BACK: Final = re.compile(
    r"(?-i:FIXME|TODO|XXX)\b"
    r"|(?:(?:this|it|actually|no),? )*+should (?:actually |really )?(?:be|have been) (?:[\"'\[{]"
    r"|(?:[-+]?[0-9][0-9.,]*+|true|false|null)(?:\W*+\Z|[,;]| (?:not|but|instead|according)\b))"
    r"|(?:(?:this|that|it) is |that's |it's )?(?:just |only |probably |likely )?(?:an? )?"
    r"(?:placeholder|platzhalter|dummy|example|sample|wrong|incorrect|falsch|made[- ]up|invented|guess|guessed"
    r"|not (?:right|correct|real|final|sure))(?: value| data| text| number)?(?: only)?"
    r"(?:\W*+\Z|[,;:] | (?:for now|until)\b)"
    r"|(?:replace|change) (?:this|me|it|with)\b|\u5360\u4f4d\u7b26?\Z",
    re.IGNORECASE,
)
"""What says at the beginning of a comment that the value is not the one that is meant."""


def leaves_out(comment: str) -> bool:
    """Return whether a comment says that values were left out."""
    said = comment.strip(_MARKS)
    return _LEAVES_OUT.search(said) is not None or _BEGINS_BY_LEAVING_OUT.match(said) is not None


def takes_back(comment: str) -> bool:
    """Return whether a comment says that the value beside it is wrong, or stands for another."""
    return _TAKES_BACK.match(comment.strip(_MARKS)) is not None
