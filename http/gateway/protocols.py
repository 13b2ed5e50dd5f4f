"""HTTP/1.1 and HTTP/2 as Hypercorn speaks them, without what makes either unsafe to offer.

Where two readers could understand a request differently, it is refused and the connection ends:
a proxy in front may have seen another one in the same bytes.
"""

from collections.abc import Iterator
from typing import Any, Final

import attrs
import h2.events
import h11
import trio
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Body, Data, EndBody, EndData, Response, Trailers
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H2ProtocolAssumedError, H11Protocol
from hypercorn.utils import suppress_body

from gateway.refusals import refusal
from gateway.short_way import FRAMING, Encoded, Prompt, answered, incoming, lines
from gateway.visitors import VISITOR, Visitor
from runtime.parking import monotonic
from runtime.policies.gcra import MICROSECONDS, decide
from runtime.policies.limits import Limit

RawHeaders = list[tuple[bytes, bytes]]

HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\n"

CONTENT_LENGTH: Final = b"\ncontent-length:"
TRANSFER_ENCODING: Final = b"\ntransfer-encoding:"

VERSIONS: Final = (b"1.0", b"1.1", b"2.0")
"""2.0 is that of the preface, by which HTTP/2 begins."""

NO_BODY: Final = (b"content-length", b"0")
"""In every refusal of Hypercorn's own, and in no other answer with an error."""

EXTENSIONS: Final = b"sec-websocket-extensions"
"""The only one is compression, by which a small message becomes a large one."""

CONTROL_FRAMES: Final = Limit(200, 1.0, 1_000)
"""Frames of one connection that are no part of a request: 200 a second, 1,000 at once."""

SLICE_BYTES: Final = 8_192

RESET_COST: Final = 5
COSTS: Final[dict[type[Any], int]] = {
    h2.events.PingReceived: 1,
    h2.events.PingAckReceived: 1,
    h2.events.RemoteSettingsChanged: 1,
    h2.events.SettingsAcknowledged: 1,
    h2.events.WindowUpdated: 1,
    h2.events.PriorityUpdated: 1,
    h2.events.UnknownFrameReceived: 1,
    h2.events.StreamReset: RESET_COST,
}
"""A reset has cost us a request that nobody wants to be answered any more."""


class StrictConnection(h11.Connection):
    """Refuses heads that h11 is lenient about."""

    def __init__(self, head_max_bytes: int) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=head_max_bytes)
        self._head_max_bytes = head_max_bytes

    def next_event(self) -> Any:
        if self.their_state is h11.IDLE and (received := self.trailing_data[0]):
            check_head(received, self._head_max_bytes)
        event = super().next_event()
        if isinstance(event, h11.Request) and event.http_version not in VERSIONS:
            raise h11.RemoteProtocolError("a version of HTTP that nobody speaks")
        return event


def check_head(received: bytes, max_bytes: int) -> None:
    """Raises `h11.RemoteProtocolError` for the head of a request, or what has come of it."""
    end = received.find(b"\r\n\r\n")
    head = received if end < 0 else received[: end + 2]
    if len(head) > max_bytes:
        raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
    if head.count(b"\n") != head.count(b"\r\n"):
        raise h11.RemoteProtocolError("a line ends without a carriage return")
    if b"\n " in head or b"\n\t" in head:
        raise h11.RemoteProtocolError("a header is folded")
    lowered = head.lower()
    if lowered.count(CONTENT_LENGTH) + lowered.count(TRANSFER_ENCODING) > 1:
        raise h11.RemoteProtocolError("the length of the body is given twice")
    length = lowered.find(CONTENT_LENGTH)
    if length >= 0 and b"," in lowered[length : lowered.find(b"\r", length)]:
        raise h11.RemoteProtocolError("the length of the body is a list")


@attrs.frozen
class ProtocolLimits:
    """Bytes of a head, how long the client may take to read an answer, and how long it waits for
    one without a word."""

    head_max_bytes: int
    answer_timeout_s: float
    read_timeout_s: float


