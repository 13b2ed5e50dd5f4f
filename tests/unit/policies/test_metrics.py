"""The metrics of the policies, read when no tree runs any more."""

from random import Random

from runtime.policies import Breaker, BreakerSpec
from runtime.telemetry import Metrics
from tests.unit.policies.helpers import count


def test_a_breaker_is_in_no_state_where_there_is_no_clock() -> None:
    metrics = Metrics()
    Breaker("store", BreakerSpec(), Random(1), metrics.policies)
    assert count(metrics, "breaker_state", name="store", state="closed") == 0
