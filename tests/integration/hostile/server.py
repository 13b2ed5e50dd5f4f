"""A server process under attack, and what must be true of it afterwards."""

import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import httpx
import trio

from actors.auth.keys import load_signing_key
from actors.auth.messages import Role
from actors.auth.tokens import issue_token
from tests.integration.cli.program import PATIENT, Running, started

MERCHANT = "flora"
CUSTOMER = "ada"

SHORT_S = 3.0
"""The server's time limits for heads, bodies and sends where a test waits for them. Who is well
behaved must have sent its head within it, however busy the machine is."""

PATIENCE_S = 60.0
"""What must come comes within it. The limits of a server that no test waits for are as long."""

CHECK_S = 0.1

KEPT_BYTES_MAX = 48 * 1024 * 1024
"""Memory that an attack may leave behind: buffers that are kept, and garbage not collected yet."""

ACCEPTED = r'loyalnest_http_requests_total\{code="2\d\d",domain="[^"]*",method="P[^}]*\}'
FAILED = r'loyalnest_http_requests_total\{code="5\d\d",domain="(?!operation")[^}]*\}'
"""But for probes, which are told when it finds itself slow."""


READ_MAX_BYTES = 64 * 1024 * 1024


@attrs.frozen
class Vitals:
    """What an attack must leave as it was."""

    bytes_in_memory: int
    accepted: float
    server_errors: float
    logged_errors: int


@attrs.frozen
class Attacked:
    """The server, and a client for it that behaves."""

    process: Running
    url: str
    data_dir: Path
    token: str

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def authorised(self) -> bytes:
        return b"Authorization: Bearer " + self.token.encode() + b"\r\n"

    def authorised_as_platform(self) -> bytes:
        token = signed_token(self.data_dir, Role.PLATFORM)
        return b"Authorization: Bearer " + token.encode() + b"\r\n"

    async def connect(self, receive_buffer_bytes: int | None = None) -> trio.SocketStream:
        """A connection; with a small receive buffer the server soon notices a slow reader."""
        if receive_buffer_bytes is None:
            return await trio.open_tcp_stream(*self.address)
        socket = trio.socket.socket()
        socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer_bytes)
        await socket.connect(self.address)
        return trio.SocketStream(socket)

    async def say(self, data: bytes, patience_s: float = PATIENCE_S) -> bytes:
        """Send bytes on a connection of their own; all that comes back until its end."""
        stream = await self.connect()
        async with stream:
            try:
                await stream.send_all(data)
            except trio.BrokenResourceError:
                await trio.lowlevel.checkpoint()
            return await everything(stream, patience_s)

    async def vitals(self) -> Vitals:
        """Counted by the server itself, in a client of its own."""
        async with self.client() as client:
            text = (await client.get("/metrics")).text
        return Vitals(
            resident_bytes(self.process.pid),
            metric(text, ACCEPTED),
            metric(text, FAILED),
            self.process.err.count('"level":"error"'),
        )

    def client(self) -> httpx.AsyncClient:
        # Another address than the attacker's: connections are counted for each.
        transport = httpx.AsyncHTTPTransport(verify=False, local_address="127.0.0.2")
        return httpx.AsyncClient(
            base_url=self.url,
            transport=transport,
            timeout=PATIENCE_S,
            headers={"Authorization": f"Bearer {self.token}"},
        )

    async def answers(self) -> None:
        """Fails unless the server answers others in time. It may have found itself slow."""
        async with self.client() as client:
            assert (await client.get("/health/live")).status_code == 200
            with trio.fail_after(PATIENCE_S):
                while (await client.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 - a process
                    await trio.sleep(CHECK_S)
            assert (await client.get("/v1/merchant")).status_code == 404

    @asynccontextmanager
    async def unharmed(self) -> AsyncIterator[None]:
        """Fails unless what is done in the block leaves the server as it was.

        It answers at once, no change was accepted, nothing failed on the server's side, and its
        memory comes back.
        """
        before = await self.vitals()
        yield
        await self.answers()
        after = await self.vitals()
        assert after.accepted == before.accepted
        assert after.server_errors == before.server_errors
        assert after.logged_errors == before.logged_errors, self.process.err[-2_000:]
        await self._shrunk_to(before.bytes_in_memory + KEPT_BYTES_MAX)

    async def _shrunk_to(self, bytes_in_memory: int) -> None:
        with trio.fail_after(PATIENCE_S):
            while resident_bytes(self.process.pid) > bytes_in_memory:  # noqa: ASYNC110 - a process
                await trio.sleep(CHECK_S)

    async def holds(self, accepted: Callable[[int], bool]) -> None:
        """Wait until it has so many descriptors open."""
        with trio.fail_after(PATIENCE_S):
            while not accepted(descriptors(self.process.pid)):  # noqa: ASYNC110 - as above
                await trio.sleep(CHECK_S)


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def metric(text: str, pattern: str) -> float:
    """The sum of all series that a pattern matches."""
    return sum(float(value) for value in re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))


async def everything(stream: trio.SocketStream, patience_s: float = PATIENCE_S) -> bytes:
    """All bytes until the other side closes. Fails when that takes too long."""
    received = bytearray()
    with trio.fail_after(patience_s):
        try:
            while chunk := await stream.receive_some():
                received += chunk
                assert len(received) < READ_MAX_BYTES
        except trio.BrokenResourceError:
            await trio.lowlevel.checkpoint()
    return bytes(received)


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers in what a connection of HTTP/1.1 has sent."""
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]


@contextmanager
def attacked(directory: Path, limit_s: float) -> Iterator[Attacked]:
    """A server with a database of its own, without any merchant in it, that waits for heads, bodies
    and readers for `limit_s`."""
    flags = [
        part for kind in ("head", "body", "send") for part in (f"--http-{kind}-timeout-s", limit_s)
    ]
    command = (
        "serve",
        "--http-bind",
        "127.0.0.1:0",
        "--rate-limit-address-per-minute",
        "0",
        *flags,
    )
    environment: dict[str, Any] = PATIENT
    with started(*map(str, command), cwd=directory, fresh=True, **environment) as process:
        url = process.url()
        data_dir = directory / "data"
        # Who asks for it first waits until it is made, and too many of those are refused.
        document = httpx.get(f"{url}/v1/openapi.json", verify=False, timeout=PATIENCE_S)
        assert document.status_code == 200
        yield Attacked(process, url, data_dir, signed_token(data_dir, Role.OWNER))


def signed_token(data_dir: Path, role: Role) -> str:
    return issue_token(
        load_signing_key(data_dir),
        subject="tester",
        role=role,
        merchant_id=None if role is Role.PLATFORM else MERCHANT,
        customer_id=None,
        token_id=f"hostile-{role.value}",
        now=datetime.now(UTC) - timedelta(seconds=1),
        ttl_s=3_600,
    )
