"""Resilience policies, each usable alone, and the pipelines composed of them."""

from runtime.policies.breaker import (
    Breaker,
    BreakerSpec,
    BreakerState,
    BreakerStatistics,
    ForcedState,
    Permit,
    Transition,
)
from runtime.policies.bulkhead import Bulkhead, BulkheadSpec, BulkheadStatistics, ShareStatistics
from runtime.policies.chaos import Chaos, ChaosSpec, Fault
from runtime.policies.deadline import be_strict, require_deadline, time_limit
from runtime.policies.errors import (
    BreakerOpen,
    BulkheadFull,
    ChaosForbidden,
    ChaosInjected,
    DeadlineExceeded,
    NoDeadline,
    NotAdmitted,
    PolicyError,
    RateLimited,
    Shed,
)
from runtime.policies.fallback import Answer, Fallback, FallbackKind, FallbackSpec
from runtime.policies.flights import Flight, Flights
from runtime.policies.gradient import GradientLimit, GradientSpec, GradientStatistics
from runtime.policies.judging import (
    FAILED,
    FAILED_FOR_GOOD,
    IGNORED,
    NOT_DELIVERED,
    REFUSED,
    UNDONE,
    Again,
    Effect,
    Judge,
    Judgement,
)
from runtime.policies.limiters import Limiter, LocalLimiter, SharedLimiter
from runtime.policies.limits import Claim, Decision, Limit, Verdict, per_minute
from runtime.policies.metrics import PolicyMetrics
from runtime.policies.pipeline import Pipeline, PipelineStatistics
from runtime.policies.priority import Priority
from runtime.policies.rate_limit import RateLimit, RateLimitSpec, RateLimitStatistics
from runtime.policies.registry import Policies
from runtime.policies.retry import Retry, RetrySpec, RetryStatistics
from runtime.policies.shedding import (
    LoadShedder,
    SheddingMode,
    SheddingSpec,
    SheddingStatistics,
)
from runtime.policies.spec import Admission, Ended, PipelineSpec

__all__ = [
    "FAILED",
    "FAILED_FOR_GOOD",
    "IGNORED",
    "NOT_DELIVERED",
    "REFUSED",
    "UNDONE",
    "Admission",
    "Again",
    "Answer",
    "Breaker",
    "BreakerOpen",
    "BreakerSpec",
    "BreakerState",
    "BreakerStatistics",
    "Bulkhead",
    "BulkheadFull",
    "BulkheadSpec",
    "BulkheadStatistics",
    "Chaos",
    "ChaosForbidden",
    "ChaosInjected",
    "ChaosSpec",
    "Claim",
    "DeadlineExceeded",
    "Decision",
    "Effect",
    "Ended",
    "Fallback",
    "FallbackKind",
    "FallbackSpec",
    "Fault",
    "Flight",
    "Flights",
    "ForcedState",
    "GradientLimit",
    "GradientSpec",
    "GradientStatistics",
    "Judge",
    "Judgement",
    "Limit",
    "Limiter",
    "LoadShedder",
    "LocalLimiter",
    "NoDeadline",
    "NotAdmitted",
    "Permit",
    "Pipeline",
    "PipelineSpec",
    "PipelineStatistics",
    "Policies",
    "PolicyError",
    "PolicyMetrics",
    "Priority",
    "RateLimit",
    "RateLimitSpec",
    "RateLimitStatistics",
    "RateLimited",
    "Retry",
    "RetrySpec",
    "RetryStatistics",
    "ShareStatistics",
    "SharedLimiter",
    "Shed",
    "SheddingMode",
    "SheddingSpec",
    "SheddingStatistics",
    "Transition",
    "Verdict",
    "be_strict",
    "per_minute",
    "require_deadline",
    "time_limit",
]
