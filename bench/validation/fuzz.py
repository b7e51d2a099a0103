"""``python -m bench.validation.fuzz --seconds 60`` mutates answers at random: no crash, no hang, no growth.

A fifth of them are made long by repeating a few signs, for what takes quadratic time is quick in short ones.

Seeded by ``--seed``. Exit code 1 names the first text that broke a promise: an exception, more than a second, or a
value that its schema refuses. Opt-in; the tests hold the same promises as properties.
"""

import argparse
import random
import resource
import sys
from time import monotonic, perf_counter
from typing import Final

from bench.validation.faults import Case
from bench.validation.instances import make_object
from bench.validation.measure import ALL_FAULTS, printed, spoil
from common.schema import compile_schema
from output_validation import ANYTHING, LOSSLESS, extract

_PIECES = (
    *"{}[]\",:\\`'/#*<>\n\t\x00\ufeff\u201c-+.eE019 ",
    *(
        '"a":',
        "```json\n",
        "\n```",
        "<think>",
        "</think>",
        "null",
        "NaN",
        "True",
        "//",
        "/*",
        "*/",
        '\\"',
        "\\u00",
        "\\n",
        "\\boxed{",
        "```\n{",
        "</a>",
        "]]>",
        "[1]",
        "'''",
        "12345678901234567",
        "is ",
        "User: ",
        "\u00a0",
    ),
)
_LONGEST: Final = 200_000
_SHARE_REPEATED: Final = 0.2


def mutated(rng: random.Random, text: str) -> str:
    """Return the text with a few pieces inserted, removed, repeated or moved."""
    for _ in range(rng.randint(1, 6)):
        at, to = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        match rng.randrange(5):
            case 0:
                text = text[:at] + rng.choice(_PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + rng.randint(1, 5) :]
            case 2:
                text = text[:to] + text[at : min(to, at + 400)] * rng.randint(1, 20) + text[to:]
            case 3:
                text = text[at:to] + text[:at] + text[to:]
            case _:
                text = text[:at] + rng.choice(_PIECES) * rng.randint(1, 300) + text[at:]
        text = text[:_LONGEST]
    return text


def repeated(rng: random.Random, text: str) -> str:
    """Return the text with one or two things in it repeated thousands of times: what takes quadratic time shows."""
    for _ in range(rng.randint(1, 2)):
        unit = "".join(rng.choices(_PIECES, k=rng.randint(1, 4)))
        at = rng.choice((0, len(text), rng.randint(0, len(text))))
        text = text[:at] + unit * (rng.choice((3_000, 60_000)) // len(unit)) + text[at:]
    return text[:_LONGEST]


def main() -> None:
    """Fuzz until the time is over."""
    top = argparse.ArgumentParser(prog="python -m bench.validation.fuzz", description=__doc__)
    top.add_argument("--seconds", type=float, default=60.0)
    top.add_argument("--seed", type=int, default=1)
    options = top.parse_args()
    rng, end, count, slowest_s = random.Random(options.seed), monotonic() + options.seconds, 0, 0.0
    while monotonic() < end:
        schema, value = make_object(rng)
        compiled = compile_schema(schema)
        text = spoil(rng, Case(schema, value), (rng.choice(ALL_FAULTS),)) or printed(rng, value)
        text = repeated(rng, text) if rng.random() < _SHARE_REPEATED else mutated(rng, text)
        for policy in (LOSSLESS, ANYTHING):
            start = perf_counter()
            try:
                extraction = extract(text, compiled, policy=policy)
            except Exception as error:  # noqa: BLE001 - any exception at all is what is looked for
                sys.exit(f"{error!r} of {text!r}")
            slowest_s = max(slowest_s, perf_counter() - start)
            if extraction.ok and not compiled.is_valid(extraction.value):
                sys.exit(f"not valid: {extraction.value!r} of {text!r}")
        if slowest_s > 1:
            sys.exit(f"{slowest_s:.2f} s for {text[:2000]!r} of {len(text)} characters")
        count += 1
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} answers, slowest {slowest_s * 1000:.0f} ms, {memory_mb:.0f} MB at most")


if __name__ == "__main__":
    main()
