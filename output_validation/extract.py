"""Gets the one JSON value out of what a model wrote, or refuses; never guesses, never invents. Pure.

Passes: the text as it is; then fenced blocks and balanced regions, thoughts and prose set aside, each read
strictly, else tolerantly, else as the schema demands; each checked against the whole schema; then the choice.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson

from common.errors import StrictJsonError
from common.schema import CompiledSchema, Json, Violation, compile_schema, dump_json
from common.schema.strict_json import parse_json, parse_quickly
from output_validation.bare import is_rivalled_by_members, judge_bare_members, judge_bare_word
from output_validation.candidates import END_MARK, Region, Span, read
from output_validation.choose import choose, nothing
from output_validation.extraction import (
    LOSSLESS,
    Candidate,
    Confidence,
    Extraction,
    Place,
    Policy,
    Repair,
    RepairKind,
    confidence_of,
)
from output_validation.guided import called_with
from output_validation.judge import Judged, judge_region, judge_value
from output_validation.markup import PlainText, last_box, without_markup
from output_validation.numbers import inexact_numbers, inexact_numbers_of

MAX_TEXT_CHARS: Final = 8 << 20
_STRICT: Final = Confidence.STRICT
_IS_THE_VALUE: Final = "the text is the value"
_new: Final = tuple.__new__
_Part = TypeVar("_Part", Candidate, Repair)
_LONGEST_LEAD: Final = 200
_MAY_HOLD_MARKUP: Final = frozenset({RepairKind.QUOTES_REPLACED, RepairKind.VALUE_QUOTED, RepairKind.CONTROL_ESCAPED})
_KEY_BEFORE: Final = re.compile(r"""(?:"|&quot;|(?<![\w'])'[\w $-]{1,60}')\s*(?::|=>)\s*"?\s*$""")
_CLOSER_AFTER: Final = {"{": re.compile(r"[^{}]*\}"), "[": re.compile(r"[^\[\]]*\]")}
_MEMBER_AFTER: Final = re.compile(r"""\s*,\s*(?:"[^"\\\n]{1,80}"|'[^'\\\n]{1,80}')\s*:""")
_OPENER: Final = re.compile(r"[\[{]")
_CONTINUES: Final = re.compile(r'\s*,\s*"?\s*')
_QUOTED_WORDS_BEFORE: Final = re.compile(
    r"[^\"{}\[\]:=\n]*[^\W\d_](?<!\btrue)(?<!\bfalse)(?<!\bnull)[ \t]+"
    r"(?:\"[^\"\n]*\"|'[^'\n]*')\s*(?::|=>)\s*"
)
"""A line that names something in prose before the value: the JSON for "Order #5": {"n": 1}."""

_LIST_BEFORE: Final = re.compile(r"[}\]]\s*,\s*\Z")
_CITATION_BEFORE: Final = re.compile(r"[^\W\d_][^\n\"{}\[\]]*\[[0-9]{1,3}\],\s*\Z")

_CALL_TAG: Final = re.compile(r"(?:<\|?(?:tool_call|function_call|python_tag)\|?>|\[TOOL_CALLS\])\s*+\Z", re.IGNORECASE)
_ANY_CLOSER: Final = re.compile(r"\s*([\]}])")
_LINE_END: Final = re.compile(rf"[ \t\r`~;*)]*+(?:</[\w:-]{{1,40}}>[ \t\r]*+)?(?:\n|\Z|{END_MARK.pattern})")
_MEMBER_BEFORE: Final = re.compile(r"""["',\[{]""")
_SURPLUS: Final = re.compile(r"[\s\]}]*[\]}]")


