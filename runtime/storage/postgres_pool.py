"""Connections to PostgreSQL: a bounded number, opened when needed, thrown away when in doubt."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from runtime import host
from runtime.parking import monotonic
from runtime.storage.errors import DatabaseAway, StorageError
from runtime.storage.postgres_errors import is_login_refused, translated_connecting
from runtime.storage.postgres_session import Session
from runtime.trouble import Trouble

CONNECT_TIMEOUT_S = 0.8
"""Less than the pipeline of the database allows a call, so that who connects learns that it did
not work, and tells the others."""

CLOSE_TIMEOUT_S = 1.0
RECOVERY_S = 0.04
"""How long a connection that was cut off may take to come to rest; then it is thrown away."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
"""Between two attempts to connect while the server is away; those who come meanwhile are told."""

SHARE_TIMEOUT_S = 1.0
"""How long somebody waits for a session of others when the login is refused."""

Connect = Callable[[int, float], Awaitable[Session]]
"""Opens a session, given its generation and a time limit in seconds. Runs in asyncio."""


@attrs.frozen
class PoolStatistics:
    """`discarded` counts connections that were thrown away, whatever the reason."""

    size: int
    in_use: int
    idle: int
    waiting: int
    opened: int
    discarded: int


@attrs.define(eq=False)
class SessionPool:
    """Up to `size` sessions. Nobody shares one, and none comes back unless it is at rest.

    When one turns out to be dead, those that were opened before it are not trusted either, nor are
    those of its `_followers`. `_away` is told whether sessions can be opened; all pools of one
    database share it.
    """

    _connect: Connect
    _size: int
    _away: Trouble
    _followers: Sequence["SessionPool"] = ()
    _permits: trio.Semaphore = attrs.field(init=False)
    _connecting: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _idle: list[Session] = attrs.field(factory=list, init=False)
    _generation: int = attrs.field(default=0, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _not_before: float = attrs.field(default=0.0, init=False)
    _reason: str = attrs.field(default="", init=False)
    _opened: int = attrs.field(default=0, init=False)
    _discarded: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _refused: bool = attrs.field(default=False, init=False)
    _lent: int = attrs.field(default=0, init=False)
    _returned: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._permits = trio.Semaphore(self._size)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A session for one task. Waits for a free one; cancellable until it is there.

        Raises `DatabaseAway` when there is none and none can be opened.
        """
        async with self._permits:
            session = self._take_idle() or await self._open_or_share()
            self._lent += 1
            try:
                yield session
            finally:
                self._lent -= 1
                await self._give_back(session)

    def _take_idle(self) -> Session | None:
        while self._idle:
            session = self._idle.pop()
            if not session.closed and session.generation == self._generation:
                return session
            self._discard(session)
        return None

    async def _open_or_share(self) -> Session:
        """Open a session. While the server knows another password than we do, those that have one
        go on: wait for one of theirs, up to `SHARE_TIMEOUT_S`."""
        with trio.move_on_after(SHARE_TIMEOUT_S):
            while True:
                try:
                    return await self._open()
                except DatabaseAway:
                    # One may have come back meanwhile.
                    if not self._refused or not (self._idle or self._lent):
                        raise
                if not self._idle:
                    await self._returned.wait()
                session = self._take_idle()
                if session is not None:
                    return session
        raise DatabaseAway(self._reason)

    async def _open(self) -> Session:
        async with self._connecting:
            if monotonic() < self._not_before:
                raise DatabaseAway(self._reason)
            try:
                with translated_connecting(CONNECT_TIMEOUT_S):
                    session = await host.call(self._connect, self._generation, CONNECT_TIMEOUT_S)
            except StorageError as error:
                self._postpone(error)
                raise DatabaseAway(self._reason) from error
        self._away.ended()
        self._failures = 0
        self._opened += 1
        return session

    def _postpone(self, error: Exception) -> None:
        self._reason, self._refused = str(error), is_login_refused(error)
        pause_s = min(FIRST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S)
        self._failures = min(self._failures + 1, 16)
        self._not_before = monotonic() + pause_s
        self._away.failed(error)

    async def _give_back(self, session: Session) -> None:
        if session.in_use and not session.closed and not await _recovered(session):
            self._distrust()
        if session.in_use or session.closed or session.generation != self._generation:
            self._discard(session)
        elif self._closed:
            await _closed(session)
        else:
            self._idle.append(session)
        self._returned.set()
        self._returned = trio.Event()

    def _distrust(self) -> None:
        self._generation += 1
        for pool in self._followers:
            pool._distrust()

    def _discard(self, session: Session) -> None:
        self._discarded += 1
        session.terminate()

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._closed = True
        while self._idle:
            await _closed(self._idle.pop())

    def statistics(self) -> PoolStatistics:
        waiting = self._permits.statistics().tasks_waiting
        in_use = self._size - self._permits.value
        idle = len(self._idle)
        return PoolStatistics(self._size, in_use, idle, waiting, self._opened, self._discarded)


async def _recovered(session: Session) -> bool:
    with trio.CancelScope(shield=True, deadline=monotonic() + RECOVERY_S):
        return await host.call(session.recover)
    return False


async def _closed(session: Session) -> None:
    with trio.CancelScope(shield=True, deadline=monotonic() + CLOSE_TIMEOUT_S):
        await host.call(session.close)
        return
    session.terminate()
