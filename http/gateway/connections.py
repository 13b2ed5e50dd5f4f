"""Guarded connections: no client can end the process, or hold up its end."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from gateway.addresses import UNKNOWN, ClientAddresses, counted_as
from gateway.refusals import overcrowded
from gateway.server import ConnectionLimits, GuardedStream, Server

log = structlog.get_logger("loyalnest.gateway")

REFUSAL_TIMEOUT_S = 0.5
"""How long a connection over the bound may take to be told so."""

REFUSAL_READ_BYTES = 16_384

REFUSALS_MAX = 64
"""Connections that are told at a time that there are too many. Others are closed at once."""

HypercornApp = Callable[..., Awaitable[None]]


class HypercornLog:
    """Takes Hypercorn's own log events; access is logged by the application instead."""

    def __init__(self, config: Config) -> None:
        pass

    async def access(self, *_details: object) -> None:
        pass

    async def exception(self, message: str, *_arguments: object) -> None:
        log.exception("application_failed", detail=message)  # noqa: LOG004 - called inside one

    async def info(self, message: str, *_arguments: object) -> None:
        log.info("hypercorn", detail=message)

    async def warning(self, message: str, *_arguments: object) -> None:
        log.warning("hypercorn", detail=message)

    async def error(self, message: str, *_arguments: object) -> None:
        log.error("hypercorn", detail=message)


class Connections:
    """Serves connections, each guarded against its own failure.

    `limits.total` at once, and of them `limits.per_address` from one address, unless that is a
    proxy's.
    """

    def __init__(self, app: HypercornApp, config: Config, limits: ConnectionLimits) -> None:
        self._app = app
        self._config = config
        self._limits = limits
        self._context = WorkerContext(max_requests=None)
        self._open: set[GuardedStream] = set()
        self._by_address: Counter[str] = Counter()
        self._addresses = ClientAddresses(limits.trusted_proxies)
        self._refusing = 0
        self._empty = trio.Event()
        self.accepted = 0
        self.refused = 0
        self.failed = 0

    @property
    def limit(self) -> int:
        return self._limits.total

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end. Raises nothing but cancellation."""
        address = _peer(stream)
        if self._is_full_for(address):
            self.refused += 1
            await self._refuse(stream)
            return
        self.accepted += 1
        guarded = GuardedStream(stream, self._limits.send_timeout_s)
        self._open.add(guarded)
        self._by_address[address] += 1
        try:
            await self._serve(guarded)
        except* Exception as errors:
            self.failed += 1
            log.warning("connection_failed", error=_cause(errors))
            log.debug("connection_failed", exc_info=errors)
        finally:
            guarded.close_by_force()
            self._left(guarded, address)

    def _is_full_for(self, address: str) -> bool:
        if len(self._open) >= self._limits.total:
            return True
        crowded = self._by_address[address] >= self._limits.per_address
        return crowded and not self._addresses.trusts(address)

    def _left(self, stream: GuardedStream, address: str) -> None:
        self._open.discard(stream)
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        if not self._open:
            self._empty.set()

    async def _refuse(self, stream: trio.SocketStream) -> None:
        if self._refusing < REFUSALS_MAX:
            self._refusing += 1
            try:
                await _refuse(stream)
            finally:
                self._refusing -= 1
        await trio.aclose_forcefully(stream)

    async def _serve(self, stream: GuardedStream) -> None:
        server: Any = Server(
            self._limits,
            self._app,
            self._config,
            self._context,
            ConnectionState({}),
            stream,
        )
        await server.run()

    async def drain(self, drain_s: float) -> None:
        """Close idle connections and wait for the busy ones, at most `drain_s`."""
        await self._context.terminated.set()
        self._empty = trio.Event()
        with trio.move_on_after(drain_s):
            while self._open:
                await self._empty.wait()
                self._empty = trio.Event()

    def close_by_force(self) -> None:
        """Close every socket, which also ends sends that are shielded from cancellation."""
        for stream in self._open:
            stream.close_by_force()


def _cause(errors: BaseExceptionGroup[Any]) -> str:
    """One line: clients can cause this, and must not fill the log."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return repr(error)[:200]


async def _refuse(stream: trio.SocketStream) -> None:
    """Answer 503. The request is read first, or closing would reset the answer away."""
    with trio.move_on_after(REFUSAL_TIMEOUT_S):
        try:
            await stream.receive_some(REFUSAL_READ_BYTES)
            await stream.send_all(overcrowded())
        except trio.BrokenResourceError:
            log.debug("refused_connection_gone")


def _peer(stream: trio.SocketStream) -> str:
    """What the client's address counts as. One that has gone already has none."""
    try:
        peer = stream.socket.getpeername()
    except OSError:
        return UNKNOWN
    return counted_as(peer[0]) if isinstance(peer, tuple) else UNKNOWN
