"""Stores for tests that are about something else than policies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

import attrs
import trio

from runtime.cache.policies import REDIS
from runtime.context import current
from runtime.policies import BulkheadSpec, Pipeline, PipelineSpec, PolicyMetrics, RetrySpec
from runtime.policies.deadline import narrowed
from runtime.rotation import RotatingSecret
from runtime.storage import Database, DatabaseHandle, open_database
from runtime.storage.policies import judge
from runtime.storage.sqlite import connect_memory, open_sqlite_memory
from runtime.storage.sqlite_templates import template_of
from supervisors.application import MIGRATIONS

LONG_S = 3_600.0
MEMORY = "sqlite:///:memory:"
FILE = "sqlite:///"


async def open_migrated(url: str | RotatingSecret, **options: Any) -> Database:
    """`open_database` for trees of the whole application. A new SQLite store is a copy of one that
    has had the migrations, which take almost half of the time in which a tree starts."""
    text = RotatingSecret.of(url).newest
    if text == MEMORY:
        return open_sqlite_memory(connect_memory(template_of(MIGRATIONS)))
    if text.startswith(FILE):
        _copy_schema(Path(unquote(text.removeprefix(FILE))))
    return await open_database(url, **options)


def _copy_schema(path: Path) -> None:
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(template_of(MIGRATIONS).serialize())


def patient_pipeline(retry: RetrySpec | None = None) -> Pipeline:
    """One that gives every call an hour, and does not open. Unless told to, it repeats nothing."""
    bulkhead = BulkheadSpec(running=1, waiting=100_000, wait_s=LONG_S, strict_shares=True)
    spec = PipelineSpec(
        deadline_s=LONG_S,
        attempt_s=LONG_S,
        retry=retry,
        breaker=None,
        bulkhead=bulkhead,
        judge=judge,
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
