"""The chaos run's job: what is posted, and the models.toml that sends its calls to the scripted model server. Pure."""

import random
import re
from pathlib import Path
from typing import Final

import orjson

RECIPES_FOLDER: Final = Path(__file__).parent / "recipes"
RECIPE: Final = "chaos-echo@1.0.0"
MODEL: Final = "chaos-model-1"
INPUT_USD_PER_MTOK: Final = 2
OUTPUT_USD_PER_MTOK: Final = 8
CALL_TIMEOUT_S: Final = 6
DEADLINE_SHARE: Final = 0.03
BATCH_SHARE: Final = 0.02
BATCH_JOBS: Final = 4
# Above every number of a run, and a multiple of what steers, so that a batch is steered as a whole.
BATCH_STRIDE: Final = 1_000_000
BUDGETED_SHARE: Final = 0.2
LARGE_SHARE: Final = 0.02
# Some 300 KB: too large for a message, so it travels by reference.
LARGE_WORDS: Final = 55_000
STEERED_TAG: Final = "steered"
_WORDS: Final = ("kettle", "cord", "lid", "boil", "water", "travel", "luggage", "morning", "review", "desk", "hotel")
_MARKER: Final = re.compile(rb"marker=(m[0-9]{7}x)")


def is_steered(number: int) -> bool:
    """Whether a job is the operator's to pause, and not its client's."""
    return number % 8 == 0


def batch_of(seed: int, number: int) -> list[int]:
    """Return the numbers that are submitted with this one: mostly it alone, now and then a batch."""
    size = BATCH_JOBS if random.Random(f"batch {seed} {number}").random() < BATCH_SHARE else 1
    return [number + place * BATCH_STRIDE for place in range(size)]


def marker(number: int) -> str:
    """Return the client's own name for its job: one word for search, unique in a run."""
    return f"m{number:07d}x"


def number_of(marker: str) -> int:
    """Return the number of the job that a marker names."""
    return int(marker[1:-1])


def marker_in(body: bytes) -> str | None:
    """Return the marker in a request for the model, or None."""
    found = _MARKER.search(body)
    return found.group(1).decode() if found else None


def patience_s(seed: int, number: int) -> float | None:
    """Return how long a job may take at most; None for most of them."""
    chance = random.Random(f"deadline {seed} {number}")
    return chance.uniform(1.0, 8.0) if chance.random() < DEADLINE_SHARE else None


def job_body(seed: int, number: int, deadline: str | None = None) -> bytes:
    """Return the body that submits a job; the same arguments give the same bytes."""
    chance = random.Random(f"job {seed} {number}")
    large = chance.random() < LARGE_SHARE
    text = " ".join(chance.choices(_WORDS, k=LARGE_WORDS if large else chance.randint(5, 60)))
    lane = chance.choices(("interactive", "standard", "bulk"), (1, 8, 1))[0]
    body: dict[str, object] = {
        "recipe": RECIPE,
        "input": {"marker": marker(number), "text": text},
        "lane": lane,
        "tags": ["chaos", STEERED_TAG] if is_steered(number) else ["chaos"],
    }
    # A large input may cost more than that; an exhausted budget would hold the job for good.
    if not large and chance.random() < BUDGETED_SHARE:
        body["budget_usd"] = "1.00"
    if deadline is not None:
        body["deadline"] = deadline
    return orjson.dumps(body)


def cost_nanos(input_tokens: int, output_tokens: int) -> int:
    """Return what a call costs: USD per million tokens are milli-nano-USD a token, exact for whole prices."""
    return (input_tokens * INPUT_USD_PER_MTOK + output_tokens * OUTPUT_USD_PER_MTOK) * 1000


def models_toml(base_url: str) -> str:
    """Return the one deployment of a run."""
    return f"""\
[[deployment]]
alias = "chaos"
provider = "openai_chat"
model = "{MODEL}"
base_url = "{base_url}"
price = {{ input_usd_per_mtok = {INPUT_USD_PER_MTOK}, output_usd_per_mtok = {OUTPUT_USD_PER_MTOK} }}
limits = {{ concurrency = 48, timeout_s = {CALL_TIMEOUT_S} }}
"""
