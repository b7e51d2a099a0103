"""Tells from the words before several values which of them is meant as the answer: "for example", "final". Pure.

Only plain words count, and only where they leave one value; anything else stays ambiguous.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

_CHARS_BEFORE: Final = 120
_ANSWER: Final = re.compile(
    r"\b(?:final|finally|corrected|correction|revised|fixed|updated|improved|actual|instead|my answer|the answer|"
    r"here is the (?:json|result|output)|result is|answer is)\b",
    re.IGNORECASE,
)
_DECOY: Final = re.compile(
    r"\b(?:examples?|e\.g\.|for instance|such as|like this|template|placeholder|schema|format|draft|first attempt|"
    r"first try|initial(?:ly)?|wrong|incorrect|invalid|not this|previous(?:ly)?|old|before|input|given|sample|"
    r"hypothetical|would be if|dummy)\b|\be\.g\.",
    re.IGNORECASE,
)


class Cue(IntEnum):
    """What the words before a value say of it."""

    DECOY = 0
    NONE = 1
    ANSWER = 2


def cues(text: str, spans: Sequence[tuple[int, int]]) -> list[Cue]:
    """Return what the words before each of ``spans``, in order of their appearance, say of it."""
    found: list[Cue] = []
    for number, (start, _) in enumerate(spans):
        floor = spans[number - 1][1] if number else 0
        before = text[max(floor, start - _CHARS_BEFORE) : start]
        is_answer, is_decoy = _last(_ANSWER, before), _last(_DECOY, before)
        if is_answer > is_decoy:
            found.append(Cue.ANSWER)
        else:
            found.append(Cue.NONE if is_decoy < 0 else Cue.DECOY)
    return found


def pick(text: str, spans: Sequence[tuple[int, int]]) -> int | None:
    """Return the index of the one of several ``spans`` that the words before them single out, or None."""
    said = cues(text, spans)
    answers = [number for number, cue in enumerate(said) if cue is Cue.ANSWER]
    open_ones = [number for number, cue in enumerate(said) if cue is Cue.NONE]
    if len(answers) == 1 and answers[0] >= max(open_ones, default=0):
        return answers[0]
    if not answers and len(open_ones) == 1 and open_ones[0] == len(spans) - 1:
        return open_ones[0]
    return None


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((found.start() for found in pattern.finditer(text)), default=-1)
