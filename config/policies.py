"""The knobs of the policies: their names, parsers and defaults, and those of each dependency."""

from collections.abc import Mapping
from typing import Any

import attrs

from config import parsers
from config.parsers import Parser

_KNOB = "loyalnest.knob"


@attrs.frozen
class Knob:
    """One line of the table. `default` is text, for dependencies that do not have their own."""

    name: str
    parse: Parser
    default: str
    help: str


def _row(parse: Parser, default: str, help_: str) -> Any:
    return attrs.field(default=None, metadata={_KNOB: (parse, default, help_)})


@attrs.frozen(kw_only=True)
class PolicySettings:
    """The values in force for one dependency; None for a knob that it does not have."""

    deadline_s: float = _row(
        parsers.seconds(0.01, 3_600), "3", "a call may take, with all waiting and attempts"
    )
    attempt_s: float = _row(parsers.seconds(0.01, 3_600), "0.9", "an attempt may take")
    attempts_max: int = _row(parsers.whole_number(1, 10), "3", "attempts of a call; 1: no retry")
    retry_base_s: float = _row(
        parsers.seconds(0, 60), "0.05", "longest pause before the first retry; it doubles"
    )
    retry_cap_s: float = _row(parsers.seconds(0, 300), "2", "longest pause before any retry")
    retry_budget_share: float = _row(
        parsers.share(), "0.2", "retries for each call, over 10 s (at least 3)"
    )
    breaker_window_s: float = _row(parsers.seconds(0.1, 600), "10", "the breaker looks back so far")
    breaker_calls_min: int = _row(
        parsers.whole_number(1, 100_000), "20", "calls in the window before it may open"
    )
    breaker_failure_share: float = _row(parsers.share(), "0.5", "of failed calls that opens it")
    breaker_slow_share: float = _row(parsers.share(), "0.5", "of slow calls that opens it")
    breaker_slow_s: float = _row(parsers.seconds(0.001, 3_600), "60", "a call of this time is slow")
    breaker_open_s: float = _row(parsers.seconds(0.1, 600), "5", "open at first; it doubles")
    breaker_open_max_s: float = _row(parsers.seconds(0.1, 3_600), "60", "open at most")
    breaker_half_open_permits: int = _row(
        parsers.whole_number(1, 100), "3", "calls that try it then"
    )
    breaker_half_open_s: float = _row(
        parsers.seconds(0.1, 600), "10", "after which a trial that hangs opens it again"
    )
    running_max: int | None = _row(parsers.whole_number(1, 100_000), "32", "calls at a time")
    waiting_max: int = _row(parsers.whole_number(0, 100_000), "16", "calls that wait for them")
    wait_s: float = _row(parsers.seconds(0, 60), "0.1", "a call may wait")
    rate_per_minute: int = _row(
        parsers.whole_number(0, 1_000_000), "0", "calls in each minute, evenly; 0: no limit"
    )


DATABASE, REDIS = "database", "redis"
AUTH, CORE, PRODUCTS, POINTS = "auth", "core", "products", "points"
DEFERRALS, PLATFORM = "deferrals", "platform"
ADMIN_CORE, CONTROLS, LOGINS = "admin_core", "controls", "logins"
ADMIN_FEATURES, CAMPAIGN, GAMIFICATION = "admin_features", "campaign", "gamification"
REFERRALS = "referrals"
SMS, SMTP, WEBHOOKS = "sms", "smtp", "webhooks"
RFM_ANALYTICS, EVENT_TRACKING = "rfm_analytics", "event_tracking"

DOMAIN = {
    "attempt_s": "3",
    "attempts_max": "2",
    "breaker_slow_s": "1",
    "breaker_open_s": "1",
    "breaker_open_max_s": "5",
    "retry_base_s": "0.1",
    "running_max": "512",
    "waiting_max": "256",
    "wait_s": "0.05",
}
"""A domain that the gateway asks. It restarts within seconds, so that its breaker tries it soon.

Many more calls may run than are worked on at the peak, as many at once is what group commits live
of: the bound is for a domain that hangs."""

PROVIDER = {
    "deadline_s": "10",
    "attempt_s": "5",
    "attempts_max": "1",
    "breaker_calls_min": "5",
    "breaker_slow_s": "4",
    "running_max": "16",
    "waiting_max": "64",
    "wait_s": "1",
}
"""A provider that jobs call, and call again when it failed. They are few at a time, so that its
breaker is content with few calls."""

MESSAGES = PROVIDER | {
    "deadline_s": "20",
    "attempt_s": "10",
    "breaker_slow_s": "8",
    "waiting_max": "256",
    "wait_s": "10",
}
"""One that whole steps of a broadcast are sent to at once, most of which wait for their turn."""

DEPENDENCIES: Mapping[str, Mapping[str, str]] = {
    DATABASE: {
        "deadline_s": "1",
        "attempt_s": "1",
        "breaker_slow_s": "2",
        "breaker_open_s": "1",
        "breaker_open_max_s": "5",
        "waiting_max": "1024",
        "wait_s": "1",
    },
    REDIS: {
        "deadline_s": "0.1",
        "attempt_s": "0.1",
        "attempts_max": "1",
        "breaker_open_s": "1",
        "breaker_open_max_s": "5",
        "waiting_max": "256",
    },
    ADMIN_CORE: DOMAIN,
    ADMIN_FEATURES: DOMAIN,
    AUTH: DOMAIN,
    CAMPAIGN: DOMAIN,
    CORE: DOMAIN,
    PRODUCTS: {**DOMAIN, "attempt_s": "0.25"},
    POINTS: DOMAIN,
    RFM_ANALYTICS: DOMAIN,
    DEFERRALS: DOMAIN,
    EVENT_TRACKING: DOMAIN,
    GAMIFICATION: DOMAIN,
    PLATFORM: DOMAIN,
    CONTROLS: DOMAIN,
    REFERRALS: DOMAIN,
    SMS: PROVIDER | {"rate_per_minute": "600"},
    SMTP: MESSAGES | {"running_max": "8", "rate_per_minute": "6000"},
    WEBHOOKS: MESSAGES | {"running_max": "32", "rate_per_minute": "6000"},
    LOGINS: DOMAIN | {"breaker_slow_s": "3", "running_max": "128", "waiting_max": "64"},
}
"""Everything the program calls, with what differs from the table."""

FIXED: Mapping[str, frozenset[str]] = {
    DATABASE: frozenset({"running_max"}),
    REDIS: frozenset({"running_max"}),
}
"""Knobs that a dependency does not have, because its connections are counted elsewhere."""


def knobs(dependency: str) -> tuple[Knob, ...]:
    """The knobs of a dependency, in the order of the table, with its own defaults."""
    own = DEPENDENCIES[dependency]
    found = []
    for field in attrs.fields(PolicySettings):
        parse, default, help_ = field.metadata[_KNOB]
        if field.name not in FIXED.get(dependency, ()):
            found.append(Knob(field.name, parse, own.get(field.name, default), help_))
    return tuple(found)
