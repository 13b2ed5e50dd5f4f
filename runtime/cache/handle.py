"""The cache as domains hold it: measured, with declared behaviour while it is away."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import attrs
import trio

from runtime.cache.away import OPEN, AwayRules, WhenAway
from runtime.cache.errors import Away, CacheError, CacheRefused, CacheUnavailable
from runtime.cache.port import Cache, Presence, StreamEntry, check_key
from runtime.cache.subscriptions import Missed, Notice
from runtime.parking import monotonic
from runtime.policies.flights import Flight, Flights
from runtime.policies.gcra import MICROSECONDS, LocalLimits
from runtime.policies.limits import Limit, Verdict, check_cost
from runtime.ports import Ports, system_ports
from runtime.telemetry import Metrics

LOAD_RULES = (WhenAway.LOAD, WhenAway.REFUSE)


def _flight_key(rule: WhenAway, key: str) -> str:
    """Those who refuse what was loaded without the cache do not share a load with the others."""
    return f"{rule.name}:{key}"


@attrs.define
class Measured:
    """How an operation ended, while it is being measured."""

    outcome: str = "failed"


class _Link:
    """The attached cache, and what all handles on it share."""

    def __init__(self, ports: Ports, metrics: Metrics, processes: int) -> None:
        self.cache: Cache | None = None
        self.changed = trio.Event()
        self.metrics = metrics
        self.flights: Flights[bytes] = Flights()
        self.stores: dict[str, list[trio.Event]] = {}
        self.limits = LocalLimits(ports.random)
        self.random = ports.random
        self.processes = processes

    def attached(self) -> Cache:
        if self.cache is None:
            raise CacheUnavailable(Away.UNREACHABLE, "it is not open")
        return self.cache

    @contextmanager
    def storing(self, key: str) -> Iterator[None]:
        """While what was loaded for `key` is on its way to the cache."""
        stored = trio.Event()
        self.stores.setdefault(key, []).append(stored)
        try:
            yield
        finally:
            stored.set()
            self.stores[key].remove(stored)
            if not self.stores[key]:
                del self.stores[key]

    async def nothing_stored(self, keys: Iterable[str]) -> None:
        """Wait for what is on its way to the cache for `keys`. Not always a checkpoint."""
        for key in keys:
            for stored in tuple(self.stores.get(key, ())):
                await stored.wait()

    @contextmanager
    def measured(self, operation: str) -> Iterator[Measured]:
        measured = Measured()
        started_at = monotonic()
        try:
            yield measured
        except CacheUnavailable as error:
            measured.outcome = error.reason.value
            raise
        except CacheRefused:
            measured.outcome = "refused"
            raise
        except trio.Cancelled:
            measured.outcome = "cancelled"
            raise
        finally:
            seconds = monotonic() - started_at
            self.metrics.cache_operation(operation, measured.outcome, seconds)


class CacheHandle:
    """The cache that is attached, if one is. What it does without is in its `rules`.

    Cancellation is that of the port. `processes` is how many share the limits, as far as is
    known.
    """

    def __init__(
        self,
        rules: AwayRules = OPEN,
        *,
        ports: Ports | None = None,
        metrics: Metrics | None = None,
        processes: int = 1,
    ) -> None:
        self._rules = rules
        self._link = _Link(
            ports if ports is not None else system_ports(),
            metrics if metrics is not None else Metrics(),
            processes,
        )

    def under(self, rules: AwayRules) -> "CacheHandle":
        """The same cache for uses that want other rules."""
        other = CacheHandle.__new__(CacheHandle)
        other._rules, other._link = rules, self._link
        return other

    def attach(self, cache: Cache, metrics: Metrics) -> None:
        self._link.cache = cache
        self._link.metrics = metrics
        self._changed()

    def detach(self) -> None:
        self._link.cache = None
        self._changed()

    def _changed(self) -> None:
        self._link.changed.set()
        self._link.changed = trio.Event()

    @property
    def presence(self) -> Presence:
        cache = self._link.cache
        return cache.presence if cache is not None else Presence.DOWN

    def token(self) -> str:
        """A name that no other user of the cache has."""
        return f"{self._link.random.getrandbits(64):016x}"

    @property
    def processes(self) -> int:
        return self._link.processes

    @processes.setter
    def processes(self, known: int) -> None:
        self._link.processes = max(1, known)

    async def load(self, key: str, ttl_s: float, loader: Callable[[], Awaitable[bytes]]) -> bytes:
        """The cached value, else the loader's, which is then cached.

        Those who miss the same key at the same time share one load; it has no deadline but
        theirs, and is cancelled when the last of them goes. Errors of the loader reach all of
        them and are not cached.
        """
        check_key(key)

        async def flight(flight: Flight[bytes]) -> bytes:
            return await self._load(key, ttl_s, loader, flight)

        return await self._link.flights.load(_flight_key(self._rules.load, key), flight)

    async def _load(
        self, key: str, ttl_s: float, loader: Callable[[], Awaitable[bytes]], flight: Flight[bytes]
    ) -> bytes:
        try:
            with self._link.measured("load") as measured:
                found = await self._link.attached().get(key)
                measured.outcome = "hit" if found is not None else "miss"
        except CacheError as error:
            await self._fall_back("load", self._rules.load, error)
            return await loader()
        if found is not None:
            return found
        value = await loader()
        if not flight.outdated:
            await self._keep(key, value, ttl_s, flight)
        return value

    async def _keep(self, key: str, value: bytes, ttl_s: float, flight: Flight[bytes]) -> None:
        with self._link.storing(key):
            await self.set(key, value, ttl_s)
        if flight.outdated:
            await self._delete(key)

    async def get(self, key: str) -> bytes | None:
        """Raises `CacheUnavailable` under any rules: there is no source to go to."""
        with self._link.measured("get") as measured:
            value = await self._link.attached().get(key)
            measured.outcome = "hit" if value is not None else "miss"
        return value

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        await self._do("set", self._rules.write, lambda cache: cache.set(key, value, ttl_s))

    async def delete(self, *keys: str) -> None:
        """Forget the keys, and do not keep what is being loaded for them. What is on its way to the
        cache is waited for: it might get there behind the deletion."""
        self.outdate(*keys)
        await self._link.nothing_stored(keys)
        await self._delete(*keys)

    async def _delete(self, *keys: str) -> None:
        await self._do("delete", self._rules.write, lambda cache: cache.delete(*keys))

    def outdate(self, *keys: str) -> None:
        """Do not keep what this process is loading for the keys."""
        for key in keys:
            for rule in LOAD_RULES:
                self._link.flights.outdate(_flight_key(rule, key))

    async def publish(self, channel: str, payload: bytes) -> None:
        await self._do("publish", self._rules.notify, lambda cache: cache.publish(channel, payload))

    async def _do(
        self, operation: str, rule: WhenAway, act: Callable[[Cache], Awaitable[None]]
    ) -> None:
        try:
            with self._link.measured(operation) as measured:
                await act(self._link.attached())
                measured.outcome = "ok"
        except CacheError as error:
            await self._fall_back(operation, rule, error)

    async def _fall_back(self, operation: str, rule: WhenAway, error: CacheError) -> None:
        """Raise where the rule does not go on without the cache; count where it does.

        A cache that refuses, wrongly configured perhaps, is as good as away.
        """
        await trio.lowlevel.checkpoint()
        if rule is WhenAway.REFUSE:
            raise error
        self._link.metrics.policies.fallback(f"cache.{operation}", rule.name.lower())

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        """Take from a rate limit; from this process's share of it while the cache is away."""
        check_cost(limit, cost)
        try:
            with self._link.measured("take") as measured:
                verdict = await self._link.attached().take(key, limit, cost)
                measured.outcome = "allowed" if verdict.allowed else "denied"
        except CacheError as error:
            await self._fall_back("take", self._rules.limit, error)
            share = limit.share(self._link.processes)
            now_us = round(monotonic() * MICROSECONDS)
            local = self._link.limits.take(key, share, min(cost, share.burst), now_us)
            return attrs.evolve(local, local=True)
        return verdict

    async def follow(self, channel: str, react: Callable[[Notice | Missed], object]) -> NoReturn:
        """Call `react` with every notice of a channel, until cancelled.

        `Missed` comes first, and again whenever notices may have been lost.
        """
        while True:
            changed = self._link.changed
            if self._link.cache is None:
                await changed.wait()
                continue
            async with self._link.cache.subscribe(channel) as subscription:
                react(Missed())
                async for notice in subscription:
                    react(notice)
            if self._link.changed is changed:
                await changed.wait()

    async def append(self, stream: str, payload: bytes, length_max: int) -> str:
        with self._link.measured("append") as measured:
            entry_id = await self._link.attached().append(stream, payload, length_max)
            measured.outcome = "ok"
        return entry_id

    async def read(
        self, stream: str, after: str, limit: int, wait_s: float = 0.0
    ) -> list[StreamEntry]:
        with self._link.measured("read") as measured:
            entries = await self._link.attached().read(stream, after, limit, wait_s)
            measured.outcome = "ok"
        return entries

    async def last_id(self, stream: str) -> str:
        with self._link.measured("last_id") as measured:
            entry_id = await self._link.attached().last_id(stream)
            measured.outcome = "ok"
        return entry_id
