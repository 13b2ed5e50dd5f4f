"""A rule costs an event microseconds, whatever the customer did before."""

from tests.bench.judging import RULE_MAX_US, rule_us


def test_a_rule_is_evaluated_within_fifty_microseconds() -> None:
    """By the processor's time. Measured: 10 to 20 µs."""
    assert rule_us() <= RULE_MAX_US
