"""Reads answers bare of brackets: one word, as a schema of scalars asks for, or an object's members. Pure.

Only if it is all the answer holds beside thoughts and a fence; a word never where any text would do, members
only where none can be missing.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from common.errors import StrictJsonError
from common.schema import CompiledSchema, Json, parse_json
from output_validation.candidates import END_MARK, Reading, Region, Span
from output_validation.declared import members, plain
from output_validation.extraction import Extraction, Place, Policy, Repair, RepairKind
from output_validation.guided import resolve
from output_validation.judge import Judged, judge_region, judge_value
from output_validation.tolerant import read_tolerantly
from output_validation.tolerant_text import UnreadableError

_MAX_CHARS: Final = 120
_EMPHASIS: Final = ("**", "__", "*", "_", "`")
_QUOTES: Final = ("''", "\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb")
_SCALARS: Final = frozenset({"boolean", "integer", "number", "null"})
_TAGGED: Final = re.compile(
    r"<(answer|final_answer|output|result|response|label|category)>([^<>]+)</\1>", re.IGNORECASE
)
_COUNTED: Final = re.compile(r"\b(?:score|rating|total|count|number)\b", re.IGNORECASE)
_ASKED: Final = (
    r"(?:answer|result|output|response|label|category|class|classification|sentiment|verdict|decision|prediction|value"
    r"|type|status|priority|severity|language|intent|topic|score|rating|total|count|number)"
)
_LEAD_IN: Final = re.compile(
    rf"\#{{1,6}}[ \t]{{1,9}}(?:final )?{_ASKED}[ \t]{{0,9}}:?[ \t]{{0,9}}\n\s{{0,9}}"
    r"|[*_]{0,2}(?:(?:so|thus|hence|therefore),? )?(?:(?:the|my) )?(?:(?:final|correct|predicted|overall) )?"
    rf"{_ASKED}"
    r"(?::[*_]{0,2}|[*_]{0,2}[ \t]{0,9}[:=]|[ \t]{1,9}is\b[ \t]{0,9}:?)\s{0,9}",
    re.IGNORECASE,
)
"""What may lead to the word: what it is. Any other word may speak against it."""

_PARAGRAPH_END: Final = re.compile(r"\n[ \t]{0,9}\n")
_LONGEST_REMARK: Final = 4_000
_EXPLAINS: Final = re.compile(
    r"\s*[*_#> ]{0,6}(?:reason(?:ing|s)?|explanation|rationale|justification)[*_]{0,2}:", re.IGNORECASE
)
"""How an explanation begins."""

_DOUBTS: Final = re.compile(
    r"\?|[^\x00-\x7f\u2010-\u2027]|\b(?:i|i'm|me|my|we|however|but|although|though|yet|still|except|unless|despite"
    r"|then|again|rather|(?:un)?sure|(?:un)?certain|unclear|ambiguous|mixed|alternatively|could|might|may|maybe|perhaps"
    r"|probably|possibly|likely|low|guess|cannot|unable|empty|provided|missing|placeholder|todo|confidence|probability"
    r"|actually|wait|oops|hmm|no|edit|sorry|correction|instead|reflection|wrong|incorrect|mistake|example|if|or|not"
    r"|neither|depends|assuming|second|other|another|review \d|error)\b|n't\b",
    re.IGNORECASE,
)
"""What an explanation has that may take back what it explains: all that is not plainly none, in plain English."""

_FIRST_KEY: Final = re.compile(r'"([^"\\\n]{1,200})"[ \t]*:')


@dataclass(frozen=True, slots=True)
class _Word:
    """Where a word stands, whether it is quoted and led to, and what follows in other paragraphs."""

    place: Place
    span: Span
    is_quoted: bool
    lead_in: re.Match[str] | None
    remark: str


def judge_bare_word(reading: Reading, schema: CompiledSchema | None, policy: Policy) -> Judged | None:
    """Return the one word that an answer without brackets is, if it satisfies ``schema``; None if it is no such.

    One of some words may be explained in other paragraphs.
    """
    root = resolve(schema.schema, schema.schema) if schema is not None else None
    if not isinstance(root, dict) or (found := _lone_word(reading)) is None:
        return None
    place, span, is_quoted = found.place, found.span, found.is_quoted
    word = reading.spoken[span.start + is_quoted : span.end - is_quoted]
    value = None if is_quoted else _value(word)
    if found.lead_in is not None and not _fits(found.lead_in, value, root):
        return None
    if found.remark and not _is_harmless(found.remark, word, root):
        return None
    repairs: tuple[Repair, ...] = ()
    if value is None:
        if not (_is_limited(root) or (is_quoted and root.get("type") == "string")):
            return None
        if not _is_json_text(word) or (is_quoted and "\\" in word):
            return None
        value = word
        repairs = (Repair(RepairKind.QUOTES_REPLACED if is_quoted else RepairKind.VALUE_QUOTED, span.start, span.end),)
    judged = judge_value(value, place, span, repairs, schema, policy)
    return judged if judged.candidate.ok and judged.readable else None


def judge_bare_members(reading: Reading, schema: CompiledSchema | None, policy: Policy) -> Judged | None:
    """Return the object whose opening bracket an answer left out, if it has every declared member; else None.

    So answer models whose answer somebody began for them, and those that close what they did not open.
    """
    root = plain(schema.schema, schema.schema) if schema is not None else None
    declared = members(root) if root is not None else {}
    place, whole = _whole(reading)
    first = _FIRST_KEY.match(reading.spoken, whole.start, whole.end)
    has_thought = any(each.start < whole.end and whole.start < each.end for each in reading.thoughts)
    if first is None or first[1] not in declared or has_thought:
        return None
    opened = "{" + reading.spoken[whole.start : whole.end]
    try:
        mended = read_tolerantly(opened, 0, len(opened), max_depth=policy.max_depth)
    except UnreadableError:
        return None
    if mended.end != len(opened) or not declared.keys() <= mended.value.keys():
        return None
    # Offsets in what was opened lie one behind those in what was not.
    shift = whole.start - 1
    moved = [replace(each, start=max(whole.start, each.start + shift), end=each.end + shift) for each in mended.repairs]
    opening = Repair(RepairKind.BRACKET_ADDED, whole.start, whole.start)
    closed = replace(mended, end=whole.end, repairs=(opening, *moved))
    region = Region(place, whole, closed, sealed=any(each.closed for each in reading.fences))
    judged = judge_region(reading.spoken, region, schema, policy)
    return judged if judged.candidate.ok and judged.readable else None


def is_rivalled_by_members(reading: Reading, found: Extraction) -> bool:
    """Return whether an answer begins with a member of an object without its opening bracket, before its value."""
    first = _FIRST_KEY.match(reading.spoken, _whole(reading)[1].start)
    sample = found.value[0] if isinstance(found.value, list) and found.value else found.value
    begins = found.candidates[found.chosen or 0].start
    return first is not None and first.start() < begins and isinstance(sample, dict) and first[1] in sample


def _is_json_text(word: str) -> bool:
    """Return whether a word has no NUL, and no half of a surrogate pair, as where an answer was cut in a character."""
    return not any(sign == "\x00" or "\ud800" <= sign <= "\udfff" for sign in word)


def _lone_word(reading: Reading) -> _Word | None:
    """Return the only word of an answer, or of its first paragraph, without what is around it."""
    text = reading.spoken
    place, whole = _whole(reading)
    lead_in = _LEAD_IN.match(text, whole.start, min(whole.end, whole.start + _MAX_CHARS))
    start = lead_in.end() if lead_in else whole.start
    paragraph = _PARAGRAPH_END.search(text, start, min(whole.end, start + 2 * _MAX_CHARS))
    end = _stripped(text, Span(start, paragraph.start())).end if paragraph else whole.end
    if not 0 < end - start <= _MAX_CHARS or "\n" in text[start:end]:
        return None
    remark = text[end : whole.end]
    if tagged := _TAGGED.fullmatch(text, start, end):
        inner = _stripped(text, Span(*tagged.span(2)))
        start, end = inner.start, inner.end
    while start < end:
        word = text[start:end]
        if any(_is_between(word, opening, closing) for opening, closing in _QUOTES):
            return _Word(place, Span(start, end), True, lead_in, remark)
        mark = next((mark for mark in _EMPHASIS if _is_between(word, mark, mark)), "")
        if not mark and word[-1] not in ".!":
            return _Word(place, Span(start, end), False, lead_in, remark)
        start, end = start + len(mark), end - (len(mark) or 1)
    return None


def _fits(lead_in: re.Match[str], value: Json, root: dict[str, Json]) -> bool:
    """Return whether the word may be what words say it is."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (is_number or _COUNTED.search(lead_in.group()) is None) and (_is_limited(root) or isinstance(value, str))


