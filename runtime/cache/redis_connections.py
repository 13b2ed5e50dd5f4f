"""Connections to one Redis: lent to one command at a time, thrown away when in doubt.

redis-py's own pool is not used. Its clients have more than once left the answer of a cancelled
command on a connection, for the next command to take as its own (redis-py #2624, #2665), or
lost a cancelled connection from the pool (#4121). Here a connection returns only after a whole
answer has been read; whatever else happens, it is closed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import redis.asyncio.connection as redis_py
import trio
from redis.exceptions import (
    AuthenticationError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from runtime import host
from runtime.cache.errors import Away, CacheRefused, CacheUnavailable
from runtime.cache.policies import DEPENDENCY
from runtime.parking import monotonic
from runtime.policies import require_deadline
from runtime.rotation import RotatingSecret

Command: TypeAlias = Sequence[str | bytes | int]

PLAIN_ANSWERS = 2
"""Version of the protocol: its answers are lists, numbers and bytes."""


class _Stale(Exception):
    """A connection cannot be used any more. Nothing was sent on it."""


class Connections:
    """At most `size` connections, made when needed."""

    def __init__(self, url: str | RotatingSecret, size: int) -> None:
        self._url = RotatingSecret.of(url)
        self._free = trio.Semaphore(size, max_value=size)
        self._size = size
        self._idle: list[redis_py.AbstractConnection] = []
        self._closed = False

    @property
    def lent(self) -> int:
        """Connections in use."""
        return self._size - self._free.value

    async def ask(self, command: Command) -> Any:
        """Send one command, and give its answer.

        The deadline in force bounds everything: waiting for a free connection, connecting, the
        answer. Raises `CacheUnavailable`, `CacheRefused`. Cancelled, it returns at once, and its
        connection is closed.
        """
        deadline = require_deadline(DEPENDENCY)
        with translated():
            async with self._free:
                try:
                    return await self._exchange(command)
                except trio.Cancelled:
                    if monotonic() >= deadline:
                        # The way to the server may be dead without a word: the idle ones go the
                        # same way.
                        await self._close_idle()
                    raise

    async def _exchange(self, command: Command) -> Any:
        if self._idle:
            with suppress(_Stale):
                return await self._exchange_on(self._idle.pop(), command)
        return await self._exchange_on(await self.connect(), command)

    async def _exchange_on(self, connection: redis_py.AbstractConnection, command: Command) -> Any:
        clean = False
        try:
            answer = await host.call(_exchange, connection, command)
            clean = True
        except ResponseError:
            clean = True
            raise
        except (RedisError, OSError):
            # The server went away: the idle ones lead to it as well.
            await self._close_idle()
            raise
        finally:
            if clean and not self._closed:
                self._idle.append(connection)
            elif connection.is_connected:
                # Also after a call that was cancelled before it began.
                await close(connection)
        return answer

    async def connect(self) -> redis_py.AbstractConnection:
        """A connection that belongs to the caller, with the first of the URL's values that the
        server accepts.

        It has no time limits and repeats nothing by itself. Raises as redis-py does. Cancelled, it
        leaves none behind.
        """
        refusal: RedisError | None = None
        for value in self._url.values():
            connection = _new(value)
            try:
                await host.call(connection.connect)
            except RedisError as error:
                await close(connection)
                if not _is_login_refused(error):
                    raise
                refusal = refusal or error
            except BaseException:
                await close(connection)
                raise
            else:
                self._url.worked(value)
                return connection
        self._url.refused()
        raise refusal if refusal is not None else AssertionError("there is always a value")

    async def close(self) -> None:
        """Close what is idle now, and what is lent when it comes back."""
        self._closed = True
        await self._close_idle()

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await close(connection)


def _is_login_refused(error: RedisError) -> bool:
    """redis-py wraps what the server says while connecting."""
    return isinstance(error, AuthenticationError) or isinstance(
        error.__cause__, AuthenticationError
    )


def _new(url: str) -> redis_py.AbstractConnection:
    options: dict[str, Any] = dict(redis_py.parse_url(url))
    kind = options.pop("connection_class", redis_py.Connection)
    connection: redis_py.AbstractConnection = kind(
        **options,
        protocol=PLAIN_ANSWERS,
        socket_timeout=None,
        socket_connect_timeout=None,
        driver_info=None,
    )
    return connection


async def _exchange(connection: redis_py.AbstractConnection, command: Command) -> Any:
    """In asyncio. A connection that does not end with a whole answer is closed at once."""
    whole = False
    try:
        if not connection.is_connected or await connection.can_read():
            # Closed by the server, or holding what nobody asked for.
            raise _Stale
        await send(connection, command)
        answer = await connection.read_response()
        whole = True
    except ResponseError:
        whole = True
        raise
    finally:
        if not whole:
            await connection.disconnect(nowait=True)
    return answer


async def send(connection: redis_py.AbstractConnection, command: Command) -> None:
    """A server that goes at this very moment closes the transport, which uvloop tells in its own
    way."""
    try:
        await connection.send_command(*command)
    except RuntimeError as error:
        raise RedisConnectionError(str(error)) from error


async def close(connection: redis_py.AbstractConnection) -> None:
    """Close a connection without waiting for the server, also in a scope that is cancelled."""
    with trio.CancelScope(shield=True):
        await host.call(connection.disconnect, True)


@contextmanager
def translated() -> Iterator[None]:
    """redis-py's errors as ours; the original is kept as the cause."""
    try:
        yield
    except (OutOfMemoryError, ReadOnlyError) as error:
        raise CacheUnavailable(Away.UNREACHABLE, str(error)) from error
    except ResponseError as error:
        raise CacheRefused(str(error)) from error
    except (RedisError, OSError, host.AsyncioCancelled) as error:
        raise CacheUnavailable(Away.UNREACHABLE, str(error) or type(error).__name__) from error
