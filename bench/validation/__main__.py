"""``python -m bench.validation`` prints how the gate reads faulty answers, beside other readers. Seeded.

``python -m bench.validation reask`` measures re-asks on a small real model instead.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.validation import reask
from bench.validation.hot_path import hot_path
from bench.validation.measure import (
    ALL_FAULTS,
    READERS,
    Answer,
    Score,
    answers,
    ours,
    pair_faults,
    realistic_mix,
    score,
    single_faults,
)
from bench.validation.official import official
from output_validation import extract


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(prog="python -m bench.validation", description=__doc__)
    top.add_argument("--seeds", type=int, default=30, help="answers for each single fault")
    top.add_argument("--pair-seeds", type=int, default=2, help="answers for each pair of faults")
    top.add_argument("--mix", type=int, default=1200, help="answers in the realistic mix")
    top.add_argument("--seed", type=int, default=1, help="first seed")
    top.add_argument("--wrong", type=int, default=0, metavar="N", help="show N answers that were read wrongly")
    top.add_argument("--refused", type=int, default=0, metavar="N", help="show N answers that were refused")
    return top


def by_fault(console: Console, seeds: range) -> None:
    """Print the gate's figures for each fault alone."""
    table = Table("fault", "exact %", "wrong %", "refused %", "p50 µs", title="Each fault alone, headrace")
    for name in ALL_FAULTS:
        result = score(ours, list(answers((name,), seeds)))
        table.add_row(name, *_shares(result), f"{result.percentile_us(50):.0f}")
    console.print(table)


def compared(console: Console, title: str, sample: Sequence[Answer]) -> None:
    """Print every reader's figures over one sample."""
    kept = [answer for answer in sample if not answer.lossy]
    lost = [answer for answer in sample if answer.lossy]
    note = f"{title}: {len(kept)} answers"
    table = Table("reader", "exact %", "wrong %", "refused %", "p50 µs", "p99 µs", title=note)
    if lost:
        table.add_column(f"of {len(lost)} cut off, wrong %")
    for name, reader in READERS.items():
        result = score(reader, kept)
        row = [name, *_shares(result), f"{result.percentile_us(50):.0f}", f"{result.percentile_us(99):.0f}"]
        if lost:
            over_lost = score(reader, lost)
            row.append(f"{over_lost.share(over_lost.wrong):.1f}")
        table.add_row(*row)
    console.print(table)


def _shares(result: Score) -> tuple[str, str, str]:
    return tuple(f"{result.share(n):.1f}" for n in (result.exact, result.wrong, result.refused))  # type: ignore[return-value]  # three of three


def show(console: Console, sample: Sequence[Answer], wrong: int, refused: int) -> None:
    """Print some of the answers that the gate read wrongly or refused."""
    for answer in sample:
        extraction = extract(answer.text, answer.schema)
        is_exact = json.dumps(extraction.value) == json.dumps(answer.value)
        if extraction.ok and not is_exact and wrong > 0:
            wrong -= 1
            console.print("WRONG", answer.faults, repr(answer.text), extraction.value, answer.value, markup=False)
        elif not extraction.ok and not answer.lossy and refused > 0:
            refused -= 1
            why = (extraction.reason, extraction.violations[:1])
            console.print("REFUSED", answer.faults, repr(answer.text), why, markup=False)


def main() -> None:
    """Measure and print."""
    words = sys.argv[1:]
    if words[:1] == ["reask"]:
        sys.exit(reask.main(words[1:]))
    options = parser().parse_args(words)
    console = Console(width=120)
    seeds = range(options.seed, options.seed + options.seeds)
    singles = list(single_faults(seeds))
    in_pairs = list(pair_faults(range(options.seed, options.seed + options.pair_seeds)))
    if options.wrong or options.refused:
        show(console, singles, options.wrong, options.refused)
        show(console, in_pairs, options.wrong, options.refused)
        return
    by_fault(console, seeds)
    compared(console, "Single faults", singles)
    compared(console, "Pairs of faults", in_pairs)
    compared(console, "Realistic mix", list(realistic_mix(options.mix, options.seed)))
    hot_path(console)
    official(console)


if __name__ == "__main__":
    main()
