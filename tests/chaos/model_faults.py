"""What the scripted model does with a call: an answer or a fault, decided by seed, marker and number alone. Pure.

The same call of the same job meets the same fate in every replay. From its fifth call on a job is answered well, so
that bad luck ends.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from tests.chaos.workload import MODEL

LAST_FAULTY_CALL: Final = 4
FAULT_SHARE: Final = 0.2
RESET_EVERY_CONNECTIONS: Final = 40


class Fate(StrEnum):
    """What becomes of one call."""

    OK = "ok"
    DRIP = "drip"
    PROSE = "prose"
    WRONG_SCHEMA = "wrong-schema"
    NOT_JSON = "not-json"
    RATE_LIMITED = "429"
    RATE_LIMITED_UNTIL = "429-retry-after"
    SERVER_ERROR = "500"
    OVERLOADED = "529"
    RESET = "reset"
    CUT = "cut"
    HANG = "hang"


WEIGHTS: Final[dict[Fate, int]] = {
    Fate.DRIP: 3,
    Fate.PROSE: 3,
    Fate.WRONG_SCHEMA: 3,
    Fate.NOT_JSON: 2,
    Fate.RATE_LIMITED: 3,
    Fate.RATE_LIMITED_UNTIL: 3,
    Fate.SERVER_ERROR: 2,
    Fate.OVERLOADED: 2,
    Fate.RESET: 2,
    Fate.CUT: 2,
    Fate.HANG: 1,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call is answered. ``output`` is what an accepted answer holds, None for the others."""

    fate: Fate
    call_id: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    delay_s: float
    input_tokens: int = 0
    output_tokens: int = 0
    output: dict[str, object] | None = None


def fate_of(seed: int, marker: str, number: int, share: float) -> Fate:
    """Return what becomes of the ``number``-th call (from 1) of a job."""
    chance = random.Random(f"fate {seed} {marker} {number}")
    if number > LAST_FAULTY_CALL or chance.random() >= share:
        return Fate.OK
    return chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]


def answer_of(seed: int, marker: str, number: int, share: float) -> Answer:
    """Return the answer to that call."""
    fate = fate_of(seed, marker, number, share)
    chance = random.Random(f"answer {seed} {marker} {number}")
    call_id = f"{marker}-{number}"
    delay_s = chance.uniform(0.005, 0.08)
    headers = (("x-request-id", call_id),)
    match fate:
        case Fate.RATE_LIMITED | Fate.RATE_LIMITED_UNTIL:
            waiting = (("retry-after", "1"),) if fate is Fate.RATE_LIMITED_UNTIL else ()
            return Answer(fate, call_id, 429, headers + waiting, _error("rate_limit_exceeded"), delay_s)
        case Fate.SERVER_ERROR:
            return Answer(fate, call_id, 500, headers, _error("server_error"), delay_s)
        case Fate.OVERLOADED:
            return Answer(fate, call_id, 529, headers, _error("overloaded"), delay_s)
        case Fate.NOT_JSON:
            return Answer(fate, call_id, 200, headers, b"<html>upstream is tired</html>", delay_s)
        case _:
            return _spoken(fate, chance, marker, call_id, headers, delay_s)


def _spoken(
    fate: Fate,
    chance: random.Random,
    marker: str,
    call_id: str,
    headers: tuple[tuple[str, str], ...],
    delay_s: float,
) -> Answer:
    output: dict[str, object] = {
        "marker": marker,
        "call": call_id,
        "words": [f"word{chance.randint(0, 999)}" for _ in range(chance.randint(1, 8))],
    }
    text = orjson.dumps(output).decode()
    if fate is Fate.PROSE:
        text = "I would rather talk about the weather."
    elif fate is Fate.WRONG_SCHEMA:
        text = orjson.dumps({**output, "words": []}).decode()
    input_tokens, output_tokens = chance.randint(50, 150), chance.randint(10, 100)
    body = orjson.dumps(
        {
            "id": call_id,
            "object": "chat.completion",
            "created": 1_767_225_600,
            "model": MODEL,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            ],
            "usage": {
                "prompt_tokens": input_tokens,
                "completion_tokens": output_tokens,
                "total_tokens": input_tokens + output_tokens,
            },
        }
    )  # fmt: skip
    accepted = output if fate not in {Fate.PROSE, Fate.WRONG_SCHEMA} else None
    return Answer(fate, call_id, 200, headers, body, delay_s, input_tokens, output_tokens, accepted)


def _error(code: str) -> bytes:
    return orjson.dumps({"error": {"message": "scripted", "type": code, "code": code}})
