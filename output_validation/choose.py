"""Chooses among the candidates of one answer, or refuses: a refusal is better than a guess. Pure.

The plainest place wins. Different values there that would do are refused, unless the words before them say which one
is meant; of equal ones the least changed is taken. So is refused what is followed by a value that cannot be read.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from common.schema import CompiledSchema, Json, Violation, dump_json
from output_validation.candidates import Fence, Reading, Span
from output_validation.citations import is_citation
from output_validation.cues import (
    is_answered_elsewhere,
    is_disowned,
    is_mentioned,
    is_part_by_words,
    is_taken_back,
    pick,
)
from output_validation.extraction import (
    Candidate,
    Extraction,
    Place,
    Policy,
    Repair,
    RepairKind,
    confidence_of,
)
from output_validation.guided import resolve
from output_validation.judge import Judged, judge_value
from output_validation.rivals import doubt, stands_among_members

_ORDER: Final = (Place.WHOLE, Place.FENCE, Place.PROSE)
_TELLS_JSON: Final = re.compile(r"[\"'`{}\u201c\u2018\n]")
_BETWEEN_ROWS: Final = re.compile(r"[\s,;]*+|[\s,;]*?\n[ \t]*+(?:[-*+\u2022]|\d{1,4}[.)])[ \t]{1,9}")
"""Between values in a row, or in the lines of a list in Markdown."""

_IN_SIGHT: Final = 200
_JSON_LABELS: Final = frozenset({"json", "jsonc", "json5"})


def choose(
    text: str, reading: Reading, tried: Sequence[Judged], schema: CompiledSchema | None, policy: Policy
) -> Extraction:
    """Return the reading of an answer that is not strict JSON as a whole."""
    candidates = tuple(each.candidate for each in tried)
    if not reading.complete:
        return nothing("the answer is too tangled to say which of its values is meant", candidates, "ambiguous")
    if not tried:
        return nothing(_why_nothing(text, reading), candidates)
    considered = _considered([each for each in tried if not _is_prose(text, each, schema)] or tried)
    joined = _joined(text, considered, schema, policy)
    if joined is not None:
        considered = tried = [joined]
    rivals = [each for each in map(_with_its_value, considered) if each is not None]
    good = _preferred(text, _meant(reading.spoken, rivals), schema)
    if all(each.barred for each in good) or not considered[-1].readable:
        return _refused(text, reading, tried, considered)
    chosen, by_words = _one_of(reading.spoken, good)
    if chosen is not None and chosen.barred:
        return _refused(text, reading, tried, considered)
    if chosen is None:
        return nothing(f"the answer holds {len(good)} different values that would do", candidates, "ambiguous")
    objection = _objection(text, reading, chosen, tried, schema)
    if objection is not None:
        return nothing(objection, candidates, "ambiguous")
    meant, by_other_words = doubt(reading.spoken, chosen, tried, schema)
    if meant is None:
        return nothing("another part of the answer may be the one that is meant", candidates, "ambiguous")
    if meant is not chosen:
        good, by_words, chosen = [*good, meant], by_other_words, meant
    if _is_outdated(reading.spoken, chosen, good):
        return nothing(
            "what is called the answer stands behind the value, a draft or an example", candidates, "ambiguous"
        )
    repairs = _repairs(text, reading, chosen.candidate) + chosen.candidate.repairs
    if by_words:
        others = [each.candidate for each in good if each is not chosen]
        repairs += tuple(Repair(RepairKind.DECOY_SET_ASIDE, other.start, other.end) for other in others)
    forbidden = [repair.kind for repair in repairs if repair.kind not in policy.allowed]
    if forbidden:
        return nothing(f"the policy does not allow {', '.join(dict.fromkeys(forbidden))}", candidates)
    return Extraction(
        ok=True,
        value=chosen.value,
        strict=False,
        repairs=repairs,
        confidence=confidence_of(repairs),
        violations=(),
        candidates=tuple(each.candidate for each in tried),
        chosen=next(number for number, each in enumerate(tried) if each is chosen),
        reason=f"{chosen.candidate.place.value}: {len(good)} of {len(tried)} candidates would do",
    )


def _meant(text: str, good: list[Judged]) -> list[Judged]:
    """Return the values without those that a sentence only speaks of, if there are others."""
    given = [each for each in good if not is_mentioned(text, each.candidate.start, each.candidate.end)]
    return given or good


def _with_its_value(judged: Judged) -> Judged | None:
    """Return a candidate that would do, or would if the policy allowed its repairs, with the value that it is."""
    if judged.barred:
        return replace(judged, value=judged.barred[0])
    return judged if judged.candidate.ok and judged.readable else None


def _objection(
    text: str, reading: Reading, chosen: Judged, tried: Sequence[Judged], schema: CompiledSchema | None
) -> str | None:
    """Return what speaks against a value, if anything does."""
    start, end = chosen.candidate.start, chosen.candidate.end
    if _is_one_of_several(text, chosen, tried):
        return "one object stands for an array, and others stand beside it"
    if len(tried) == 1:
        if chosen.guided and chosen.candidate.place is Place.PROSE and is_citation(reading.spoken, start, end):
            return "the only value is a citation, and not of the kind that is asked for"
        fence = _fence_of(reading, chosen.candidate)
        around = fence.outer if fence is not None else Span(start, end)
        if is_disowned(reading.spoken, around.start, around.end):
            return "the words around the only value say that it is not the answer"
    elif is_mentioned(reading.spoken, start, end):
        return "a sentence only speaks of the value, and others stand beside it"
    if isinstance(chosen.value, list) and is_part_by_words(reading.spoken, start):
        return "the words before the list say that it is a part of one"
    if any(_in_a_list(text, a, b) for a, b in pairwise(tried) if a is chosen or b is chosen):
        return "another value stands beside it, as in a list"
    if stands_among_members(reading.spoken, chosen, schema):
        return "what stands before the value reads like members of what holds it"
    if max(each.candidate.end for each in tried) == end and is_taken_back(
        reading.spoken, end, is_list=_holds_list(chosen.value)
    ):
        return "the words after the value say that it is wrong"
    return None


def _fence_of(reading: Reading, held: Candidate) -> Fence | None:
    return next((f for f in reading.fences if f.inner.start <= held.start and held.end <= f.inner.end), None)


def _is_outdated(text: str, chosen: Judged, good: Sequence[Judged]) -> bool:
    """Return whether a draft or an example is followed by what is called the answer, and is no value that would do."""
    is_last = not any(each.candidate.start > chosen.candidate.start for each in good)
    return is_last and is_answered_elsewhere(text, chosen.candidate.start, chosen.candidate.end)


def nothing(reason: str, candidates: tuple[Candidate, ...], keyword: str = "json") -> Extraction:
    """Return the refusal of an answer in which there is nothing to be trusted."""
    violation = Violation("", keyword, reason)
    return Extraction(False, None, False, (), confidence_of(()), (violation,), candidates, None, reason)


def _considered(tried: Sequence[Judged]) -> Sequence[Judged]:
    """Return those in the plainest place; prose counts only if no fenced block came near."""
    for place in _ORDER:
        here = [each for each in tried if each.candidate.place is place]
        if here and (any(each.candidate.ok for each in here) or not all(each.readable for each in here)):
            return here
    place = min((each.candidate.place for each in tried), key=_ORDER.index)
    return [each for each in tried if each.candidate.place is place]


def _is_prose(text: str, each: Judged, schema: CompiledSchema | None) -> bool:
    """Return whether a part is a remark in brackets, as [0-100] or [12 kg], where an object is wanted."""
    candidate = each.candidate
    root = resolve(schema.schema, schema.schema) if schema is not None else None
    if (
        each.readable
        or candidate.place is not Place.PROSE
        or not isinstance(root, dict)
        or root.get("type") != "object"
    ):
        return False
    part = text[candidate.start : candidate.end]
    # So is one that the end of the answer cut off.
    ends = part.endswith("]") or not text[candidate.end :].strip()
    return part.startswith("[") and ends and _TELLS_JSON.search(part) is None


def _preferred(text: str, good: list[Judged], schema: CompiledSchema | None) -> list[Judged]:
    """Return containers before scalars, and blocks labelled as JSON before other code.

    Where any value will do, objects go before flat arrays within lines, of which prose is full.
    """
    good = [each for each in good if isinstance(each.value, dict | list)] or good
    if schema is None:
        good = [each for each in good if not (_is_flat(each.value) and _is_in_line(text, each))] or good
    labelled = [each for each in good if each.label in _JSON_LABELS]
    foreign = [each for each in good if each.label and each.label not in _JSON_LABELS]
    return labelled if labelled and len(labelled) + len(foreign) == len(good) else good


def _is_flat(value: Json) -> bool:
    return isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)


def _holds_list(value: Json) -> bool:
    parts = value.values() if isinstance(value, dict) else (value,)
    return any(isinstance(part, list) for part in parts)


def _is_in_line(text: str, each: Judged) -> bool:
    """Return whether words stand beside a value in prose, on its first or last line."""
    start, end = each.candidate.start, each.candidate.end
    before = text[max(0, start - _IN_SIGHT) : start].rpartition("\n")[2]
    behind = text[end : end + _IN_SIGHT].partition("\n")[0]
    return each.candidate.place is Place.PROSE and re.search(r"\w", before + behind) is not None


def _is_one_of_several(text: str, chosen: Judged, tried: Sequence[Judged]) -> bool:
    """Return whether an object that was taken for a whole array has other objects beside it."""
    start, end = chosen.candidate.start, chosen.candidate.end
    return _is_wrapped(chosen) and any(
        text.startswith("{", each.candidate.start) and not start <= each.candidate.start < end
        for each in tried
        if each is not chosen
    )


def _one_of(text: str, good: Sequence[Judged]) -> tuple[Judged | None, bool]:
    """Return the one that is meant, and whether that was told by the words before it."""
    values = [dump_json(each.value) for each in good]
    if len(set(values)) == 1:
        # Of equal values the one that needed least, the last if in doubt.
        return min(reversed(good), key=lambda each: len(each.candidate.repairs)), False
    index = pick(text, [(each.candidate.start, each.candidate.end) for each in good])
    if index is not None:
        return good[index], True
    return None, False


def _joined(text: str, considered: Sequence[Judged], schema: CompiledSchema | None, policy: Policy) -> Judged | None:
    """Return the array that JSON Lines or objects in a row stand for, where the schema wants one."""
    if schema is None or len(considered) < 2 or not all(each.readable for each in considered):
        return None
    root = resolve(schema.schema, schema.schema)
    wanted = root.get("type") if isinstance(root, dict) else None
    if wanted not in ("array", ["array"]) or not all(_in_a_row(text, a, b) for a, b in pairwise(considered)):
        return None
    items: list[Json] = []
    mended: list[Repair] = []
    for each in considered:
        # Read by the schema of the whole, a line may have become an array of one.
        wrapped = _is_wrapped(each)
        mended += [_of_item(r, len(items)) if wrapped else r for r in each.candidate.repairs if not _wraps(r)]
        items.append(each.value[0] if wrapped else each.value)
    if any(isinstance(item, list) for item in items):
        return None
    span = Span(considered[0].candidate.start, considered[-1].candidate.end)
    repairs = (*mended, Repair(RepairKind.VALUES_JOINED, span.start, span.end))
    judged = judge_value(items, considered[0].candidate.place, span, repairs, schema, policy)
    return judged if judged.candidate.ok else None


def _is_wrapped(judged: Judged) -> bool:
    """Return whether one object was taken for a whole array."""
    return any(map(_wraps, judged.candidate.repairs))


def _wraps(repair: Repair) -> bool:
    return repair.kind is RepairKind.ARRAY_WRAPPED and repair.pointer == ""


def _of_item(repair: Repair, number: int) -> Repair:
    """Return what was done to the only item of an array as done to a later one."""
    pointer = repair.pointer
    return repair if pointer is None else replace(repair, pointer=f"/{number}{pointer.removeprefix('/0')}")


def _in_a_row(text: str, first: Judged, second: Judged) -> bool:
    return _BETWEEN_ROWS.fullmatch(text, first.candidate.end, second.candidate.start) is not None


def _in_a_list(text: str, first: Judged, second: Judged) -> bool:
    """Return whether a comma alone stands between two values that differ."""
    between = text[first.candidate.end : second.candidate.start]
    same = first.candidate.ok and second.candidate.ok and dump_json(first.value) == dump_json(second.value)
    return between.strip() == "," and not same


def _why_nothing(text: str, reading: Reading) -> str:
    if reading.thoughts and not text[reading.thoughts[-1].end :].strip():
        return "the answer ends with its thoughts"
    return "the answer holds no JSON value"


def _refused(text: str, reading: Reading, tried: Sequence[Judged], considered: Sequence[Judged]) -> Extraction:
    """Return the refusal, with the faults of the candidate that came closest, the later one if in doubt."""
    last = considered[-1]
    near = (each for each in reversed(considered) if each.readable)
    nearest = min(near, key=lambda each: len(each.candidate.faults), default=last) if last.readable else last
    repairs = _repairs(text, reading, nearest.candidate) + nearest.candidate.repairs
    return Extraction(
        ok=False,
        value=nearest.value,
        strict=False,
        repairs=repairs,
        confidence=confidence_of(repairs),
        violations=nearest.candidate.faults,
        candidates=tuple(each.candidate for each in tried),
        chosen=None,
        reason=f"{nearest.candidate.place.value}: none of {len(considered)} candidates would do",
    )


def _repairs(text: str, reading: Reading, chosen: Candidate) -> tuple[Repair, ...]:
    """Return what had to be set aside to leave only the chosen part."""
    repairs = [Repair(RepairKind.BOM_REMOVED, 0, 1)] if text.startswith("\ufeff") else []
    if chosen.place is Place.WHOLE:
        return tuple(repairs)
    around = Span(chosen.start, chosen.end)
    if chosen.place is Place.FENCE:
        fence = _fence_of(reading, chosen)
        if fence is not None:
            around = Span(max(fence.outer.start, len(repairs)), fence.outer.end)  # the mark is none of it
            repairs.append(Repair(RepairKind.FENCE_REMOVED, around.start, around.end))
    thoughts = [t for t in reading.thoughts if t.end <= chosen.start or chosen.end <= t.start]
    repairs += [Repair(RepairKind.THOUGHT_SET_ASIDE, t.start, t.end) for t in thoughts]
    brackets = [Span(r.start, r.end) for r in chosen.repairs if r.kind is RepairKind.BRACKET_REMOVED]
    start = 0
    for known in sorted((around, *thoughts, *brackets, Span(len(text), len(text))), key=_start):
        if text[start : known.start].strip("\ufeff \t\r\n"):
            repairs.append(Repair(RepairKind.PROSE_SET_ASIDE, start, known.start))
        start = max(start, known.end)
    return tuple(repairs)


def _start(span: Span) -> int:
    return span.start
