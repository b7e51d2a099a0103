"""What the model stage counts. One catalogue; labels are closed sets."""

from prometheus_client import CollectorRegistry, Counter

from common.ports import ReserveDecision


class ModelMetrics:
    """Calls granted by the ledger, and those of them that may be paid for twice."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._granted = Counter("headrace_model_calls", "Calls granted by the ledger.", registry=registry)
        self._rebought = Counter(
            "headrace_model_rebought_calls",
            "Calls made again because the worker of the first died before its answer was recorded (P3).",
            registry=registry,
        )

    def granted(self, decision: ReserveDecision) -> None:
        """Count one call that is about to be made."""
        self._granted.inc()
        if decision.rebought:
            self._rebought.inc()
