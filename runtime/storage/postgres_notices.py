"""Notices through PostgreSQL's LISTEN, on a connection of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import structlog
import trio

from runtime import host
from runtime.storage.errors import StorageError
from runtime.storage.notices import Notices
from runtime.storage.postgres_errors import translated, translated_connecting
from runtime.storage.postgres_pool import CONNECT_TIMEOUT_S
from runtime.storage.postgres_session import PING, Session
from runtime.trouble import Trouble

CHANNEL = "loyalnest"
"""The one channel of the server; ours travel inside the payload."""

NOTIFY = "SELECT pg_notify('loyalnest', $1)"

PING_EVERY_S = 5.0
PING_TIMEOUT_S = 1.0
RECONNECT_PAUSE_S = 1.0
START_TIMEOUT_S = 1.0

log = structlog.get_logger("loyalnest.postgres")


def packed(channel: str, payload: str) -> str:
    """What goes over the server's channel for a notice of ours."""
    return f"{channel}\n{payload}"


@attrs.define(eq=False)
class NoticeConnection:
    """Hands the server's notices to the listeners of this process.

    After every new connection all listeners are told to look themselves, as notices may have
    been lost meanwhile.
    """

    _connect: Callable[[], Awaitable[Session]]
    _away: Trouble
    _interrupted: Trouble = attrs.field(init=False)
    _notices: Notices = attrs.field(factory=Notices, init=False)
    _established: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._interrupted = Trouble(log, "notices_interrupted", "notices_heard_again")

    async def run(self) -> None:
        """Listen and connect again, until cancelled."""
        while True:
            session = await self._open()
            if session is not None:
                await self._listen_on(session)
            if self._established.is_set():
                self._established = trio.Event()
            await trio.sleep(RECONNECT_PAUSE_S)

    async def _open(self) -> Session | None:
        try:
            with translated_connecting(CONNECT_TIMEOUT_S):
                session = await host.call(self._connect)
        except StorageError as error:
            self._away.failed(error)
            return None
        self._away.ended()
        return session

    async def _listen_on(self, session: Session) -> None:
        try:
            with translated():
                await host.call(self._listen, session)
        except StorageError as error:
            self._interrupted.failed(error)
        finally:
            session.terminate()

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[trio.MemoryReceiveChannel[str]]:
        """See `Database.listen`. Waits `START_TIMEOUT_S` at most for the connection."""
        with trio.move_on_after(START_TIMEOUT_S):
            await self._established.wait()
        async with self._notices.listen(channel) as received:
            yield received

    async def _listen(self, session: Session) -> None:
        """In asyncio: listen until the connection breaks."""
        connection = session.connection
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _connection: ended.set())
        await connection.add_listener(CHANNEL, self._heard)
        self._notices.publish_everywhere()
        self._established.set()
        self._interrupted.ended()
        while not ended.is_set():
            await connection.execute(PING, timeout=PING_TIMEOUT_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), PING_EVERY_S)

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        channel, _, text = str(payload).partition("\n")
        self._notices.publish(channel, text)
