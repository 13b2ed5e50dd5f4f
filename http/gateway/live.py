"""The WebSocket `/v1/live`: what a client reads by GET, told again whenever it has changed.

A client names paths. Each is read as its own request with the token of the connection would be, so
that roles, merchants, limits and revocation are those of the routes.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import msgspec
import trio
from prometheus_client import Gauge
from quart import websocket

from actors.campaign.delivery_messages import BROADCASTS
from actors.points.messages import ACCOUNTS
from gateway.incoming import Incoming
from gateway.problems import RETRY_AFTER, Problem
from gateway.routes import Answer
from gateway.security import RawHeaders
from runtime.changes import Changes, Name

PATH: Final = "/v1/live"
PROTOCOL: Final = "loyalnest.live"
BEARER: Final = "bearer."
"""Before a token in `Sec-WebSocket-Protocol`: pages of browsers can send no other header."""

WATCHED: Final[Mapping[str, tuple[str, str]]] = {
    "GET /v1/customers/{customer_id}/balance": (ACCOUNTS, "customer_id"),
    "GET /v1/campaigns/{campaign_id}/stats": (BROADCASTS, "campaign_id"),
}
"""By route, what changes, and which parameter names it."""

CONNECTIONS_MAX: Final = 256
WATCHES_MAX: Final = 16
"""Of one connection."""

MESSAGE_MAX_BYTES: Final = 4_096
GAP_S: Final = 0.25
"""Between two readings of a path, however often it changes."""

REFRESH_S: Final = 5.0
"""After which a path is read again although nobody told of a change."""

GOING_AWAY: Final = 1001
TOKEN_OVER: Final = 4401
"""The code that a connection is closed with when its token counts no more."""

VOLATILE: Final = ("as_of", "trace_id")
"""Fields that differ between two readings of the same."""

FOR_GOOD: Final = frozenset({403, 404})


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends: a path to be told of, or one no more."""

    watch: str | None = None
    unwatch: str | None = None


class News(msgspec.Struct, frozen=True):
    """What it is told: the answer to a GET of the path."""

    path: str
    status: int
    body: msgspec.Raw


@attrs.frozen
class Target:
    """A path that may be watched, and what tells that it has changed."""

    path: str
    endpoint: str
    parameters: Mapping[str, str]

    def name(self, merchant_id: str) -> Name:
        kind, parameter = WATCHED[self.endpoint]
        return kind, merchant_id, self.parameters[parameter]


Find = Callable[[str], Target | None]
Read = Callable[[Target, Incoming], Awaitable[Answer]]


@attrs.define(eq=False)
class Live:
    """All connections of one listener. `find` tells what a path names, `read` answers it."""

    _find: Find
    _read: Read
    _changes: Changes
    _gauge: Gauge
    _leaving: trio.Event = attrs.field(factory=trio.Event)
    _connections: int = 0

    def go_away(self) -> None:
        """Close all connections, so that their clients come back to whoever goes on."""
        self._leaving.set()

    async def serve(self, request: Incoming, merchant_id: str) -> None:
        """Accept the connection, and serve it until the client leaves, its token ends or the
        gateway stops. Raises `Problem` where there is no room."""
        with self._counted():
            offered = websocket.requested_subprotocols
            await websocket.accept(subprotocol=PROTOCOL if PROTOCOL in offered else None)
            talk = Conversation(self._find, self._read, self._changes, request, merchant_id)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._until_leaving, talk)
                await talk.run()
                nursery.cancel_scope.cancel()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._connections >= CONNECTIONS_MAX:
            raise Problem(503, "too_many_watchers", "ask again, or elsewhere", RETRY_AFTER)
        self._connections += 1
        self._gauge.inc()
        try:
            yield
        finally:
            self._connections -= 1
            self._gauge.dec()

    async def _until_leaving(self, talk: "Conversation") -> None:
        await self._leaving.wait()
        await talk.close(GOING_AWAY, "the server stops")


