"""docs/operations.md names every metric that the source makes, with its labels, as Prometheus reads it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import prometheus_client
import pytest

from common.metrics import RunnerMetrics
from common.telemetry import METRIC_PREFIX, new_registry
from tests.architecture.source_tree import ROOT, Module, all_modules

SUFFIX = {"Counter": "_total", "Gauge": "", "Histogram": "", "Info": "_info"}
PARTS = ("_bucket", "_sum", "_count")
NAME = re.compile(METRIC_PREFIX + r"[a-z_<>]+")
PAGE = (ROOT / "docs/operations.md").read_text()


@dataclass(frozen=True)
class Metric:
    name: str
    labels: tuple[str, ...]


def metrics_of(module: Module) -> Iterator[Metric]:
    """Every metric a module makes; in a name that is put together, what varies is ``<its name>``."""
    kinds = imported_kinds(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
            yield Metric(written(node.args[0]) + SUFFIX[node.func.id], labels(node))


def imported_kinds(module: Module) -> set[str]:
    """Which classes of metrics a module imports: there are other Counters."""
    return {
        alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "prometheus_client"
        for alias in node.names
        if isinstance(getattr(prometheus_client, alias.name), type) and alias.name in SUFFIX
    }


def written(name: ast.expr) -> str:
    match name:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id="METRIC_PREFIX"):
            return METRIC_PREFIX
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return written(left) + written(right)
        case ast.JoinedStr(values=parts):
            return "".join(map(written, parts))
        case ast.FormattedValue(value=ast.Name(id=varying)):
            return f"<{varying}>"
    raise AssertionError(f"a metric's name that this test cannot read: {ast.unparse(name)}")


def labels(call: ast.Call) -> tuple[str, ...]:
    given = [each.value for each in call.keywords if each.arg == "labelnames"] or call.args[2:3]
    return tuple(ast.literal_eval(given[0])) if given else ()


METRICS = {metric.name: metric for module in all_modules() for metric in metrics_of(module)}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
def test_the_page_has_a_row_for_the_metric_and_its_labels(metric: Metric) -> None:
    rows = dict(re.findall(r"^\| `(headrace_[a-z_<>]+)` \| (.*?) ?\|", PAGE, re.MULTILINE))

    told = tuple(re.findall(r"`(\w+)`", rows.get(metric.name, "no row")))

    assert metric.name in rows
    # What a process says of itself is given with the value.
    assert told == (metric.labels or (("service", "version") if metric.name.endswith("_info") else ()))


def test_every_metric_that_a_page_names_exists() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    known = METRICS.keys() | {name + part for name in METRICS for part in PARTS}

    named = {(path.name, name) for path in pages for name in NAME.findall(path.read_text())}

    assert {(page, name) for page, name in named if name not in known} == set()


def test_prometheus_reads_the_names_as_they_are_told() -> None:
    registry = new_registry("persistence", "1")
    RunnerMetrics(registry, "persistence")

    exposed = prometheus_client.generate_latest(registry).decode()

    assert METRICS.keys() >= {"headrace_build_info", "headrace_<stage>_deliveries_total"}
    assert 'headrace_build_info{service="persistence",version="1"} 1.0' in exposed
    assert 'headrace_persistence_deliveries_total{outcome="done"} 0.0' in exposed
