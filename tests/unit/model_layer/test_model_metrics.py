"""Calls bought again are counted."""

from prometheus_client import CollectorRegistry

from common.ports import ReserveDecision, ReserveKind
from model_layer.metrics import ModelMetrics


def test_calls_bought_again_are_counted_among_all() -> None:
    registry = CollectorRegistry()
    metrics = ModelMetrics(registry)
    for rebought in (False, True, False):
        metrics.granted(ReserveDecision(ReserveKind.GRANTED, 1, rebought=rebought))
    assert registry.get_sample_value("headrace_model_calls_total") == 3
    assert registry.get_sample_value("headrace_model_rebought_calls_total") == 1
