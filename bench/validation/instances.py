"""Generates output schemas as recipes have them, and instances that satisfy them. Seeded, so that runs repeat."""

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

Json = Any
Made = tuple[dict[str, Any], Json]

_WORDS: Final = [
    "invoice",
    "total",
    "kettle",
    "boils",
    "dry",
    "after",
    "minutes",
    "customer",
    "asks",
    "refund",
    "the",
    "lid",
    "broken",
    "replaced",
    "warranty",
    "order",
    "late",
    "server",
    "timeout",
    "when",
    "uploading",
    "files",
    "larger",
    "than",
    "expected",
    "café",
    "naïve",
    "東京",
    "price",
    "includes",
    "tax",
    "shipping",
    "delayed",
]
_KEYS: Final = [
    "summary",
    "category",
    "priority",
    "total_amount",
    "due_date",
    "tags",
    "confidence",
    "is_urgent",
    "lines",
    "author",
    "rating",
    "notes",
    "address",
    "quantity",
    "unit_price",
    "language",
    "sentiment",
    "score",
    "reason",
    "reply",
    "status",
    "country",
    "owner",
]
_ENUMS: Final = (
    ["low", "normal", "high", "urgent"],
    ["billing", "bug-report", "feature-request", "other"],
    ["positive", "neutral", "negative"],
)


def sentence(rng: random.Random, words: int = 12) -> str:
    """Return a few words with the punctuation that makes answers hard to read."""
    chosen = [rng.choice(_WORDS) for _ in range(rng.randint(2, words))]
    text = " ".join(chosen)
    if rng.random() < 0.25:
        text += rng.choice([", " + rng.choice(_WORDS), ": yes", " (see 4.2)", " - done", "; then stop", " 50%", " {x}"])
    if rng.random() < 0.12:
        text += rng.choice([' the "big" one', ' said "no thanks", then left', " it's ours", ' "why"'])
    if rng.random() < 0.12:
        text += "\n" + " ".join(rng.choice(_WORDS) for _ in range(4))
    return text[0].upper() + text[1:] + rng.choice([".", "", "!", "?"])


def _string(rng: random.Random, _: int) -> Made:
    return {"type": "string", "maxLength": 400}, sentence(rng)


def _integer(rng: random.Random, _: int) -> Made:
    return {"type": "integer", "minimum": 0}, rng.randint(0, 10_000)


def _number(rng: random.Random, _: int) -> Made:
    return {"type": "number"}, round(rng.uniform(-50, 5_000), 2)


def _boolean(rng: random.Random, _: int) -> Made:
    return {"type": "boolean"}, rng.random() < 0.5


def _enum(rng: random.Random, _: int) -> Made:
    options = rng.choice(_ENUMS)
    return {"enum": options}, rng.choice(options)


def _date(rng: random.Random, _: int) -> Made:
    day = date(2024, 1, 1) + timedelta(days=rng.randint(0, 900))
    return {"type": "string", "format": "date"}, day.isoformat()


def _nullable(rng: random.Random, _: int) -> Made:
    return {"type": ["string", "null"]}, None if rng.random() < 0.6 else sentence(rng, 5)


def _maybe_number(rng: random.Random, _: int) -> Made:
    value = None if rng.random() < 0.6 else round(rng.random(), 3)
    return {"anyOf": [{"type": "number"}, {"type": "null"}]}, value


def _tags(rng: random.Random, _: int) -> Made:
    tags = [rng.choice(_WORDS) for _ in range(rng.randint(1, 5))]
    return {"type": "array", "items": {"type": "string"}, "maxItems": 20}, tags


def _nested(rng: random.Random, depth: int) -> Made:
    return make_object(rng, depth + 1)


def _rows(rng: random.Random, depth: int) -> Made:
    schema, first = make_object(rng, depth + 1)
    rows = [first] + [make_like(rng, schema, first) for _ in range(rng.randint(0, 3))]
    return {"type": "array", "items": schema}, rows


_FLAT: Final[tuple[Callable[[random.Random, int], Made], ...]] = (
    *(_string, _string, _integer, _number, _boolean, _enum),
    *(_date, _nullable, _maybe_number, _tags),
)


def make_object(rng: random.Random, depth: int = 0) -> Made:
    """Return an object's schema and an instance of it."""
    makers = [rng.choice(_FLAT) for _ in range(rng.randint(3, 7))]
    if depth < 2:
        makers += [maker for maker in (_nested, _rows) if rng.random() < 0.35]
    keys = rng.sample(_KEYS, len(makers))
    made = {key: maker(rng, depth) for key, maker in zip(keys, makers, strict=True)}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {key: part for key, (part, _) in made.items()},
        "required": [key for key in keys if rng.random() < 0.85] or keys[:1],
    }
    if rng.random() < 0.7:
        schema["additionalProperties"] = False
    return schema, {key: value for key, (_, value) in made.items()}


def make_like(rng: random.Random, schema: dict[str, Any], model: Json) -> Json:
    """Return another instance of a generated schema, from one of it: each leaf changed where that is possible."""
    match model:
        case dict():
            return {key: make_like(rng, schema["properties"][key], value) for key, value in model.items()}
        case list():
            return [make_like(rng, schema["items"], value) for value in model]
        case bool():
            return not model
        case int() | float():
            return model + 1
        case str() if "enum" in schema:
            return rng.choice([option for option in schema["enum"] if option != model])
        case str() if schema.get("format") == "date":
            return (date.fromisoformat(model) + timedelta(days=3)).isoformat()
        case str():
            return sentence(rng, 6)
        case _:
            return model
