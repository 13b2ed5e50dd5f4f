"""The stage of the demo: a client of the running server, and what chapters need to wait for."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from cli.errors import CommandFailed
from cli.http_client import HttpClient

LOOK_S: Final = 0.1
PATIENCE_S: Final = 30.0
LINES: Final = 4


@attrs.define
class Stage:
    """`segment` is what one chapter leaves to the next: where Ada is."""

    client: HttpClient
    token: str
    outbox: Path
    paths: frozenset[str]
    segment: str | None = None

    def has(self, *paths: str) -> bool:
        """Whether this build has the routes."""
        return self.paths.issuperset(paths)

    async def ask(self, method: str, path: str, value: object = None) -> Any:
        """The body of an answer that must be a good one. Raises `CommandFailed`."""
        answer = await self.client.request(method, path, value, self.token)
        if answer.status >= 300:
            raise CommandFailed(f"demo: {method} {path}: {answer.problem}")
        return answer.body

    async def until(
        self, path: str, condition: Callable[[Any], bool], what: str, limit_s: float = PATIENCE_S
    ) -> Any:
        """What a read answers, once it is as it should be. Raises `CommandFailed`."""
        with trio.move_on_after(limit_s):
            while True:
                found = await self.ask("GET", path)
                if condition(found):
                    return found
                await trio.sleep(LOOK_S)
        raise CommandFailed(f"demo: {what} did not happen within {limit_s:g} s; see the log")

    async def order(self, customer_id: str, order_id: str, total_minor: int) -> None:
        """One that comes in now."""
        body = {
            "order_id": order_id,
            "customer_id": customer_id,
            "ordered_at": datetime.now(UTC).isoformat(),
            "currency": "USD",
            "total_minor": total_minor,
            "items": 1,
        }
        await self.ask("POST", "/v1/orders", body)

    async def member(self, customer_id: str, name: str) -> None:
        """A new one, who wants to get mail."""
        email = f"{customer_id}@example.com"
        body = {"customer_id": customer_id, "display_name": name, "email": email}
        await self.ask("POST", "/v1/customers", body)
        consent = {"granted": True, "origin": "demo"}
        await self.ask("PUT", f"/v1/customers/{customer_id}/consents/email", consent)

    async def points(self, customer_id: str) -> int:
        return int((await self.ask("GET", f"/v1/customers/{customer_id}/balance"))["posted"])

    async def mails(self) -> list[Path]:
        return sorted(Path(file) for file in await trio.Path(self.outbox).glob("*.eml"))


def opening(mail: Path) -> list[str]:
    """The lines of a mail that tell most."""
    message = message_from_bytes(mail.read_bytes(), policy=default)
    body = message.get_body(("plain",))
    text = body.get_content().splitlines() if body is not None else []
    return [f"To: {message['To']}", f"Subject: {message['Subject']}", *filter(None, text)][:LINES]


Chapter = Callable[[Stage], Awaitable[list[str]]]
"""Makes something happen, and tells what did. Raises `CommandFailed`."""