@attrs.define(eq=False)
class Conversation:
    """One connection: what it watches, each path in a task of its own."""

    _find: Find
    _read: Read
    _changes: Changes
    _request: Incoming
    _merchant_id: str
    _following: dict[str, trio.CancelScope] = attrs.field(factory=dict)
    _sending: trio.Lock = attrs.field(factory=trio.Lock)
    _all: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def run(self) -> None:
        """Do as the client wishes until one side ends it."""
        with self._all:
            async with trio.open_nursery() as nursery:
                while True:
                    await self._heard(await websocket.receive(), nursery)

    async def close(self, code: int, reason: str) -> None:
        async with self._sending:
            await websocket.close(code, reason)
        self._all.cancel()

    async def _heard(self, data: str | bytes | None, nursery: trio.Nursery) -> None:
        try:
            self._do(_wish(data), nursery)
        except Problem as problem:
            await self._send(problem.document(None, None))

    def _do(self, wish: Wish, nursery: trio.Nursery) -> None:
        if wish.unwatch is not None and wish.unwatch in self._following:
            self._following.pop(wish.unwatch).cancel()
        if wish.watch is None or wish.watch in self._following:
            return
        target = self._find(wish.watch)
        if target is None:
            raise Problem(404, "not_watchable", "watch a balance, or the figures of a campaign")
        if len(self._following) >= WATCHES_MAX:
            raise Problem(409, "too_many_watches", f"a connection watches {WATCHES_MAX} at most")
        scope = self._following[wish.watch] = trio.CancelScope()
        nursery.start_soon(self._follow, target, scope)

    async def _follow(self, target: Target, scope: trio.CancelScope) -> None:
        told: tuple[int, object] | None = None
        with scope, self._changes.watching(*target.name(self._merchant_id)) as watch:
            while True:
                next_at = trio.current_time() + GAP_S
                answer = await self._read(target, self._request)
                news = answer.status, _essence(answer)
                if news != told:
                    await self._send(News(target.path, answer.status, msgspec.Raw(answer.body)))
                    told = news
                if answer.status == 401:
                    await self.close(TOKEN_OVER, "the token counts no more")
                if answer.status in FOR_GOOD:
                    self._following.pop(target.path, None)
                    return
                with trio.move_on_after(REFRESH_S):
                    await watch.wait()
                await trio.sleep_until(next_at)

    async def _send(self, message: msgspec.Struct) -> None:
        async with self._sending:
            await websocket.send(msgspec.json.encode(message).decode())


def _wish(data: str | bytes | None) -> Wish:
    """Raises `Problem` for what is none."""
    if data is None or len(data) > MESSAGE_MAX_BYTES:
        raise Problem(413, "message_too_large", f"at most {MESSAGE_MAX_BYTES} bytes, and some")
    try:
        return msgspec.json.decode(data, type=Wish)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(
            422, "unreadable", f"send a JSON object with watch or unwatch: {error}"
        ) from None


def _essence(answer: Answer) -> object:
    """What makes an answer differ from another."""
    if answer.status != 200:
        return None
    body: Any = msgspec.json.decode(answer.body)
    return {name: value for name, value in body.items() if name not in VOLATILE}


def token_headers(headers: RawHeaders) -> RawHeaders:
    """The headers of the upgrade as those of a request, with a token that came as a protocol."""
    for name, value in headers:
        if name == b"sec-websocket-protocol":
            for offered in value.decode("latin-1").split(","):
                if offered.strip().startswith(BEARER):
                    token = offered.strip().removeprefix(BEARER).encode("latin-1")
                    headers = [*headers, (b"authorization", b"Bearer " + token)]
    return headers


def check_origin(headers: RawHeaders, allowed: frozenset[str]) -> None:
    """Raises `Problem` for a page that comes neither from here nor from a listed origin."""
    found = dict(headers)
    origin = found.get(b"origin", b"").decode("latin-1")
    host = found.get(b"host", b"").decode("latin-1")
    if origin and origin not in allowed and urlsplit(origin).netloc != host:
        raise Problem(403, "origin_not_allowed", "pages of this origin may not use the API")