def extract(text: str, schema: dict[str, Any] | CompiledSchema | None, *, policy: Policy = LOSSLESS) -> Extraction:
    """Return what ``text`` holds under ``schema``; with None any JSON value will do.

    Raises SchemaError if the schema is faulty; no text raises anything.
    """
    compiled = schema if schema is None or type(schema) is CompiledSchema else compile_schema(schema)
    # The hot path: most answers are strict JSON and end here.
    try:
        raw = text.encode()
        typed = compiled.typed if compiled is not None else None
        # Below, too, what Extraction(...) does in twice the time.
        if typed is not None and typed.levels <= policy.max_depth and (value := typed(raw)) is not None:
            return _new(Extraction, (True, value, True, (), _STRICT, (), _whole_text(len(text)), 0, _IS_THE_VALUE, ()))
        value, long_numbers = parse_quickly(raw, policy.max_depth)
    except (UnicodeEncodeError, orjson.JSONDecodeError, StrictJsonError):
        return _searched(text, compiled, policy)
    notes = inexact_numbers(raw) if long_numbers else ()
    if compiled is None or compiled.is_valid(value):
        return _new(Extraction, (True, value, True, (), _STRICT, (), _whole_text(len(text)), 0, _IS_THE_VALUE, notes))
    return _read_as_demanded(text, value, compiled, policy, notes)


def _searched(text: str, compiled: CompiledSchema | None, policy: Policy) -> Extraction:
    """Return what a text holds that is not strict JSON as a whole."""
    if len(text) > MAX_TEXT_CHARS:
        return nothing(f"the answer is longer than {MAX_TEXT_CHARS} characters", ())
    if text.startswith("\ufeff") and _is_strict(text[1:], policy):
        return _behind_mark(extract(text[1:], compiled, policy=policy), policy)
    found = _found(text, compiled, policy)
    if found.ok and _is_rivalled_by_box(text, found, compiled, policy):
        found = nothing("a LaTeX box beside the value holds another one", found.candidates)
    if not found.ok:
        others = (_found_without_markup(each, compiled, policy) for each in without_markup(text))
        found = next((other for other in others if other is not None), found)
    if found.ok and found.chosen is not None:
        chosen = found.candidates[found.chosen]
        raw = text[chosen.start : chosen.end].encode(errors="replace")
        found = found._replace(notes=inexact_numbers_of(found.value, raw))
    return found


def _is_strict(text: str, policy: Policy) -> bool:
    try:
        parse_json(text, max_depth=policy.max_depth)
    except StrictJsonError:
        return False
    return True


def _behind_mark(found: Extraction, policy: Policy) -> Extraction:
    """Return the reading of strict JSON as that of a text with a byte order mark before it."""
    mark = Repair(RepairKind.BOM_REMOVED, 0, 1)
    candidates = tuple(_moved(each) for each in found.candidates)
    if found.ok and mark.kind not in policy.allowed:
        return nothing(f"the policy does not allow {mark.kind}", candidates)
    repairs = (mark, *(_moved(each) for each in found.repairs))
    return found._replace(strict=False, repairs=repairs, confidence=confidence_of(repairs), candidates=candidates)


def _moved(part: _Part) -> _Part:
    """Return what was found in a text behind a byte order mark, at its place in the whole."""
    moved = replace(part, start=part.start + 1, end=part.end + 1)
    if isinstance(moved, Candidate):
        return replace(moved, repairs=tuple(_moved(each) for each in moved.repairs))
    return moved


def _is_rivalled_by_box(text: str, found: Extraction, schema: CompiledSchema | None, policy: Policy) -> bool:
    """Return whether a box that is no part of the value holds one that would do, too."""
    chosen = found.candidates[found.chosen or 0]
    held = last_box(text, Span(chosen.start, chosen.end))
    other = extract(held, schema, policy=policy) if held is not None else None
    return other is not None and other.ok and dump_json(other.value) != dump_json(found.value)


def _found(text: str, schema: CompiledSchema | None, policy: Policy) -> Extraction:
    """Return the choice among all candidates."""
    body = " " + text[1:] if text.startswith("\ufeff") else text
    reading = read(body, policy.max_depth)
    found = choose(text, reading, _all_judged(body, reading.regions, schema, policy), schema, policy)
    if found.ok and is_rivalled_by_members(reading, found):
        found = nothing("what stands before the value is an object without its opening bracket", found.candidates)
    if not found.ok:
        word = judge_bare_word(reading, schema, policy) if _OPENER.search(reading.spoken) is None else None
        bare = word or judge_bare_members(reading, schema, policy)
        found = choose(text, reading, [bare], schema, policy) if bare is not None else found
    return found


