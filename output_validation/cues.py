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
    r"the right one|actual (?:result|answer|output|json|value)|my answer|the answer|"
    r"(?<!\w )(?:answer|output)(?=[*_]{0,2}\s*:)|(?<=\# )(?:answer|output|result)(?=\s*\Z)|"
    r"here is the (?:json|result|output)|result is|answer is)\b",
    re.IGNORECASE,
)
_DECOY: Final = re.compile(
    r"\b(?:examples?|for instance|template|placeholder|draft|first attempt|first try|hypothetical|dummy|format is)\b|"
    r"\be\.g\.",
    re.IGNORECASE,
)
_WEAK_DECOY: Final = re.compile(
    r"\b(?:such as|like this|something like|schema|format|initial(?:ly)?|wrong|incorrect|invalid|not this|"
    r"previous(?:ly)?|old|before|input|given|sample|would be if|alternatively|(?:would|could|might) (?:be|look))\b",
    re.IGNORECASE,
)
_DOUBTED: Final = re.compile(r"n[\u2019']t\b|\b(?:not|would|could|might|if|earlier|wrong|incorrect)\b", re.IGNORECASE)
_REJECTED: Final = re.compile(
    r"`{0,3},? (?:(?:is|was|would be) (?:wrong|incorrect|invalid|not (?:the|my) (?:final )?answer)\b"
    r"(?!.*\b(?:if|unless)\b)"
    r"|\((?:example|wrong|incorrect)\)|(?:<-+|\u2190) ?(?:example|wrong|incorrect))",
    re.IGNORECASE,
)
_CORRECTION: Final = re.compile(
    r"\b(?:wait|oops|actually|should be|should have been|meant|misread|mistake|sorry)\b", re.IGNORECASE
)
_VALUE: Final = r"(?:[\"'`\d\[{]|(?:true|false|null)\b)"
_IS_WRONG: Final = r"(?:wrong|incorrect|invalid|a mistake|not (?:right|correct|valid))\b"
_TAKEN_BACK: Final = re.compile(
    r"[\s`~]*+(?:hm+[,. \u2026]*)?(?:(?:wait|oops|actually|no,|sorry)(?!\w)"
    r"(?![^\n]{0,100}\b(?:if|unless|not(?! (?:right|correct|valid)\b))\b)[^\n]{0,100}"
    rf"\b(?:{_IS_WRONG}|let me (?:fix|correct|redo|revise)|should (?:be|have been) {_VALUE})"
    r"|scratch that|correction:(?! (?:none|no|not)\b)|no, wait[,.:!]|edit: [^\n]{0,60}\bshould be\b"
    rf"|(?:sorry|oops|wait)[,.!]? i meant\b|i meant {_VALUE}|let me try again\b"
    r"|on second thought\b(?![^\n]{0,80}\b(?:right|fine|correct|ok|okay|stands|good)\b)"
    rf"|actually,? (?:it|this|that)(?:[\u2019']s| is) {_VALUE}"
    r"|(?:actually|sorry|oops|update|my (?:apologies|mistake))[,.:!]? (?:the )?\w+ (?:is|was|should be) "
    rf"(?:{_VALUE}|(?-i:[A-Z]))"
    rf"|note:? (?:that )?the \w+ should actually be {_VALUE}"
    rf"|the \w+ (?:is|was) {_IS_WRONG}[,;]? (?:and |it )+should"
    r"|(?:that|this|the (?:above|(?:previous |above )?(?:answer|json|value|output|object)))"
    rf"(?: (?:answer|json|value|output|object))?(?: is|[\u2019']s| was) (?:{_IS_WRONG}|incomplete\b)"
    r"|(?:(?:that|this) (?:is|was|does|did)n[\u2019']t (?:look )?(?:right|correct|valid)"
    r"|i made (?:a mistake|an error))\b(?!-)"
    r"|let me (?:fix|correct|redo|revise) (?:that|this|it)(?! \w)"
    r"|here(?: is|[\u2019']s) the (?:corrected|fixed|revised) (?:version|json|answer|output|result|object)\W*(?:\n|\Z)"
    r"|(?:please )?(?:ignore|disregard) (?:the (?:json |answer |value )?above|this)\W*(?:\n|\Z)"
    r"|this is (?:just |only )?(?:a placeholder|an example)\b|this is (?:just|only) (?:a|an) example"
    r"|(?:these|the|all) values are (?:placeholders|made up|invented|examples)\b"
    r"|(?:please )?(?:fill in|replace) the (?:values|placeholders|fields)\b(?! if))",
    re.IGNORECASE,
)
_ENTRIES: Final = r"(?:items?|entries|entry|rows?|records?|elements?|objects?|results?|ones?|few)"
_LINE_END: Final = r"\W*(?:\n|\Z)"
_GOES_ON: Final = re.compile(
    r"\s*,\s*(?:\.{3}|\u2026)\s*\Z"
    r"|[\s`~]*+(?:\.{3}|\u2026)\s*\Z"
    r"|[\s`~]*+[(\[]?+(?:\.{3}|\u2026)?+\s*+(?:note: )?(?:"
    rf"(?:and |plus |\+ ?)?(?:\d+|some|many|several) (?:more|others)(?: {_ENTRIES})?"
    rf"(?: (?:omitted|left out|not shown))?{_LINE_END}"
    r"|(?:the )?(?:list|output|rest|array)?(?: (?:is|was|has been))? ?(?:truncated|omitted|abbreviated)"
    rf"(?: (?:for|to|due to) [\w ]{{1,40}})?{_LINE_END}"
    rf"|(?:continues|continued|etc){_LINE_END}|(?:and )?so (?:on|forth)(?: for [\w ]{{1,40}})?{_LINE_END}"
    rf"|(?:the )?(?:remaining|other)(?: \w+)? {_ENTRIES} (?:follow the same|are omitted|(?:were |are )?omitted)\b"
    rf"|(?:only|just) (?:the )?first (?:\w+ )?{_ENTRIES} (?:are|were) (?:shown|listed|included|given)\b"
    rf"|i(?: have|[\u2019']ve)? only (?:included|listed|shown) the first\b|{_ENTRIES} \d+ (?:to|through|-) \d+ follow"
    r"|showing (?:only )?(?:the first )?(\d+) (?:out )?of (?!\1\b)\d+\b"
    r"|(?:would you like|do you want|shall i|should i)(?: me to)? continue\s*\?)",
    re.IGNORECASE,
)
"""What stands behind a list of which the rest was left out."""

