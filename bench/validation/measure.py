"""Runs readers over generated answers and counts what they made of them: exact, silently wrong, refused; and time."""

import gc
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from time import perf_counter
from typing import Any, Final

import json_repair

from bench.validation.faults import AROUND_FAULTS, LOSSY_FAULTS, TEXT_FAULTS, VALUE_FAULTS, Case
from bench.validation.instances import make_object
from common.schema import CompiledSchema, compile_schema
from output_validation import extract

Json = Any
REFUSED: Final = object()
Reader = Callable[[str, CompiledSchema], Json]
ALL_FAULTS: Final = (*VALUE_FAULTS, *TEXT_FAULTS, *AROUND_FAULTS)
_FENCE: Final = re.compile(r"```(?:json)?\s*\n(.*?)\n```", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One generated answer: what it says, and how it was spoilt."""

    faults: tuple[str, ...]
    text: str
    value: Json
    schema: CompiledSchema

    @property
    def lossy(self) -> bool:
        """Whether something was lost that no reader can bring back."""
        return any(fault in LOSSY_FAULTS for fault in self.faults)


@dataclass(slots=True)
class Score:
    """What one reader made of many answers. Times in microseconds."""

    exact: int = 0
    wrong: int = 0
    refused: int = 0
    times_us: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.exact + self.wrong + self.refused

    def share(self, count: int) -> float:
        """Return ``count`` in percent of all."""
        return 100 * count / self.count if self.count else 0.0

    def percentile_us(self, percent: float) -> float:
        """Return that percentile of the times."""
        times = sorted(self.times_us)
        return times[min(len(times) - 1, int(len(times) * percent / 100))] if times else 0.0


def ours(text: str, schema: CompiledSchema) -> Json:
    """Read by the gate, lossless repairs allowed."""
    extraction = extract(text, schema)
    return extraction.value if extraction.ok else REFUSED


def repaired(text: str, schema: CompiledSchema) -> Json:
    """Read by json-repair, then check."""
    value = json_repair.loads(text)
    return value if schema.is_valid(value) else REFUSED


def repaired_by_schema(text: str, schema: CompiledSchema) -> Json:
    """Read by json-repair with its schema salvage, then check."""
    try:
        value = json_repair.loads(text, schema=schema.schema, schema_repair_mode="salvage")
    except (ValueError, TypeError, KeyError, RecursionError):
        return REFUSED
    return value if schema.is_valid(value) else REFUSED


def fence_regex(text: str, schema: CompiledSchema) -> Json:
    """Read by what most programs do: a fence or the whole, json.loads, then check."""
    found = _FENCE.search(text)
    try:
        value = json.loads(found.group(1) if found else text)
    except ValueError:
        return REFUSED
    return value if schema.is_valid(value) else REFUSED


READERS: Final[dict[str, Reader]] = {
    "headrace": ours,
    "json-repair": repaired,
    "json-repair+schema": repaired_by_schema,
    "fence regex": fence_regex,
}


def printed(rng: random.Random, value: Json) -> str:
    """Return the value as one of the ways in which JSON is printed."""
    style: dict[str, Any] = rng.choice([{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": 4}])
    return json.dumps(value, ensure_ascii=rng.random() < 0.3, **style)


def spoil(rng: random.Random, case: Case, faults: Sequence[str]) -> str | None:
    """Return the printed value with these faults, or None where one of them does not apply."""
    value = case.value
    for name in faults:
        if name in VALUE_FAULTS:
            value = VALUE_FAULTS[name](rng, case, value)
            if value is None:
                return None
    text: str | None = printed(rng, value)
    for table in (TEXT_FAULTS, AROUND_FAULTS):
        for name in faults:
            if name in table and text is not None:
                text = table[name](rng, case, text)
    return text


def answers(faults: tuple[str, ...], seeds: range) -> Iterator[Answer]:
    """Yield one answer a seed with these faults; seeds to which they do not apply are tried anew a few times."""
    for seed in seeds:
        for attempt in range(30):
            rng = random.Random(f"{seed}:{attempt}:{faults}")
            schema, value = make_object(rng)
            text = spoil(rng, Case(schema, value), faults)
            if text is not None:
                yield Answer(faults, text, value, compile_schema(schema))
                break


def single_faults(seeds: range) -> Iterator[Answer]:
    """Yield answers with each fault alone."""
    for name in ALL_FAULTS:
        yield from answers((name,), seeds)


# What cannot meet in one text, or would undo the other.
_TEXT_SHAPES: Final = frozenset(
    {"single-quotes", "smart-quotes", "python-literals", "escaped", "doubly-encoded", "html-escaped"}
)
_REREAD: Final = frozenset({"python-literals", "duplicate-equal"})


def pairs() -> list[tuple[str, str]]:
    """Return the pairs of faults that can meet: the first is made before the second."""
    found = []
    for first, second in combinations(ALL_FAULTS, 2):
        both_text = first in TEXT_FAULTS and second in TEXT_FAULTS
        if both_text and (second in _REREAD or ({first, second} & _TEXT_SHAPES)):
            continue
        if first in AROUND_FAULTS and second in AROUND_FAULTS:
            continue
        if second in AROUND_FAULTS and first in {"cut-off", "lost-closers", "bom", "closer-missing-in-fence"}:
            continue
        found.append((first, second))
    return found


def pair_faults(seeds: range) -> Iterator[Answer]:
    """Yield answers with each pair of faults."""
    for pair in pairs():
        yield from answers(pair, seeds)


def realistic_mix(count: int, seed: int) -> Iterator[Answer]:
    """Yield half strict answers, a quarter fenced or in prose, a quarter with a fault."""
    rng = random.Random(seed)
    for number in range(count):
        kind = number % 4
        if kind < 2:
            faults: tuple[str, ...] = ()
        elif kind == 2:
            faults = (rng.choice(["fenced", "prose", "fenced-in-prose"]),)
        else:
            faults = (rng.choice([name for name in ALL_FAULTS if name not in LOSSY_FAULTS]),)
        yield from answers(faults, range(seed + number, seed + number + 1))


def score(reader: Reader, sample: Sequence[Answer]) -> Score:
    """Return what ``reader`` makes of the sample. The collector rests while a reader is timed."""
    result = Score()
    for answer in sample:
        gc.disable()
        start = perf_counter()
        value = reader(answer.text, answer.schema)
        result.times_us.append((perf_counter() - start) * 1e6)
        gc.enable()
        if value is REFUSED:
            result.refused += 1
        elif same(value, answer.value):
            result.exact += 1
        else:
            result.wrong += 1
    return result


def same(left: Json, right: Json) -> bool:
    """Return whether two JSON values are equal, booleans apart from numbers."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