class Http1(H11Protocol):
    """HTTP/1.1 with strict heads, and no way to HTTP/2 but to begin with it."""

    def __init__(self, limits: ProtocolLimits, prompt: Prompt | None, **wiring: Any) -> None:
        super().__init__(**wiring)
        self._prompt = prompt
        self._read_timeout_s = limits.read_timeout_s
        self.connection = StrictConnection(limits.head_max_bytes)
        self._first = True
        self._refused = False
        self._head = b""

    @property
    def awaits_head(self) -> bool:
        """Whether a request is due: the first one, or one that has begun to arrive."""
        if not isinstance(self.connection, StrictConnection):
            return False
        if self.connection.their_state is not h11.IDLE:
            return False
        return self._first or self.has_a_part

    @property
    def is_between_requests(self) -> bool:
        """Whether no byte of the next request is here."""
        if not isinstance(self.connection, StrictConnection):
            return False
        return self.connection.their_state is h11.IDLE and not self.has_a_part

    @property
    def has_a_part(self) -> bool:
        """Whether something has come that no request is made of yet."""
        return bool(self.connection.trailing_data[0])

    async def head_too_slow(self) -> None:
        """Say so, to a client that has begun."""
        if self.has_a_part:
            await self._send_error_response(408)

    async def stream_send(self, event: Any) -> None:
        """Refusals of Hypercorn's own become problem documents, and end the connection."""
        if self._refused:
            await self.send(Closed())
        elif isinstance(event, Response) and event.status_code >= 400 and NO_BODY in event.headers:
            self._refused = True
            await self._send_error_response(event.status_code)
        else:
            await super().stream_send(event)

    async def _send_h11_event(self, event: Any) -> None:
        """The head of an answer waits for what follows it: a short answer is a single send."""
        try:
            data = self._head + self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        self._head = data if isinstance(event, h11.Response) else b""
        if data and not self._head:
            await self.send(RawData(data))

    async def _check_protocol(self, event: h11.Request) -> None:
        self._first = False
        if event.method == b"PRI" and event.target == b"*" and event.http_version == b"2.0":
            raise H2ProtocolAssumedError(HTTP2_PREFACE + self.connection.trailing_data[0])

    async def _create_stream(self, request: h11.Request) -> None:
        if any(name == EXTENSIONS for name, _ in request.headers):
            request = h11.Request(
                method=request.method,
                target=request.target,
                headers=without_extensions(list(request.headers)),
                http_version=request.http_version,
            )
        if not await self._is_answered_here(request):
            await super()._create_stream(request)

    async def _is_answered_here(self, request: h11.Request) -> bool:
        """Answer the request if it takes the short way; whether it did."""
        visitor: Visitor | None = self.connection_state.get(VISITOR)
        if self._prompt is None or visitor is None or not visitor.came_whole:
            return False
        asked = incoming(request, self.client[0] if self.client is not None else None)
        answering = self._prompt.prompt_answer(asked)
        if answering is None:
            return False
        asked.body, asked.permit = self._rest(), visitor.take_permit()
        self.keep_alive_requests += 1
        answer = await answered(answering, visitor, self._read_timeout_s)
        if answer is None:
            await self.send(Closed())
        else:
            await self._send_answer(answer, asked.method, visitor)
        return True

    async def _send_answer(self, answer: Encoded, method: str, visitor: Visitor) -> None:
        """All of it at once, as far as the client takes it; the rest as Hypercorn sends.

        h11 writes what has to do with the length of the answer. The other headers would cost it
        as much again.
        """
        framing = [header for header in answer.headers if header[0] in FRAMING]
        if self.keep_alive_requests >= self.config.keep_alive_max_requests:
            framing.append((b"connection", b"close"))
        send = self.connection.send
        head = send(h11.Response(headers=framing, status_code=answer.status))
        rest = lines([*answer.headers, *self.config.response_headers("h11")])
        data = b"%b%b\r\n" % (head[:-2], rest)
        if not suppress_body(method, answer.status):
            data += send(h11.Data(data=answer.body))
        data += send(h11.EndOfMessage())
        unsent = visitor.say(data)
        if unsent:
            await self.send(RawData(unsent))
        await self._maybe_recycle()

    def _rest(self) -> bytes:
        """The body of a request that has come as a whole."""
        parts = []
        while isinstance(event := self.connection.next_event(), h11.Data):
            parts.append(bytes(event.data))
        if not isinstance(event, h11.EndOfMessage):
            raise h11.RemoteProtocolError("a request that was taken for a whole one")
        return b"".join(parts)

    async def _send_error_response(self, status_code: int) -> None:
        """A problem document, as everywhere."""
        said = refusal(status_code)
        headers = [(b"connection", b"close"), *said.headers]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=said.body))
        await self._send_h11_event(h11.EndOfMessage())