def _found_without_markup(plain: PlainText, schema: CompiledSchema | None, policy: Policy) -> Extraction | None:
    """Return what an answer holds whose value was in markup, if that is all it holds."""
    found = _found(plain.text, schema, policy)
    inside = all(plain.span.start <= each.start and each.end <= plain.span.end for each in found.candidates)
    # A string in other quotes, or over several lines, may have lost something of its own with the markup.
    touched = not plain.around and any(repair.kind in _MAY_HOLD_MARKUP for repair in found.repairs)
    if not (found.ok and inside and plain.kind in policy.allowed) or touched:
        return None
    taken_off = tuple(Repair(plain.kind, each.start, each.end) for each in plain.around or (plain.span,))
    repairs = (*taken_off, *found.repairs)
    return found._replace(repairs=repairs, confidence=confidence_of(repairs))


def _read_as_demanded(
    text: str, value: Json, schema: CompiledSchema, policy: Policy, notes: tuple[Violation, ...]
) -> Extraction:
    """Return the reading of a text that is strict JSON and does not satisfy the schema as it stands."""
    whole = judge_value(value, Place.WHOLE, Span(0, len(text)), (), schema, policy)
    ok = whole.candidate.ok
    if not ok and isinstance(value, str) and RepairKind.STRING_DECODED in policy.allowed:
        decoded = extract(value, schema, policy=policy) if _OPENER.search(value) else None
        if decoded is not None and decoded.ok:
            return _of_whole(decoded, len(text), RepairKind.STRING_DECODED)
    return Extraction(
        ok=ok,
        value=whole.value,
        strict=True,
        repairs=whole.candidate.repairs,
        confidence=confidence_of(whole.candidate.repairs),
        violations=whole.candidate.faults,
        candidates=(whole.candidate,),
        chosen=0 if ok else None,
        reason=f"the text is JSON and {'was read as the schema demands' if ok else 'does not satisfy the schema'}",
        notes=notes,
    )


@lru_cache(maxsize=4096)
def _whole_text(length: int) -> tuple[Candidate]:
    return (Candidate(Place.WHOLE, 0, length, ()),)


def _of_whole(decoded: Extraction, length: int, how: RepairKind) -> Extraction:
    """Return the reading of what a text holds as a string; all that was done to it is said to be the text's whole."""
    kinds = dict.fromkeys((how, *(repair.kind for repair in decoded.repairs)))
    repairs = tuple(Repair(kind, 0, length) for kind in kinds)
    return decoded._replace(
        strict=True,
        repairs=repairs,
        confidence=confidence_of(repairs),
        candidates=(Candidate(Place.WHOLE, 0, length, (), repairs),),
        chosen=0,
        reason="the text is a JSON string that holds the value",
    )


def _all_judged(text: str, regions: Sequence[Region], schema: CompiledSchema | None, policy: Policy) -> list[Judged]:
    tried: list[Judged] = []
    for region in regions:
        judged = _judged(text, region, schema, policy, is_first=not tried)
        end = tried[-1].candidate.end if tried else 0
        is_open = bool(tried) and (not tried[-1].readable or _was_closed(tried[-1]))
        continues = is_open and _continues(text, end, region.span)
        if continues or _is_later_item(text, max(end, region.span.start - 80), region.span.start):
            judged = _as_fragment(judged)
        tried.append(judged)
    return tried


def _continues(text: str, end: int, span: Span) -> bool:
    """Return whether a value stands in what could not be read up to ``end``: behind a comma, or before its bracket."""
    if _CONTINUES.fullmatch(text, end, span.start):
        return True
    return not text[end : span.start].strip() and _ANY_CLOSER.match(text, span.end) is not None


