"""Clients that take their time: none of them holds up others, and each is cut off."""

import socket
import struct

import pytest
import trio

from tests.integration.hostile.server import (
    SHORT_S,
    Attacked,
    descriptors,
    everything,
    statuses,
)

pytestmark = pytest.mark.slow

MANY = 200
IDLE = 2_000
READERS = 50
COMING = 600
LIMIT_S = SHORT_S

DRIP_S = 0.1
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
SMALL_BUFFER_BYTES = 4_096

HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def drip(stream: trio.SocketStream, data: bytes) -> None:
    """One byte at a time until the server has had enough."""
    try:
        for byte in data:
            await stream.send_all(bytes([byte]))
            await trio.sleep(DRIP_S)
    except trio.BrokenResourceError:
        await trio.lowlevel.checkpoint()


async def cut_off(server: Attacked, beginning: bytes, rest: bytes, answers: list[bytes]) -> None:
    # In one go: on a busy machine, the time for the first byte could run out between the two.
    connection = socket.create_connection(server.address)
    connection.sendall(beginning)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(drip, stream, rest)
        answers.append(await everything(stream))
        nursery.cancel_scope.cancel()


async def all_cut_off(server: Attacked, beginning: bytes, rest: bytes) -> list[bytes]:
    """What each of many slow clients was told. Meanwhile others are answered."""
    answers: list[bytes] = []
    async with trio.open_nursery() as nursery:
        for _ in range(MANY):
            nursery.start_soon(cut_off, server, beginning, rest, answers)
        await trio.sleep(SHORT_S / 2)
        await server.answers()
    assert len(answers) == MANY
    return answers


async def test_heads_that_arrive_byte_by_byte_have_a_time(server: Attacked) -> None:
    async with server.unharmed():
        for answer in await all_cut_off(server, HEAD, b"X-Slow: " + b"x" * 1_000):
            assert statuses(answer) == [408]
            assert b'"code":"head_too_slow"' in answer


async def test_a_head_that_ends_its_lines_but_never_itself_has_a_time(server: Attacked) -> None:
    async with server.unharmed():
        for answer in await all_cut_off(server, HEAD, b"X-Slow: 1\r\n" * 100):
            assert statuses(answer) == [408]


async def test_the_second_head_of_a_connection_has_a_time_as_well(server: Attacked) -> None:
    async with server.unharmed():
        for answer in await all_cut_off(server, HEAD + b"\r\n" + HEAD, b"X-Slow: " + b"x" * 1_000):
            assert statuses(answer) == [200, 408]


async def test_connections_that_say_nothing_are_closed(server: Attacked) -> None:
    async with server.unharmed():
        assert set(await all_cut_off(server, b"", b"")) == {b""}


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"]
)
async def test_bodies_that_arrive_byte_by_byte_have_a_time(
    server: Attacked, framing: bytes
) -> None:
    head = POST + server.authorised() + b"Idempotency-Key: k\r\n" + framing
    async with server.unharmed():
        for answer in await all_cut_off(server, head, b" " * 1_000):
            assert statuses(answer) == [408]
            assert b'"code":"body_too_slow"' in answer


async def test_who_waits_to_be_asked_for_the_body_and_never_sends_it_has_a_time(
    server: Attacked,
) -> None:
    head = POST + server.authorised() + b"Idempotency-Key: k\r\nExpect: 100-continue\r\n"
    async with server.unharmed():
        for answer in await all_cut_off(server, head + b"Content-Length: 10\r\n\r\n", b""):
            assert statuses(answer) == [100, 408]


async def test_readers_that_stop_are_cut_off(server: Attacked) -> None:
    """Each asks for megabytes, and takes none of them."""
    request = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    async with server.unharmed():
        before = descriptors(server.process.pid)
        streams = [await server.connect(SMALL_BUFFER_BYTES) for _ in range(READERS)]
        for stream in streams:
            await stream.send_all(request)
        await server.answers()
        await server.holds(lambda count: count < before + READERS / 2)
        await server.holds(lambda count: count <= before)
        for stream in streams:
            async with stream:
                assert len(await everything(stream)) < 100 * 50_000


async def test_thousands_of_idle_connections_lock_nobody_out(server: Attacked) -> None:
    async with server.unharmed():
        streams: list[trio.SocketStream] = []

        async def open_one() -> None:
            streams.append(await server.connect())

        for _ in range(IDLE // 100):
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(open_one)
        await server.answers()
        for stream in streams:
            await trio.aclose_forcefully(stream)
    stream = await server.connect()
    async with stream:
        await stream.send_all(HEAD + b"Connection: close\r\n\r\n")
        assert statuses(await everything(stream)) == [200]


async def test_connections_that_come_and_go_leave_nothing_behind(server: Attacked) -> None:
    async with server.unharmed():
        for number in range(COMING):
            stream = await server.connect()
            if number % 2:
                await stream.send_all(HEAD)
            if number % 3:
                stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, RESET_ON_CLOSE)
            await trio.aclose_forcefully(stream)
