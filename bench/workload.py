"""The benchmark's job: what is posted, what the model answers, and the models.toml that says who answers. Pure.

About 1 KB of input and 600 bytes of answer. Inputs differ, answers do not: nothing in Headrace keeps answers
by their text, and a fixed answer keeps the mock cheap.
"""

import random
from pathlib import Path
from typing import Final, Literal

import orjson

Variant = Literal["zero", "http"]
VARIANTS: Final[tuple[Variant, ...]] = ("zero", "http")

RECIPES_FOLDER: Final = Path(__file__).parent / "recipes"
RECIPE: Final = "bench-review@1.0.0"
MODEL: Final = "bench"
CONCURRENCY: Final = 512
INPUT_BYTES: Final = 1024
MOCK_LATENCY_MS: Final = (20.0, 60.0)

ANSWER: Final = orjson.dumps(
    {
        "summary": "A sturdy travel kettle that boils quickly and packs small, let down by a short cord.",
        "sentiment": "mixed",
        "topics": ["quality", "delivery", "fit"],
        "liked": ["boils half a litre in two minutes", "folds flat into hand luggage", "easy to clean"],
        "disliked": ["the cord is too short for most hotel desks", "the lid takes two hands to open"],
        "confidence": 0.87,
        "reply": "Thank you for taking the time to tell us how the kettle did on your trip. We are glad that it "
        "was quick and easy to pack, and we have passed your words about the cord and the lid on to its designers.",
    }
).decode()

_TEXT: Final = (
    "the kettle boiled water quickly on every morning of our trip and it packed small enough for hand luggage "
    "although its cord was shorter than we hoped for while the lid needed both hands after a week of use"
)


def make_input(number: int) -> dict[str, object]:
    """Return one input of exactly ``INPUT_BYTES`` bytes of JSON; the same number gives the same input."""
    chance = random.Random(number)
    review: dict[str, object] = {
        "product": f"Travel kettle {number:05d}",
        "rating": chance.randint(1, 5),
        "text": "",
        "tags": ["verified", "travel", "kitchen"],
        "locale": "en-GB",
    }
    room = INPUT_BYTES - len(orjson.dumps(review))
    words = _TEXT.split()
    text = ""
    while len(text) < room:
        text += chance.choice(words) + " "
    # A blank at either end would be trimmed by the prompt; the size stays either way.
    review["text"] = text[: room - 1] + "."
    return review


def make_request(number: int, *, host: str, key: str) -> bytes:
    """Return a whole HTTP/1.1 request that submits the input of that number."""
    body = orjson.dumps({"recipe": RECIPE, "input": make_input(number)})
    head = (
        f"POST /api/v1/jobs HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def models_toml(variant: Variant, mock_base_url: str | None) -> str:
    """Return a models.toml with the one deployment of a variant."""
    shared = (
        f'default = "{MODEL}"\n\n[[deployment]]\nalias = "{MODEL}"\nmodel = "{MODEL}-1"\ntier = "small"\n'
        "price = { input_usd_per_mtok = 0.10, output_usd_per_mtok = 0.40 }\n"
        f"limits = {{ concurrency = {CONCURRENCY} }}\n"
    )
    if variant == "zero":
        return shared + f"provider = \"scripted\"\noutput = '''{ANSWER}'''\n"
    return shared + f'provider = "openai_chat"\nbase_url = "{mock_base_url}"\n'