class Http2(H2Protocol):
    """HTTP/2 with a bound on frames that are no requests, and on how long an answer waits."""

    awaits_head = False
    is_between_requests = False
    has_a_part = False

    def __init__(self, limits: ProtocolLimits, **wiring: Any) -> None:
        super().__init__(**wiring)
        self._answer_timeout_s = limits.answer_timeout_s
        self._arrival_us = 0
        self._waiting_max_bytes = limits.head_max_bytes + self.config.h2_max_inbound_frame_size
        # Until the client has confirmed our settings, h2 would go by its own bound.
        self.connection.decoder.max_header_list_size = limits.head_max_bytes

    async def head_too_slow(self) -> None:
        """Nothing can be said before the first request."""

    async def handle(self, event: Event) -> None:
        """A little at a time: a chunk of the smallest frames would hold up everybody else."""
        if not isinstance(event, RawData):
            await super().handle(event)
            return
        for at in range(0, len(event.data), SLICE_BYTES):
            await super().handle(RawData(event.data[at : at + SLICE_BYTES]))
            if not self.closed and waiting_bytes(self.connection) > self._waiting_max_bytes:
                await self._end(ErrorCodes.FRAME_SIZE_ERROR)
            if self.closed:
                return

    async def _end(self, code: ErrorCodes) -> None:
        self.connection.close_connection(code)
        await self._flush()
        await self.send(Closed())

    async def stream_send(self, event: Any) -> None:
        """A client that grants no window for an answer loses the connection. Until then no more of
        the answer is copied than it is granted."""
        if not isinstance(event, Body | Data | EndBody | EndData | Trailers):
            await super().stream_send(event)
            return
        with trio.move_on_after(self._answer_timeout_s) as scope:
            for part in _in_slices(event):
                await super().stream_send(part)
        if scope.cancelled_caught:
            await self.send(Closed())

    async def _send_data(self, stream_id: int) -> None:
        """Without a window nothing is sent. Hypercorn would take that for room in its buffer, and
        fill it with the whole answer.
        """
        buffer = self.stream_buffers.get(stream_id)
        if buffer is None or not buffer.buffer or self._has_window(stream_id):
            await super()._send_data(stream_id)
        else:
            self.priority.block(stream_id)

    def _has_window(self, stream_id: int) -> bool:
        try:
            return self.connection.local_flow_control_window(stream_id) > 0
        except ProtocolError:
            return True

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        cost = sum(_cost(event) for event in events)
        if cost and not self._admits(cost):
            await self._end(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        for event in events:
            # One by one, as a request may be answered while its data is handed over.
            if not self._is_late(event):
                await super()._handle_events([event])

    def _admits(self, cost: int) -> bool:
        now_us = round(monotonic() * MICROSECONDS)
        verdict, self._arrival_us = decide(self._arrival_us, now_us, CONTROL_FRAMES, cost)
        return verdict.allowed

    def _is_late(self, event: h2.events.Event) -> bool:
        """Whether it is data for a request that has been answered already.

        Hypercorn would end the connection, and the other requests on it.
        """
        if not isinstance(event, h2.events.DataReceived):
            return False
        if event.stream_id in self.streams:
            return False
        self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        return True

    async def _create_stream(self, request: h2.events.RequestReceived) -> None:
        headers = list(request.headers)
        if not all(value.isascii() for name, value in headers if name == b":path"):
            said = refusal(400)
            head = [(b":status", b"400"), *said.headers]
            self.connection.send_headers(request.stream_id, head)
            self.connection.send_data(request.stream_id, said.body, end_stream=True)
            return
        request.headers = without_extensions(headers)
        await super()._create_stream(request)


def waiting_bytes(connection: H2Connection) -> int:
    """What h2 keeps of a frame or a head that has not arrived as a whole.

    It looks at the length of a frame when all of it is there, which may be 16 MiB.
    """
    buffer = connection.incoming_buffer
    return len(buffer._data) + sum(len(part.data) for part in buffer._headers_buffer)


def _cost(event: h2.events.Event) -> int:
    if isinstance(event, h2.events.DataReceived):
        return int(not event.data and event.stream_ended is None)
    return COSTS.get(type(event), 0)


def _in_slices(event: Any) -> Iterator[Any]:
    if not isinstance(event, Body):
        yield event
        return
    for at in range(0, len(event.data), SLICE_BYTES):
        yield Body(event.stream_id, event.data[at : at + SLICE_BYTES])


def without_extensions(headers: RawHeaders) -> RawHeaders:
    """The headers without an offer to compress WebSocket messages."""
    return [(name, value) for name, value in headers if name != EXTENSIONS]


class Protocols:
    """What a connection speaks: HTTP/1.1, or HTTP/2 when it begins with that."""

    def __init__(self, limits: ProtocolLimits, prompt: Prompt | None, **wiring: Any) -> None:
        self._limits = limits
        self._wiring = wiring
        self.protocol: Http1 | Http2 = Http1(limits, prompt, **wiring)

    async def initiate(self) -> None:
        await self.protocol.initiate()

    async def handle(self, event: Event) -> None:
        try:
            await self.protocol.handle(event)
        except H2ProtocolAssumedError as error:
            self.protocol = Http2(self._limits, **self._wiring)
            await self.protocol.initiate()
            await self.protocol.handle(RawData(error.data))