_NEGATED: Final = re.compile(
    r"(?:(?:\bnot|n[\u2019']t|\bnever|\bcannot)(?: (?:be|look like|like|return|give|parse|read))?"
    r"|\b(?:failed|unable) to parse|\b(?:this|that|it) (?:would be|is) invalid"
    r"|(?:\A|[.!?\n])[ \t]*(?:an? |the )?(?:incorrect|wrong|invalid)(?: (?:answer|output|json|response|result))?"
    r"(?: (?:is|was|would be))?)[\s:\"'`]*\Z",
    re.IGNORECASE,
)
_INPUT_BEFORE: Final = re.compile(r"(?:\A|[.!?\n])[ \t]*(?:the )?input(?: was| is)?\s*:?[\s`]*\Z", re.IGNORECASE)
_OUTPUT_BEHIND: Final = re.compile(r"[\s`]*+(?:output\b|\.(?:\s|\Z))", re.IGNORECASE)
_KEPT_ALONE: Final = re.compile(
    r"\b(?:template|draft|first attempt|first try|format is"
    r"|(?:following|as in|based on|as per|(?:format|schema|structure|style) (?:from|in|of|as in|shown in|given in))"
    r" (?:the|your|that|this) (?:\w+ )?examples?(?=(?: format)?\s*(?::|\n|\Z)))\b",
    re.IGNORECASE,
)
"""What a value may be called, or said to follow, that is the answer if there is no other."""

_ANSWER_HEAD: Final = re.compile(
    r"^[ \t#*_>-]*(?:(?:the|my) )?(?:(?:final|actual|corrected|revised)(?: \w+)?|answer)[*_ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)

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


def is_taken_back(text: str, end: int, *, is_list: bool) -> bool:
    """Return whether the words behind the last value begin by saying that it is wrong, or, of a list, a part."""
    return _TAKEN_BACK.match(text, end) is not None or (is_list and _GOES_ON.match(text, end) is not None)


def is_answered_elsewhere(text: str, start: int, end: int) -> bool:
    """Return whether a value is called an example or a draft, and words behind it begin what they call the answer."""
    return _cue(text, 0, start, end, len(text)) is Cue.DECOY and _ANSWER_HEAD.search(text, end) is not None


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
