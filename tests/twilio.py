"""A server that plays Twilio: takes messages, lists and tells of them, and fails on request."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs
import h11
import httpx
import msgspec
import trio

from actors.outgoing.twilio import signature_of, status_url

ACCOUNT, TOKEN, NEXT_TOKEN = "AC0123456789abcdef", "first-token", "next-token"
PUBLIC_URL = "https://loyalty.example"
CREATED, UNAUTHORISED, NOT_FOUND = 201, 401, 404
READ_BYTES = 65_536

Answer = tuple[int, dict[str, str], Any]


@attrs.define
class Twilio:
    """`fault` answers in the place of the server, or hangs; `messages` are what was taken.

    `received` counts requests that have come in, `requests` are those that were answered. While
    there is a `holding` none is.
    """

    url: str = ""
    tokens: set[str] = attrs.field(factory=lambda: {TOKEN})
    messages: list[dict[str, Any]] = attrs.field(factory=list)
    requests: list[tuple[str, str]] = attrs.field(factory=list)
    keys: list[str] = attrs.field(factory=list)
    traces: set[str | None] = attrs.field(factory=set)
    fault: Callable[[str, str], Answer | None] | None = None
    hangs: bool = False
    holding: trio.Event | None = None
    received: int = 0
    takes_and_hangs: bool = False
    numbers: Any = attrs.field(factory=lambda: count(1))

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        self.requests.append((method, target))
        self.traces.add(headers.get("traceparent"))
        fault = self.fault(method, target) if self.fault is not None else None
        if fault is not None:
            return fault
        if not self._lets_in(headers.get("authorization", "")):
            return UNAUTHORISED, {}, {"code": 20003, "message": "Authenticate"}
        path = urlsplit(target).path
        base = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"
        if method == "POST" and path == f"{base}.json":
            return self._taken(dict(parse_qsl(body.decode())), headers)
        if method == "GET" and path == f"{base}.json":
            to = dict(parse_qsl(urlsplit(target).query))["To"]
            found = [each for each in reversed(self.messages) if each["to"] == to]
            return 200, {}, {"messages": found}
        for message in self.messages:
            if path == f"{base}/{message['sid']}.json":
                return 200, {}, message
        return NOT_FOUND, {}, {"code": 20404, "message": f"The resource {path} was not found"}

    def _lets_in(self, authorization: str) -> bool:
        pairs = {f"{ACCOUNT}:{token}".encode() for token in self.tokens}
        return authorization in {f"Basic {base64.b64encode(pair).decode()}" for pair in pairs}

    def _taken(self, form: dict[str, str], headers: dict[str, str]) -> Answer:
        self.keys.append(headers.get("idempotency-key", ""))
        message = {
            "sid": f"SM{next(self.numbers):032x}",
            "to": form["To"],
            "from": form["From"],
            "body": form["Body"],
            "status": "queued",
            "error_code": None,
            "date_created": format_datetime(datetime.now(UTC)),
            "callback": form.get("StatusCallback"),
        }
        self.messages.append(message)
        return CREATED, {}, message

    async def serve(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        async with stream:
            while await self._exchange(stream, connection):
                connection.start_next_cycle()

    async def _exchange(self, stream: trio.SocketStream, connection: h11.Connection) -> bool:
        """Whether the connection may be used again."""
        request, body = None, bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(READ_BYTES))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return False
        assert request is not None
        self.received += 1
        if self.hangs:
            await trio.sleep_forever()
        if self.holding is not None:
            await self.holding.wait()
        named = {name.decode().lower(): value.decode() for name, value in request.headers}
        method, target = request.method.decode(), request.target.decode()
        status, headers, content = self.answer(method, target, named, bytes(body))
        if self.takes_and_hangs and method == "POST":
            await trio.sleep_forever()
        await self._send(stream, connection, status, headers, msgspec.json.encode(content))
        return connection.our_state is h11.DONE

    async def _send(
        self,
        stream: trio.SocketStream,
        connection: h11.Connection,
        status: int,
        headers: dict[str, str],
        body: bytes,
    ) -> None:
        every = {"content-length": str(len(body)), "content-type": "application/json", **headers}
        head = h11.Response(status_code=status, headers=list(every.items()))
        data = b"".join(
            connection.send(event) or b"" for event in (head, h11.Data(body), h11.EndOfMessage())
        )
        await stream.send_all(data)


@asynccontextmanager
async def playing_twilio() -> AsyncIterator[Twilio]:
    """On a free port of this machine, while the context lasts."""
    twilio = Twilio()
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, _until_gone(twilio), 0, host="127.0.0.1")
        (listener, *_) = await nursery.start(serve)
        port = listener.socket.getsockname()[1]
        twilio.url = f"http://127.0.0.1:{port}"
        yield twilio
        nursery.cancel_scope.cancel()


async def call_back(
    client: httpx.AsyncClient, merchant_id: str, *, signature: str | None = None, **form: str
) -> httpx.Response:
    """Tell of a text as the provider does it, to a server that is reached at `PUBLIC_URL`."""
    pairs = tuple(form.items())
    signed = signature_of(TOKEN, status_url(PUBLIC_URL, merchant_id), pairs)
    return await client.post(
        f"/v1/webhooks/twilio/status?merchant_id={merchant_id}",
        content=urlencode(pairs),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signed if signature is None else signature,
        },
    )


def _until_gone(twilio: Twilio) -> Callable[[trio.SocketStream], Any]:
    async def serve(stream: trio.SocketStream) -> None:
        try:
            await twilio.serve(stream)
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return

    return serve
