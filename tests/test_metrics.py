"""Figures: what is counted, how it is shown, and what it costs a record."""

import subprocess
import sys
import time

from prometheus_client.parser import text_string_to_metric_families

from springline.metrics import LEASES_HELD, OLDEST_SNAPSHOT, Metrics, render, status_class


def samples(metrics: Metrics, **observed: float) -> dict[tuple[str, ...], float]:
    """Figures by name and label values."""
    text = render(metrics, observed).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_counted_is_shown() -> None:
    metrics = Metrics()
    metrics.gauges[LEASES_HELD] = lambda: 7
    metrics.count_commit({"created": 3, "stale": 1}, fenced_off=0)
    metrics.count_commit({"created": 1, "fenced_off": 2}, fenced_off=2)
    metrics.count_unchanged(100)
    for status in (200, 206, 304, 404, 429, 503, None):
        metrics.count_request("stripe", status)
    metrics.count_quota_wait("stripe", 0.0001)  # none
    metrics.count_quota_wait("stripe", 0.5)
    metrics.count_quota_wait("stripe", 1.0)
    metrics.leases_taken = 4
    shown = samples(metrics, **{OLDEST_SNAPSHOT: 1.5})
    expected: dict[tuple[str, ...], float] = {
        ("springline_commits_total",): 2,
        ("springline_commits_fenced_off_total",): 2,
        ("springline_records_total", "created"): 4,
        ("springline_records_total", "stale"): 1,
        ("springline_records_total", "fenced_off"): 2,
        ("springline_records_total", "unchanged"): 100,
        ("springline_requests_total", "stripe", "2xx"): 2,
        ("springline_requests_total", "stripe", "3xx"): 1,
        ("springline_requests_total", "stripe", "4xx"): 1,
        ("springline_requests_total", "stripe", "429"): 1,
        ("springline_requests_total", "stripe", "5xx"): 1,
        ("springline_requests_total", "stripe", "none"): 1,
        ("springline_quota_waits_total", "stripe"): 2,
        ("springline_quota_wait_seconds_total", "stripe"): 1.5,
        ("springline_leases_taken_total",): 4,
        ("springline_leases_lost_total",): 0,
        ("springline_leases_handed_over_total",): 0,
        ("springline_leases_held",): 7,
        ("springline_database_oldest_snapshot_age_seconds",): 1.5,
    }
    assert {key: shown[key] for key in expected} == expected
    assert shown["process_resident_memory_bytes",] > 1_000_000


def test_status_classes() -> None:
    assert [status_class(status) for status in (200, 301, 400, 429, 500, None)] == [
        "2xx", "3xx", "4xx", "429", "5xx", "none"
    ]  # fmt: skip


def test_no_figure_is_per_sync() -> None:
    metrics = Metrics()
    metrics.count_request("stripe", 200)
    metrics.count_quota_wait("stripe", 1)
    labels = {
        name
        for family in text_string_to_metric_families(render(metrics, {}).decode())
        if family.name.startswith("springline")
        for sample in family.samples
        for name in sample.labels
    }
    assert labels == {"provider", "status", "version"}


def test_nothing_is_imported_before_somebody_asks() -> None:
    program = "import sys, springline.engine.worker; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_page_is_counted_in_microseconds() -> None:
    metrics = Metrics()
    begun = time.process_time()
    for _ in range(1000):
        metrics.count_commit({"created": 100, "updated": 10}, fenced_off=0)
    assert time.process_time() - begun < 0.1
