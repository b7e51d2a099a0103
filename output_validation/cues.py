"""Tells from the words before several values which of them is meant as the answer: "for example", "final". Pure.

Only plain words count, and only where they leave one value; anything else stays ambiguous.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

_CHARS_BEFORE: Final = 120
_CHARS_BEHIND: Final = 80
_ANSWER: Final = re.compile(
    r"\b(?:final|corrected|correction|revised|updated(?: \w+)?(?=\s*:)|let me (?:fix|correct|redo) (?:that|it|this)|"
    r"the right one|my answer|the answer|"
    r"here is the (?:json|result|output)|result is|answer is)\b",
    re.IGNORECASE,
)
_DECOY: Final = re.compile(
    r"\b(?:examples?|for instance|template|placeholder|draft|first attempt|first try|hypothetical|dummy|format is)\b|"
    r"\be\.g\.",
    re.IGNORECASE,
)
_WEAK_DECOY: Final = re.compile(
    r"\b(?:such as|like this|schema|format|initial(?:ly)?|wrong|incorrect|invalid|not this|previous(?:ly)?|old|before|"
    r"input|given|sample|would be if)\b",
    re.IGNORECASE,
)
_DOUBTED: Final = re.compile(r"n[\u2019']t\b|\b(?:not|would|could|might|if|earlier|wrong|incorrect)\b", re.IGNORECASE)
_REJECTED: Final = re.compile(
    r"`{0,3},? (?:is|was|would be) (?:wrong|incorrect|invalid)\b(?!.*\b(?:if|unless)\b)", re.IGNORECASE
)
_CORRECTION: Final = re.compile(
    r"\b(?:wait|oops|actually|should be|should have been|meant|misread|mistake|sorry)\b", re.IGNORECASE
)
_TAKEN_BACK: Final = re.compile(
    r"[\s`~]*+(?:hm+[,. \u2026]*)?(?:wait|oops|actually|no,)(?!\w)(?![^\n]{0,100}\b(?:if|unless|not)\b)[^\n]{0,100}"
    r"\b(?:wrong|incorrect|a mistake|let me (?:fix|correct|redo|revise)"
    r"|should (?:be|have been) (?:[\"'`\d\[{]|true|false|null))"
    r"|[\s`~]*+(?:scratch that|correction:(?! (?:none|no|not)\b)|no, wait[,.:!]|edit: [^\n]{0,60}\bshould be\b"
    r"|(?:sorry|oops|wait)[,.!]? i meant\b"
    r"|on second thought\b(?![^\n]{0,80}\b(?:right|fine|correct|ok|okay|stands|good)\b)"
    r"|actually,? (?:it|this|that)(?:[\u2019']s| is) (?:[\"'`\d\[{]|true|false|null)"
    r"|the (?:above|json above|(?:previous|above) (?:answer|json|value)) is (?:wrong|incorrect|invalid)"
    r"|(?:please )?(?:ignore|disregard) the (?:json |answer |value )?above"
    r"|this is (?:just|only) (?:a|an) (?:placeholder|example))",
    re.IGNORECASE,
)
_GOES_ON: Final = re.compile(
    r"[\s`~]*+[(\[]?+(?:\.{3}|\u2026)?+\s*+(?:(?:and|plus|\+) ?(?:\d+|some|many|several) (?:more|others)"
    r"|(?:list |output |rest )(?:truncated|omitted))\b\W*(?:\n|\Z)",
    re.IGNORECASE,
)
"""What stands behind a list of which the rest was left out."""

_NEGATED: Final = re.compile(
    r"(?:(?:\bnot|n[\u2019']t|\bnever|\bcannot)(?: (?:be|look like|like|return|give|parse|read))?"
    r"|\b(?:failed|unable) to parse|\b(?:this|that|it) (?:would be|is) invalid)[\s:\"'`]*\Z",
    re.IGNORECASE,
)
_INPUT_BEFORE: Final = re.compile(r"(?:\A|[.!?\n])[ \t]*(?:the )?input(?: was| is)?\s*:?[\s`]*\Z", re.IGNORECASE)
_OUTPUT_BEHIND: Final = re.compile(r"[\s`]*+(?:output\b|\.(?:\s|\Z))", re.IGNORECASE)
_KEPT_ALONE: Final = re.compile(r"\b(?:template|draft|first attempt|first try|format is)\b", re.IGNORECASE)
"""What a value may be called that is the answer if there is no other."""

_SENTENCE_END: Final = re.compile(r"(?<!\be\.g)[.!?]+\s|\n")
_FENCE_BEFORE: Final = re.compile(r"(?:```+|~~~+)[\w+.-]*\s*\Z")


class Cue(IntEnum):
    """What the words before a value say of it. WEAK: words that stand before answers as often as before decoys."""

    DECOY = 0
    WEAK = 1
    NONE = 2
    ANSWER = 3


def cues(text: str, spans: Sequence[tuple[int, int]]) -> list[Cue]:
    """Return what the words around each of ``spans``, in order of their appearance, say of it."""
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans[1:]), len(text)]
    return [_cue(text, floor, *span, ceiling) for floor, span, ceiling in zip(ends, spans, starts, strict=False)]


def is_correction(text: str, floor: int, start: int) -> bool:
    """Return whether the words between ``floor`` and ``start`` take something back."""
    return _CORRECTION.search(text, max(floor, start - 2 * _CHARS_BEFORE), start) is not None


def is_taken_back(text: str, end: int) -> bool:
    """Return whether the words behind the last value begin by saying that it is wrong, or not all there is."""
    return _TAKEN_BACK.match(text, end) is not None or _GOES_ON.match(text, end) is not None


def is_disowned(text: str, start: int, end: int) -> bool:
    """Return whether the words around a value that has no rival say that it is no answer."""
    before = max(0, start - _CHARS_BEFORE)
    if _NEGATED.search(text, before, start):
        return True
    if _INPUT_BEFORE.search(text[before:start]) and _OUTPUT_BEHIND.match(text, end):
        return True
    said = _KEPT_ALONE.sub("", text[max(0, start - _CHARS_BEFORE) : start])
    around = said + text[start:end] + text[end : end + _CHARS_BEHIND]
    return _cue(around, 0, len(said), len(said) + end - start, len(around)) is Cue.DECOY


def _cue(text: str, floor: int, start: int, end: int, ceiling: int) -> Cue:
    before = _FENCE_BEFORE.sub("", text[max(floor, start - _CHARS_BEFORE) : start]).rstrip()
    sentence = max((found.end() for found in _SENTENCE_END.finditer(before)), default=0)
    behind = text[end : min(ceiling, end + _CHARS_BEHIND)].partition("\n")[0]
    if _REJECTED.match(behind):
        return Cue.DECOY
    is_doubted = _DOUBTED.search(before, sentence) is not None or _DOUBTED.search(behind) is not None
    is_answer, is_decoy = _last(_ANSWER, before), _last(_DECOY, before, sentence)
    if is_decoy > (-1 if is_doubted else is_answer):
        return Cue.DECOY
    if _last(_WEAK_DECOY, before, sentence) > is_answer:
        return Cue.WEAK
    if is_answer < 0 or is_doubted:
        return Cue.NONE
    return Cue.ANSWER


def pick(text: str, spans: Sequence[tuple[int, int]]) -> int | None:
    """Return the index of the one of several ``spans`` that the words before them single out, or None."""
    said = cues(text, spans)
    answers = [number for number, cue in enumerate(said) if cue is Cue.ANSWER]
    open_ones = [number for number, cue in enumerate(said) if cue is Cue.NONE]
    if len(answers) == 1 and answers[0] >= max(open_ones, default=0):
        return answers[0]
    if not answers and open_ones == [len(spans) - 1] and Cue.WEAK not in said:
        return open_ones[0]
    return None


def _last(pattern: re.Pattern[str], text: str, start: int = 0) -> int:
    return max((found.start() for found in pattern.finditer(text, start)), default=-1)
