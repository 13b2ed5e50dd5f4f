"""Floods and bombs of HTTP/2: the connection ends, and nothing else does."""

import struct
from collections.abc import Iterator, Sequence

import attrs
import h2.connection
import h2.events
import h2.settings
import hpack
import pytest
import trio

from tests.integration.hostile.server import PATIENCE_S, SHORT_S, Attacked, everything

pytestmark = pytest.mark.slow

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 2, 3, 4, 6, 7, 8, 9,
)  # fmt: skip
END_STREAM, END_HEADERS = 0x1, 0x4
ENHANCE_YOUR_CALM = 11
CANCEL = struct.pack(">I", 8)

MANY = 20_000
CHUNK_BYTES = 60_000
LIMIT_S = SHORT_S
LISTEN_S = 0.5
GET = [(":method", "GET"), (":path", "/health/live"), (":scheme", "http"), (":authority", "x")]
BIG_GET = [(":method", "GET"), (":path", "/v1/openapi.json"), *GET[2:]]
POST = [(":method", "POST"), (":path", "/v1/points/earn"), *GET[2:]]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    length = struct.pack(">I", len(payload))[1:]
    return length + struct.pack(">BBI", kind, flags, stream_id) + payload


@attrs.frozen
class Frame:
    kind: int
    stream_id: int
    payload: bytes


def frames(received: bytes) -> Iterator[Frame]:
    """All whole frames among received bytes."""
    at = 0
    while at + 9 <= len(received):
        length = int.from_bytes(received[at : at + 3])
        stream_id = int.from_bytes(received[at + 5 : at + 9]) & 0x7FFFFFFF
        yield Frame(received[at + 3], stream_id, received[at + 9 : at + 9 + length])
        at += 9 + length


def goodbye(received: bytes) -> int | None:
    """The error code that the connection ended with, as far as it was told."""
    codes = [int.from_bytes(f.payload[4:8]) for f in frames(received) if f.kind == GOAWAY]
    return codes[-1] if codes else None


async def flood(server: Attacked, data: bytes) -> bytes:
    """Send everything, while reading what comes back; fails unless the server hangs up."""
    stream = await server.connect()
    received = b""

    async def send() -> None:
        try:
            for at in range(0, len(data), CHUNK_BYTES):
                await stream.send_all(data[at : at + CHUNK_BYTES])
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()

    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(send)
        received = await everything(stream)
        nursery.cancel_scope.cancel()
    return received


def opening() -> bytes:
    return PREFACE + frame(SETTINGS, 0, 0)


def head(fields: Sequence[tuple[str, str]]) -> bytes:
    """A block of an encoder of its own, so that each stands for itself."""
    return hpack.Encoder().encode(fields, huffman=False)


def rapid_resets() -> bytes:
    block = head(GET)
    pairs = (
        frame(HEADERS, END_HEADERS | END_STREAM, stream_id, block)
        + frame(RST_STREAM, 0, stream_id, CANCEL)
        for stream_id in range(1, 2 * MANY, 2)
    )
    return opening() + b"".join(pairs)


def on_an_open_stream(one: bytes) -> bytes:
    return opening() + frame(HEADERS, END_HEADERS, 1, head(POST)) + one * MANY


FLOODS = {
    "rapid resets": rapid_resets(),
    "pings": opening() + frame(PING, 0, 0, b"12345678") * MANY,
    "answers to pings never sent": opening() + frame(PING, 1, 0, b"12345678") * MANY,
    "settings": opening() + frame(SETTINGS, 0, 0) * MANY,
    "settings that change": opening()
    + b"".join(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_000 + n % 2)) for n in range(MANY)),
    "priorities": opening()
    + b"".join(frame(PRIORITY, 0, n, struct.pack(">IB", 0, 1)) for n in range(1, 2 * MANY, 2)),
    "windows": opening() + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * MANY,
    "empty data": on_an_open_stream(frame(DATA, 0, 1)),
    "frames nobody knows": opening() + frame(0xEE, 0, 0, b"x" * 8) * MANY,
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_of_frames_ends_its_connection(server: Attacked, name: str) -> None:
    async with server.unharmed():
        received = await flood(server, FLOODS[name])
        assert goodbye(received) in {ENHANCE_YOUR_CALM, None}
        assert len(received) < len(FLOODS[name])


def continuations(one: bytes) -> bytes:
    first = frame(HEADERS, END_STREAM, 1, head(GET))
    return opening() + first + frame(CONTINUATION, 0, 1, one) * MANY


def hpack_bomb() -> bytes:
    """A header of 4,000 bytes, named 16,000 more times by one byte each."""
    table_entry = b"\x40\x01a" + b"\x7f" + b"\xa1\x1e" + b"x" * 4_000
    block = head(GET) + table_entry + b"\xbe" * 16_000
    pieces = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    sent = frame(HEADERS, END_STREAM, 1, pieces[0])
    for piece in pieces[1:-1]:
        sent += frame(CONTINUATION, 0, 1, piece)
    return opening() + sent + frame(CONTINUATION, END_HEADERS, 1, pieces[-1])


def big_head() -> bytes:
    fields = [*GET, *((f"x-{number}", "x" * 1_000) for number in range(60))]
    block = head(fields)
    pieces = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
    sent = frame(HEADERS, END_STREAM, 1, pieces[0])
    for piece in pieces[1:-1]:
        sent += frame(CONTINUATION, 0, 1, piece)
    return opening() + sent + frame(CONTINUATION, END_HEADERS, 1, pieces[-1])


