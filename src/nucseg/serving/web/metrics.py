"""What Prometheus is told."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The numbers of one server.

    Args:
        tasks: Counts the tasks of each state.
    """

    def __init__(self, tasks: Callable[[], dict[str, int]]) -> None:
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
        self._registry.register(_Tasks(tasks))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Give all numbers in Prometheus' text format."""
        return generate_latest(self._registry)


class _Tasks(Collector):
    """Asks the task table when Prometheus asks."""

    def __init__(self, count: Callable[[], dict[str, int]]) -> None:
        self._count = count

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily("nucseg_tasks", "Tasks in the table.", labels=["state"])]

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("nucseg_tasks", "Tasks in the table.", labels=["state"])
        for state, count in sorted(self._count().items()):
            family.add_metric([state.lower()], count)
        yield family
