"""The policies of the program, made from the settings."""

from random import Random

import pytest

from actors.core.messages import GetMerchant, GetOrder
from config import load_settings
from config.policies import CORE, DEPENDENCIES, POINTS
from config.policy_loading import default_policies
from runtime import ActorDown, AskCycle, AskTimeout, Expired, MailboxFull, Outcome
from runtime.cache.policies import REDIS
from runtime.journal import Append
from runtime.links import LinkDown, LinkLost
from runtime.policies import FAILED, FAILED_FOR_GOOD, IGNORED, Judgement, PolicyMetrics
from runtime.storage import StorageUnavailable
from runtime.storage.policies import DATABASE
from supervisors.domain_policies import ANOTHER_DOWN, MESSAGES_OF, NO_LINK, judge_of
from supervisors.policies import declared, spec_of


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


LEFT_ALONE = {
    "refusals of the store": StorageUnavailable("a test"),
    "a full mailbox": MailboxFull("a", GetOrder("m", "o"), ""),
    "a cycle": AskCycle("a", GetOrder("m", "o"), ("a", "a")),
    "another domain that took too long": AskTimeout("a", GetMerchant("m"), ""),
}


@pytest.mark.parametrize("error", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_says_nothing_about_a_domain(error: Exception) -> None:
    domain = POINTS if isinstance(error, AskTimeout) else CORE
    assert judge_of(domain)(error) == IGNORED


@pytest.mark.parametrize(
    ("error", "judgement"),
    [
        (ActorDown("a", GetOrder("m", "o")), FAILED),
        (ActorDown("a", GetOrder("m", "o"), outcome=Outcome.UNKNOWN), FAILED),
        (AskTimeout("a", GetOrder("m", "o"), ""), FAILED_FOR_GOOD),
        (Expired("a", GetOrder("m", "o"), ""), FAILED_FOR_GOOD),
        (ValueError(), FAILED_FOR_GOOD),
        (ActorDown("a", Append(())), ANOTHER_DOWN),
        (LinkDown("a", GetOrder("m", "o")), NO_LINK),
        (LinkLost("a", GetOrder("m", "o"), ""), FAILED_FOR_GOOD),
    ],
)
def test_errors_of_asks_are_judged(error: Exception, judgement: Judgement) -> None:
    assert judge_of(CORE)(error) == judgement


OUTSIDE = {"database", "redis", "sms", "smtp", "webhooks"}


def test_every_dependency_that_is_a_domain_is_judged_as_one() -> None:
    assert MESSAGES_OF.keys() == DEPENDENCIES.keys() - OUTSIDE