BROKEN = {
    "continuations": continuations(b"x" * 1_000),
    "empty continuations": continuations(b""),
    "a bomb of headers": hpack_bomb(),
    "a head of 60 KB": big_head(),
    "a frame of 16 MB": opening() + b"\xff\xff\xff" + bytes((DATA, 0, 0, 0, 0, 1)) + b"x" * 70_000,
    "no frames": PREFACE + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3_000,
    "settings of an odd length": opening() + frame(SETTINGS, 0, 0, b"12345"),
    "a window of nothing": opening() + frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
    "a window over all bounds": opening()
    + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2,
    "data of no request": opening() + frame(DATA, 0, 1, b"x"),
    "an even request": opening() + frame(HEADERS, END_HEADERS | END_STREAM, 2, head(GET)),
    "a head that cannot be decoded": opening()
    + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff"),
    "a promise of a client": opening() + frame(5, END_HEADERS, 1, struct.pack(">I", 2) + head(GET)),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
async def test_what_breaks_the_protocol_ends_its_connection(server: Attacked, name: str) -> None:
    async with server.unharmed():
        received = await flood(server, BROKEN[name])
        assert all(f.kind not in {HEADERS, DATA} for f in frames(received))


def without(name: str) -> list[tuple[str, str]]:
    return [field for field in GET if field[0] != name]


MALFORMED = {
    "no method": without(":method"),
    "no path": without(":path"),
    "no scheme": without(":scheme"),
    "two paths": [*GET[:2], (":path", "/docs"), *GET[2:]],
    "an empty path": [GET[0], (":path", ""), *GET[2:]],
    "an unknown pseudo-header": [*GET, (":verified", "true")],
    "a pseudo-header at the end": [*GET[1:], ("x", "1"), GET[0]],
    "a name in capitals": [*GET, ("X-Capital", "1")],
    "a header of HTTP/1.1": [*GET, ("connection", "close")],
    "a coding of HTTP/1.1": [*GET, ("transfer-encoding", "chunked")],
    "a line feed in a value": [*GET, ("x", "a\nb: c")],
    "a colon in a name": [*GET, ("x:y", "1")],
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_head_is_never_a_request(server: Attacked, name: str) -> None:
    block = frame(HEADERS, END_HEADERS | END_STREAM, 1, head(MALFORMED[name]))
    async with server.unharmed():
        stream = await server.connect()
        async with stream:
            await stream.send_all(opening() + block + frame(PING, 0, 0, b"12345678"))
            received = b""
            with trio.move_on_after(LISTEN_S):
                while chunk := await stream.receive_some():
                    received += chunk
        kinds = [f.kind for f in frames(received) if f.stream_id or f.kind == GOAWAY]
        assert set(kinds) <= {RST_STREAM, GOAWAY, HEADERS, DATA}
        assert b"\x88" not in [f.payload[:1] for f in frames(received) if f.kind == HEADERS]


class Client:
    """A client that speaks HTTP/2, with or without good manners."""

    def __init__(self, stream: trio.SocketStream, window_bytes: int = 65_535) -> None:
        self.stream = stream
        self.connection = h2.connection.H2Connection()
        window = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
        self.connection.initiate_connection()
        self.connection.update_settings({window: window_bytes})
        self.statuses: dict[int, bytes] = {}

    async def flush(self) -> None:
        await self.stream.send_all(self.connection.data_to_send())

    async def read(self) -> bool:
        """One chunk; whether there was one."""
        data = await self.stream.receive_some()
        for event in self.connection.receive_data(bytes(data)):
            if isinstance(event, h2.events.ResponseReceived) and event.headers is not None:
                self.statuses[event.stream_id] = dict(event.headers)[b":status"]
        return bool(data)

    async def read_until(self, answers: int) -> None:
        with trio.fail_after(PATIENCE_S):
            while len(self.statuses) < answers:
                assert await self.read()


async def test_bodies_that_never_come_are_not_waited_for(server: Attacked) -> None:
    token = ("authorization", f"Bearer {server.token}")
    keyed = [*POST, token, ("content-type", "application/json"), ("idempotency-key", "k")]
    async with server.unharmed():
        stream = await server.connect()
        async with stream:
            client = Client(stream)
            for stream_id in range(1, 199, 2):
                client.connection.send_headers(stream_id, keyed)
            await client.flush()
            await client.read_until(99)
        assert set(client.statuses.values()) == {b"408"}


async def test_a_reader_that_grants_no_window_is_cut_off(server: Attacked) -> None:
    async with server.unharmed():
        stream = await server.connect()
        async with stream:
            client = Client(stream, window_bytes=0)
            for stream_id in range(1, 199, 2):
                client.connection.send_headers(stream_id, BIG_GET, end_stream=True)
            await client.flush()
            await client.read_until(99)
            await server.answers()
            with trio.fail_after(PATIENCE_S):
                while await client.read():
                    await trio.lowlevel.checkpoint()


async def test_data_after_the_answer_does_not_end_the_other_requests(server: Attacked) -> None:
    async with server.unharmed():
        stream = await server.connect()
        async with stream:
            client = Client(stream)
            client.connection.send_headers(1, POST)
            await client.flush()
            await client.read_until(1)
            await stream.send_all(frame(DATA, 0, 1, b"x" * 1_000) * 3)
            client.connection.send_headers(3, GET, end_stream=True)
            await client.flush()
            await client.read_until(2)
        assert client.statuses == {1: b"401", 3: b"200"}


async def test_requests_over_the_bound_of_one_connection_are_refused(server: Attacked) -> None:
    token = ("authorization", f"Bearer {server.token}")
    keyed = [*POST, token, ("content-type", "application/json"), ("idempotency-key", "k")]
    block = head(keyed)
    many = b"".join(frame(HEADERS, END_HEADERS, n, block) for n in range(1, 601, 2))
    async with server.unharmed():
        received = await flood(server, opening() + many)
        answered = [f for f in frames(received) if f.kind == HEADERS]
        assert len(answered) <= 100
