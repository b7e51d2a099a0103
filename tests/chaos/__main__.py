"""``python -m tests.chaos --seed N --jobs N --minutes M``: one chaos run, printed; exit code 1 if anything is found."""

import argparse
import asyncio
import random
import sys

from tests.chaos.plan import make_plan
from tests.chaos.run import Order, run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="what everything random follows from; a new one is printed")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=3.0)
    switch = argparse.BooleanOptionalAction
    parser.add_argument("--elasticsearch", action=switch, default=True, help="run it too, compare search documents")
    parser.add_argument("--delete-topics", action=switch, default=True, help="delete work topics, too")
    parser.add_argument("--plan", action="store_true", help="print the plan of a seed and end")
    return parser


def main() -> int:
    """Run and print."""
    asked = _parser().parse_args()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(1_000_000)
    plan = make_plan(seed, asked.minutes * 60 - 2, elasticsearch=asked.elasticsearch, delete_topics=asked.delete_topics)
    print(f"seed {seed}", flush=True)
    for fault in plan:
        print(fault)
    if asked.plan:
        return 0
    sys.stdout.flush()
    report = asyncio.run(run(Order(seed, asked.jobs, asked.minutes, plan, asked.elasticsearch)))
    print("\n".join(report.lines()))
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
