"""Doubts a chosen value for what else the answer holds: a later attempt that is faulty, a final answer elsewhere. Pure.

A draft must not be taken because the final answer is broken, nor a fenced example because the answer is in prose.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from common.schema import CompiledSchema, Json, dump_json
from common.schema.references import unescaped
from output_validation.cues import Cue, cues, is_correction, is_mentioned, pick
from output_validation.extraction import Place
from output_validation.guided import resolve
from output_validation.guided_wrapper import holds_schemas
from output_validation.judge import Judged

_LOOK_BACK: Final = 400
_KEY_AT_END: Final = re.compile(r"([^\W\d]\w*)[\"'`*]*\s*[:=][\s*]*\Z")
_IN_SIGHT: Final = 120
_NUMBERED: Final = re.compile(
    r"\b(?:(?:second|third|fourth|fifth)\b(?! (?:attempt|try|version|pass|draft|time))"
    r"|(?:option|alternative|variant|item|entry|person|record|case|choice|candidate) ?#? ?"
    r"(?:[2-9]|[B-F]|two|three|II|III)\b)"
    r"[^\n{\[]{0,60}\s{0,9}(?:`{3,9}\w{0,10}\s{0,9}|> ?)?\Z",
    re.IGNORECASE,
)
_FENCE_LINE: Final = re.compile(r"[`~]{3,}+[ \t]*+\w*+")
_MARKS: Final = " \t\r\"'`*."
_NO_MEMBER: Final = frozenset(
    [
        "json",
        "answer",
        "output",
        "result",
        "results",
        "response",
        "object",
        "final",
        "corrected",
        "updated",
        "revised",
        "correction",
        "classification",
        "label",
        "sentiment",
        "verdict",
        "category",
        "analysis",
        "evaluation",
        "prediction",
        "extraction",
        "summary",
        "assistant",
        "return",
        "data",
        "task",
        "record",
        "parsed",
        "details",
    ]
)
"""What leads to the answer and not to a member of it."""

_KEY_OF_LINE: Final = re.compile(r"[ \t]{0,9}([A-Za-z_][\w-]{0,40})[ \t]*: +\S")
_REMARKS: Final = frozenset(
    {"reason", "reasoning", "explanation", "rationale", "note", "notes", "confidence", "source"}
)
"""What stands beside an answer and is none of its members."""

_MAX_NAMES: Final = 50
_DECOYS: Final = (Cue.DECOY, Cue.WEAK)
_ERRORS: Final = ("error", "errors")
_BRANCHES: Final = ("anyOf", "oneOf", "allOf")


def doubt(
    text: str, chosen: Judged, tried: Sequence[Judged], schema: CompiledSchema | None
) -> tuple[Judged | None, bool]:
    """Return the value that is meant after all, or None if that cannot be told; and whether words told it."""
    names = _member_names(schema.schema, schema.schema) if schema is not None else ()
    others = [each for each in tried if each is not chosen]
    dumped = dump_json(chosen.value) if others else b""
    rivals = [each for each in others if _is_rival(text, each, chosen, dumped, names)]
    if not rivals:
        return (None if _is_followed_by_the_answer(text, chosen, others) else chosen), False
    ordered = sorted((chosen, *rivals), key=lambda each: each.candidate.start)
    spans = [(each.candidate.start, each.candidate.end) for each in ordered]
    said = dict(zip(map(id, ordered), cues(text, spans), strict=True))
    mine = said[id(chosen)]
    if mine in _DECOYS and any(said[id(rival)] not in _DECOYS for rival in rivals):
        index = pick(text, spans)
        meant = ordered[index] if index is not None else None
        return (meant, True) if meant is not None and meant.candidate.ok and meant.readable else (None, False)
    doubtful = any(_casts_doubt(text, rival, said[id(rival)], chosen, mine) for rival in rivals)
    return (None if doubtful else chosen), False


def stands_among_members(text: str, chosen: Judged, schema: CompiledSchema | None) -> bool:
    """Return whether a value is led to as one member of something whose own members stand before it, no JSON.

    If what stands there is what the value holds, it is only said twice.
    """
    names = _member_names(schema.schema, schema.schema) if schema is not None else ()
    start = chosen.candidate.start
    line = text.rfind("\n", 0, start) + 1
    lead = _KEY_AT_END.search(text, max(line, start - _LOOK_BACK), start)
    if lead is None or lead[1].casefold() in _NO_MEMBER or chosen.candidate.place is not Place.PROSE:
        return False
    if schema is None and _is_one_of_lines(text, line, lead.start(), chosen.candidate.end):
        return True
    if not names or not isinstance(chosen.value, dict):
        return False
    any_name = "|".join(map(re.escape, names))
    member = rf"[\s>*\"'`-]*({any_name})[\"'`*]*\s*[:=][\s*\"'`]*"
    before = text[max(0, line - _LOOK_BACK) : max(line - 1, 0)].rpartition("\n")[2]
    told = re.match(rf"{member}(.*)", before, re.IGNORECASE) or re.search(
        rf"(?:[(,]|\A){member}([^\n,\"'`*)]*)", text[max(line, start - _LOOK_BACK) : lead.start()], re.IGNORECASE
    )
    if told is None:
        return False
    own = {key.casefold(): str(held).strip().casefold() for key, held in chosen.value.items()}
    return own.get(told[1].casefold(), "").strip(_MARKS) != told[2].casefold().strip(_MARKS)


def _is_one_of_lines(text: str, line: int, lead: int, end: int) -> bool:
    """Return whether a value is led to by the first word of its line, and so is what stands in the next or last one."""
    before = text[max(0, line - _LOOK_BACK) : max(line - 1, 0)].rpartition("\n")[2]
    behind = text[end : end + _LOOK_BACK].partition("\n")[2].partition("\n")[0]
    keys = [found[1] for found in map(_KEY_OF_LINE.match, (before, behind)) if found]
    return not text[line:lead].strip() and any(key.casefold() not in _NO_MEMBER | _REMARKS for key in keys)


def _is_followed_by_the_answer(text: str, chosen: Judged, others: Sequence[Judged]) -> bool:
    """Return whether an example is followed by what is called the answer, or any value by a faulty one so called."""
    later = [each for each in others if each.candidate.start >= chosen.candidate.end]
    if not later:
        return False
    spans = [(each.candidate.start, each.candidate.end) for each in (chosen, *later)]
    mine, *theirs = cues(text, spans)
    answers = [each for each, cue in zip(later, theirs, strict=True) if cue is Cue.ANSWER]
    return bool(answers) and (
        mine is Cue.DECOY or (mine is not Cue.ANSWER and not all(a.candidate.ok for a in answers))
    )


def _casts_doubt(text: str, rival: Judged, cue: Cue, chosen: Judged, mine: Cue) -> bool:
    follows = rival.candidate.start >= chosen.candidate.end
    if cue is Cue.ANSWER:
        return follows or (mine is not Cue.ANSWER and not rival.candidate.ok)
    if cue is Cue.DECOY:
        return False
    if not follows:
        is_aside = _is_another(text, chosen) or _is_in_backticks(text, chosen)
        corrects = mine is Cue.ANSWER or is_correction(text, rival.candidate.end, chosen.candidate.start)
        return not (rival.candidate.ok or corrects) and (is_aside or not _is_mended_by(text, rival, chosen))
    if is_mentioned(text, rival.candidate.start, rival.candidate.end):
        return False
    takes_back = is_correction(text, chosen.candidate.end, rival.candidate.start)
    if rival.candidate.place is chosen.candidate.place:
        return not rival.candidate.ok and (cue is Cue.NONE or takes_back)
    return rival.candidate.ok or takes_back or (cue is Cue.NONE and not rival.readable)


def _is_mended_by(text: str, rival: Judged, chosen: Judged) -> bool:
    """Return whether a faulty value is followed by words, or by one that is the same but for what was faulty.

    Of one that cannot be read, which one member does not tell, the beginning must come again with the first of several.
    """
    between = _FENCE_LINE.sub("", text[rival.candidate.end : chosen.candidate.start])
    if re.search(r"[^\W\d_]", between):
        return True
    if not rival.readable:
        begun, again = (_without_blanks(text, each) for each in (rival, chosen))
        first_member, comma, _ = begun.partition(",")
        return not comma or again.startswith(first_member + comma)
    faulty = {unescaped(fault.pointer.split("/")[1]) for fault in rival.candidate.faults if fault.pointer}
    first, second = _by_place(rival.value), _by_place(chosen.value)
    return all(dump_json(first[place]) == dump_json(second[place]) for place in first.keys() & second.keys() - faulty)


def _without_blanks(text: str, judged: Judged) -> str:
    return "".join(text[judged.candidate.start : judged.candidate.end].split())


def _by_place(value: Json) -> dict[str, Json]:
    if isinstance(value, list):
        return {str(number): item for number, item in enumerate(value)}
    return value if isinstance(value, dict) else {}


def _is_another(text: str, chosen: Judged) -> bool:
    """Return whether the words before a value number it as one after the first."""
    start = chosen.candidate.start
    return _NUMBERED.search(text, max(0, start - _IN_SIGHT), start) is not None


def _is_in_backticks(text: str, chosen: Judged) -> bool:
    """Return whether a value stands in backticks within a sentence."""
    start = chosen.candidate.start
    line = text[max(0, start - _LOOK_BACK) : start].rpartition("\n")[2]
    return line.endswith("`") and re.search(r"[^\W\d_]", line) is not None


def _is_rival(text: str, each: Judged, chosen: Judged, dumped: bytes, names: Sequence[str]) -> bool:
    """Return whether a candidate is another value that would do, or a faulty attempt at one."""
    candidate = each.candidate
    if chosen.candidate.start <= candidate.start < chosen.candidate.end:
        return False
    if candidate.start <= chosen.candidate.start < candidate.end:
        return False
    if candidate.ok and each.readable:
        return dump_json(each.value) != dumped
    if each.readable and (_is_schema(each.value, names) or _is_index(each.value, chosen.value)):
        return False
    if each.readable and _is_error(each.value):
        return True
    if not names:
        # Nothing is named in it: what is known of the value is its bracket.
        return text[candidate.start] == text[chosen.candidate.start]
    part = text[candidate.start : candidate.end]
    return any(name in part for name in names)


def _is_error(value: Json) -> bool:
    """Return whether a value says that there is no answer."""
    return isinstance(value, dict) and any(key.casefold() in _ERRORS and value[key] for key in value)


def _is_index(value: Json, chosen: Json) -> bool:
    """Return whether a value is the ["n"] of data["n"], or another flat list that no object is tried with."""
    flat = isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)
    return flat and isinstance(chosen, dict)


def _is_schema(value: Json, names: Sequence[str]) -> bool:
    """Return whether a value is a schema, and no answer that was filled into one."""
    if not isinstance(value, dict):
        return False
    if "$schema" in value and "$schema" not in names:
        return True
    if any(key in value and key not in names and holds_schemas(value[key]) for key in ("properties", "$defs")):
        return True
    return "items" in value and "items" not in names and value.get("type") == "array"


def _member_names(schema: Json, root: Json) -> tuple[str, ...]:
    """Return what the members of the value, or of its items, are called."""
    node: Any = resolve(schema, root)
    if isinstance(node, dict) and "properties" not in node and "items" in node:
        node = resolve(node["items"], root)
    if not isinstance(node, dict):
        return ()
    parts = [node, *(resolve(part, root) for key in _BRANCHES for part in _listed(node.get(key)))]
    names = [name for part in parts if isinstance(part, dict) for name in _named(part.get("properties"))]
    return tuple(names[:_MAX_NAMES])


def _listed(value: Json) -> list[Json]:
    return value[:_MAX_NAMES] if isinstance(value, list) else []


def _named(value: Json) -> list[str]:
    return list(value) if isinstance(value, dict) else []
