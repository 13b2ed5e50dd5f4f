"""The cache in Redis, through redis-py's connections, behind a breaker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha1
from math import ceil
from random import Random
from typing import Any

import trio
from redis.exceptions import NoScriptError

from runtime.cache.errors import Away, CacheRefused, CacheUnavailable
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
from runtime.parking import monotonic
from runtime.policies.breaker import Breaker, BreakerSpec
from runtime.policies.errors import BreakerOpen
from runtime.policies.gcra import LUA, verdict
from runtime.policies.limits import Limit, Verdict, check_cost
from runtime.rotation import RotatingSecret
from runtime.telemetry import Metrics

TIMEOUT_S = 0.1
"""Of every operation, connecting included. A waiting read has this beyond its wait."""

CONNECTIONS_MAX = 16
WAITING_CONNECTIONS_MAX = 8
"""For reads that wait. A process holds one more, for its subscriptions."""

PREFIX = "loyalnest:"

BREAKER = BreakerSpec(open_s=1.0, open_max_s=8.0)
"""So that a Redis that is back is used again within 10 s, however long it was away."""

LUA_SHA = sha1(LUA.encode(), usedforsecurity=False).hexdigest()


class RedisCache:
    """The port's promises on one Redis, within `timeout_s`. Made by `open_redis`."""

    def __init__(
        self, url: str | RotatingSecret, random: Random, metrics: Metrics, timeout_s: float
    ) -> None:
        self._timeout_s = timeout_s
        url = RotatingSecret.of(url)
        self._connections = Connections(url, CONNECTIONS_MAX)
        self._waiting = Connections(url, WAITING_CONNECTIONS_MAX)
        self._subscriptions = Subscriptions()
        self.breaker = Breaker("redis", BREAKER, random, metrics.policies)
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
        ends_at = monotonic() + self._timeout_s
        try:
            answer = await self._ask("EVALSHA", LUA_SHA, *arguments)
        except CacheRefused as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
            left_s = max(0.0, ends_at - monotonic())
            answer = await self._ask("EVAL", LUA, *arguments, timeout_s=left_s)
        return verdict(bool(answer[0]), answer[1], answer[2])

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
            answer = await self._waiting.ask(command, wait_s + self._timeout_s)
        return [_entry(raw) for raw in answer[0][1]] if answer else []

    async def last_id(self, stream: str) -> str:
        newest = await self._ask("XREVRANGE", _stream_key(stream), "+", "-", "COUNT", 1)
        return _entry(newest[0]).entry_id if newest else STREAM_START

    async def close(self) -> None:
        """Ends all subscriptions and connections. Not cancelled half way."""
        self._subscriptions.close()
        await self._connections.close()
        await self._waiting.close()

    async def _ask(self, *command: str | bytes | int, timeout_s: float | None = None) -> Any:
        """One command past the breaker, which learns how it ended."""
        try:
            permit = self.breaker.admit()
        except BreakerOpen as error:
            await trio.lowlevel.checkpoint()
            raise CacheUnavailable(Away.REJECTED, str(error)) from None
        try:
            limit_s = timeout_s if timeout_s is not None else self._timeout_s
            answer = await self._connections.ask(command, limit_s)
        except CacheUnavailable as error:
            if error.reason is not Away.BUSY:
                permit.failed()
            raise
        except CacheRefused:
            permit.succeeded()
            raise
        else:
            permit.succeeded()
            return answer
        finally:
            permit.abandoned()


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
    url: str | RotatingSecret, random: Random, metrics: Metrics, *, timeout_s: float = TIMEOUT_S
) -> AsyncIterator[RedisCache]:
    """The cache at `url`, for the duration of the block, whether Redis is there or not.

    `redis://…`, `rediss://…` or `unix://PATH`. Works only under `host.run`.
    """
    cache = RedisCache(url, random, metrics, timeout_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cache.listener.run)
        try:
            yield cache
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await cache.close()
