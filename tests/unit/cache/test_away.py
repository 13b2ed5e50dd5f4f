"""What may be declared for the time the cache is away."""

import pytest

from runtime.cache import AwayRules, WhenAway


def test_a_rule_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="must be in"):
        AwayRules(load=WhenAway.DROP)
    with pytest.raises(ValueError, match="must be in"):
        AwayRules(limit=WhenAway.LOAD)
