"""What the model stage counts. One catalogue; labels are closed or bounded sets."""

from prometheus_client import CollectorRegistry, Counter

from common.metrics import RecipeAndModel
from common.ports import ReserveDecision
from model_layer.provider import Usage


class ModelMetrics:
    """Calls granted by the ledger, and those of them that may be paid for twice."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._granted = Counter("headrace_model_calls", "Calls granted by the ledger.", registry=registry)
        self._rebought = Counter(
            "headrace_model_rebought_calls",
            "Calls made again because the worker of the first died before its answer was recorded (P3).",
            registry=registry,
        )
        self._again = Counter(
            "headrace_model_reask_tokens",
            "Tokens of calls that ask again what was answered wrongly: re-asked, escalated, or with more room.",
            ["recipe", "model", "direction"],
            registry=registry,
        )
        self._of = RecipeAndModel()

    def granted(self, decision: ReserveDecision) -> None:
        """Count one call that is about to be made."""
        self._granted.inc()
        if decision.rebought:
            self._rebought.inc()

    def asked_again(self, recipe: str, model: str, usage: Usage) -> None:
        """Count what a second question about the same thing cost."""
        labels = self._of.of(recipe, model)
        self._again.labels(*labels, "input").inc(usage.input_tokens)
        self._again.labels(*labels, "output").inc(usage.output_tokens)
