"""An HTTP client on Trio that keeps its connection, and says whether a request can have arrived."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs
import h11
import trio

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 6.0
"""Longer than the program takes to answer anything."""

CHUNK_BYTES = 64 * 1024

NOT_ANSWERED = (
    trio.BrokenResourceError,
    trio.TooSlowError,
    h11.RemoteProtocolError,
    json.JSONDecodeError,
)


class NoAnswer(Exception):
    """There was no answer. When not even `sent`, nothing can have happened."""

    def __init__(self, reason: object, *, sent: bool) -> None:
        super().__init__(str(reason) or type(reason).__name__)
        self.sent = sent


@attrs.frozen
class Answer:
    """`body` is the decoded JSON."""

    status: int
    headers: dict[str, str]
    body: Any


@attrs.define(eq=False)
class HttpConnection:
    """One request at a time, to wherever `address` says the server is at that moment."""

    _address: Callable[[], str]
    _token: str
    _stream: trio.SocketStream | None = None
    _protocol: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.CLIENT))

    async def get(self, path: str) -> Answer:
        return await self._request("GET", path, b"", {})

    async def post(self, path: str, body: object, **headers: str) -> Answer:
        """`headers` with `_` for `-`. Raises `NoAnswer`, as `get` does."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return await self._request("POST", path, json.dumps(body).encode(), named)

    async def _request(self, method: str, path: str, body: bytes, extra: dict[str, str]) -> Answer:
        stream = await self._connected()
        headers = {
            "host": "loyalnest",
            "authorization": f"Bearer {self._token}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **extra,
        }
        request = h11.Request(method=method, target=path, headers=list(headers.items()))
        events: list[h11.Event] = [request, h11.Data(data=body), h11.EndOfMessage()]
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                await stream.send_all(b"".join(self._protocol.send(each) or b"" for each in events))
                return await self._answer(stream)
        except NOT_ANSWERED as error:
            raise NoAnswer(error, sent=True) from error
        finally:
            self._prepare_next()

    async def _connected(self) -> trio.SocketStream:
        if self._stream is None:
            url = urlsplit(self._address())
            try:
                with trio.fail_after(CONNECT_TIMEOUT_S):
                    self._stream = await trio.open_tcp_stream(url.hostname or "", url.port or 80)
            except (OSError, trio.TooSlowError) as error:
                raise NoAnswer(error, sent=False) from error
            self._protocol = h11.Connection(h11.CLIENT)
        return self._stream

    async def _answer(self, stream: trio.SocketStream) -> Answer:
        response: h11.Response | None = None
        body = b""
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._protocol.receive_data(await stream.receive_some(CHUNK_BYTES))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif response is not None and isinstance(event, h11.EndOfMessage):
                headers = {name.decode(): text.decode() for name, text in response.headers}
                return Answer(response.status_code, headers, json.loads(body))
            else:
                raise NoAnswer(event, sent=True)

    def _prepare_next(self) -> None:
        """Keep the connection if both sides are done with this request, or else drop it."""
        if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
            self._protocol.start_next_cycle()
        else:
            self.close()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.socket.close()
            self._stream = None
