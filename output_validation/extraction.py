"""What came of reading one answer: the value, what was done to get it, and why it was chosen or refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.schema import Json, Violation


class RepairKind(StrEnum):
    """All that may be done to an answer to get at its value. Nothing here changes a value."""

    BOM_REMOVED = "bom-removed"
    THOUGHT_SET_ASIDE = "thought-set-aside"
    FENCE_REMOVED = "fence-removed"
    PROSE_SET_ASIDE = "prose-set-aside"


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing done to the text, and to which part of it (character offsets, end exclusive)."""

    kind: RepairKind
    start: int
    end: int


class Confidence(StrEnum):
    """How much was done to the text: nothing; nothing that could lose or change anything; more."""

    STRICT = "strict"
    LOSSLESS = "lossless-repair"
    LOSSY = "lossy-repair"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which repairs may pass. An answer that needs another one is refused."""

    allowed: frozenset[RepairKind]
    max_depth: int = 64


LOSSLESS: Final = Policy(frozenset(RepairKind))
"""Everything that cannot lose or change anything of the value."""

STRICT_ONLY: Final = Policy(frozenset())
"""The text itself must be the JSON value."""


class Place(StrEnum):
    """Where in the text a candidate stood, the plainest place first."""

    WHOLE = "whole-text"
    FENCE = "fenced-block"
    PROSE = "in-prose"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part of the text that was considered (character offsets), and what spoke against it."""

    place: Place
    start: int
    end: int
    faults: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether it satisfies the schema."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class Extraction:
    """The reading of one answer.

    ``ok``: ``value`` satisfies the schema and may be trusted. ``strict``: the text itself is strictly valid JSON.
    Without ``ok``, ``value`` is the best candidate's (None if it could not be read) and ``violations`` says
    what is wrong with it. ``reason`` says why this candidate won, or why none did.
    """

    ok: bool
    value: Json
    strict: bool
    repairs: tuple[Repair, ...]
    confidence: Confidence
    violations: tuple[Violation, ...]
    candidates: tuple[Candidate, ...]
    chosen: int | None
    reason: str
