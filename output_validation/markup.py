"""Takes off markup that some answers put on or around their value: quote marks, doubled braces, CDATA, a LaTeX box.

Pure. Only what cannot be read as it stands is looked at so. What is taken off is blanked, so offsets stay those of the
text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from output_validation.candidates import END_MARK, Span
from output_validation.extraction import RepairKind

_OPENER: Final = re.compile(r"[\[{]|```|~~~")
_QUOTED_LINES: Final = re.compile(r"(?:^\ufeff?[ \t]{0,3}>[^\n]*(?:\n|\Z))+", re.MULTILINE)
_QUOTE_MARK: Final = re.compile(r"^(\ufeff?[ \t]{0,3})>", re.MULTILINE)
_STRING_OR_BRACES: Final = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|\{+|\}+')
_FIRST_DOUBLED: Final = re.compile(r'\{\{\s*"')
_FENCE: Final = re.compile(r"(?:`{3,}|~{3,})[^\n]*")
_WORD: Final = re.compile(r"\w")
_HALF: Final = {"{": "{ ", "}": " }"}
_BOX: Final = re.compile(r"\\boxed[ \t]*\{")
_VALUE_OPENS: Final = re.compile(r"""[\[{]\s*+["'\[{]|```""")
_STRING_OR_BRACE: Final = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[{}]')
_BEHIND_BOX: Final = re.compile(rf"[\s$\\).\]*]*(?:{END_MARK.pattern}|\Z)")
_DOUBTED: Final = re.compile(r"n[\u2019']t\b|\b(?:not|never|wrong|incorrect|invalid|example|e\.g)\b", re.IGNORECASE)
_TEXT_IN_BOX: Final = re.compile(r"\s*\\(?:text|texttt|textbf|mathrm|mathbf)\{([^{}\\]*)\}\s*")
_CDATA: Final = re.compile(r"<!\[CDATA\[|\]\]>")


@dataclass(frozen=True, slots=True)
class PlainText:
    """The text, as long as it was, and what was taken off which part of it."""

    text: str
    span: Span
    kind: RepairKind
    around: bool = False
    """It was taken off around the value, and none of it within."""


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
    """Take the one LaTeX box away that ends the answer; if it holds a word or number, what leads to it, too."""
    boxes = list(islice(_BOX.finditer(text), 2))
    if len(boxes) != 1:
        return None
    outer, start = boxes[0].start(), boxes[0].end()
    end = _closed_at(text, start)
    if end is None or _BEHIND_BOX.fullmatch(text, end + 1) is None:
        return None
    before = text[:outer]
    if text[start:end].lstrip()[:1] not in ("[", "{"):
        if _VALUE_OPENS.search(before) or _DOUBTED.search(before.rpartition("\n")[2]):
            return None
        before = " " * outer
        if words := _TEXT_IN_BOX.fullmatch(text, start, end):
            start, end = words.span(1)
    plain = before + " " * (start - outer) + text[start:end] + " " * (len(text) - end)
    return PlainText(plain, Span(outer, len(text)), RepairKind.PROSE_SET_ASIDE, around=True)


def _closed_at(text: str, start: int) -> int | None:
    """Return where the brace is that closes the one before ``start``."""
    depth = 1
    for token in _STRING_OR_BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth == 0:
            return token.start()
    return None
