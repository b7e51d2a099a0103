"""``python -m bench`` measures Headrace on this machine; ``python -m bench compare A.json B.json`` gives ratios.

``python -m bench soak`` runs it for minutes at half its sustained rate and watches memory and tables.

Exit codes: 0 measured and intact, 1 measured and a promise was broken, 2 could not be measured.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from rich.console import Console

from bench import soak
from bench.attended import attended
from bench.results import RESULTS, BenchResult, Plan, compare, settings_of
from bench.run import run
from bench.tables import show, show_comparison
from bench.workload import VARIANTS, Variant
from headrace.local.services import SERVICES

_QUICK: Final = {"warmup": 3.0, "seconds": 10.0, "rounds": 1, "latency_seconds": 10.0}
_WIDTH: Final = 110


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    top.add_argument("--variant", choices=[*VARIANTS, "both"], default="both", help="which model answers")
    top.add_argument("--seconds", type=float, default=60.0, help="measured window of a round")
    top.add_argument("--warmup", type=float, default=10.0, help="load before each window")
    top.add_argument("--rounds", type=int, default=3, help="rounds; the median counts")
    top.add_argument("--connections", type=int, default=64, help="keep-alive connections of the load generator")
    top.add_argument("--outstanding", type=int, default=5_000, help="most jobs submitted and not yet put out")
    top.add_argument("--latency-rate", type=float, default=20.0, help="jobs a second while latency is measured")
    top.add_argument("--latency-seconds", type=float, default=30.0, help="for how long")
    top.add_argument("--calibration-seconds", type=float, default=4.0, help="how long each calibration loop runs")
    top.add_argument("--quick", action="store_true", help="3 s warm-up, one round of 10 s, latency for 10 s")
    top.add_argument("--json", type=Path, help="where to write the figures; else bench/results/<time>.json")
    top.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="try a setting: HEADRACE_<NAME>=VALUE"
    )
    top.add_argument(
        "--profile", action="append", default=[], choices=SERVICES, help="run a service under cProfile and show it"
    )
    return top


def comparison_parser() -> argparse.ArgumentParser:
    """Return the command line of ``compare``."""
    top = argparse.ArgumentParser(prog="python -m bench compare", description="Two runs, figure by figure.")
    top.add_argument("before", type=Path)
    top.add_argument("after", type=Path)
    return top


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Return the plan that was asked for."""
    asked = {**vars(arguments), **(_QUICK if arguments.quick else {})}
    return Plan(
        warmup_s=asked["warmup"],
        seconds=asked["seconds"],
        rounds=max(1, asked["rounds"]),
        connections=asked["connections"],
        outstanding=asked["outstanding"],
        latency_rate=asked["latency_rate"],
        latency_s=asked["latency_seconds"],
        calibration_s=asked["calibration_seconds"],
        settings=settings_of(asked["set"]),
        profiled=tuple(asked["profile"]),
    )


def _variants(name: str) -> Sequence[Variant]:
    return VARIANTS if name == "both" else [each for each in VARIANTS if each == name]


def measure(words: Sequence[str]) -> int:
    """Measure as the command line says and return the exit code."""
    arguments = parser().parse_args(words)
    said = Console(stderr=True)
    plan, variants = plan_of(arguments), _variants(arguments.variant)
    result = attended(lambda say: run(plan, variants, os.environ, say), said)
    if result is None:
        return 2
    console = Console()
    show(console if console.is_terminal else Console(width=_WIDTH), result)
    path = arguments.json or RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=1) + "\n")
    said.print(f"figures: {path}", highlight=False, soft_wrap=True)
    return 0 if all(variant.integrity.holds for variant in result.variants) else 1


def compare_files(words: Sequence[str]) -> int:
    """Compare two runs and return the exit code."""
    arguments = comparison_parser().parse_args(words)
    runs = []
    for path in (arguments.before, arguments.after):
        try:
            runs.append(BenchResult.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError) as error:
            Console(stderr=True).print(f"{path} holds no figures of a run ({type(error).__name__})", highlight=False)
            return 2
    console = Console()
    show_comparison(console if console.is_terminal else Console(width=_WIDTH), compare(*runs))
    return 0


def main() -> None:
    """Run the command."""
    words = sys.argv[1:]
    match words[:1]:
        case ["compare"]:
            sys.exit(compare_files(words[1:]))
        case ["soak"]:
            sys.exit(soak.main(words[1:]))
        case _:
            sys.exit(measure(words))


if __name__ == "__main__":
    main()
