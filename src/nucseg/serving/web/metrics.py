"""Metrics for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ["method", "route"]
        self._requests = Counter(
            "nucseg_requests", "Requests that were answered.", [*labels, "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "nucseg_request_seconds", "Time to answer.", labels, buckets=_SECONDS, registry=self._registry
        )
        self.running = Gauge("nucseg_predictions_running", "Predictions waiting or running.", registry=self._registry)
        self.nuclei = Counter("nucseg_nuclei", "Nuclei found by requests.", registry=self._registry)
        ProcessCollector(registry=self._registry)
        self._tasks = Gauge("nucseg_tasks", "Tasks in the table.", ["state"], registry=self._registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self, tasks: Mapping[str, int] | None) -> bytes:
        """Return all metrics in Prometheus' text format.

        Args:
            tasks: Number of tasks in each state; None if unknown, and then they are left out.
        """
        self._tasks.clear()
        for state, count in sorted((tasks or {}).items()):
            self._tasks.labels(state.lower()).set(count)
        return generate_latest(self._registry)
