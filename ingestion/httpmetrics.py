"""Metrics of HTTP requests. Routes are templates of a closed set, never the path a caller wrote."""

from prometheus_client import CollectorRegistry, Counter, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class HttpMetrics:
    """Counts and times requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "headrace_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "headrace_http_request_seconds",
            "From the request's first byte to its answer, long polls included.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._refused = Counter("headrace_http_problems", "Problem documents sent.", ["code"], registry=registry)
        # Looking a child up by its labels costs more than counting.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; status 0: the caller had gone before it."""
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._counters[method, route, status] = self._requests.labels(
                method, route, str(status or "gone")
            )
        counter.inc()
        timer = self._timers.get((method, route))
        if timer is None:
            timer = self._timers[method, route] = self._seconds.labels(method, route)
        timer.observe(seconds)

    def refused(self, code: str) -> None:
        """Count one problem document."""
        self._refused.labels(code).inc()
