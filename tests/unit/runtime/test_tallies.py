"""Our counters and histograms say what those of Prometheus would have said."""

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from runtime import tallies

BUCKETS = (0.001, 0.5, 2.0)
AMOUNTS = (0.0, 0.001, 0.0011, 0.5, 1.0, 2.0, 2.1, -1.0, 1e9)


def told(
    counter: type[prometheus_client.Counter], histogram: type[prometheus_client.Histogram]
) -> str:
    registry = CollectorRegistry()
    calls = counter("calls", "Calls", ("outcome",), "shop", registry=registry)
    plain = counter("plain", "Without labels", (), "shop", registry=registry)
    seconds = histogram("seconds", "Time", ("kind",), buckets=BUCKETS, registry=registry)
    for number, amount in enumerate(AMOUNTS):
        seconds.labels("read" if number % 3 else "write").observe(amount)
        calls.labels("ok").inc(number)
    calls.labels("none")
    calls.labels("failed").inc()
    plain.inc()
    plain.inc(0.5)
    return generate_latest(registry).decode()


def test_they_tell_what_those_of_prometheus_tell() -> None:
    ours = told(tallies.Counter, tallies.Histogram)
    assert ours == told(prometheus_client.Counter, prometheus_client.Histogram)
    assert 'seconds_bucket{kind="read",le="0.001"}' in ours


def test_a_counter_counts_up() -> None:
    counter = tallies.Counter("calls", "Calls", registry=CollectorRegistry())
    with pytest.raises(ValueError, match="up"):
        counter.inc(-1)
