"""Decides whether a job body can be accepted, and says everything that is wrong with it. Pure.

The input is checked as parsed JSON and kept byte for byte as received. Faults point into the body.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from common.contracts import Lane
from common.errors import Fault, RequestError, StrictJsonError
from common.recipes import Recipe, RecipeCatalogue
from common.schema import MAX_DEPTH, parse_json, values_within
from ingestion.money import nanos_from_usd
from ingestion.problems import refuse

MOST_TAGS: Final = 20
LONGEST_TAG: Final = 64
LONGEST_RECIPE: Final = 200
FARTHEST_DEADLINE: Final = timedelta(days=366)
LONGEST_TTL_S: Final = int(FARTHEST_DEADLINE.total_seconds())
ENVELOPE_BYTES: Final = 64 * 1024
"""What a body may hold beside its input."""
MOST_VALUES: Final = 500_000
"""How many values an input may hold: parsed, each takes some 100 bytes and a microsecond, whatever its text takes."""

# The envelope is one level around the input, which may itself nest MAX_DEPTH deep.
_BODY_DEPTH: Final = MAX_DEPTH + 1
FIELDS: Final = frozenset({"recipe", "input", "lane", "deadline", "ttl_seconds", "budget_usd", "tags"})
_LANES: Final[Mapping[str, Lane]] = {lane.value: lane for lane in Lane}
_RFC3339: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class AdmittedJob:
    """A body that can become a job."""

    recipe: Recipe
    input: bytes
    lane: Lane = Lane.STANDARD
    deadline: datetime | None = None
    budget_nanos: int | None = None
    tags: tuple[str, ...] = ()


class _RawParts(msgspec.Struct):
    """The parts whose very bytes matter: the input as received, the budget without rounding."""

    input: msgspec.Raw
    budget_usd: msgspec.Raw = msgspec.Raw(b"null")


_raw_parts: Final = msgspec.json.Decoder(_RawParts).decode


def admit(
    body: bytes, catalogue: RecipeCatalogue, *, now: datetime, input_limit: int, repeatable: bool = False
) -> AdmittedJob:
    """Return the job a body asks for. Raises RequestError (400, 413, 422) with every fault found.

    ``repeatable``: it came with a key, so it may be a repetition of what was accepted before its deadline.
    """
    if not values_within(body, MOST_VALUES):
        raise _too_many_values()
    try:
        envelope = parse_json(body, max_depth=_BODY_DEPTH)
    except StrictJsonError as error:
        raise malformed(error) from None
    if type(envelope) is not dict:
        raise refuse("invalid_job", "A job is a JSON object.", faults=[Fault("", "must be an object")])
    faults = [Fault(_pointer(name), "is not a field of a job") for name in envelope.keys() - FIELDS]
    recipe = _recipe(envelope.get("recipe"), catalogue, faults)
    lane = _lane(envelope, faults)
    tags = _tags(envelope.get("tags"), faults) if "tags" in envelope else ()
    deadline = _deadline(envelope.get("deadline"), now, faults, passed=repeatable) if "deadline" in envelope else None
    if envelope.get("ttl_seconds") is not None:
        deadline = _time_to_live(envelope, deadline, now, faults)
    if "input" not in envelope:
        faults.append(Fault("/input", "is required"))
        raise _refused(faults)
    raw = _raw_parts(body)
    budget = _budget(envelope.get("budget_usd"), raw.budget_usd, faults) if "budget_usd" in envelope else None
    received = bytes(raw.input)
    if len(received) > input_limit:
        raise input_too_large(input_limit)
    about_envelope = len(faults)
    if recipe is not None:
        faults += [Fault("/input" + v.pointer, v.message, v.keyword) for v in recipe.input.check(envelope["input"])]
    if faults or recipe is None:
        raise _refused(faults, only_input=about_envelope == 0)
    return AdmittedJob(recipe, received, lane, deadline, budget, tags)


def malformed(error: StrictJsonError) -> RequestError:
    """Return the problem of a text that is not the JSON we take."""
    return refuse(
        "malformed_json",
        f"{error} (byte {error.offset})",
        faults=[Fault(error.pointer, f"{error.problem}. {error.mend}", error.code)],
    )


def input_too_large(limit: int) -> RequestError:
    """Return the problem of an input beyond the limit."""
    return refuse(
        "input_too_large",
        f"An input may have {limit} bytes.",
        faults=[Fault("/input", f"must have at most {limit} bytes")],
    )


def _too_many_values() -> RequestError:
    return refuse(
        "input_too_large",
        f"An input may hold {MOST_VALUES:,} values, members and items. Send what is one text as one string.",
        faults=[Fault("/input", f"must hold at most {MOST_VALUES:,} values")],
    )


def _refused(faults: list[Fault], *, only_input: bool = False) -> RequestError:
    if only_input:
        return refuse("invalid_input", "The input does not satisfy the recipe's input schema.", faults=faults)
    if len(faults) == 1 and faults[0].keyword == "unknown":
        return refuse("unknown_recipe", "GET /api/v1/recipes lists the recipes there are.", faults=faults)
    return refuse("invalid_job", "The job cannot be accepted as it is.", faults=faults)


def _recipe(value: Any, catalogue: RecipeCatalogue, faults: list[Fault]) -> Recipe | None:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_RECIPE:
        faults.append(Fault("/recipe", "is required: a recipe as 'name' or 'name@version'"))
        return None
    recipe = None if value.endswith("@") else catalogue.find(value)
    if recipe is None:
        faults.append(Fault("/recipe", f"there is no recipe '{value[:80]}'", "unknown"))
    return recipe


def _lane(envelope: dict[str, Any], faults: list[Fault]) -> Lane:
    name = envelope.get("lane", "standard")
    lane = _LANES.get(name) if isinstance(name, str) else None
    if lane is None:
        faults.append(Fault("/lane", f"must be one of {', '.join(_LANES)}"))
        return Lane.STANDARD
    return lane


def _tags(value: Any, faults: list[Fault]) -> tuple[str, ...]:
    if not isinstance(value, list):
        faults.append(Fault("/tags", "must be an array of strings"))
        return ()
    if len(value) > MOST_TAGS:
        faults.append(Fault("/tags", f"must have at most {MOST_TAGS} tags"))
        return ()
    for index, tag in enumerate(value):
        if not isinstance(tag, str) or not 0 < len(tag) <= LONGEST_TAG or _CONTROL.search(tag):
            detail = f"must be a string of 1 to {LONGEST_TAG} characters without control characters"
            faults.append(Fault(f"/tags/{index}", detail))
    return tuple(value)


def _deadline(value: Any, now: datetime, faults: list[Fault], *, passed: bool) -> datetime | None:
    if value is None:
        return None
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    moment = None
    if match is not None:
        day, time, fraction, zone = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{time}{(fraction or '')[:7]}{zone.upper()}").astimezone(UTC)
        except OverflowError:
            faults.append(Fault("/deadline", "must be within the years 1 to 9999 of UTC"))
            return None
        except ValueError:
            moment = None
    if moment is None:
        faults.append(Fault("/deadline", "must be an RFC 3339 time with its offset, such as 2030-01-31T12:00:00Z"))
    elif moment <= now and not passed:
        faults.append(Fault("/deadline", "must be in the future"))
    elif moment > now + FARTHEST_DEADLINE:
        faults.append(Fault("/deadline", f"must be within {FARTHEST_DEADLINE.days} days"))
    return moment


def _time_to_live(
    envelope: dict[str, Any], deadline: datetime | None, now: datetime, faults: list[Fault]
) -> datetime | None:
    """A deadline counted from now: one of the two says until when the job is worth a call."""
    seconds = envelope["ttl_seconds"]
    if type(seconds) is not int or not 1 <= seconds <= LONGEST_TTL_S:
        faults.append(Fault("/ttl_seconds", f"must be an integer from 1 to {LONGEST_TTL_S}"))
        return deadline
    if envelope.get("deadline") is not None:
        faults.append(Fault("/ttl_seconds", "cannot be given beside a deadline"))
        return deadline
    return now + timedelta(seconds=seconds)


def _budget(value: Any, raw: msgspec.Raw, faults: list[Fault]) -> int | None:
    if value is None:
        return None
    # A number is read from its own text: 0.1 is a tenth here, not the nearest binary fraction.
    text = value if isinstance(value, str) else bytes(raw).decode()
    try:
        return nanos_from_usd(text)
    except ValueError as error:
        faults.append(Fault("/budget_usd", f"{error} (US dollars, as a string or a number)"))
        return None


def _pointer(name: str) -> str:
    return "/" + name[:80].replace("~", "~0").replace("/", "~1")
