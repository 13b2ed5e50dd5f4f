"""Guarded connections: no client can end the process, or hold up its end."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from gateway.addresses import ClientAddresses
from gateway.server import ConnectionLimits, GuardedStream, Server
from gateway.short_way import Prompt
from gateway.visitors import VISITOR, Visitor

log = structlog.get_logger("loyalnest.gateway")

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
    proxy's. `turned_away` hears the method of each request that was refused at the door.
    `prompt` answers what has arrived whole; the rest, and without one everything, `app` does.
    """

    def __init__(
        self,
        app: HypercornApp,
        config: Config,
        limits: ConnectionLimits,
        turned_away: Callable[[bytes], None],
        prompt: Prompt | None = None,
    ) -> None:
        self._app = app
        self._prompt = prompt
        self._config = config
        self._limits = limits
        self._context = WorkerContext(max_requests=None)
        self._open: set[Visitor] = set()
        self._servers: set[Server] = set()
        self._by_address: Counter[str] = Counter()
        self._addresses = ClientAddresses(limits.trusted_proxies)
        self._empty = trio.Event()
        self._nursery: trio.Nursery | None = None
        self.turned_away = turned_away
        self.accepted = 0
        self.refused = 0
        self.failed = 0

    @property
    def limit(self) -> int:
        return self._limits.total

    def __len__(self) -> int:
        return len(self._open)

    def serve_in(self, nursery: trio.Nursery) -> None:
        """Where the tasks of connections run."""
        self._nursery = nursery

    def arrived(self, visitor: Visitor) -> bool:
        """A connection was accepted; whether it is within the bounds."""
        surplus = self._is_full_for(visitor.address)
        self.refused += surplus
        self.accepted += not surplus
        self._open.add(visitor)
        self._by_address[visitor.address] += 1
        return not surplus

    def _is_full_for(self, address: str) -> bool:
        if len(self._open) >= self._limits.total:
            return True
        crowded = self._by_address[address] >= self._limits.per_address
        return crowded and not self._addresses.trusts(address)

    def enter(self, visitor: Visitor) -> None:
        """Start to serve a connection."""
        if self._nursery is None:
            raise RuntimeError("connections are served in a nursery")
        self._nursery.start_soon(self._guarded, visitor)

    def left(self, visitor: Visitor) -> None:
        """A connection was closed."""
        self._open.discard(visitor)
        self._by_address[visitor.address] -= 1
        if not self._by_address[visitor.address]:
            del self._by_address[visitor.address]
        if not self._open:
            self._empty.set()

    async def _guarded(self, visitor: Visitor) -> None:
        """Serve one connection to its end. Raises nothing but cancellation."""
        try:
            await self._serve(GuardedStream(visitor, self._limits.send_timeout_s))
        except* Exception as errors:
            self.failed += 1
            log.warning("connection_failed", error=_cause(errors))
            log.debug("connection_failed", exc_info=errors)
        finally:
            visitor.close()

    async def _serve(self, stream: GuardedStream) -> None:
        server = Server(
            self._limits,
            self._prompt,
            self._app,
            self._config,
            self._context,
            ConnectionState({VISITOR: stream.visitor}),
            stream,
        )
        self._servers.add(server)
        try:
            await server.run()
        finally:
            self._servers.discard(server)

    async def drain(self, drain_s: float) -> None:
        """Close idle connections and wait for the busy ones, at most `drain_s`."""
        await self._context.terminated.set()
        for server in self._servers:
            server.end_if_idle()
        self._empty = trio.Event()
        with trio.move_on_after(drain_s):
            while self._open:
                await self._empty.wait()
                self._empty = trio.Event()

    def close_by_force(self) -> None:
        """Close every socket, which also ends sends that are shielded from cancellation."""
        for visitor in list(self._open):
            visitor.close()


def _cause(errors: BaseExceptionGroup[Any]) -> str:
    """One line: clients can cause this, and must not fill the log."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return repr(error)[:200]
