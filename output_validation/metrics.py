"""Counts verdicts by recipe, model and how the value was got. Labels are bounded: beyond the bound they say "other"."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from common.contracts import VerdictKind
from common.metrics import RecipeAndModel
from output_validation.extraction import Confidence, Extraction

_OUTCOMES: Final = {
    VerdictKind.REASK: "re-asked",
    VerdictKind.ESCALATE: "escalated",
    VerdictKind.REJECT: "rejected",
}


class VerdictMetrics:
    """What came of the answers, and which repairs they needed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._verdicts = Counter(
            "headrace_output_validation_verdicts",
            "Answers judged: strict, repaired, re-asked, escalated, rejected.",
            ["recipe", "model", "outcome"],
            registry=registry,
        )
        self._repairs = Counter(
            "headrace_output_validation_repairs",
            "Repairs to accepted answers, by kind.",
            ["kind"],
            registry=registry,
        )
        self._of = RecipeAndModel()

    def judged(self, recipe: str, model: str, kind: VerdictKind, extraction: Extraction | None) -> None:
        """Count one verdict."""
        outcome = _OUTCOMES.get(kind)
        if outcome is None:
            strict = extraction is not None and extraction.confidence is Confidence.STRICT
            outcome = "strict" if strict else "repaired"
            for repair in dict.fromkeys(each.kind for each in extraction.repairs) if extraction else ():
                self._repairs.labels(repair.value).inc()
        self._verdicts.labels(*self._of.of(recipe, model), outcome).inc()
