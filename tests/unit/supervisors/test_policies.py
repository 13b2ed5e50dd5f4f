"""The policies of the program, made from the settings."""

from random import Random

import pytest

from config import load_settings
from config.policies import DEPENDENCIES
from config.policy_loading import default_policies
from runtime import ActorDown, AskTimeout, Expired, MailboxFull, Outcome
from runtime.cache.policies import REDIS
from runtime.policies import FAILED, IGNORED, NOT_DELIVERED, Judgement, PolicyMetrics
from runtime.storage.policies import DATABASE
from supervisors.policies import declared, judge_domain, spec_of


def test_every_dependency_of_the_settings_has_a_pipeline() -> None:
    policies = declared(default_policies(), Random(1), PolicyMetrics(), chaos_allowed=True)
    assert policies.names() == tuple(DEPENDENCIES)
    assert policies.chaos_allowed


def test_what_stands_alone_has_the_defaults_of_the_settings() -> None:
    """The handles of the store and of the cache are used without settings as well."""
    defaults = default_policies()
    assert spec_of("database", defaults["database"]) == DATABASE
    assert spec_of("redis", defaults["redis"]) == REDIS


def test_a_store_and_a_redis_that_are_back_are_tried_within_ten_seconds() -> None:
    for spec in (DATABASE, REDIS):
        assert spec.breaker is not None
        assert spec.breaker.open_max_s * (1 + spec.breaker.jitter) < 10


def test_the_settings_reach_the_pipeline() -> None:
    environ = {
        f"LOYALNEST_POLICIES__POINTS__{knob}": value
        for knob, value in {
            "DEADLINE_S": "2",
            "ATTEMPT_S": "1.5",
            "ATTEMPTS_MAX": "1",
            "BREAKER_SLOW_S": "0.7",
            "RUNNING_MAX": "9",
            "WAIT_S": "0.3",
        }.items()
    }
    spec = spec_of("points", load_settings({}, environ).policies["points"])
    assert (spec.deadline_s, spec.attempt_s, spec.retry) == (2, 1.5, None)
    assert spec.breaker is not None
    assert spec.breaker.slow_s == 0.7
    assert spec.bulkhead is not None
    assert (spec.bulkhead.running, spec.bulkhead.wait_s) == (9, 0.3)


@pytest.mark.parametrize(
    ("error", "judgement"),
    [
        (ActorDown("a", None), NOT_DELIVERED),
        (ActorDown("a", None, outcome=Outcome.UNKNOWN), FAILED),
        (MailboxFull("a", None, ""), NOT_DELIVERED),
        (AskTimeout("a", None, ""), FAILED),
        (Expired("a", None, ""), FAILED),
        (ValueError(), IGNORED),
    ],
)
def test_errors_of_asks_are_judged(error: Exception, judgement: Judgement) -> None:
    assert judge_domain(error) == judgement