def _was_closed(judged: Judged) -> bool:
    """Return whether a bracket had to be added at the very end of a value."""
    end = judged.candidate.end
    return any(each.kind is RepairKind.BRACKET_ADDED and end - 1 <= each.start for each in judged.candidate.repairs)


def _is_later_item(text: str, floor: int, start: int) -> bool:
    """Return whether what ends before the value is an item of the same list, and no citation."""
    return _LIST_BEFORE.search(text, floor, start) is not None and _CITATION_BEFORE.search(text, floor, start) is None


def _as_fragment(judged: Judged) -> Judged:
    fault = Violation("", "json", "the value is a part of something that is not all there")
    return replace(judged, candidate=replace(judged.candidate, faults=(fault,)), value=None, readable=False)


def _judged(text: str, region: Region, schema: CompiledSchema | None, policy: Policy, *, is_first: bool) -> Judged:
    start, end = region.span.start, region.span.end
    surplus = None
    if region.fault is None and (region.place is Place.PROSE or region.sealed) and _is_fragment(text, start, end):
        surplus = _surplus(text, start, end, is_first)
        if surplus is None:
            return _as_fragment(judge_region(text, region, None, policy))
    judged = _of_call(text, judge_region(text, region, schema, policy), schema, policy)
    if surplus is None:
        return judged
    if any(repair.kind is RepairKind.ARRAY_WRAPPED for repair in judged.candidate.repairs):
        # The bracket may be the one that closes a list whose opening was lost.
        return _as_fragment(judged)
    candidate = replace(judged.candidate, repairs=(*judged.candidate.repairs, surplus))
    return replace(judged, candidate=candidate)


def _of_call(text: str, judged: Judged, schema: CompiledSchema | None, policy: Policy) -> Judged:
    """Return what a tool is called with, where a tag says that the value is a call and the schema takes either."""
    start, end = judged.candidate.start, judged.candidate.end
    if schema is None or not judged.candidate.ok or _CALL_TAG.search(text, max(0, start - 40), start) is None:
        return judged
    found = called_with(judged.value, schema)
    if found is None:
        return judged
    if not all(change.kind in policy.allowed for change in found[1]) or not schema.is_valid(found[0]):
        return _as_fragment(judged)
    repairs = (Repair(change.kind, start, end, change.pointer) for change in found[1])
    candidate = replace(judged.candidate, repairs=(*judged.candidate.repairs, *repairs))
    return replace(judged, candidate=candidate, value=found[0], guided=True)


def _surplus(text: str, start: int, end: int, is_first: bool) -> Repair | None:
    """Return what stands behind a value where that is nothing but closing brackets up to the end of the line.

    Of a later value only one too many of its own: others may close what the first was to hold.
    """
    found = _SURPLUS.match(text, end)
    if found is None or _LINE_END.match(text, found.end()) is None:
        return None
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip() or not is_first:
        # Words may stand before the value, but not what looks like the key of a member.
        is_member = _MEMBER_BEFORE.search(text, max(line, start - 200), start) is not None
        follows_member = text[max(0, line - 80) : line].rstrip().endswith((",", "{", "["))
        if is_member or follows_member or set("".join(found.group().split())) != {text[end - 1]}:
            return None
    return Repair(RepairKind.BRACKET_REMOVED, end, found.end())


def _is_fragment(text: str, start: int, end: int) -> bool:
    """Return whether a key stands before the value, or a closing bracket after it that nothing opened."""
    if key := _KEY_BEFORE.search(text, max(0, start - 80), start):
        line = text.rfind("\n", 0, key.start()) + 1
        if start - line > _LONGEST_LEAD or _QUOTED_WORDS_BEFORE.fullmatch(text, line, start) is None:
            return True
    if _MEMBER_AFTER.match(text, end):
        return True
    closer = _CLOSER_AFTER.get(text[start])
    if closer is None or closer.match(text, end) is not None:
        return closer is not None
    other = _ANY_CLOSER.match(text, end)
    line = text.rfind("\n", 0, start) + 1
    return other is not None and ("{" if other[1] == "}" else "[") not in text[max(line, start - 200) : start]
