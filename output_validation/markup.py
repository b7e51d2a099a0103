"""Takes off markup that some answers put on or around their value: quote marks, doubled braces, CDATA, a LaTeX box.

Pure. Only what cannot be read as it stands is looked at so. What is taken off is blanked, so offsets stay those of the
text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from output_validation.candidates import END_MARK, Span, blanked
from output_validation.extraction import RepairKind
from output_validation.thoughts import thoughts as find_thoughts

_OPENER: Final = re.compile(r"[\[{]|```|~~~")
_QUOTED_LINES: Final = re.compile(r"(?:^\ufeff?[ \t]{0,3}>[^\n]*(?:\n|\Z))+", re.MULTILINE)
_QUOTE_MARK: Final = re.compile(r"^(\ufeff?[ \t]{0,3})>", re.MULTILINE)
_STRING_OR_BRACES: Final = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|\{+|\}+')
_FIRST_DOUBLED: Final = re.compile(r'\{\{\s*"')
_FENCE: Final = re.compile(r"(?:`{3,}|~{3,})[^\n]*")
_WORD: Final = re.compile(r"\w")
_HALF: Final = {"{": "{ ", "}": " }"}
_BOX: Final = re.compile(r"\\boxed[ \t]*\{")
_LONGEST_BOX: Final = 100_000
_STRING_OR_BRACE: Final = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[{}]')
_BEFORE_BOX: Final = re.compile(
    r"[\s*_#]*+(?:(?:(?:so|thus|hence|therefore),? )?(?:(?:the|my) )?(?:final |correct )?"
    r"(?:answer|result|output)(?: is)?)?"
    r"[\s*_]*+:?[\s*_]*+(?:\$\$?|\\\[|\\\()?\s*+",
    re.IGNORECASE,
)
"""What may lead to a box. Anything else may speak against it, or be a part of the number."""

_BEHIND_BOX: Final = re.compile(rf"[\s$\\).\]*_]*+(?:{END_MARK.pattern}|\Z)")
_TEXT_IN_BOX: Final = re.compile(r"\s*\\(?:text|texttt|textbf|mathrm|mathbf)\{([^{}\\]*)\}\s*")
_CDATA: Final = re.compile(r"<!\[CDATA\[|\]\]>")


@dataclass(frozen=True, slots=True)
class PlainText:
    """The text, as long as it was, in which part of it the value must be, and how what was taken off is called.

    ``around``: where it was, if none of it was within the value.
    """

    text: str
    span: Span
    kind: RepairKind
    around: tuple[Span, ...] = ()


def without_markup(text: str) -> Iterator[PlainText]:
    """Yield the text without each kind of markup that it has."""
    for takes_off in (_without_quote_marks, _without_doubled_braces, _without_cdata, _without_box):
        if (found := takes_off(text)) is not None:
            yield found


def _without_quote_marks(text: str) -> PlainText | None:
    """Take the > off each line of the one quoted block that holds brackets or a fence, and ends the answer.

    What an answer goes on to speak of is a quotation of somebody else's words.
    """
    blocks = list(islice((each for each in _QUOTED_LINES.finditer(text) if _OPENER.search(each.group())), 2))
    if len(blocks) != 1:
        return None
    start, end = blocks[0].span()
    if text[end:].strip():
        return None
    plain = _QUOTE_MARK.sub(r"\1 ", blocks[0].group())
    return PlainText(text[:start] + plain + text[end:], Span(start, end), RepairKind.BLOCK_QUOTE_REMOVED)


def _without_doubled_braces(text: str) -> PlainText | None:
    """Halve the braces of an answer that is all in doubled ones, as templates are. Strings with braces are in doubt."""
    first = _FIRST_DOUBLED.search(text)
    if first is None:
        return None
    parts = [text[: first.start()]]
    position = end = first.start()
    for token in _STRING_OR_BRACES.finditer(text, first.start()):
        braces = token.group()
        if braces[0] == '"':
            if "{" in braces or "}" in braces:
                return None
            continue
        if len(braces) % 2:
            return None
        parts += (text[position : token.start()], _HALF[braces[0]] * (len(braces) // 2))
        position = end = token.end()
    if _WORD.search(_FENCE.sub("", text[: first.start()] + text[end:])):
        # Words beside it speak of a template.
        return None
    return PlainText("".join((*parts, text[position:])), Span(first.start(), end), RepairKind.BRACES_HALVED)


def _without_cdata(text: str) -> PlainText | None:
    """Blank the marks of the one CDATA section."""
    marks = list(islice(_CDATA.finditer(text), 3))
    if [mark.group()[0] for mark in marks] != ["<", "]"]:
        return None
    plain = _CDATA.sub(lambda mark: " " * len(mark.group()), text)
    return PlainText(plain, Span(marks[0].start(), marks[1].end()), RepairKind.PROSE_SET_ASIDE)


def _without_box(text: str) -> PlainText | None:
    """Keep what the one LaTeX box holds, and thoughts, if nothing but a lead-in stands beside it."""
    if _BOX.search(text) is None:
        return None
    thoughts = [Span(*each) for each in find_thoughts(text)]
    spoken = blanked(text, thoughts)
    boxes = list(islice(_BOX.finditer(spoken), 2))
    if len(boxes) != 1 or (end := _closed_at(spoken, boxes[0].end())) is None:
        return None
    outer, start = boxes[0].span()
    if _BEFORE_BOX.fullmatch(spoken, 0, outer) is None or _BEHIND_BOX.fullmatch(spoken, end + 1) is None:
        return None
    if words := _TEXT_IN_BOX.fullmatch(spoken, start, end):
        start, end = words.span(1)
    held = spoken[start:end].strip()
    # 5! is no five, and behind brackets nothing may stand either.
    if held.endswith("!") or (held[:1] in ("[", "{") and held[-1:] not in ("]", "}")):
        return None
    first = len(spoken) - len(spoken.lstrip())
    around = (Span(first, start), Span(end, len(spoken.rstrip())))
    outside = [Span(0, start), Span(end, len(text))]
    plain = [*blanked(text, outside)]
    for thought in thoughts:
        plain[thought.start : thought.end] = text[thought.start : thought.end]
    return PlainText("".join(plain), Span(start, end), RepairKind.PROSE_SET_ASIDE, around)


def last_box(text: str, span: Span) -> str | None:
    """Return what the last LaTeX box holds that stands outside ``span`` and thoughts."""
    if _BOX.search(text) is None:
        return None
    spoken = blanked(text, [Span(*each) for each in find_thoughts(text)])
    starts = [box.end() for box in _BOX.finditer(spoken) if not span.start <= box.start() < span.end]
    end = _closed_at(spoken, starts[-1]) if starts else None
    return spoken[starts[-1] : end] if end is not None else None


def _closed_at(text: str, start: int) -> int | None:
    """Return where the brace is that closes the one before ``start``, if it is near enough."""
    depth = 1
    for token in _STRING_OR_BRACE.finditer(text, start, start + _LONGEST_BOX):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth == 0:
            return token.start()
    return None
