"""Tells from the words before several values which of them is meant as the answer: "for example", "final". Pure.

Only plain words count, and only where they leave one value; anything else stays ambiguous.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from output_validation.denials import (
    MISTAKEN,
    STAND_IN,
    WRONG,
    denies_whole,
    is_denied_before,
    is_denied_behind,
    is_denied_on,
    without_unsaid,
)
from output_validation.tolerant_comment import takes_back_whole

_CHARS_BEFORE: Final = 120
_CHARS_BEHIND: Final = 80
_CHARS_OF_REMARK: Final = 400
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
"""What counts wherever it stands in the sentence. "Fake" and "made up" do not: an answer may tell what is."""

_WEAK_DECOY: Final = re.compile(
    rf"\b(?:such as|like this|something like|schema|format|initial(?:ly)?|{WRONG}|not this|"
    r"previous(?:ly)?|old|before|input|given|sample|would be if|alternatively|(?:would|could|might) (?:be|look))\b",
    re.IGNORECASE,
)
_DOUBTED: Final = re.compile(rf"n[\u2019']t\b|\b(?:not|would|could|might|if|earlier|{WRONG})\b", re.IGNORECASE)
_COMMENT_BEHIND: Final = re.compile(r"[ \t`~*_]*+(?://|#|/\*|<!--)[ \t]*+(.*?)(?:\*/|-->|(?=\n)|\Z)")
_REMARK_BELOW: Final = re.compile(r"[ \t]*+\r?\n[ \t]*+(?=/[/*]|\(|<-|\u2190|\^)")
_TO_NEXT_WORDS: Final = re.compile(
    r"[\s`~*_.,;!()}\]]*+(?:</[\w:=-]{1,40}>[\s`~*_.]*+)?(?:[-*_=]{3,}+\s*+)?"
    r"(?:(?:i )?hope (?:this|that) helps?[.!]*+\s++)?",
    re.IGNORECASE,
)
_REMARK_BEHIND: Final = re.compile(
    r"[ \t`*_]*+(?:\(([^()]*+)\)|\[([^\[\]]*+)\]"
    r"|(?:<-++|\u2190|<=++|\u21d0|\^)[ \t]*+(.*+)|(?:-++>|[-\u2013\u2014](?= )|[\u274c\u2717\u2718])[ \t]*+(.*+)"
    r"|[,;:] ([^,;:]*+)\Z)"
)
"""What stands beside a value on its line: in brackets, behind an arrow to it, or behind one from it, or a stop."""

_CORRECTION: Final = re.compile(
    r"\b(?:wait|oops|actually|should be|should have been|meant|misread|mistake|sorry)\b", re.IGNORECASE
)
_VALUE: Final = r"(?:[\"'`\d\[{]|(?:true|false|null)\b)"
_TAKEN_BACK: Final = re.compile(
    r"(?:hm+[,. \u2026]*)?(?:(?:wait|oops|actually|no,|sorry)(?!\w)"
    r"(?![^\n]{0,100}\b(?:if|unless|not(?! (?:right|correct|valid)\b))\b)[^\n]{0,100}"
    r"(?:(?:(?:\b(?:is|are|was|were|be|looks?|(?:got|did|had) (?:it|that|this))|[\u2019']s) |[,.!] |\bi \w+ )"
    rf"(?:an? |the )?{MISTAKEN}\b|\b(?:let me (?:fix|correct|redo|revise)|should (?:be|have been) {_VALUE}))"
    r"|scratch that|correction:(?! (?:none|no|not)\b)|no, wait[,.:!]|edit: [^\n]{0,60}\bshould be\b"
    rf"|(?:sorry|oops|wait)[,.!]? i meant\b|i meant {_VALUE}|let me try again\b"
    r"|on second thought\b(?![^\n]{0,80}\b(?:right|fine|correct|ok|okay|stands|good)\b)"
    rf"|actually,? (?:it|this|that)(?:[\u2019']s| is) {_VALUE}|actually,? [\"'`]?\w+[\"'`]?: {_VALUE}"
    r"|(?:hold on,? |wait,? )?i misread\b"
    rf"|let me (?:recount|recalculate|re-?check|double-?check)[,.:;] [^\n]{{0,80}}\bshould (?:actually )?be {_VALUE}"
    rf"|(?:however, )?(?:up)?on closer (?:inspection|look),? [^\n]{{0,40}}\bcorrect \w+ (?:is|was|should be) {_VALUE}"
    r"|(?:actually|sorry|oops|update|my (?:apologies|mistake))[,.:!]? (?:the )?\w+ (?:is|was|should be) "
    rf"(?:{_VALUE}|(?-i:[A-Z]))"
    rf"|note:? (?:that )?the \w+ should actually be {_VALUE}"
    rf"|the \w+ (?:is|was) {MISTAKEN}\b[,;]? (?:and |it )+should"
    r"|i made (?:a mistake|an error)\b(?!-)"
    r"|let me (?:fix|correct|redo|revise) (?:that|this|it)(?! \w)"
    r"|here(?: is|[\u2019']s) the (?:corrected|fixed|revised) (?:version|json|answer|output|result|object)\W*(?:\n|\Z)"
    r"|(?:please )?(?:ignore|disregard|do(?: not|n[\u2019']t) use) (?:the (?:json |answer |value )?above|this)"
    r"(?:, it\b|\W*(?:\n|\Z))"
    r"|(?:please )?(?:fill in|replace) the (?:values|placeholders|fields)\b(?! if))",
    re.IGNORECASE,
)
_ENTRIES: Final = r"(?:items?|entries|entry|rows?|records?|elements?|objects?|results?|ones?|few)"
_LINE_END: Final = r"\W*(?:\n|\Z)"
_GOES_ON: Final = re.compile(
    r"\s*,\s*(?:\.{3}|\u2026)\s*\Z"
    r"|[\s`~]*+(?:\.{3}|\u2026)\s*\Z"
    r"|[\s`~]*+(?:, )?[(\[]?+(?:\.{3}|\u2026)?+\s*+(?:note: )?(?:"
    rf"(?:and |plus |\+ ?)?(?:\d+|some|many|several) (?:more|others)(?: {_ENTRIES})?"
    rf"(?: (?:omitted|left out|not shown))?{_LINE_END}"
    r"|(?:the )?(?:list|output|rest|array)?(?: (?:is|was|has been))? ?(?:truncated|omitted|abbreviated)"
    rf"(?: (?:for|to|due to) [\w ]{{1,40}})?{_LINE_END}"
    rf"|(?:continues|continued|etc){_LINE_END}|(?:and )?so (?:on|forth)(?: for [\w ]{{1,40}})?{_LINE_END}"
    rf"|(?:the )?(?:remaining|other)(?: \w+)? {_ENTRIES} (?:follow the same|are omitted|(?:were |are )?omitted)\b"
    rf"|(?:only|just) (?:the )?first (?:\w+ )?(?:{_ENTRIES} )?(?:are|were) (?:shown|listed|included|given)\b"
    r"|(?:i(?: will|[\u2019']ll)|to be) continued?\b"
    rf"|i(?: have|[\u2019']ve)? only (?:included|listed|shown) the first\b|{_ENTRIES} \d+ (?:to|through|-) \d+ follow"
    r"|showing (?:only )?(?:the first )?(\d+) (?:out )?of (?!\1\b)\d+\b"
    r"|(?:would you like|do you want|shall i|should i)(?: me to)? continue\s*\?)",
    re.IGNORECASE,
)
"""What stands behind a list of which the rest was left out."""

_NEGATED: Final = re.compile(
    r"(?:(?:\bnot|n[\u2019']t|\bnever|\bcannot)"
    r"(?: (?:be|look like|like|(?:return|give|parse|read|use|answer|output)(?: this)?))?"
    r"|\b(?:failed|unable) to parse|\bavoid (?:\w+ ){0,3}like|\berror\W{1,3}(?:invalid|malformed) input"
    r"|(?:\A|[.!?\n])[ \t]*(?:you|the user) (?:have |has )?(?:provided|gave|sent|wrote|said)(?: me)?)[\s:\"'`]*\Z",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W\d_]{2}")
_ASKS: Final = re.compile(
    r"(?:\A|[.!?\n])\W{0,9}(?:do|does|did|is|are|was|should|shall|would|could|can|may|what|which|how)\b[^.!?\n]{0,99}\Z",
    re.IGNORECASE,
)
_ASKED_BEHIND: Final = re.compile(r"[\s`\"'*]{0,9}\?")
_BEGINS: Final = r"(?:\A|[.!?\n])[ \t#*_>]*"
_SHOWN_ONLY: Final = re.compile(
    rf"(?:{_BEGINS}(?:(?:the|your|an?) )?(?:(?:output|response|answer|expected|required|desired) (?:format|structure)"
    r"|(?:before|original|previous|old)(?: (?:version|value|json|output))?"
    r"|(?<=your )(?:original |previous )?input(?: was| is)?)[*_]{0,2}"
    rf"|(?:{_BEGINS}|\b(?:a|following) )sample (?:output|json|response|answer|result|object)"
    r"|\bassuming (?:some |the )?(?:typical|default|example|usual) values"
    r"|(?:\A|[.!?\n])[^.!?\n]{0,80}\bif (?:i|the|there|you|it|this)\b[^.!?\n]{0,60}"
    r"\b(?:would|could|might)\b[^.!?\n]{0,60}"
    r"|\((?:mock|sample|dummy) (?:data|values)\))[\s:`*_]*\Z",
    re.IGNORECASE,
)
"""What leads to a value that shows a form, or stands for one that is not there."""

_PART_BEFORE: Final = re.compile(
    r"(?:\bpartial (?:result|list|output|answer|json)s?"
    r"|\bfirst (\d+) (?:out )?of (?:the )?(?!\1\b)\d+\b[\w ]{0,40})[\s:`*_]*\Z",
    re.IGNORECASE,
)
"""What announces a part of a list."""
_INPUT_BEFORE: Final = re.compile(r"(?:\A|[.!?\n])[ \t]*(?:the )?input(?: was| is)?\s*:?[\s`]*\Z", re.IGNORECASE)
_OUTPUT_BEHIND: Final = re.compile(r"[\s`]*+(?:output\b|\.(?:\s|\Z))", re.IGNORECASE)
_STOOD_IN: Final = rf"(?:{STAND_IN}|examples?|samples?)"
_TAKEN_FROM: Final = (
    r"(?:e?-?mail|text|input|sentence|message|document|invoice|review|ticket|letter|article|request|image|account"
    r"|address)(?:e?s)?"
)
_KEPT_ALONE: Final = re.compile(
    r"\b(?:template|draft|first attempt|first try|format is"
    r"|(?:following|as in|based on|as per|(?:format|schema|structure|style) (?:from|in|of|as in|shown in|given in))"
    r" (?:the|your|that|this) (?:\w+ )?examples?(?=(?: format)?\s*(?::|\n|\Z))"
    rf"|(?:(?:for|from|of|about|on|to) (?:the|this|that|these|those)|your) (?:\w+ )?{_STOOD_IN}"
    rf" (?=(?:(?:that|which) )?you(?:[\u2019']ve)? (?:sent|gave|provided|posted|shared|pasted)\b|{_TAKEN_FROM}\b)"
    rf"|(?:the|this|that) {_STOOD_IN} (?={_TAKEN_FROM} (?:is|was|are|were|has|have) \w))\b"
    r"|\((?:e\.g\.|such as|for example|like)[^()\n]{0,100}\)"
    r"|\b(?:null|none|n/?a|zeros?|blanks?|empty \w+) as (?:an? )?placeholders?\b"
    r"|\b(?:as|like) (?:\w+ )?in (?:the|your) (?:\w+ )?examples?\b|\busing (?:the|your) (?:\w+ )?examples? as\b"
    r"|\b(?:json|answer|analysis|classification|extraction|result|summary)s? (?:for|from|of|to) (?:the |your )?"
    r"(?:\w+ )?examples?(?: \d+)?(?=\s*:)",
    re.IGNORECASE,
)
"""What a value may be called, said to follow, or made from, and be the answer if there is no other."""

_MENTION: Final = re.compile(
    r"[^\n]*(?<!\w)(?:note|would|means?|instead of|rather than|given as|represented (?:as|by)|shown as|taken from"
    r"|e\.g\."
    r"|for (?:example|instance)|in the (?:header|footer|input|text|example|prompt))(?!\w)",
    re.IGNORECASE,
)
"""What a sentence says that speaks of a value and does not give it."""

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
    if is_list and _GOES_ON.match(text, end):
        return True
    next_words = _TO_NEXT_WORDS.match(text, end)
    start = next_words.end() if next_words else end
    if _TAKEN_BACK.match(text, start) or is_denied_behind(text[start : start + _CHARS_OF_REMARK]):
        return True
    below = _REMARK_BELOW.match(text, end)
    beside = below.end() if below else end
    comment = _COMMENT_BEHIND.match(text, beside) if is_list else None
    return _is_denied_beside(text, beside, len(text)) or (
        comment is not None and _GOES_ON.match(comment[1]) is not None
    )


def is_mentioned(text: str, start: int, end: int) -> bool:
    """Return whether a value in a line with words is only spoken of there: it is quoted, or holds nothing."""
    line_start = text.rfind("\n", 0, start) + 1
    before = text[max(line_start, start - _CHARS_BEFORE) : start]
    behind = text[end : end + _CHARS_BEFORE].partition("\n")[0]
    is_aside = (before.endswith("`") and behind.startswith("`")) or not text[start + 1 : end - 1].strip()
    if not (is_aside and _WORD.search(before)) or _ANSWER.search(before) or _CORRECTION.search(before):
        return False
    return _MENTION.match(before + behind) is not None


def is_part_by_words(text: str, start: int) -> bool:
    """Return whether the words before a list say that it is a part of one."""
    return _PART_BEFORE.search(_FENCE_BEFORE.sub("", text[max(0, start - _CHARS_BEFORE) : start])) is not None


def is_answered_elsewhere(text: str, start: int, end: int) -> bool:
    """Return whether a value is called an example or a draft, and words behind it begin what they call the answer."""
    return _cue(text, 0, start, end, len(text)) is Cue.DECOY and _ANSWER_HEAD.search(text, end) is not None


def is_disowned(text: str, start: int, end: int) -> bool:
    """Return whether the words around a value that has no rival say that it is no answer."""
    before = _FENCE_BEFORE.sub("", text[max(0, start - _CHARS_BEFORE) : start])
    if _NEGATED.search(before) or is_denied_before(before) or _SHOWN_ONLY.search(before):
        return True
    if _ASKED_BEHIND.match(text, end) and _ASKS.search(before):
        return True
    if _INPUT_BEFORE.search(before) and _OUTPUT_BEHIND.match(text, end):
        return True
    said = _KEPT_ALONE.sub("", before)
    around = said + text[start:end] + text[end : end + _CHARS_OF_REMARK]
    return _cue(around, 0, len(said), len(said) + end - start, len(around)) is Cue.DECOY


def _is_denied_beside(text: str, end: int, ceiling: int) -> bool:
    """Return whether what stands behind a value on its line says that it is not the answer.

    What leads to the next value, at ``ceiling``, is that one's.
    """
    line, line_end, _ = text[end : min(ceiling, end + _CHARS_OF_REMARK)].partition("\n")
    if is_denied_on(line.lstrip("`*_~")):
        return True
    is_last_on_line = bool(line_end) or ceiling == len(text)
    if comment := _COMMENT_BEHIND.match(line):
        return is_last_on_line and takes_back_whole(comment[1])
    remark = _REMARK_BEHIND.match(line)
    if remark is None or ((remark[4] or remark[5]) and not is_last_on_line):
        return False
    return denies_whole(remark[remark.lastindex or 0])


def _cue(text: str, floor: int, start: int, end: int, ceiling: int) -> Cue:
    before = _FENCE_BEFORE.sub("", text[max(floor, start - _CHARS_BEFORE) : start]).rstrip()
    sentence = max((found.end() for found in _SENTENCE_END.finditer(before)), default=0)
    behind = text[end : min(ceiling, end + _CHARS_BEHIND)].partition("\n")[0]
    if _is_denied_beside(text, end, ceiling):
        return Cue.DECOY
    before = without_unsaid(before)
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
