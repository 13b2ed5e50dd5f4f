"""The listener: binds an address and serves an ASGI application on it, as an actor."""

import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import structlog
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config

from gateway.addresses import Network
from gateway.connections import Connections, HypercornLog
from gateway.door import Door
from gateway.errors import ListenError
from gateway.messages import (
    Address,
    GetAddress,
    GetListenerStatistics,
    GetShedding,
    ListenerStatistics,
    SwitchShedding,
)
from gateway.metrics import http_metrics
from gateway.overload import Overload
from gateway.priorities import Priorities
from gateway.server import ConnectionLimits
from gateway.short_way import Prompt
from runtime import Actor, ActorSystem, ExitReason

log = structlog.get_logger("loyalnest.gateway")

MAX_PORT = 65_535

Application = Callable[..., Awaitable[None]]
"""An ASGI application. It gets no lifespan events: the tree owns what lives longer."""


@attrs.frozen(kw_only=True)
class ListenerSettings:
    """Every bound of the listener. `bind` is `host:port`; port 0 takes a free one.

    A connection that is idle between two requests lives for `keep_alive_timeout_s`. The other
    bounds are those of `ConnectionLimits`.
    """

    bind: str = "127.0.0.1:8080"
    backlog: int = 1_024
    connections_max: int = 1_000
    connections_per_address_max: int = 500
    trusted_proxies: tuple[Network, ...] = ()
    drain_s: float = 15.0
    head_timeout_s: float = 10.0
    send_timeout_s: float = 10.0
    answer_timeout_s: float = 30.0
    read_timeout_s: float = 60.0
    keep_alive_timeout_s: float = 30.0
    keep_alive_max_requests: int = 100_000
    head_max_bytes: int = 32 * 1024
    http2_max_streams: int = 100
    http2_max_frame_bytes: int = 2**14
    websocket_max_message_bytes: int = 64 * 1024
    websocket_ping_interval_s: float = 20.0

    def hypercorn(self) -> Config:
        """The settings in Hypercorn's terms."""
        config = Config()
        config.logger_class = HypercornLog  # type: ignore[assignment]
        config.include_server_header = False
        config.backlog = self.backlog
        config.graceful_timeout = self.drain_s
        config.keep_alive_timeout = self.keep_alive_timeout_s
        config.keep_alive_max_requests = self.keep_alive_max_requests
        config.h11_max_incomplete_size = self.head_max_bytes
        config.h2_max_header_list_size = self.head_max_bytes
        config.h2_max_concurrent_streams = self.http2_max_streams
        config.h2_max_inbound_frame_size = self.http2_max_frame_bytes
        config.websocket_max_message_size = self.websocket_max_message_bytes
        config.websocket_ping_interval = self.websocket_ping_interval_s
        return config

    def limits(self) -> ConnectionLimits:
        """The bounds of connections."""
        return ConnectionLimits(
            total=self.connections_max,
            per_address=self.connections_per_address_max,
            trusted_proxies=self.trusted_proxies,
            head_max_bytes=self.head_max_bytes,
            head_timeout_s=self.head_timeout_s,
            read_timeout_s=self.read_timeout_s,
            send_timeout_s=self.send_timeout_s,
            answer_timeout_s=self.answer_timeout_s,
        )


class Listener(Actor):
    """Accepts connections from its start to its stop, then drains them.

    A start fails with `ListenError` when the address cannot be had.
    """

    def __init__(
        self,
        make_app: Callable[[ActorSystem], Application],
        settings: ListenerSettings,
        overload: Overload | None = None,
    ) -> None:
        self._make_app = make_app
        self._settings = settings
        self._overload = overload
        self._stopping = trio.Event()
        self._ended = trio.Event()
        self._address: Address
        self._connections: Connections
        self._door: Door
        self._prompt: Prompt | None = None

    async def started(self) -> None:
        app = self._make_app(self.system)
        self._prompt = app if isinstance(app, Prompt) else None
        self._connections = Connections(
            ASGIWrapper(app),
            self._settings.hypercorn(),
            self._settings.limits(),
            turned_away=http_metrics(self.system.metrics.registry).turned_away,
            prompt=self._prompt,
        )
        sockets = await open_sockets(self._settings.bind, self._settings.backlog)
        self._door = self._make_door()
        self._door.open(sockets)
        self._address = bound_address(sockets[0])
        self.start_task(self._serve)
        if self._overload is not None:
            self.start_task(self._overload.watch, self.system)
        log.info("listening", address=str(self._address))

    def _make_door(self) -> Door:
        overload, settings = self._overload, self._settings
        return Door(
            self._connections,
            overload.priorities if overload is not None else Priorities(()),
            overload.shedder(self.system) if overload is not None else None,
            head_s=settings.head_timeout_s,
            idle_s=settings.keep_alive_timeout_s,
        )

    async def _serve(self) -> None:
        """Accept until told to stop, drain, and leave no connection behind in any case."""
        try:
            async with trio.open_nursery() as nursery:
                try:
                    self._connections.serve_in(nursery)
                    nursery.start_soon(self._door.run)
                    await self._stopping.wait()
                    self._door.close_entrances()
                    if self._prompt is not None:
                        self._prompt.go_away()
                    await self._connections.drain(self._settings.drain_s)
                finally:
                    self._connections.close_by_force()
                    nursery.cancel_scope.cancel()
        finally:
            self._door.close()
            self._ended.set()

    async def receive(self, message: Any) -> object:
        match message:
            case GetAddress():
                return self._address
            case GetListenerStatistics():
                return self._statistics()
            case GetShedding() if self._overload is not None:
                return self._overload.shedder(self.system).statistics()
            case SwitchShedding() if self._overload is not None:
                return self._overload.switch(self.system, message)
        return await super().receive(message)

    def _statistics(self) -> ListenerStatistics:
        connections = self._connections
        return ListenerStatistics(
            connections=len(connections),
            connections_max=connections.limit,
            accepted=connections.accepted,
            refused=connections.refused,
            failed=connections.failed,
        )

    async def stopped(self, reason: ExitReason) -> None:
        """Stop accepting and wait for the drain, which has a bound."""
        self._stopping.set()
        await self._ended.wait()
        log.info("listener_stopped", address=str(self._address), reason=str(reason))


async def open_sockets(bind: str, backlog: int) -> list[socket.socket]:
    """Sockets that listen on `bind`. Raises `ListenError`.

    With port 0 and a host of several addresses only the first is used, as each socket would
    get another port.
    """
    host, port = split_bind(bind)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=backlog)
    except OSError as error:
        raise ListenError(bind, error.strerror or str(error)) from error
    except UnicodeError as error:
        raise ListenError(bind, "not a host name") from error
    if port == 0:
        for surplus in listeners[1:]:
            surplus.socket.close()
        del listeners[1:]
    return [socket.socket(fileno=listener.socket.detach()) for listener in listeners]


def split_bind(bind: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[ipv6]:port`. Raises `ListenError`."""
    host, colon, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host:
        raise ListenError(bind, "expected host:port")
    if re.fullmatch(r"[0-9]{1,5}", port) is None or int(port) > MAX_PORT:
        raise ListenError(bind, f"the port must be 0 to {MAX_PORT}")
    return host, int(port)


def bound_address(listening: socket.socket) -> Address:
    """The address a socket was given."""
    host, port = listening.getsockname()[:2]
    return Address(host, port)
