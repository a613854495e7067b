"""Figures of this process for Prometheus.

Counted as plain numbers, a page or a request at a time; `prometheus_client` is imported only when somebody asks.
No label is ever per sync: ten thousand syncs would make ten thousand series of each.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from springline import __version__

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: What an answer of `/metrics` is.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: A wait for a permit that is shorter is none.
_NO_WAIT_SECONDS: Final = 0.001
_TOO_MANY_REQUESTS: Final = 429

LEASES_HELD: Final = "springline_leases_held"
SYNCS_RUNNING: Final = "springline_syncs_running"
OLDEST_SNAPSHOT: Final = "springline_database_oldest_snapshot_age_seconds"
_GAUGES: Final = {
    LEASES_HELD: "Credentials whose syncs this process runs.",
    SYNCS_RUNNING: "Syncs that this process runs, idle ones included.",
    OLDEST_SNAPSHOT: "Age of the oldest snapshot in the database: "
    "while somebody holds it, nothing that is replaced can be cleared away.",
}


class Metrics:
    """Counts of one process since its start. `gauges` are asked when somebody looks."""

    def __init__(self) -> None:
        self.commits = 0
        self.pages_fenced_off = 0
        #: By what became of them.
        self.records: Counter[str] = Counter()
        #: By (provider, class of the answer's status).
        self.requests: Counter[tuple[str, str]] = Counter()
        #: By provider.
        self.quota_waits: Counter[str] = Counter()
        self.quota_wait_seconds: dict[str, float] = {}
        self.leases_taken = 0
        self.leases_lost = 0
        self.leases_handed_over = 0
        self.gauges: dict[str, Callable[[], float]] = {}

    def count_commit(self, outcomes: Mapping[str, int], *, fenced_off: int) -> None:
        """One statement that wrote pages: what became of their records, and how many of the pages were refused since
        another worker holds their sync, or since it is disabled (I3)."""
        self.commits += 1
        self.pages_fenced_off += fenced_off
        self.records.update(outcomes)

    def count_unchanged(self, records: int) -> None:
        """Records that were found as they are stored, so that nothing was written."""
        if records:
            self.records["unchanged"] += records

    def count_request(self, provider: str, status: int | None) -> None:
        """A request to a provider; None: nobody answered."""
        self.requests[provider, status_class(status)] += 1

    def count_quota_wait(self, provider: str, seconds: float) -> None:
        """A request that had to wait for its permit."""
        if seconds >= _NO_WAIT_SECONDS:
            self.quota_waits[provider] += 1
            self.quota_wait_seconds[provider] = self.quota_wait_seconds.get(provider, 0.0) + seconds

    def collect(self) -> "Iterable[Metric]":
        """The families, as prometheus_client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        info = GaugeMetricFamily("springline_info", "What runs here.", labels=("version",))
        info.add_metric([__version__], 1)
        yield info
        yield CounterMetricFamily("springline_commits", "Statements that wrote pages.", value=self.commits)
        yield CounterMetricFamily(
            "springline_commits_fenced_off",
            "Pages that were refused: another worker holds their sync, or it is disabled.",
            value=self.pages_fenced_off,
        )
        yield _counter("springline_records", "Records of pages, by what became of them.", ("outcome",), self.records)
        yield _counter(
            "springline_requests",
            "Requests to providers, by the class of the answer's status; 429 by itself, none: nobody answered.",
            ("provider", "status"),
            self.requests,
        )
        yield _counter("springline_quota_waits", "Requests that waited for a permit.", ("provider",), self.quota_waits)
        yield _counter("springline_quota_wait_seconds", "How long they waited.", ("provider",), self.quota_wait_seconds)
        yield CounterMetricFamily("springline_leases_taken", "Credentials claimed.", value=self.leases_taken)
        yield CounterMetricFamily(
            "springline_leases_lost", "Credentials lost because this worker's lease ran out.", value=self.leases_lost
        )
        yield CounterMetricFamily(
            "springline_leases_handed_over", "Credentials given to a worker with fewer.", value=self.leases_handed_over
        )
        for name, value in self.gauges.items():
            yield _gauge(name, value())


def status_class(status: int | None) -> str:
    """`2xx` … `5xx`; `429` by itself, since it is what one looks for; `none` without an answer."""
    if status is None:
        return "none"
    return "429" if status == _TOO_MANY_REQUESTS else f"{status // 100}xx"


class _Observed:
    """Figures that were found out for this answer."""

    def __init__(self, figures: Mapping[str, float]) -> None:
        self._figures = figures

    def collect(self) -> "Iterable[Metric]":
        for name, value in self._figures.items():
            yield _gauge(name, value)


def render(metrics: Metrics, observed: Mapping[str, float]) -> bytes:
    """The text that Prometheus reads: what was counted, what was `observed` just now, and the process itself (memory,
    processor time, open files)."""
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(metrics)
    registry.register(_Observed(observed))
    return generate_latest(registry)


def _gauge(name: str, value: float) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, _GAUGES[name], value=value)


def _counter(
    name: str,
    meaning: str,
    labels: Sequence[str],
    counted: "Counter[str] | Counter[tuple[str, str]] | dict[str, float]",
) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, meaning, labels=labels)
    for key, value in sorted(counted.items()):
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family
