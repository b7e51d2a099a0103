"""Finds the parts of a text that may be its JSON value: fenced blocks and balanced regions, thoughts set aside.

One pass over the text, with a bound on repeated work, so that no text takes more than time in proportion to its
length. A region that is not strict JSON is read tolerantly on the spot, because only that tells where it ends.
Where one opens like JSON and cannot be read, no part inside it is offered: a part is not the value.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from output_validation.citations import is_citation, names_source
from output_validation.escaped import MAX_LEVELS, is_escaped, unescape
from output_validation.extraction import Place, Repair, RepairKind
from output_validation.openings import SUBSCRIPT, json_opening
from output_validation.speakers import own_words_end
from output_validation.thoughts import thoughts as find_thoughts
from output_validation.tolerant import Mended, read_tolerantly
from output_validation.tolerant_text import UnreadableError

MAX_CANDIDATES: Final = 256
"""A text with more JSON values than this is refused: nobody can say which one is the answer."""

MAX_FENCES: Final = 1_000
MAX_PROSE_BRACKETS: Final = 20_000
_WORK_PER_CHAR: Final = 3
_WORK_AT_LEAST: Final = 100_000
_MOST_IN_VAIN: Final = 100_000
"""Characters of values that turned out unreadable, the longest apart: reading them tolerantly costs the most by far."""

_LOOK_BACK: Final = 200
_STREAM_END: Final = re.compile(r"\n\s*data:\s*\[DONE\]\s*\Z")
"""How an event stream of chat completions ends."""

_CHECK_BOX: Final = re.compile(r"^[ \t]*(?:[-*+]|[0-9]{1,3}[.)])[ \t]+\[ \](?=[ \t]+\w)", re.MULTILINE)
_CUT_OFF_LIST: Final = re.compile(r"\[[\s0-9.,+\-eE]*+(?:(?:true|false|null)[\s,]*+)*\Z")
_FENCE_LINE: Final = re.compile(r"^[ \t]{0,3}(`{3,}+|~{3,}+)([^\n`\"',;\[{]*+(?:[\[{][^\n`]*+)?)$", re.MULTILINE)
_FENCE_LABEL: Final = re.compile(r"\s*[\w+.-]*")
_OPENER: Final = re.compile(r"[\[{]")
_TOKEN: Final = re.compile(r'"(?:[^"\\\n]+|\\.)*+"?|[\[\]{}]')
_JSON_OPENING: Final = json_opening(spaces="{0,1000}", some="+", literal_end=r"\b")
_QUOTED_BRACKET: Final = re.compile(
    r"""(?:(?<=")[\[{]"|(?<=')[\[{]'|(?<=\u201c)[\[{]\u201d|(?<=\u2018)[\[{]\u2019)(?![\w$@#"'])"""
)
"""A bracket that is spoken of: start with "{" and end with "}"."""

_NO_OPENERS: Final = (SUBSCRIPT, _QUOTED_BRACKET)
_ARRAY_OF_SCALARS: Final = re.compile(r'\[\s*[^\s"\\\[{]')
_ARRAY_OF_MORE: Final = re.compile(
    r"\[\s*(?:(?:-?[0-9][0-9.eE+-]*|true|false|null|True|False|None)\s*,\s*){1,50}[\"'{\[]"
)
"""Scalars and then a string or a container: never punctuation, as the brackets of [0, 1) are."""

END_MARK: Final = re.compile(
    r"(?:<\|(?:im_end|eot_id|eom_id|endoftext|end|return)\|>|</s>|<end_of_turn>|\[/INST\])\s*\Z"
)
"""How chat templates end an answer."""

_TELLING: Final = re.compile(r"[^\s\x00-\x1f\x7f\u200b-\u200f\u2060\ufeff;]")
_LEAD_IN_FENCE: Final = re.compile(
    r"\s*+(?:(?:<[\w:-]{1,40}>|\(|[*_`']{1,3}|(?:[Jj]son|JSON|[Aa]nswer|[Oo]utput|[Rr]esult)\b\s*+:?|export default\b"
    r"|[A-Za-z_][\w.]{0,80}\s*+[(=]|(?:`{3,}+|~{3,}+)[\w+.-]*+|(?://|\#)[^\n]*\n"
    r"|(?:(?:const|let|var)\s++)?[A-Za-z_]\w{0,80}\s*+="
    r"|[^\W\d_][\w'\u2019-]*(?:(?:,? [\w'\u2019-]+){0,30}[.!]|(?:,? [\w'\u2019-]+){2,30} ?:)[ \t]*\n"
    r"|[^\W\d_]{3,60}\uff1a[ \t]*\n)\s*+){1,4}[\[{]"
)
"""What may stand in a block between its first line and the value: a tag, a fence, comments, a name and "=", words."""

_SURE_LABELS: Final = frozenset({"json", "jsonc", "json5"})
_SCALAR_LABELS: Final = _SURE_LABELS | {"", "text", "txt", "plaintext"}


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the text: offsets, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Region:
    """A part that opens like a JSON value, to be read as a whole or not at all.

    ``mended``: what tolerant reading made of a part that is not strict JSON; ``fault``: why it could not.
    """

    place: Place
    span: Span
    mended: Mended | None = None
    fault: UnreadableError | None = None
    sealed: bool = False
    """More text follows its end, or its fence is closed: the answer was not cut off in it."""
    label: str = ""
    """The label of its fence."""
    in_fence: bool = False


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: the whole of it, and what it holds."""

    outer: Span
    inner: Span
    label: str
    closed: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found. ``complete`` is false if the text was too tangled to be searched to its end."""

    thoughts: tuple[Span, ...]
    fences: tuple[Fence, ...]
    regions: tuple[Region, ...]
    complete: bool
    spoken: str
    """The text with its thoughts blanked: what they say of a value is not said to the reader."""


def read(text: str, max_depth: int) -> Reading:
    """Return the candidates of ``text`` in order of appearance."""
    thoughts = tuple(Span(*each) for each in find_thoughts(text))
    masked = blanked(text, thoughts)
    masked = masked[: own_words_end(masked)]
    fences = tuple(islice(_fences(masked), MAX_FENCES + 1))
    search = _Search(text, masked, fences, max_depth)
    regions = sorted(search.regions(), key=lambda region: region.span.start)
    # Where anything else was found, [1] in a sentence is a citation; alone, where the sentence speaks of a source.
    others = [each for each in regions if not _is_citation(masked, each)]
    regions = others or ([] if len(regions) == 1 and _is_remark(masked, regions[0]) else regions)
    if not regions and (lone := _lone_scalar(masked, thoughts)):
        regions = [lone]
    return Reading(thoughts, fences, tuple(regions), not search.gave_up and len(fences) <= MAX_FENCES, masked)


def _is_citation(text: str, region: Region) -> bool:
    return not region.in_fence and is_citation(text, region.span.start, region.span.end)


def _is_remark(text: str, region: Region) -> bool:
    return _is_citation(text, region) and names_source(text, region.span.start, region.span.end)


def _lone_scalar(text: str, thoughts: tuple[Span, ...]) -> Region | None:
    """Return the string, number or word that is all an answer holds beside its thoughts and the mark of its end."""
    end_mark = END_MARK.search(text)
    if end_mark is None and not thoughts:
        return None
    end = end_mark.start() if end_mark else len(text)
    start = len(text) - len(text.lstrip())
    end = len(text[:end].rstrip())
    return Region(Place.PROSE, Span(start, end)) if start < end and _is_strict(text[start:end]) else None


def blanked(text: str, spans: Sequence[Span]) -> str:
    """Return the text with the spans blanked, so that offsets stay what they were."""
    if not spans:
        return text
    parts: list[str] = []
    position = 0
    for span in spans:
        parts += (text[position : span.start], " " * (span.end - span.start))
        position = span.end
    return "".join((*parts, text[position:]))


def _fences(text: str) -> Iterator[Fence]:
    opening: re.Match[str] | None = None
    for line in _FENCE_LINE.finditer(text):
        if opening is None:
            opening = line
        elif line.group(1).startswith(opening.group(1)) and not line.group(2).strip():
            yield _fence(opening, line.start(), line.end(), closed=True)
            opening = None
    if opening is not None:
        yield _fence(opening, len(text), len(text), closed=False)


def _fence(opening: re.Match[str], inner_end: int, outer_end: int, *, closed: bool) -> Fence:
    info = opening.group(2)
    word = _FENCE_LABEL.match(info)
    label = word.group().strip().lower() if word else ""
    # Some models begin the value on the fence's own line.
    on_line = info.find(info.strip()[len(label) :].strip()) if "{" in info or "[" in info else -1
    inner_start = opening.start(2) + on_line if on_line >= 0 else opening.end()
    return Fence(Span(opening.start(), outer_end), Span(inner_start, inner_end), label, closed)


def _is_strict(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


class _Search:
    """Goes through the text once, from opening bracket to opening bracket."""

    def __init__(self, original: str, text: str, fences: tuple[Fence, ...], max_depth: int) -> None:
        self._original = original
        self._text = text
        self._max_depth = max_depth
        self._fences = fences
        self._fence_starts = [fence.inner.start for fence in fences]
        self._check_boxes = {found.end() - 3 for found in _CHECK_BOX.finditer(text)}
        stream_end = _STREAM_END.search(text, max(0, len(text) - _LOOK_BACK))
        self._end = stream_end.start() if stream_end else len(text)
        self._work_left = _WORK_PER_CHAR * len(text) + _WORK_AT_LEAST
        self._prose_left = MAX_PROSE_BRACKETS
        self._in_vain = self._longest_in_vain = 0
        self._guessed = False
        self.gave_up = False

    def regions(self) -> Iterator[Region]:
        position = 0
        scalars = list(islice(self._scalars(), MAX_CANDIDATES + 1))
        yield from scalars
        count = len(scalars)
        while opener := _OPENER.search(self._text, position):
            is_in_vain = self._in_vain - self._longest_in_vain > _MOST_IN_VAIN
            if min(self._work_left, self._prose_left) < 0 or count > MAX_CANDIDATES or is_in_vain:
                self.gave_up = True
                return
            start = opener.start()
            if start in self._check_boxes or any(each.match(self._text, start) for each in _NO_OPENERS):
                position = start + 1
                self._prose_left -= 1
                continue
            end = self._guessed_end(start)
            if end is not None:
                yield self._region(start, end)
                position, count = end, count + 1
                continue
            end = self._closed_at(start)
            if self._is_prose(start, end):
                position = start + 1
                self._prose_left -= 1
                continue
            region = self._readable(start, end)
            yield region
            position, count = region.span.end, count + 1

    def _region(
        self, start: int, end: int, mended: Mended | None = None, fault: UnreadableError | None = None
    ) -> Region:
        fence = self._fence_at(start)
        sealed = fence is not None and fence.closed
        label = fence.label if fence else ""
        return Region(self._place(start, end), Span(start, end), mended, fault, sealed, label, fence is not None)

    def _readable(self, start: int, end: int | None) -> Region:
        """Return the region that opens at ``start``, strict or mended, or why it cannot be read."""
        fence = self._fence_at(start)
        limit = fence.inner.end if fence else max(start + 1, self._end)
        if self._begins_json_block(start) and _JSON_OPENING.match(self._text, start) is None:
            return self._region(start, limit, fault=UnreadableError(start, "what the block begins with is not JSON"))
        if end is not None and end <= limit and _is_strict(self._text[start:end]):
            return self._region(start, end)
        limit = start + len(self._text[start:limit].rstrip())
        try:
            mended = self._unescaped(start, limit) if is_escaped(self._text, start) else None
            if mended is None:
                sealed = fence is not None and fence.closed
                mended = read_tolerantly(self._original, start, limit, max_depth=self._max_depth, sealed=sealed)
        except UnreadableError as fault:
            looked = max(self._looked_at(fault.offset, limit) - start, 0)
            self._work_left -= looked
            self._in_vain += looked
            self._longest_in_vain = max(self._longest_in_vain, looked)
            until = min(end, limit) if end is not None else limit
            return self._region(start, max(until, start + 1), fault=fault)
        self._work_left -= mended.end - start
        return self._region(start, mended.end, mended)

    def _looked_at(self, offset: int, limit: int) -> int:
        """Return how far was read where a fault stands: if that is in a comment, to where the comment may end."""
        if self._original.startswith("/*", offset):
            return limit
        if not self._original.startswith(("//", "#"), offset):
            return offset
        line_end = self._original.find("\n", offset, limit)
        return line_end if line_end >= 0 else limit

    def _unescaped(self, start: int, limit: int) -> Mended | None:
        """Return what an escaped region holds; all that was mended in it is said to be its whole."""
        plain, end = self._original, start
        for level in range(MAX_LEVELS):
            found = unescape(plain, start if level == 0 else 0, limit if level == 0 else len(plain))
            if found is None:
                self._work_left -= limit - start
                return None
            plain, used = found
            end = used if level == 0 else end
            self._work_left -= len(plain)
            if is_escaped(plain, 0):
                continue
            try:
                inner = read_tolerantly(plain, 0, len(plain), max_depth=self._max_depth)
            except UnreadableError as fault:
                # Where in what was escaped is not where in the answer.
                raise UnreadableError(start, f"{fault.problem}, its escapes undone") from None
            if inner.end != len(plain):
                return None
            kinds = dict.fromkeys(repair.kind for repair in inner.repairs)
            repairs = tuple(Repair(kind, start, end) for kind in (RepairKind.ESCAPES_REMOVED, *kinds))
            return Mended(inner.value, end, repairs, inner.unclosed)
        return None

    def _scalars(self) -> Iterator[Region]:
        """Yield fenced blocks that hold neither object nor array and are said to be JSON, or are it unsaid."""
        for fence in self._fences:
            inner = self._text[fence.inner.start : fence.inner.end]
            if fence.label in _SCALAR_LABELS and inner.strip():
                start = fence.inner.start + len(inner) - len(inner.lstrip())
                is_tried = fence.label in _SURE_LABELS and _LEAD_IN_FENCE.match(inner) is None
                if self._text[start] not in "[{" and (is_tried or _is_strict(inner)):
                    yield self._region(start, start + len(inner.strip()))

    def _guessed_end(self, start: int) -> int | None:
        """Return the end of a value that reaches to the last bracket of its fence, or of the text.

        That is how most answers look, and trying it costs far less than counting brackets.
        """
        fence = self._fence_at(start)
        if fence is None and self._guessed:
            return None
        self._guessed = self._guessed or fence is None
        closer = "}" if self._text[start] == "{" else "]"
        end = self._text.rfind(closer, start, fence.inner.end if fence else len(self._text)) + 1
        self._work_left -= max(end - start, 0)
        return end if _is_strict(self._text[start:end]) else None

    def _fence_at(self, start: int) -> Fence | None:
        index = bisect_right(self._fence_starts, start) - 1
        return self._fences[index] if index >= 0 and start < self._fences[index].inner.end else None

    def _closed_at(self, start: int) -> int | None:
        """Return where the bracket at ``start`` is closed. A string ends with its line, as JSON's must."""
        depth = 0
        for token in _TOKEN.finditer(self._text, start):
            mark = token.group()
            if mark in "[{":
                depth += 1
            elif mark in "]}":
                depth -= 1
                if depth == 0:
                    self._work_left -= token.end() - start
                    return token.end()
        self._work_left -= len(self._text) - start
        return None

    def _is_prose(self, start: int, end: int | None) -> bool:
        """Return whether a bracket opens no JSON but is punctuation: [see], {name}, a lone [1."""
        if self._text[start] == "[" and self._is_cut_off_list(start, end):
            return False
        if self._begins_json_block(start):
            return False
        if _JSON_OPENING.match(self._text, start) is not None:
            is_flat = _ARRAY_OF_SCALARS.match(self._text, start) and not _ARRAY_OF_MORE.match(self._text, start)
            return end is None and bool(is_flat)
        if self._text[start] == "[":
            return True
        inside = self._text[start + 1 : start + 200 if end is None else end - 1]
        return end is not None and ":" not in inside and '"' not in inside

    def _begins_json_block(self, start: int) -> bool:
        """Return whether a bracket is the first sign of a block that is said to be JSON."""
        fence = self._fence_at(start)
        return fence is not None and fence.label in _SURE_LABELS and not self._text[fence.inner.start : start].strip()

    def _is_cut_off_list(self, start: int, end: int | None) -> bool:
        """Return whether a list ends with the text, or its fence, and not by its bracket."""
        if end is not None:
            return False
        fence = self._fence_at(start)
        limit = fence.inner.end if fence else len(self._text)
        return _CUT_OFF_LIST.match(self._text, start, limit) is not None

    def _place(self, start: int, end: int) -> Place:
        """Return FENCE if the region is all that a fenced block holds."""
        fence = self._fence_at(start)
        if fence is None or end > fence.inner.end:
            return Place.PROSE
        around = self._text[fence.inner.start : start] + self._text[end : fence.inner.end]
        return Place.PROSE if _TELLING.search(around) else Place.FENCE