def _is_harmless(remark: str, word: str, root: dict[str, Json]) -> bool:
    """Return whether what follows one of some words explains it: it names none of the others and doubts nothing."""
    options = root.get("enum")
    if not isinstance(options, list) or len(remark) > _LONGEST_REMARK:
        return False
    if _EXPLAINS.match(remark) is None or _DOUBTS.search(remark):
        return False
    others = [each for each in options if isinstance(each, str) and each.casefold() != word.strip('"').casefold()]
    return len(others) == len(options) - 1 and not any(_is_named(each, remark) for each in others)


def _is_named(option: str, remark: str) -> bool:
    """Return whether a text names an option, or a word that begins as it does; single letters as they are written."""
    if len(option) == 1:
        return re.search(rf"\b{re.escape(option)}\b", remark) is not None
    return re.search(rf"\b{re.escape(option[:5])}", remark, re.IGNORECASE) is not None


def _whole(reading: Reading) -> tuple[Place, Span]:
    """Return all that an answer holds beside thoughts, the mark of its end and a fence around it."""
    text = reading.spoken
    end_mark = END_MARK.search(text)
    whole = _stripped(text, Span(0, end_mark.start() if end_mark else len(text)))
    if len(reading.fences) == 1:
        fence = reading.fences[0]
        if fence.outer == whole and fence.closed:
            return Place.FENCE, _stripped(text, fence.inner)
        if fence.outer.end >= whole.end and not text[fence.inner.start : fence.inner.end].strip():
            # The end of a block that somebody began for the model.
            return Place.PROSE, _stripped(text, Span(whole.start, fence.outer.start))
    return Place.PROSE, whole


def _stripped(text: str, span: Span) -> Span:
    part = text[span.start : span.end]
    start = span.start + len(part) - len(part.lstrip(" \t\r\n\ufeff"))
    return Span(start, start + len(part.strip(" \t\r\n\ufeff")))


def _is_between(word: str, opening: str, closing: str) -> bool:
    inner = word[len(opening) : -len(closing)]
    return (
        inner != ""
        and word.startswith(opening)
        and word.endswith(closing)
        and opening not in inner
        and closing not in inner
    )


def _value(word: str) -> Json:
    """Return the number, boolean or text that a word is as JSON, else None."""
    try:
        return parse_json(word)
    except StrictJsonError:
        return None


def _is_limited(root: dict[str, Json]) -> bool:
    """Return whether a schema asks for one of some words, or for a scalar that is no text."""
    types = root.get("type", [])
    types = [types] if isinstance(types, str) else types
    return "enum" in root or "const" in root or bool(types and _SCALARS.issuperset(types))
