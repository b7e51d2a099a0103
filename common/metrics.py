"""The runner's metrics, one set a stage, and labels by recipe and model. Labels are closed or bounded sets."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from common.errors import InfrastructureError
from common.outcomes import Outcome

_MAX_PAIRS: Final = 500


class RecipeAndModel:
    """Labels by recipe and model, bounded: beyond so many pairs both say "other"."""

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()

    def of(self, recipe: str, model: str) -> tuple[str, str]:
        """Return the labels of a pair."""
        if (recipe, model) not in self._pairs:
            if len(self._pairs) >= _MAX_PAIRS:
                return "other", "other"
            self._pairs.add((recipe, model))
        return recipe, model


class RunnerMetrics:
    """What a stage did with its deliveries, and how often it had to wait."""

    def __init__(self, registry: CollectorRegistry, stage: str) -> None:
        finished = Counter(
            f"headrace_{stage}_deliveries", "Deliveries finished, by outcome.", ["outcome"], registry=registry
        )
        self._waits = Counter(
            f"headrace_{stage}_infrastructure_waits",
            "Waits for a server, by error.",
            ["error"],
            registry=registry,
        )
        self._by_kind = {kind: finished.labels(kind) for kind in ("forward", "retry", "hold", "reject", "done")}

    def finished(self, outcome: Outcome) -> None:
        """Count one finished delivery."""
        self._by_kind[type(outcome).__name__.lower()].inc()

    def waited(self, trouble: InfrastructureError) -> None:
        """Count one wait."""
        self._waits.labels(type(trouble).__name__).inc()
