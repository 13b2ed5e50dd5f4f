"""The policies of the whole program: every dependency, declared once."""

from collections.abc import Mapping
from random import Random

import attrs

from actors.outgoing.policies import SMS as SMS_SPEC
from actors.outgoing.policies import SMTP as SMTP_SPEC
from actors.outgoing.policies import WEBHOOKS as WEBHOOKS_SPEC
from config.policies import DATABASE, REDIS, SMS, SMTP, WEBHOOKS, PolicySettings
from runtime.cache.policies import REDIS as REDIS_SPEC
from runtime.policies import (
    BreakerSpec,
    BulkheadSpec,
    Limiter,
    LocalLimiter,
    PipelineSpec,
    Policies,
    PolicyMetrics,
    RateLimit,
    RateLimitSpec,
    RetrySpec,
)
from runtime.storage.policies import DATABASE as DATABASE_SPEC
from supervisors.domain_policies import DOMAIN_SPECS

BASES: Mapping[str, PipelineSpec] = {
    DATABASE: DATABASE_SPEC,
    REDIS: REDIS_SPEC,
    SMS: SMS_SPEC,
    SMTP: SMTP_SPEC,
    WEBHOOKS: WEBHOOKS_SPEC,
    **DOMAIN_SPECS,
}
"""What no setting changes: judges, shares and fallbacks."""


def declared(
    settings: Mapping[str, PolicySettings],
    random: Random,
    metrics: PolicyMetrics,
    *,
    chaos_allowed: bool = False,
) -> Policies:
    """The registry, with a pipeline for every dependency in the settings."""
    policies = Policies(random, metrics, chaos_allowed=chaos_allowed)
    limiter = LocalLimiter(random)
    for name, chosen in settings.items():
        policies.declare(name, spec_of(name, chosen), admissions=_rate(name, chosen, limiter))
    return policies


def _rate(name: str, settings: PolicySettings, limiter: Limiter) -> tuple[RateLimit, ...]:
    """A second's calls may come at once."""
    if not settings.rate_per_minute:
        return ()
    burst = max(1, round(settings.rate_per_minute / 60))
    return (RateLimit(name, RateLimitSpec(count=settings.rate_per_minute, burst=burst), limiter),)


def domain_policies(
    settings: Mapping[str, PolicySettings],
    random: Random,
    metrics: PolicyMetrics,
    *,
    chaos_allowed: bool = False,
) -> Policies:
    """A registry with nothing but the domains, for a gateway that stands alone."""
    chosen = {name: settings[name] for name in DOMAIN_SPECS}
    return declared(chosen, random, metrics, chaos_allowed=chaos_allowed)


def spec_of(name: str, settings: PolicySettings) -> PipelineSpec:
    """The specification of a dependency under these settings."""
    base = BASES[name]
    return attrs.evolve(
        base,
        deadline_s=settings.deadline_s,
        attempt_s=settings.attempt_s,
        retry=_retry(settings),
        breaker=_breaker(settings),
        bulkhead=_bulkhead(base.bulkhead, settings),
    )


def _retry(settings: PolicySettings) -> RetrySpec | None:
    if settings.attempts_max == 1:
        return None
    return RetrySpec(
        attempts_max=settings.attempts_max,
        base_s=settings.retry_base_s,
        cap_s=settings.retry_cap_s,
        budget_share=settings.retry_budget_share,
    )


def _breaker(settings: PolicySettings) -> BreakerSpec:
    return BreakerSpec(
        window_s=settings.breaker_window_s,
        calls_min=settings.breaker_calls_min,
        failure_share=settings.breaker_failure_share,
        slow_share=settings.breaker_slow_share,
        slow_s=settings.breaker_slow_s,
        open_s=settings.breaker_open_s,
        open_max_s=settings.breaker_open_max_s,
        half_open_permits=settings.breaker_half_open_permits,
        half_open_s=settings.breaker_half_open_s,
    )


def _bulkhead(base: BulkheadSpec | None, settings: PolicySettings) -> BulkheadSpec:
    base = base if base is not None else BulkheadSpec()
    running = settings.running_max if settings.running_max is not None else base.running
    return attrs.evolve(base, running=running, waiting=settings.waiting_max, wait_s=settings.wait_s)
