"""The listener: one connection that hears what is published, and notices when it is cut off."""

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeAlias

import redis.asyncio.connection as redis_py
import structlog
import trio

from runtime import host
from runtime.cache.errors import CacheUnavailable
from runtime.cache.redis_connections import Connections, close, send, translated
from runtime.cache.subscriptions import Subscriptions
from runtime.child import Backoff
from runtime.parking import monotonic
from runtime.telemetry import Metrics

log = structlog.get_logger("loyalnest.cache")

CONNECT_TIMEOUT_S = 1.0
PING_EVERY_S = 1.0
SILENCE_MAX_S = 3.0
"""A connection that has not even answered a ping for so long is given up."""

RECONNECT = Backoff(initial_s=0.1, max_s=2.0)
DEPENDENCY = "redis"

Work: TypeAlias = Callable[[redis_py.AbstractConnection], Awaitable[None]]


class Listener:
    """Keeps one connection subscribed to every channel that somebody listens to.

    Whether it is connected is also what `/health` shows and `dependency_up` counts.
    """

    def __init__(
        self,
        connections: Connections,
        subscriptions: Subscriptions,
        prefix: str,
        random: Random,
        metrics: Metrics,
    ) -> None:
        self._connections = connections
        self._subscriptions = subscriptions
        self._prefix = prefix
        self._random = random
        self._metrics = metrics
        self._confirmed: dict[str, trio.Event] = {}
        self._changed = trio.Event()
        self._heard_at = 0.0
        self._up = False
        metrics.dependency_up(DEPENDENCY, False)

    @property
    def up(self) -> bool:
        """Connected, subscribed, and answered lately."""
        return self._up

    def channels_changed(self) -> None:
        """The subscriptions are not the same as before."""
        self._changed.set()

    async def confirmed(self, channel: str) -> None:
        """Wait until the server has confirmed the channel; for ever if it is away."""
        await self._confirmed.setdefault(channel, trio.Event()).wait()

    async def run(self) -> None:
        """Listen until cancelled, connecting again and again with a growing pause."""
        failures = 0
        while True:
            reason = await self._session()
            failures = 1 if self._up else failures + 1
            if failures == 1:
                log.warning("cache_connection_lost", error=reason)
            self._set_up(False)
            await trio.sleep(RECONNECT.delay_s(failures + 1, self._random))

    def _set_up(self, up: bool) -> None:
        self._up = up
        self._metrics.dependency_up(DEPENDENCY, up)

    async def _session(self) -> str:
        """Connect and listen; why that came to an end."""
        connection: redis_py.AbstractConnection | None = None
        try:
            with trio.fail_after(CONNECT_TIMEOUT_S), translated():
                connection = await self._connections.connect()
            return await self._listen(connection)
        except trio.TooSlowError:
            return "no connection in time"
        except CacheUnavailable as error:
            return str(error)
        finally:
            self._confirmed.clear()
            if connection is not None:
                await close(connection)

    async def _listen(self, connection: redis_py.AbstractConnection) -> str:
        """Read and write at the same time until one of them fails."""
        reasons: list[str] = []
        self._heard_at = monotonic()

        async def until_it_fails(work: Work) -> None:
            try:
                with translated():
                    await work(connection)
                reasons.append("silence")
            except (CacheUnavailable, trio.TooSlowError) as error:
                reasons.append(str(error))
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_it_fails, self._read)
            nursery.start_soon(until_it_fails, self._write)
        return reasons[0]

    async def _write(self, connection: redis_py.AbstractConnection) -> None:
        """Ask for the channels that are wanted, and ping, until there is no answer."""
        asked: frozenset[str] = frozenset()
        while monotonic() - self._heard_at < SILENCE_MAX_S:
            self._changed = trio.Event()
            wanted = self._subscriptions.channels
            for channel in sorted(wanted - asked):
                await self._send(connection, "SUBSCRIBE", self._prefix + channel)
            for channel in sorted(asked - wanted):
                self._confirmed.pop(channel, None)
                await self._send(connection, "UNSUBSCRIBE", self._prefix + channel)
            asked = wanted
            await self._send(connection, "PING")
            with trio.move_on_after(PING_EVERY_S):
                await self._changed.wait()

    async def _send(self, connection: redis_py.AbstractConnection, *command: str) -> None:
        with trio.fail_after(CONNECT_TIMEOUT_S):
            await host.call(send, connection, command)

    async def _read(self, connection: redis_py.AbstractConnection) -> None:
        while True:
            match await host.call(connection.read_response):
                case [b"message", channel, payload] if self._up:
                    name = channel.decode().removeprefix(self._prefix)
                    self._subscriptions.publish(name, payload)
                case [b"subscribe", channel, _]:
                    name = channel.decode().removeprefix(self._prefix)
                    self._confirmed.setdefault(name, trio.Event()).set()
                case [b"pong", _] | b"PONG":
                    self._answered()
            self._heard_at = monotonic()

    def _answered(self) -> None:
        """The first ping is answered after all channels have been confirmed."""
        if not self._up:
            self._set_up(True)
            self._subscriptions.missed()
            log.info("cache_connected")
