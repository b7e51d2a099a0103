"""Prints what strict JSON of 2 KB costs, beside the least it could cost.

A shared machine is now fast, now slow, for a second or less at a time, and 1.6 times so: one run of a few
milliseconds tells its state, not our code. So many short rounds, spread over seconds, with every call in
each of them: the median is what a user of this machine gets, the quietest round what the code alone costs, and a
ratio is taken round by round.
"""

import json
import random
from collections.abc import Callable
from statistics import median
from time import perf_counter, sleep

import orjson
from rich.console import Console
from rich.table import Table

from bench.validation.instances import make_object
from common.schema import check, compile_schema
from output_validation import extract

ROUNDS = 50
CALLS_PER_ROUND = 300
PAUSE_S = 0.1


def hot_path(console: Console) -> None:
    """Print what ``extract`` costs where the answer is strict JSON, the check alone, and the least of both."""
    rng = random.Random(7)
    schema, value = make_object(rng)
    while not 1_900 < len(json.dumps(value)) < 2_200:
        schema, value = make_object(rng)
    compiled, text = compile_schema(schema), json.dumps(value)
    least = "orjson.loads and is_valid, blind to duplicate keys, long numbers, depth and NUL"
    calls: dict[str, Callable[[], object]] = {
        "extract, with the check": lambda: extract(text, compiled),
        "extract, the schema given as a dict": lambda: extract(text, schema),
        "check alone, compiled": lambda: compiled.check(value),
        "check alone, the schema given as a dict": lambda: check(value, schema),
        least: lambda: compiled.is_valid(orjson.loads(text)),
    }
    rounds = _rounds(calls)
    title = f"Strict JSON of {len(text)} bytes: p50 in µs of {ROUNDS} rounds of {CALLS_PER_ROUND} calls"
    table = Table("call", "median", "quietest", "worst", "of the least", title=title)
    for label, times in rounds.items():
        ratio = median(mine / lower for mine, lower in zip(times, rounds[least], strict=True))
        table.add_row(label, *(f"{each:.1f}" for each in (median(times), min(times), max(times))), f"{ratio:.2f}")
    console.print(table)


def _rounds(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return each call's p50 in each round, in microseconds."""
    times: dict[str, list[float]] = {label: [] for label in calls}
    for _ in range(ROUNDS):
        sleep(PAUSE_S)
        for label, call in calls.items():
            times[label].append(median(_timed(call) for _ in range(CALLS_PER_ROUND)) * 1e6)
    return times


def _timed(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
