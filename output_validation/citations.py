"""Tells a citation, as the [1] or [2, 3] of a sentence, from a list of numbers. Pure."""

import re
from typing import Final

CITATION: Final = re.compile(r"\[[0-9]{1,3}(?:, ?[0-9]{1,3}){0,3}\]")
_NOTHING_BEHIND: Final = re.compile(r"[ \t]*+(?:[\]}),;.]++[ \t]*+)?(?:\n|\Z)")
_LEADS_TO_VALUE: Final = re.compile(
    r"(?:[:=>(]|\b(?:is|are|be|was|answer|result|output|value|list|array|return|returning|json))\W*\Z", re.IGNORECASE
)
_LEADS_TO_SOURCE: Final = re.compile(
    r"\b(?:sources?|references?|refs?|citations?|footnotes?|see|cf|according to|per)\b\W*\Z", re.IGNORECASE
)
_SAYS_NONE: Final = re.compile(r"\b(?:no|not|none|nothing|cannot)\b|n[\u2019']t\b", re.IGNORECASE)
_LOOK_BACK: Final = 200


def is_citation(text: str, start: int, end: int) -> bool:
    """Return whether a part is a [1] or [2, 3] that stands among words which do not lead to it."""
    if CITATION.fullmatch(text, start, end) is None:
        return False
    before = _line_before(text, start)
    if not before.strip():
        return _NOTHING_BEHIND.match(text, end) is None
    return _LEADS_TO_SOURCE.search(before) is not None or _LEADS_TO_VALUE.search(before) is None


def names_source(text: str, start: int, end: int) -> bool:
    """Return whether a lone [1] stands in a sentence that names it as a source, or says that there is nothing."""
    if not text[start + 1 : end - 1].isdecimal():
        return False
    before = _line_before(text, start)
    return _LEADS_TO_SOURCE.search(before) is not None or _SAYS_NONE.search(before) is not None


def _line_before(text: str, start: int) -> str:
    return text[max(0, start - _LOOK_BACK) : start].rpartition("\n")[2]
