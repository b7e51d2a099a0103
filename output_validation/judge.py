"""Judges one candidate: is it readable, does it satisfy the schema, as it stands or as the schema demands. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from common.errors import StrictJsonError
from common.schema import CompiledSchema, Json, Violation, dump_json, parse_json
from common.schema.locate import depth_within
from output_validation.candidates import Region, Span
from output_validation.declared import item, members, plain
from output_validation.extraction import LOSSY, Candidate, Place, Policy, Repair, RepairKind
from output_validation.guided import read_as, resolve
from output_validation.tolerant import Mended, read_tolerantly
from output_validation.tolerant_bare import GROUPED
from output_validation.tolerant_text import UnreadableError

_DEEPENING: Final = frozenset({RepairKind.STRING_DECODED, RepairKind.ARRAY_WRAPPED})
_KEYWORD_OF: Final = {RepairKind.TAIL_LOST: "truncated", RepairKind.DUPLICATE_DROPPED: "duplicate-key"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with its value. ``readable``: it is JSON, strict or mended as the policy allows.

    ``guided``: it had to be read as the schema demands. ``label``: of its fence. ``barred``: the value, if any, that
    it is by lossless repairs which the policy does not allow: nothing to be taken, and yet a rival to others.
    """

    candidate: Candidate
    value: Json
    readable: bool
    guided: bool = False
    label: str = ""
    barred: tuple[Json, ...] = ()


def judge_text(text: str, place: Place, span: Span, schema: CompiledSchema | None, policy: Policy) -> Judged:
    """Judge a part that should be strict JSON."""
    part = text[span.start : span.end]
    try:
        value = parse_json(part, max_depth=policy.max_depth)
    except StrictJsonError as error:
        keyword = "duplicate-key" if error.code == "duplicate-key" else "json"
        offset = span.start + len(part.encode(errors="replace")[: error.offset].decode(errors="ignore"))
        fault = Violation(error.pointer, keyword, f"{error.problem} (character {offset}). {error.mend}")
        return Judged(Candidate(place, span.start, span.end, (fault,)), None, readable=False)
    return judge_value(value, place, span, (), schema, policy)


def judge_value(
    value: Json, place: Place, span: Span, repairs: tuple[Repair, ...], schema: CompiledSchema | None, policy: Policy
) -> Judged:
    """Judge a value that was read, strictly or with ``repairs``."""
    forbidden = [repair.kind for repair in repairs if repair.kind not in policy.allowed]
    if forbidden:
        keyword = next((_KEYWORD_OF[kind] for kind in forbidden if kind in _KEYWORD_OF), "json")
        names = ", ".join(dict.fromkeys(forbidden))
        fault = Violation("", keyword, f"it is not JSON, and the policy does not allow to mend it by {names}")
        barred = (value,) if LOSSY.isdisjoint(forbidden) and (schema is None or schema.is_valid(value)) else ()
        return Judged(Candidate(place, span.start, span.end, (fault,), repairs), value, readable=False, barred=barred)
    barred = ()
    faults = tuple(schema.check(value)) if schema is not None else ()
    if faults and schema is not None:
        read = read_as(value, schema)
        if read is not None:
            guided = tuple(Repair(change.kind, span.start, span.end, change.pointer) for change in read[1])
            # What +49 or 0x1F was as a text is no longer known.
            lost = any(r.kind is RepairKind.NUMBER_MENDED for r in repairs) and any(
                r.kind is RepairKind.TEXT_READ for r in guided
            )
            too_deep = any(r.kind in _DEEPENING for r in guided) and not depth_within(
                dump_json(read[0]), policy.max_depth
            )
            if not (lost or too_deep):
                if all(repair.kind in policy.allowed for repair in guided):
                    candidate = Candidate(place, span.start, span.end, (), (*repairs, *guided))
                    return Judged(candidate, read[0], readable=True, guided=True)
                barred = (read[0],)
    return Judged(Candidate(place, span.start, span.end, faults, repairs), value, readable=True, barred=barred)


def judge_region(text: str, region: Region, schema: CompiledSchema | None, policy: Policy) -> Judged:
    """Judge a region, strict or mended."""
    mended, fault = region.mended, region.fault
    if mended is None and fault is None:
        judged = judge_text(text, region.place, region.span, schema, policy)
        if judged.readable or judged.candidate.faults[0].keyword != "duplicate-key":
            return replace(judged, label=region.label)
        # JSON in form, and yet not to be read without a mend.
        try:
            mended = read_tolerantly(text, region.span.start, region.span.end, max_depth=policy.max_depth)
        except UnreadableError as error:
            fault = error
    if mended is None:
        problem = "it cannot be read" if fault is None else f"{fault.problem} (character {fault.offset})"
        candidate = Candidate(region.place, region.span.start, region.span.end, (Violation("", "json", problem),))
        return Judged(candidate, None, readable=False, label=region.label)
    if schema is None and any(_is_grouped(text, repair) for repair in mended.repairs):
        grouped = Violation(
            "", "json", "a number is written with commas: without a schema it may be a text, or a number"
        )
        return Judged(Candidate(region.place, region.span.start, region.span.end, (grouped,)), None, readable=False)
    judged = judge_value(mended.value, region.place, region.span, mended.repairs, schema, policy)
    if mended.unclosed and not _is_whole(judged, mended, region, schema):
        lost = (*mended.repairs, Repair(RepairKind.TAIL_LOST, region.span.end, region.span.end))
        judged = judge_value(mended.value, region.place, region.span, lost, schema, policy)
    return replace(judged, label=region.label)


def _is_grouped(text: str, repair: Repair) -> bool:
    return repair.kind is RepairKind.VALUE_QUOTED and GROUPED.fullmatch(text, repair.start, repair.end) is not None


def _is_whole(judged: Judged, mended: Mended, region: Region, schema: CompiledSchema | None) -> bool:
    """Return whether nothing can be missing behind what was left open.

    That is: all declared members are there, and no list was cut off together with the text. What was left open
    is the value and the last of each container in it.
    """
    if schema is None:
        return False
    unwrapped = any(r.kind is RepairKind.ARRAY_UNWRAPPED and r.pointer == "" for r in judged.candidate.repairs)
    if unwrapped and not region.sealed and any(isinstance(each, list) for each in mended.unclosed):
        return False
    wrappers = sum(repair.kind is RepairKind.WRAPPER_REMOVED for repair in judged.candidate.repairs)
    node, container = schema.schema, judged.value
    for _ in range(max(1, len(mended.unclosed) - wrappers)):
        known = _in_closed_block(node, schema.schema) if region.sealed else plain(node, schema.schema)
        if known is None or not isinstance(container, dict | list) or not container:
            return False
        if isinstance(container, list):
            if not region.sealed and known.get("maxItems") != len(container):
                return False
            node, container = item(known, len(container) - 1), container[-1]
            continue
        declared = members(known)
        if not declared or any(name not in container for name in declared):
            return False
        last = next(reversed(container))
        node, container = declared.get(last), container[last]
    return True


def _in_closed_block(node: Json, root: Json) -> dict[str, Json] | None:
    """Return a schema of which the named members are enough: the model came to the end of the block it wrote."""
    found = resolve(node, root)
    is_beside = isinstance(node, dict) and "$ref" in node and "properties" in node
    return found if isinstance(found, dict) and not is_beside else None
