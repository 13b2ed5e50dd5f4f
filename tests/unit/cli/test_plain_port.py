"""The plain port: pages for probes, whatever its clients do."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from cli.plain_port import CONNECTIONS_MAX, Page, PlainPort
from gateway.messages import GetAddress
from runtime import ActorSystem, ChildSpec, Supervisor

PORT = "port"
REQUEST = b"%s %s HTTP/1.1\r\nhost: x\r\n\r\n"


def page(path: str) -> Page | None:
    return {"/good": Page(b"{}"), "/bad": Page(b"{}", ok=False)}.get(path)


@asynccontextmanager
async def served(bind: str = "127.0.0.1:0") -> AsyncIterator[tuple[str, int]]:
    child = ChildSpec(PORT, lambda: PlainPort(bind, page), name=PORT)
    system = ActorSystem()
    with trio.fail_after(60):
        async with system.run(ChildSpec("root", lambda: Supervisor((child,)), name="root")):
            address = await system.ref(PORT).ask(GetAddress())
            yield address.host, address.port


async def answer(address: tuple[str, int], data: bytes) -> bytes:
    """All that comes back, to the end."""
    stream = await trio.open_tcp_stream(*address)
    async with stream:
        try:
            await stream.send_all(data)
            return b"".join([some async for some in stream])
        except trio.BrokenResourceError:
            return b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"GET", b"/good?really", b"200 OK"),
        (b"GET", b"/bad", b"503 Service Unavailable"),
        (b"GET", b"/nowhere", b"404 Not Found"),
        (b"POST", b"/good", b"404 Not Found"),
    ],
)
async def test_pages_are_answered_and_nothing_else(
    method: bytes, path: bytes, status: bytes
) -> None:
    async with served() as address:
        head, _, body = (await answer(address, REQUEST % (method, path))).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"content-length: %d" % len(body) in head


async def test_head_is_answered_without_the_page() -> None:
    async with served() as address:
        head, _, body = (await answer(address, REQUEST % (b"HEAD", b"/good"))).partition(
            b"\r\n\r\n"
        )
        assert b"content-length: 2" in head
        assert body == b""


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\xff" * 5_000, b"GET\r\n\r\n"])
async def test_nonsense_costs_its_connection_only(data: bytes) -> None:
    async with served() as address:
        if data:
            assert b"404" in await answer(address, data.ljust(5_000, b"x"))
        else:
            await (await trio.open_tcp_stream(*address)).aclose()
        assert b"200 OK" in await answer(address, REQUEST % (b"GET", b"/good"))


async def test_more_connections_than_may_be_are_closed_at_once() -> None:
    async with served() as address, AsyncExitStack() as silent:
        for _ in range(CONNECTIONS_MAX):
            await silent.enter_async_context(await trio.open_tcp_stream(*address))
        with trio.fail_after(30):
            assert await answer(address, REQUEST % (b"GET", b"/good")) == b""


async def test_a_name_with_several_addresses_is_served_at_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listen = trio.open_tcp_listeners
    addresses: list[tuple[str, int]] = []

    async def listen_at_both(port: int, *, host: str) -> list[trio.SocketListener]:
        assert host == "a.name"
        listeners = [*await listen(port, host="127.0.0.1"), *await listen(port, host="127.0.0.2")]
        addresses.extend(listener.socket.getsockname() for listener in listeners)
        return listeners

    monkeypatch.setattr(trio, "open_tcp_listeners", listen_at_both)
    async with served("a.name:0"):
        for address in addresses:
            assert b"200 OK" in await answer(address, REQUEST % (b"GET", b"/good"))
    assert len(addresses) == 2
