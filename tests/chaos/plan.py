"""What the nemesis will do, and when: the whole plan of a run follows from its seed. Pure.

A deck of faults is shuffled and dealt, so that no kind is missing from a long run and none crowds a short one.
"""

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.failpoint import POINTS
from headrace.local.services import SERVICES
from tests.chaos.system import CORE_SERVERS, MODEL_SERVER, SCALED

FIRST_S: Final = 2.0
PAUSE_S: Final = (4.0, 10.0)
# Passed only with Elasticsearch, or when something is lost.
RARE_POINTS: Final = ("indexer.", "reconciler.")


class Action(StrEnum):
    """What is done. ``stop`` hangs for a while; ``kill`` at a point means the process that comes by next.

    ``hang one of three``: a stage is scaled up and one of its processes sleeps until the others have its work.
    ``kill behind``: a process hangs at a point while the server it was talking to is killed.
    """

    KILL = "kill"
    STOP = "stop"
    RESTART = "restart"
    KILL_AT = "kill at"
    STOP_AT = "stop at"
    SCALE = "scale"
    HANG_ONE = "hang one of three"
    KILL_BEHIND = "kill behind"
    ROLL = "rolling restart"
    DELETE_TOPIC = "delete topic"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when (seconds from the start), what, to whom (several at once: a pair), for how long."""

    at_s: float
    action: Action
    targets: tuple[str, ...]
    lasts_s: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.at_s:6.1f} s  {self.action} {' + '.join(self.targets)}{lasting}"


_BEHIND: Final = {
    "kafka": (
        "relay.public.after_send",
        "relay.public.after_manifest",
        "relay.public.after_commit",
        "relay.recovery.after_closing",
        "relay.steps.after_send",
        "prompt_engine.after_send",
    ),
    "postgres": ("model.after_reserve", "model.after_call", "writer.before_commit", "submit.before_commit"),
}
Card = tuple[Action, tuple[str, ...], tuple[float, float]]
_AT_ONCE: Final = (0.0, 0.0)


def deck(*, elasticsearch: bool, delete_topics: bool) -> list[Card]:
    """Return every kind of fault once, the likeliest to hurt twice."""
    servers = (*CORE_SERVERS, "elasticsearch") if elasticsearch else CORE_SERVERS
    cards: list[Card] = []
    for target in (*SERVICES, "persistence", "model_layer", *servers, MODEL_SERVER):
        cards.append((Action.KILL, (target,), _AT_ONCE))
    for target in (*SERVICES, *servers, MODEL_SERVER):
        cards.append((Action.STOP, (target,), (1.5, 8.0)))
    for target in (*SERVICES, *servers):
        cards.append((Action.RESTART, (target,), _AT_ONCE))
    for stage in SCALED:
        cards.append((Action.SCALE, (stage,), (2.0, 5.0)))
    cards.append((Action.HANG_ONE, ("model_layer",), (9.0, 12.0)))
    cards.append((Action.HANG_ONE, ("persistence",), (7.0, 9.0)))
    for pair in (("persistence", "kafka"), ("model_layer", "postgres"), ("persistence", "postgres")):
        cards.append((Action.KILL, pair, _AT_ONCE))
    points = [point for point in POINTS if not point.startswith(RARE_POINTS)]
    cards += [(Action.KILL_AT, (point,), _AT_ONCE) for point in points]
    relay = [point for point in points if point.startswith("relay.public")]
    cards += [(Action.STOP_AT, (point,), (3.5, 6.0)) for point in relay]
    for server, points_before in _BEHIND.items():
        cards += [(Action.KILL_BEHIND, (point, server), _AT_ONCE) for point in points_before]
    cards.append((Action.ROLL, ("everything",), _AT_ONCE))
    if delete_topics:
        for topic in ("steps.standard", "prompts.standard", "completions", "verdicts"):
            cards.append((Action.DELETE_TOPIC, (topic,), _AT_ONCE))
    return cards


# How often a kind is dealt, whatever the number of its cards: there are far more points than servers.
_SHARES: Final[dict[Action, int]] = {
    Action.KILL: 6,
    Action.STOP: 4,
    Action.RESTART: 2,
    Action.KILL_AT: 5,
    Action.STOP_AT: 2,
    Action.SCALE: 2,
    Action.HANG_ONE: 1,
    Action.KILL_BEHIND: 2,
    Action.ROLL: 1,
    Action.DELETE_TOPIC: 1,
}


def make_plan(seed: int, duration_s: float, *, elasticsearch: bool = False, delete_topics: bool = False) -> list[Fault]:
    """Return the faults of a run, in the order of their time; all of them begin within ``duration_s``."""
    chance = random.Random(f"plan {seed}")
    by_action: dict[Action, list[Card]] = {}
    for card in deck(elasticsearch=elasticsearch, delete_topics=delete_topics):
        by_action.setdefault(card[0], []).append(card)
    hands: dict[Action, list[Card]] = {}
    kinds: list[Action] = []
    faults: list[Fault] = []
    at_s = FIRST_S
    while at_s < duration_s:
        if not kinds:
            kinds = [action for action in by_action for _ in range(_SHARES[action])]
            chance.shuffle(kinds)
        action = kinds.pop()
        hand = hands.setdefault(action, [])
        if not hand:
            hand += by_action[action]
            chance.shuffle(hand)
        _, targets, lasts_s = hand.pop()
        faults.append(Fault(round(at_s, 2), action, targets, round(chance.uniform(*lasts_s), 2)))
        at_s += chance.uniform(*PAUSE_S)
    return faults
