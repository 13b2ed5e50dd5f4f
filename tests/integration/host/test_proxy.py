"""What the proxy promises to the tests that put it in front of a server."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
import trio

from runtime import host
from tests.proxy import MAX_CONNECTIONS, Direction, Proxy, ProxyStatistics, proxied
from tests.servers import PostgresServer

pytestmark = pytest.mark.slow

QUIET_S = 0.1
"""Long enough to see that nothing comes."""

TIMEOUT_S = 60.0
LOOK_S = 0.01


async def echo(stream: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


@contextmanager
def served(handler: Callable[[trio.SocketStream], Awaitable[None]] = echo) -> Iterator[int]:
    """The port of a server of our own, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    token: list[trio.lowlevel.TrioToken] = []
    ready, scope = threading.Event(), trio.CancelScope()

    async def serve() -> None:
        token.append(trio.lowlevel.current_trio_token())
        ready.set()
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        with scope:
            await trio.serve_listeners(handler, [listener])

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert ready.wait(TIMEOUT_S)
    try:
        yield listening.getsockname()[1]
    finally:
        token[0].run_sync_soon(scope.cancel)
        thread.join(TIMEOUT_S)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with served() as port, proxied(("127.0.0.1", port)) as running:
        yield running


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT_S)


def exchange(client: socket.socket, text: bytes = b"hello") -> bytes:
    client.sendall(text)
    return receive(client, len(text))


def receive(client: socket.socket, size: int) -> bytes:
    """`size` bytes, or fewer when the other end has ended."""
    received = b""
    while len(received) < size and (data := client.recv(size - len(received))):
        received += data
    return received


def is_quiet(client: socket.socket) -> bool:
    """Whether neither a byte nor an end comes."""
    client.settimeout(QUIET_S)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(TIMEOUT_S)
    return False


def until(condition: Callable[[], bool]) -> None:
    """What goes through a proxy may be there before the proxy has counted it."""
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(LOOK_S)


def test_bytes_pass_both_ways_and_are_counted(proxy: Proxy) -> None:
    large = bytes(range(256)) * 4096
    with connect(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(large,))
        sender.start()
        assert receive(client, len(large)) == large
        sender.join(TIMEOUT_S)
        counted = ProxyStatistics(1, 1, len(large), len(large))
        until(lambda: proxy.statistics() == counted)


