"""Counts what happened to the demo's jobs, from their rows of the ledger. Pure: zero is a true answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from headrace.demo.packages import Package

REASK = "re-ask"


@dataclass(frozen=True, slots=True)
class Card:
    """One package, its job as it ended, and the attempts made for it."""

    package: Package
    job: Mapping[str, Any]
    attempts: Sequence[Mapping[str, Any]]

    @property
    def succeeded(self) -> bool:
        return bool(self.job["state"] == "succeeded")

    @property
    def asked_again(self) -> bool:
        """A second answer was asked for; a call that brought no answer is repeated, not asked again."""
        return any(attempt["verdict"] == REASK for attempt in self.attempts)

    @property
    def models(self) -> list[str]:
        return sorted({attempt["model_served"] or attempt["model"] for attempt in self.attempts})

    @property
    def model_ms(self) -> int:
        return sum(attempt["latency_ms"] or 0 for attempt in self.attempts)


@dataclass(frozen=True, slots=True)
class Tally:
    """``first + reasked + rejected + otherwise`` is the number of jobs."""

    first: int
    reasked: int
    rejected: int
    otherwise: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal

    @property
    def jobs(self) -> int:
        return self.first + self.reasked + self.rejected + self.otherwise


def tally(cards: Iterable[Card]) -> Tally:
    """``rejected``: answers came, and none of them was valid. ``otherwise``: no answer, cancelled, expired."""
    counted = list(cards)
    first = sum(card.succeeded and not card.asked_again for card in counted)
    reasked = sum(card.succeeded and card.asked_again for card in counted)
    rejected = sum(not card.succeeded and _judged(card) for card in counted)
    return Tally(
        first=first,
        reasked=reasked,
        rejected=rejected,
        otherwise=len(counted) - first - reasked - rejected,
        attempts=sum(len(card.attempts) for card in counted),
        input_tokens=sum(card.job["usage"]["input_tokens"] for card in counted),
        output_tokens=sum(card.job["usage"]["output_tokens"] for card in counted),
        cost_usd=sum((Decimal(card.job["cost_usd"]) for card in counted), Decimal(0)),
    )


def _judged(card: Card) -> bool:
    return card.job["state"] == "failed" and any(attempt["verdict"] == "reject" for attempt in card.attempts)
