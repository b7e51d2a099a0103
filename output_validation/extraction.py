"""What came of reading one answer: the value, what was done to get it, and why it was chosen or refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from common.schema import Json, Violation


class RepairKind(StrEnum):
    """All that may be done to an answer to get at its value. docs/validation.md shows each of them."""

    # Something around the value was set aside.
    BOM_REMOVED = "bom-removed"
    THOUGHT_SET_ASIDE = "thought-set-aside"
    FENCE_REMOVED = "fence-removed"
    PROSE_SET_ASIDE = "prose-set-aside"
    DECOY_SET_ASIDE = "decoy-set-aside"
    BLOCK_QUOTE_REMOVED = "block-quote-removed"
    # The syntax was mended, in the one way it can be read.
    COMMA_REMOVED = "comma-removed"
    COMMA_ADDED = "comma-added"
    COLON_MENDED = "colon-mended"
    BRACKET_ADDED = "bracket-added"
    BRACKET_REMOVED = "bracket-removed"
    QUOTES_REPLACED = "quotes-replaced"
    QUOTE_ESCAPED = "quote-escaped"
    KEY_QUOTED = "key-quoted"
    VALUE_QUOTED = "value-quoted"
    COMMENT_REMOVED = "comment-removed"
    CONTROL_REMOVED = "control-removed"
    CONTROL_ESCAPED = "control-escaped"
    ESCAPE_MENDED = "escape-mended"
    LITERAL_REPLACED = "literal-replaced"
    NUMBER_MENDED = "number-mended"
    NAN_REPLACED = "nan-replaced"
    DUPLICATE_REMOVED = "duplicate-removed"
    ESCAPES_REMOVED = "escapes-removed"
    BRACES_HALVED = "braces-halved"
    VALUES_JOINED = "values-joined"
    # The value was read as the schema demands, where it can be read in one way only.
    STRING_DECODED = "string-decoded"
    WRAPPER_REMOVED = "wrapper-removed"
    KEY_MATCHED = "key-matched"
    NUMBER_READ = "number-read"
    TEXT_READ = "text-read"
    BOOLEAN_READ = "boolean-read"
    NULL_READ = "null-read"
    ENUM_MATCHED = "enum-matched"
    DATE_READ = "date-read"
    ARRAY_WRAPPED = "array-wrapped"
    ARRAY_UNWRAPPED = "array-unwrapped"
    # Something was lost, or a guess was made.
    TAIL_LOST = "tail-lost"
    DUPLICATE_DROPPED = "duplicate-dropped"
    INFINITY_REPLACED = "infinity-replaced"
    UNDEFINED_REPLACED = "undefined-replaced"
    QUOTE_GUESSED = "quote-guessed"
    ESCAPE_GUESSED = "escape-guessed"


LOSSY: Final = frozenset(
    {
        RepairKind.TAIL_LOST,
        RepairKind.DUPLICATE_DROPPED,
        RepairKind.INFINITY_REPLACED,
        RepairKind.UNDEFINED_REPLACED,
        RepairKind.QUOTE_GUESSED,
        RepairKind.ESCAPE_GUESSED,
    }
)
"""Repairs after which the value may not be what was meant."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing done, to which part of the text (character offsets, end exclusive) or, read by the schema, where.

    ``pointer`` is set where a value was read as the schema demands; the offsets are then its candidate's.
    """

    kind: RepairKind
    start: int
    end: int
    pointer: str | None = None

    @property
    def lossy(self) -> bool:
        """Whether something may have been lost by it."""
        return self.kind in LOSSY


class Confidence(StrEnum):
    """How much was done to the text: nothing; nothing that could lose or change anything; more."""

    STRICT = "strict"
    LOSSLESS = "lossless-repair"
    LOSSY = "lossy-repair"


MAX_DEPTH: Final = 250
"""What the readers, which recurse, and the serialiser bear."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which repairs may pass, and how deep containers may nest, at most 250. An answer that needs more is refused."""

    allowed: frozenset[RepairKind]
    max_depth: int = 64

    def __post_init__(self) -> None:
        """Raise ValueError for a depth that the readers are not made for."""
        if not 1 <= self.max_depth <= MAX_DEPTH:
            raise ValueError(f"max_depth is {self.max_depth}: it must be from 1 to {MAX_DEPTH}")


LOSSLESS: Final = Policy(frozenset(RepairKind) - LOSSY)
"""Everything that cannot lose or change anything of the value."""

STRICT_ONLY: Final = Policy(frozenset())
"""The text itself must be the JSON value."""

SET_ASIDE: Final = Policy(
    frozenset(
        {
            RepairKind.BOM_REMOVED,
            RepairKind.THOUGHT_SET_ASIDE,
            RepairKind.FENCE_REMOVED,
            RepairKind.PROSE_SET_ASIDE,
            RepairKind.BLOCK_QUOTE_REMOVED,
        }
    )
)
"""The value itself must be strictly valid JSON; what stands around it does not matter."""

ANYTHING: Final = Policy(frozenset(RepairKind))
"""Lossy repairs too: for people who look at the result."""


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
    repairs: tuple[Repair, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it satisfies the schema."""
        return not self.faults


class Extraction(NamedTuple):
    """The reading of one answer. A named tuple, for one is made of every answer: three times as fast as a dataclass.

    ``ok``: ``value`` satisfies the schema and may be trusted. ``strict``: the text itself is strictly valid JSON.
    Without ``ok``, ``value`` is the best candidate's (None if it could not be read) and ``violations`` says
    what is wrong with it. ``reason`` says why this candidate won, or why none did. ``notes`` names numbers
    that other readers of the same JSON may not keep exactly.
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
    notes: tuple[Violation, ...] = ()


def confidence_of(repairs: tuple[Repair, ...]) -> Confidence:
    """Return what the repairs leave of the trust in a value."""
    if not repairs:
        return Confidence.STRICT
    return Confidence.LOSSY if any(r.kind in LOSSY for r in repairs) else Confidence.LOSSLESS
