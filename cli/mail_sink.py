"""A mail server for development: it takes every mail, and keeps it as a file to look at."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import structlog
import trio

log = structlog.get_logger("loyalnest.outbox")

LINE_MAX: Final = 2_000
MAIL_MAX_BYTES: Final = 1024 * 1024
CONNECTIONS_MAX: Final = 32
SILENCE_S: Final = 60.0
KEPT_MAX: Final = 1_000
"""Files; the oldest go first."""

UNFIT: Final = re.compile(r"[^A-Za-z0-9._@+-]+")
ADDRESS: Final = re.compile(r"<([^<>\s]{1,320})>")


@attrs.frozen
class MailSink:
    """`url` is for whoever sends mail; each mail becomes a file in `folder`."""

    url: str
    folder: Path


@asynccontextmanager
async def mail_sink(folder: Path) -> AsyncIterator[MailSink]:
    """A server on a free port of this machine, while the block runs."""
    await trio.Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    keeper = _Keeper(folder)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        serve = partial(trio.serve_listeners, keeper.converse, listeners)
        nursery.start_soon(serve)
        port = listeners[0].socket.getsockname()[1]
        yield MailSink(f"smtp://127.0.0.1:{port}?plain=yes", folder)
        nursery.cancel_scope.cancel()


@attrs.define(eq=False)
class _Keeper:
    """Talks to clients, and writes what they send."""

    folder: Path
    room: trio.Semaphore = attrs.field(factory=lambda: trio.Semaphore(CONNECTIONS_MAX))
    written: int = 0

    async def converse(self, stream: trio.SocketStream) -> None:
        """One client, until it leaves or says nothing for too long."""
        async with stream, self.room:
            try:
                await _Conversation(stream, self.keep).run()
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                log.debug("mail_client_gone")

    async def keep(self, recipient: str, mail: bytes) -> None:
        files = sorted(await trio.Path(self.folder).glob("*.eml"))
        number = int(files[-1].name.partition("-")[0]) if files and not self.written else 0
        self.written = max(self.written, number) + 1
        name = f"{self.written:06}-{UNFIT.sub('_', recipient)[:100]}.eml"
        await trio.Path(self.folder / name).write_bytes(mail)
        for old in files[: max(0, len(files) + 1 - KEPT_MAX)]:
            await old.unlink(missing_ok=True)


@attrs.define(eq=False)
class _Conversation:
    """The server's side of SMTP, as far as a client of ours goes."""

    stream: trio.SocketStream
    keep: Callable[[str, bytes], Awaitable[None]]
    recipient: str = ""
    _rest: bytes = b""

    async def run(self) -> None:
        await self._say("220 outbox")
        while (line := await self._line(LINE_MAX)) is not None:
            word = line[:4].upper().rstrip()
            if word == b"DATA":
                await self._take()
                continue
            await self._say(self._answer(word, line))
            if word == b"QUIT":
                return

    def _answer(self, word: bytes, line: bytes) -> str:
        if word == b"EHLO":
            return "250-outbox\r\n250 8BITMIME"
        if word == b"RCPT":
            match = ADDRESS.search(line.decode("utf-8", "replace"))
            self.recipient = match[1] if match else "nobody"
        known = {b"HELO", b"MAIL", b"RCPT", b"RSET", b"NOOP"}
        if word == b"QUIT":
            return "221 good bye"
        return "250 OK" if word in known else "502 not spoken here"

    async def _take(self) -> None:
        await self._say("354 go on")
        lines: list[bytes] = []
        size = 0
        while (line := await self._line(MAIL_MAX_BYTES)) != b".":
            if line is None:
                return
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            size += len(line) + 2
            if size > MAIL_MAX_BYTES:
                await self._say("552 too large")
                return
        await self.keep(self.recipient, b"\r\n".join([*lines, b""]))
        await self._say("250 kept")

    async def _line(self, most: int) -> bytes | None:
        """The next line, without its end; None at the end of the connection."""
        while b"\n" not in self._rest:
            if len(self._rest) > most:
                return None
            with trio.fail_after(SILENCE_S):
                data = await self.stream.receive_some()
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r")

    async def _say(self, answer: str) -> None:
        with trio.fail_after(SILENCE_S):
            await self.stream.send_all(f"{answer}\r\n".encode())
