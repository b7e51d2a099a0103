"""Knows the marks between which models write down what they think. Pure, linear."""

import re
from collections.abc import Iterator
from typing import Final

_NAMES: Final = (
    r"(?:think|thinking|thoughts?|thought_process|chain_of_thought|reasoning|reflection|scratch_?pad|cot"
    r"|inner_monologue|analysis|seed:think)"
)
_ATTRIBUTES: Final = r"""(?:\s++[\w:-]++\s*+=\s*+["'][^<>"'\n]{0,80}["'])*+\s*+"""
_HEADER: Final = r"<\|channel\|>(?:final|commentary[^<>\n]{0,80})(?:<\|constrain\|>\w{1,20})?<\|message\|>"
TAG: Final = re.compile(
    rf"(?P<open><{_NAMES}{_ATTRIBUTES}>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<unused94>|<\|START_THINKING\|>|<\|thinking\|>)"
    r"|(?P<channel><\|channel\|>analysis<\|message\|>)"
    rf"|(?P<close></{_NAMES}\s*+>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<unused95>|<\|END_THINKING\|>|<\|/thinking\|>"
    r"|<\|channel\|>final<\|message\|>)"
    rf"|(?P<end><\|end\|>(?:(?:<\|start\|>assistant)?{_HEADER})?|{_HEADER})",
    re.IGNORECASE,
)
"""``channel`` opens what ``end`` closes, and nothing else: other models end their answers with ``<|end|>``."""

MAX_TAG_CHARS: Final = 128
"""Of a tag that is still arriving no more than this is waited for."""

_IN_STRING: Final = re.compile(r'[^\n"{\[]{0,60}\\?"\s*[,}\]:]')
"""What follows a tag that stands in a string of some JSON."""

_MAY_BE_IN_STRING: Final = re.compile(r'[^\n"{\[]{0,60}(?:\\?"\s{0,200})?\\?\Z')
"""The same, while it is still arriving."""

_STRING_OPENS: Final = re.compile(r'[:,\[{]\s*\\?"[^"\n]*\Z')
_MAX_LOOK_BACK: Final = 200


def thoughts(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a model speaks to itself. Without its opening tag a thought begins with the text.

    Where thoughts stand in a thought, each closing tag may be the last: what stands between them was thought too.
    """
    position, opened, unclosed = 0, list[re.Match[str]](), 0
    for tag in TAG.finditer(text):
        kind = tag.lastgroup
        if kind in {"open", "channel"}:
            opened.append(tag)
        elif kind == "end" and not (opened and opened[-1].lastgroup == "channel"):
            continue
        elif kind == "close" and _IN_STRING.match(text, tag.end()):
            # Quoted by some JSON, in the answer or in a thought; so is its pair, unless that leads a line.
            if opened and not _leads_line(text, opened[-1].start()):
                opened.pop()
        elif opened or unclosed or position == 0:
            yield (opened[0].start() if opened else position), tag.end()
            position = tag.end()
            unclosed = max(unclosed + len(opened) - 1, 0)
            opened.clear()
    start = next((tag.start() for tag in opened if not _is_quoted(text, tag)), None)
    if start is not None:
        yield start, len(text)


def is_quoted_so_far(text: str, tag: re.Match[str]) -> bool | None:
    """Return whether a closing tag in a text that is still arriving is quoted by some JSON, None if it may be."""
    if _IN_STRING.match(text, tag.end()):
        return True
    return None if _MAY_BE_IN_STRING.match(text, tag.end()) else False


def _leads_line(text: str, at: int) -> bool:
    """Return whether nothing but blanks stands before a tag in its line."""
    before = text[max(0, at - _MAX_LOOK_BACK) : at].rpartition("\n")[2]
    return not before.strip("\ufeff \t\r")


def _is_quoted(text: str, tag: re.Match[str]) -> bool:
    """Return whether a tag stands in a string of some JSON."""
    if _IN_STRING.match(text, tag.end()) is None:
        return False
    return _STRING_OPENS.search(text[max(0, tag.start() - _MAX_LOOK_BACK) : tag.start()]) is not None
