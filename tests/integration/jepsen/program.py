"""The program under test, in a process of its own that can be killed and started again."""

import signal
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import attrs
import trio

from actors.auth.messages import Role
from cli.tokens import new_token
from tests.integration.cli.program import Running, started
from tests.integration.jepsen.http import HttpConnection, NoAnswer
from tests.integration.jepsen.workload import ACCOUNTS, PAUSE_S

MERCHANT = "shop"
REGISTER_S = 240.0
LOG_TAIL_CHARACTERS = 4000


@attrs.define(eq=False)
class Program:
    """`loyalnest serve` on a database. `address` follows it over restarts."""

    folder: Path
    database_url: str
    address: str = ""
    _processes: ExitStack = attrs.field(factory=ExitStack)
    _running: Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._processes.close()

    def start(self) -> None:
        """Start, and wait until it serves."""
        arguments = ("serve", "--http-bind", "127.0.0.1:0")
        process = started(
            *arguments,
            cwd=self.folder,
            LOYALNEST_DATABASE_URL=self.database_url,
            LOYALNEST_LOG_LEVEL="warning",
        )
        self._running = self._processes.enter_context(process)
        self.address = self._running.url()

    def kill(self) -> None:
        assert self._running is not None
        self._running.send(signal.SIGKILL)
        self._running.wait()

    async def restart(self) -> None:
        """Kill it, and start it again. A cancellation waits for the end of that."""
        await trio.to_thread.run_sync(self.kill)
        await trio.to_thread.run_sync(self.start)

    def log_tail(self) -> str:
        assert self._running is not None
        return self._running.err[-LOG_TAIL_CHARACTERS:]

    def token(self, role: Role = Role.OWNER) -> str:
        merchant = None if role is Role.PLATFORM else MERCHANT
        return new_token(self.folder / "data", role, merchant)

    def connection(self, role: Role = Role.OWNER) -> HttpConnection:
        return HttpConnection(lambda: self.address, self.token(role))

    async def register(self) -> None:
        """Make the merchant and its customers."""
        platform, owner = self.connection(Role.PLATFORM), self.connection()
        merchant = {"merchant_id": MERCHANT, "name": "Shop", "currency": "USD"}
        await _made(platform, "/v1/admin/merchants", merchant)
        for number in range(ACCOUNTS):
            await _made(owner, "/v1/customers", {"customer_id": f"customer-{number}"})
        platform.close()
        owner.close()


async def _made(connection: HttpConnection, path: str, body: object) -> None:
    """Ask until it is there, however slow the machine is."""
    with trio.fail_after(REGISTER_S):
        while True:
            with suppress(NoAnswer):
                answer = await connection.post(path, body)
                if answer.status in {201, 409}:
                    return
                assert answer.status in {503, 504}, answer
            await trio.sleep(PAUSE_S)
