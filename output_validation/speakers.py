"""Knows where a model's own words end: behind them it may go on as the user, or with the next example. Pure, linear.

So do models that miss the end of their turn, or were never taught one. What they say in another's name is no answer.
"""

import re
from typing import Final

_OTHER_TURN: Final = re.compile(
    r"(?:<\|(?:im_end|eot_id|eom_id|endoftext|end)\|>|</s>|<end_of_turn>)\s*+"
    r"(?:<\|im_start\|>(?:user|system)\b|<\|start_header_id\|>(?:user|system)<|<start_of_turn>user\b"
    r"|(?:<s>\s*+)?\[INST\]|<\|(?:user|system)\|>)",
    re.IGNORECASE,
)
_MARK: Final = r"[ \t#*_>-]{0,9}"
_NEXT_EXAMPLE: Final = re.compile(
    rf"[}}\]]\s*+(?:[`~]{{3,}}+\s*+)?(?:[#=*_-]{{2,}}+\s*+)?(?<=\s){_MARK}"
    r"(?:input|question|query|text|sentence|review|email|document|user|human|q|(?:example|input|question) \d{1,3})"
    rf"[*_ \t]{{0,4}}:[^\n]*+\n(?:(?!{_MARK}(?:output|answer|json|response|result|assistant|a)\b)[^\n]*+\n){{0,40}}+"
    rf"{_MARK}(?:output|answer|json|response|result|assistant|a)[*_ \t]{{0,4}}:",
    re.IGNORECASE,
)
_BEGINS_WITH_VALUE: Final = re.compile(
    r"\s*+(?:<\|\w{1,20}\|>\s*+){0,4}+(?:(?:assistant|output|answer|json|response|result)[ \t]{0,4}:\s*+)?"
    r"(?:(?:`{3,}+|~{3,}+)[\w+.-]*+\s*+)?[\[{]",
    re.IGNORECASE,
)


def own_words_end(text: str) -> int:
    """Return where the turn of the model ends in ``text``, in which thoughts are blanked.

    The next example of a row is known only where the text begins with the value: as the answer to the row before it.
    """
    ends = [len(text)]
    if turn := _OTHER_TURN.search(text):
        ends.append(turn.start())
    if _BEGINS_WITH_VALUE.match(text) and (example := _NEXT_EXAMPLE.search(text)):
        ends.append(example.start() + 1)
    return min(ends)
