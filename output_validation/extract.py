"""Gets the one JSON value out of what a model wrote, or refuses; never guesses, never changes a value. Pure.

Passes: the text as it is; then fenced blocks and balanced regions with thoughts and prose set aside; each checked
against the whole schema; the plainest place wins. Two different values that would do equally well are refused, and
so is a value that is followed by one that cannot be read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.errors import StrictJsonError
from common.schema import CompiledSchema, Json, Violation, compile_schema, dump_json, parse_json
from output_validation.candidates import Reading, Region, Span, read
from output_validation.extraction import (
    LOSSLESS,
    Candidate,
    Confidence,
    Extraction,
    Place,
    Policy,
    Repair,
    RepairKind,
)

MAX_TEXT_CHARS: Final = 8 << 20
_KEY_BEFORE: Final = re.compile(r'"\s*:\s*$')
_CLOSER_AFTER: Final = {"{": re.compile(r"[^{}]*\}"), "[": re.compile(r"[^\[\]]*\]")}
_ORDER: Final = (Place.WHOLE, Place.FENCE, Place.PROSE)


@dataclass(frozen=True, slots=True)
class _Tried:
    candidate: Candidate
    value: Json
    readable: bool


def extract(text: str, schema: dict[str, Any] | CompiledSchema | None, *, policy: Policy = LOSSLESS) -> Extraction:
    """Return what ``text`` holds under ``schema``; with None any JSON value will do.

    Raises SchemaError if the schema is faulty; no text raises anything.
    """
    compiled = compile_schema(schema) if isinstance(schema, dict) else schema
    whole = _try(text, Place.WHOLE, Span(0, len(text)), compiled, policy)
    if whole.readable:
        return _strict(whole)
    if len(text) > MAX_TEXT_CHARS:
        return _nothing(f"the answer is longer than {MAX_TEXT_CHARS} characters", (whole.candidate,))
    body = text.removeprefix("\ufeff")
    if len(body) != len(text):
        whole = _try(body, Place.WHOLE, Span(1, len(text)), compiled, policy)
        body = " " + body  # so that offsets stay those of the text
    reading = read(body)
    tried = [_try_region(body, region, compiled, policy) for region in reading.regions]
    if whole.readable:
        tried.append(whole)
    return _choose(text, reading, tried, policy)


def _try(text: str, place: Place, span: Span, schema: CompiledSchema | None, policy: Policy) -> _Tried:
    try:
        value = parse_json(
            text[span.start : span.end] if place is not Place.WHOLE else text, max_depth=policy.max_depth
        )
    except StrictJsonError as error:
        fault = Violation(error.pointer, "duplicate-key" if error.code == "duplicate-key" else "json", str(error))
        return _Tried(Candidate(place, span.start, span.end, (fault,)), None, readable=False)
    faults = schema.check(value) if schema is not None else ()
    return _Tried(Candidate(place, span.start, span.end, tuple(faults)), value, readable=True)


def _try_region(text: str, region: Region, schema: CompiledSchema | None, policy: Policy) -> _Tried:
    start, end = region.span.start, region.span.end
    if region.place is Place.PROSE and _is_fragment(text, start, end):
        fault = Violation("", "json", "the value is a part of something that is not all there")
        return _Tried(Candidate(region.place, start, end, (fault,)), None, readable=False)
    return _try(text, region.place, region.span, schema, policy)


def _is_fragment(text: str, start: int, end: int) -> bool:
    """Return whether a key stands before the value, or a closing bracket after it that nothing opened."""
    if _KEY_BEFORE.search(text, max(0, start - 80), start):
        return True
    closer = _CLOSER_AFTER.get(text[start])
    return closer is not None and closer.match(text, end) is not None


def _strict(whole: _Tried) -> Extraction:
    ok = whole.candidate.ok
    return Extraction(
        ok=ok,
        value=whole.value,
        strict=True,
        repairs=(),
        confidence=Confidence.STRICT,
        violations=whole.candidate.faults,
        candidates=(whole.candidate,),
        chosen=0 if ok else None,
        reason="the text is the value" if ok else "the text is JSON and does not satisfy the schema",
    )


def _choose(text: str, reading: Reading, tried: Sequence[_Tried], policy: Policy) -> Extraction:
    """Return the verdict over the candidates. Where a fenced block holds JSON, prose around it is not looked at."""
    candidates = tuple(t.candidate for t in tried)
    if not reading.complete:
        return _nothing("the answer is too tangled to say which of its values is meant", candidates, "ambiguous")
    if not tried:
        return _nothing(_why_nothing(text, reading), candidates)
    place = min((t.candidate.place for t in tried), key=_ORDER.index)
    considered = [t for t in tried if t.candidate.place is place]
    good = _preferred([t for t in considered if t.candidate.ok])
    if not good or not considered[-1].readable:
        return _refused(text, reading, tried, considered)
    if len({dump_json(t.value) for t in good}) > 1:
        return _nothing(f"the answer holds {len(good)} different values that would do", candidates, "ambiguous")
    chosen = good[-1]
    repairs = _repairs(text, reading, chosen.candidate)
    forbidden = [r.kind for r in repairs if r.kind not in policy.allowed]
    if forbidden:
        return _nothing(f"the policy does not allow {', '.join(forbidden)}", candidates)
    return Extraction(
        ok=True,
        value=chosen.value,
        strict=False,
        repairs=repairs,
        confidence=Confidence.LOSSLESS,
        violations=(),
        candidates=candidates,
        chosen=tried.index(chosen),
        reason=f"{place.value}: {len(good)} of {len(tried)} candidates would do",
    )


def _preferred(good: list[_Tried]) -> list[_Tried]:
    """Return the objects if there are any, else the arrays: prose is full of [1]."""
    for kind in (dict, list):
        preferred = [t for t in good if isinstance(t.value, kind)]
        if preferred:
            return preferred
    return good


def _why_nothing(text: str, reading: Reading) -> str:
    if reading.thoughts and not text[reading.thoughts[-1].end :].strip():
        return "the answer ends with its thoughts"
    return "the answer holds no JSON value"


def _refused(text: str, reading: Reading, tried: Sequence[_Tried], considered: Sequence[_Tried]) -> Extraction:
    """Return the refusal, with the faults of the candidate that came closest, the later one if in doubt."""
    last = considered[-1]
    near = (t for t in reversed(considered) if t.readable)
    nearest = min(near, key=lambda t: len(t.candidate.faults), default=last) if last.readable else last
    return Extraction(
        ok=False,
        value=nearest.value,
        strict=False,
        repairs=_repairs(text, reading, nearest.candidate),
        confidence=Confidence.LOSSLESS,
        violations=nearest.candidate.faults,
        candidates=tuple(t.candidate for t in tried),
        chosen=None,
        reason=f"{nearest.candidate.place.value}: none of {len(considered)} candidates would do",
    )


def _nothing(reason: str, candidates: tuple[Candidate, ...], keyword: str = "json") -> Extraction:
    violation = Violation("", keyword, reason)
    return Extraction(False, None, False, (), Confidence.LOSSLESS, (violation,), candidates, None, reason)


def _repairs(text: str, reading: Reading, chosen: Candidate) -> tuple[Repair, ...]:
    """Return what had to be set aside to leave only the chosen part."""
    repairs = [Repair(RepairKind.BOM_REMOVED, 0, 1)] if text.startswith("\ufeff") else []
    if chosen.place is Place.WHOLE:
        return tuple(repairs)
    around = Span(chosen.start, chosen.end)
    if chosen.place is Place.FENCE:
        around = next(f.outer for f in reading.fences if f.inner.start <= chosen.start and chosen.end <= f.inner.end)
        repairs.append(Repair(RepairKind.FENCE_REMOVED, around.start, around.end))
    thoughts = [t for t in reading.thoughts if t.end <= around.start or around.end <= t.start]
    repairs += [Repair(RepairKind.THOUGHT_SET_ASIDE, t.start, t.end) for t in thoughts]
    before = max((t.end for t in thoughts if t.end <= around.start), default=0)
    after = max((t.end for t in thoughts if around.end <= t.start), default=around.end)
    for start, end in ((before, around.start), (after, len(text))):
        if text[start:end].strip("\ufeff \t\r\n"):
            repairs.append(Repair(RepairKind.PROSE_SET_ASIDE, start, end))
    return tuple(repairs)
