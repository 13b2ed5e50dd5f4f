"""Stores for tests that are about something else than policies."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import attrs
import trio

from runtime.cache.policies import REDIS
from runtime.context import current
from runtime.policies import BulkheadSpec, Pipeline, PipelineSpec, PolicyMetrics
from runtime.policies.deadline import narrowed
from runtime.storage import Database, DatabaseHandle

LONG_S = 3_600.0


def patient_pipeline() -> Pipeline:
    """One that gives every call an hour, and neither opens nor repeats anything."""
    bulkhead = BulkheadSpec(running=1, waiting=100_000, wait_s=LONG_S, strict_shares=True)
    spec = PipelineSpec(
        deadline_s=LONG_S, attempt_s=LONG_S, retry=None, breaker=None, bulkhead=bulkhead
    )
    return Pipeline("database", spec, Random(1))


def patient(database: Database) -> DatabaseHandle:
    """The store as actors have it, with all the time of the world."""
    handle = DatabaseHandle(patient_pipeline())
    handle.attach(database)
    return handle


def patient_redis(limit_s: float, metrics: PolicyMetrics | None = None) -> Pipeline:
    """The one of Redis, with `limit_s` for a call instead of what the product allows."""
    assert REDIS.bulkhead is not None
    bulkhead = attrs.evolve(REDIS.bulkhead, wait_s=limit_s)
    spec = attrs.evolve(REDIS, deadline_s=limit_s, attempt_s=limit_s, bulkhead=bulkhead)
    return Pipeline("redis", spec, Random(1), metrics)


@contextmanager
def unhurried() -> Iterator[None]:
    """For tests that use an adapter itself: everything inside has an hour."""
    token = current.set(narrowed(current.get(), trio.current_time() + LONG_S))
    try:
        yield
    finally:
        current.reset(token)
