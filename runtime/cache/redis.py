"""The cache in Redis, through redis-py's connections, behind a pipeline."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from hashlib import sha1
from math import ceil
from random import Random
from typing import Any

import trio
from redis.exceptions import NoScriptError

from runtime.cache.errors import Away, CacheRefused, CacheUnavailable
from runtime.cache.policies import CONNECTIONS_MAX, DEPENDENCY, REDIS
from runtime.cache.port import (
    STREAM_START,
    Presence,
    StreamEntry,
    check_key,
    check_keys,
    check_read,
    check_ttl,
    check_value,
)
from runtime.cache.redis_connections import Connections
from runtime.cache.redis_listener import Listener
from runtime.cache.subscriptions import Subscription, Subscriptions
from runtime.errors import Outcome
from runtime.policies import (
    BreakerOpen,
    DeadlineExceeded,
    NotAdmitted,
    Pipeline,
    PolicyError,
    time_limit,
)
from runtime.policies.gcra import LUA, verdict
from runtime.policies.limits import Limit, Verdict, check_cost
from runtime.rotation import RotatingSecret
from runtime.telemetry import Metrics

TIMEOUT_S = 0.1
"""Where the pipeline has no deadline, for a read that waits, beyond its wait, and for a
subscription to be confirmed."""

WAITING_CONNECTIONS_MAX = 8
"""For reads that wait. A process holds one more, for its subscriptions."""

PREFIX = "loyalnest:"

LUA_SHA = sha1(LUA.encode(), usedforsecurity=False).hexdigest()


class RedisCache:
    """The port's promises on one Redis, within the deadline of `pipeline`. Made by `open_redis`."""

    def __init__(
        self, url: str | RotatingSecret, random: Random, metrics: Metrics, pipeline: Pipeline
    ) -> None:
        self.pipeline = pipeline
        self._timeout_s = pipeline.spec.deadline_s or TIMEOUT_S
        url = RotatingSecret.of(url)
        self._connections = Connections(url, CONNECTIONS_MAX)
        self._waiting = Connections(url, WAITING_CONNECTIONS_MAX)
        self._subscriptions = Subscriptions()
        self.listener = Listener(
            self._connections, self._subscriptions, f"{PREFIX}channel:", random, metrics
        )

    @property
    def presence(self) -> Presence:
        return Presence.UP if self.listener.up else Presence.DOWN

    @property
    def connections_lent(self) -> int:
        """Connections in use at the moment."""
        return self._connections.lent + self._waiting.lent

    async def get(self, key: str) -> bytes | None:
        value: bytes | None = await self._ask("GET", _value_key(key))
        return value

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        check_value(value)
        check_ttl(ttl_s)
        await self._ask("SET", _value_key(key), value, "PX", ceil(ttl_s * 1000))

    async def delete(self, *keys: str) -> None:
        check_keys(keys)
        if keys:
            await self._ask("DEL", *map(_value_key, keys))

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        check_key(key)
        check_cost(limit, cost)
        arguments = (1, f"{PREFIX}limit:{key}", limit.interval_us, limit.burst, cost)
        answer = await self._through(partial(self._evaluate, *arguments))
        return verdict(bool(answer[0]), answer[1], answer[2])

    async def _evaluate(self, *arguments: str | int) -> Any:
        try:
            return await self._connections.ask(("EVALSHA", LUA_SHA, *arguments))
        except CacheRefused as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        return await self._connections.ask(("EVAL", LUA, *arguments))

    async def publish(self, channel: str, payload: bytes) -> None:
        check_value(payload)
        await self._ask("PUBLISH", f"{PREFIX}channel:{channel}", payload)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """Enters when the server has confirmed the channel, or after the timeout all the same."""
        with self._subscriptions.added(channel) as subscription:
            try:
                self.listener.channels_changed()
                if self.listener.up:
                    with trio.move_on_after(self._timeout_s):
                        await self.listener.confirmed(channel)
                yield subscription
            finally:
                self.listener.channels_changed()

    async def append(self, stream: str, payload: bytes, length_max: int) -> str:
        check_value(payload)
        entry_id: bytes = await self._ask(
            "XADD", _stream_key(stream), "MAXLEN", length_max, "*", "payload", payload
        )
        return entry_id.decode()

    async def read(
        self, stream: str, after: str, limit: int, wait_s: float = 0.0
    ) -> list[StreamEntry]:
        """Looks first; only a look that finds nothing waits, and it says nothing to the breaker."""
        check_read(limit, wait_s)
        streams = ("STREAMS", _stream_key(stream), after)
        answer = await self._ask("XREAD", "COUNT", limit, *streams)
        if not answer and wait_s > 0:
            command = ("XREAD", "COUNT", limit, "BLOCK", ceil(wait_s * 1000), *streams)
            with _waiting_at_most(wait_s + self._timeout_s):
                answer = await self._waiting.ask(command)
        return [_entry(raw) for raw in answer[0][1]] if answer else []

    async def last_id(self, stream: str) -> str:
        newest = await self._ask("XREVRANGE", _stream_key(stream), "+", "-", "COUNT", 1)
        return _entry(newest[0]).entry_id if newest else STREAM_START

    async def close(self) -> None:
        """Ends all subscriptions and connections. Not cancelled half way."""
        self._subscriptions.close()
        await self._connections.close()
        await self._waiting.close()

    async def _ask(self, *command: str | bytes | int) -> Any:
        return await self._through(partial(self._connections.ask, command))

    async def _through(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Past the policies, whose errors become the cache's."""
        try:
            return await self.pipeline.call(work)
        except PolicyError as error:
            raise CacheUnavailable(_away(error), error.detail) from error


def _away(error: PolicyError) -> Away:
    match error:
        case BreakerOpen():
            return Away.REJECTED
        case NotAdmitted() | DeadlineExceeded(outcome=Outcome.NOT_DELIVERED):
            return Away.BUSY
        case DeadlineExceeded():
            return Away.SLOW
    return Away.UNREACHABLE


@contextmanager
def _waiting_at_most(limit_s: float) -> Iterator[None]:
    try:
        with time_limit(DEPENDENCY, limit_s):
            yield
    except DeadlineExceeded as error:
        raise CacheUnavailable(Away.SLOW, error.detail) from error


def _value_key(key: str) -> str:
    check_key(key)
    return f"{PREFIX}value:{key}"


def _stream_key(stream: str) -> str:
    return f"{PREFIX}stream:{stream}"


def _entry(raw: Any) -> StreamEntry:
    entry_id, fields = raw
    return StreamEntry(entry_id.decode(), fields[1])


@asynccontextmanager
async def open_redis(
    url: str | RotatingSecret,
    random: Random,
    metrics: Metrics,
    pipeline: Pipeline | None = None,
) -> AsyncIterator[RedisCache]:
    """The cache at `url`, for the duration of the block, whether Redis is there or not.

    `redis://…`, `rediss://…` or `unix://PATH`. Works only under `host.run`. Without a `pipeline`
    it makes one by its own defaults.
    """
    if pipeline is None:
        pipeline = Pipeline(DEPENDENCY, REDIS, random, metrics.policies)
    cache = RedisCache(url, random, metrics, pipeline)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.listener.run)
        try:
            yield cache
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await cache.close()