def test_an_end_in_one_direction_leaves_the_other_open(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        assert receive(client, 100) == b"last words"


def test_a_delay_holds_every_chunk_and_keeps_their_order(proxy: Proxy) -> None:
    proxy.delay(0.05, 0.05)
    with connect(proxy) as client:
        for number in range(10):
            client.sendall(bytes([number]))
        assert receive(client, 10) == bytes(range(10))
        proxy.delay(0.1)
        begun = time.monotonic()
        assert exchange(client) == b"hello"
        assert time.monotonic() - begun >= 0.2


def test_what_a_silence_held_back_arrives_when_it_ends(proxy: Proxy) -> None:
    with connect(proxy) as client:
        exchange(client)
        proxy.silence()
        client.sendall(b"held")
        with connect(proxy) as later:
            later.sendall(b"later")
            assert is_quiet(client)
            assert is_quiet(later)
            proxy.heal()
            assert receive(client, 4) == b"held"
            assert receive(later, 5) == b"later"


@pytest.mark.parametrize("direction", Direction)
def test_a_one_way_silence_lets_the_other_way_pass(proxy: Proxy, direction: Direction) -> None:
    with connect(proxy) as client:
        before = proxy.statistics()
        proxy.silence(frozenset({direction}))
        client.sendall(b"held")
        arrived = before.bytes_to_server + (4 if direction is Direction.TO_CLIENT else 0)
        until(lambda: proxy.statistics().bytes_to_server == arrived)
        assert is_quiet(client)
        assert proxy.statistics().bytes_to_server == arrived
        proxy.heal()
        assert receive(client, 4) == b"held"


def test_an_end_does_not_get_through_a_silence() -> None:
    ended = threading.Event()

    async def note_the_end(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass
        ended.set()

    with served(note_the_end) as port, proxied(("127.0.0.1", port)) as proxy:
        with connect(proxy) as client:
            client.sendall(b"x")
            proxy.silence()
        assert not ended.wait(QUIET_S)
        proxy.heal()
        assert ended.wait(TIMEOUT_S)


def test_stranded_connections_stay_silent_and_new_ones_pass(proxy: Proxy) -> None:
    with connect(proxy) as stranded:
        exchange(stranded)
        proxy.strand()
        stranded.sendall(b"anybody there?")
        proxy.heal()
        assert is_quiet(stranded)
        with connect(proxy) as fresh:
            assert exchange(fresh) == b"hello"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            stranded.recv(1)


def test_a_cut_resets_connections_and_refuses_new_ones_until_healed(proxy: Proxy) -> None:
    with connect(proxy) as client:
        exchange(client)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
    port = proxy.port
    proxy.heal()
    with connect(proxy) as client:
        assert exchange(client) == b"hello"
    assert proxy.port == port


def test_a_reset_lets_new_connections_pass(proxy: Proxy) -> None:
    with connect(proxy) as client:
        exchange(client)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with connect(proxy) as fresh:
            assert exchange(fresh) == b"hello"


@pytest.mark.parametrize("deliver", [True, False])
def test_a_reset_at_a_text_happens_before_or_after_it_arrives(deliver: bool) -> None:
    received, ended = bytearray(), threading.Semaphore(0)

    async def record(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async for data in stream:
                received.extend(data)
        ended.release()

    with served(record) as port, proxied(("127.0.0.1", port)) as proxy:
        with connect(proxy) as client, connect(proxy) as bystander:
            proxy.reset_at(b"COMMIT", deliver=deliver)
            client.sendall(b"INSERT;")
            until(lambda: received == b"INSERT;")
            client.sendall(b"COMMIT;")
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            assert is_quiet(bystander)
        for _ in range(2):
            assert ended.acquire(timeout=TIMEOUT_S)
        assert bytes(received) == (b"INSERT;COMMIT;" if deliver else b"INSERT;")
        proxy.heal()
        with connect(proxy) as fresh:
            fresh.sendall(b"COMMIT;")
            assert is_quiet(fresh)


def test_a_server_that_is_not_there_resets_the_client(tmp_path: Path) -> None:
    with proxied(str(tmp_path / "nobody.sock")) as proxy:
        with pytest.raises(ConnectionResetError), connect(proxy) as client:
            client.recv(1)
        assert proxy.statistics().open == 0


def test_connections_are_bounded(proxy: Proxy) -> None:
    proxy.silence()
    clients = [connect(proxy) for _ in range(MAX_CONNECTIONS)]
    try:
        with pytest.raises(ConnectionResetError), connect(proxy) as one_more:
            one_more.recv(1)
        assert proxy.statistics().open == MAX_CONNECTIONS
    finally:
        for client in clients:
            client.close()


def test_everything_ends_with_the_block_whatever_the_fault() -> None:
    before = set(threading.enumerate())
    with served() as port, proxied(("127.0.0.1", port)) as proxy:
        client = connect(proxy)
        proxy.silence()
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    assert set(threading.enumerate()) <= before, "others may have ended meanwhile"


@pytest.mark.trio(run=host.run)
async def test_postgresql_and_its_cancel_requests_pass(postgres: PostgresServer) -> None:
    async def cancelled_in_time(url: str) -> int:
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises(TimeoutError):
                await connection.fetch("SELECT pg_sleep(600)", timeout=0.1)
            return int(await connection.fetchval("SELECT 1", timeout=TIMEOUT_S))
        finally:
            await asyncio.wait_for(connection.close(), TIMEOUT_S)

    with proxied(postgres.socket_path) as proxy:
        url = postgres.url_through(proxy.port, "postgres")
        with trio.fail_after(TIMEOUT_S * 3):
            assert await host.call(cancelled_in_time, url) == 1
        assert proxy.statistics().accepted == 2
