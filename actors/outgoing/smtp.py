"""Mail by SMTP (RFC 5321): the standard library's client, in threads of its own."""

import re
import smtplib
import ssl
import threading
from collections import deque
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs
import trio

from actors.outgoing.errors import MailServerFailed
from actors.outgoing.ports import Accepted, FailedForGood, FailedForNow, Mail, Sent
from runtime.parking import monotonic
from runtime.policies import (
    DeadlineExceeded,
    Pipeline,
    require_deadline,
)
from runtime.rotation import RotatingSecret

DEPENDENCY: Final = "smtp"

KEPT_S: Final = 20.0
"""How long a connection that is not used is kept: servers wait longer."""

USES_MAX: Final = 100
"""Messages of one connection; some servers take no more."""

CONNECT_S: Final = 5.0
SOCKET_S: Final = 8.0
"""What each answer of the server may take. A thread that nobody waits for ends then."""

PORT, PORT_TLS = 587, 465
MESSAGE_MAX_BYTES: Final = 1024 * 1024

READY, STARTS_MAIL = 250, 354
CLOSING: Final = 421
TEMPORARY: Final = range(400, 500)

UNFIT: Final = re.compile(r"[\r\n\0]")


@attrs.frozen(kw_only=True)
class MailServer:
    """Where mail goes. `tls`: from the first byte; otherwise as soon as the server offers it, or
    without where it does not and `plain` says that this will do."""

    host: str
    port: int
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    tls: bool = False
    plain: bool = False

    @classmethod
    def of(cls, url: str) -> "MailServer":
        """`smtp://[user:password@]host[:port][?plain=yes]` or `smtps://…`, as the settings have
        checked it."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (PORT_TLS if tls else PORT),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=tls,
            plain=parts.query == "plain=yes",
        )


@attrs.define(eq=False)
class _Kept:
    """A connection between two messages."""

    client: smtplib.SMTP
    url: str
    idle_since: float
    uses: int = 0


class SmtpMailer:
    """Sends each mail in a thread, over a connection that is kept for the next one.

    SMTP knows no keys: a message of unknown fate is not to be sent again. Its Message-ID follows
    from the key all the same, so that a mail reader may recognise a second copy.
    """

    honours_keys: Final = False

    def __init__(
        self,
        url: RotatingSecret,
        sender: str,
        pipeline: Pipeline,
        *,
        threads_max: int,
        authorities: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._sender = sender
        self._pipeline = pipeline
        self._threads = trio.CapacityLimiter(threads_max)
        self._kept: deque[_Kept] = deque(maxlen=threads_max)
        self._authorities = authorities

    async def send(self, mail: Mail, idempotency_key: str) -> Sent:
        """See `Mailer`."""
        try:
            to = wire_address(mail.to)
            message = message_of(attrs.evolve(mail, to=to), self._sender, idempotency_key)
        except (ValueError, HeaderParseError) as error:
            return FailedForGood("invalid_message", type(error).__name__)
        handing = _HandingOver()
        try:
            return await self._pipeline.call(lambda: self._in_thread(message, to, handing))
        except MailServerFailed as error:
            return error.result
        except DeadlineExceeded:
            detail = "the mail server took too long"
            return FailedForNow("no_answer", detail, uncertain=handing.stop())
        finally:
            handing.stop()

    async def _in_thread(self, message: EmailMessage, to: str, handing: "_HandingOver") -> Sent:
        """Cancelled, the thread goes on alone until its socket gives up, and sends nothing more."""
        require_deadline(DEPENDENCY)
        work = partial(self._send, message, to, handing, monotonic())
        return await trio.to_thread.run_sync(work, limiter=self._threads, abandon_on_cancel=True)

    # In a thread

    def _send(self, message: EmailMessage, to: str, handing: "_HandingOver", now: float) -> Sent:
        data = message.as_bytes(policy=WIRE)
        if len(data) > MESSAGE_MAX_BYTES:
            return FailedForGood("too_large", f"a mail has at most {MESSAGE_MAX_BYTES} bytes")
        kept = self._take(now)
        if kept is not None:
            try:
                return self._over(kept, to, data, message["Message-ID"], handing)
            except _Stale:
                kept.client.close()
        return self._over(self._connect(now), to, data, message["Message-ID"], handing)

    def _take(self, now: float) -> _Kept | None:
        """A connection that is probably still good."""
        while self._kept:
            kept = self._kept.pop()
            young = now - kept.idle_since < KEPT_S and kept.uses < USES_MAX
            if young and kept.url == self._url.values()[0]:
                kept.idle_since = now
                return kept
            kept.client.close()
        return None

    def _connect(self, now: float) -> _Kept:
        """With the password that works. Raises `MailServerFailed`: nothing was sent."""
        refused: Exception | None = None
        try:
            for url in self._url.values():
                try:
                    client = _connected(MailServer.of(url), self._authorities)
                except smtplib.SMTPAuthenticationError as error:
                    refused = error
                else:
                    self._url.worked(url)
                    return _Kept(client, url, now)
        except (OSError, smtplib.SMTPException) as error:
            failed = FailedForNow("no_connection", type(error).__name__)
            raise MailServerFailed(failed) from error
        raise MailServerFailed(FailedForNow("login_refused", "login refused")) from refused

    def _over(
        self, kept: _Kept, to: str, data: bytes, message_id: str, handing: "_HandingOver"
    ) -> Sent:
        """One message over one connection, which is kept when it is still good."""
        client, fresh = kept.client, not kept.uses
        try:
            for command in (f"MAIL FROM:<{address_of(self._sender)}>", f"RCPT TO:<{to}>", "DATA"):
                code, said = client.docmd(command)
                if code not in (READY, 251, STARTS_MAIL):
                    return self._refused(kept, code, said, fresh=fresh)
            if not handing.begin():
                raise ConnectionAbortedError
            client.send(dotted(data))
            code, said = client.getreply()
            if code != READY:
                return self._refused(kept, code, said, fresh=True)
        except (OSError, smtplib.SMTPException) as error:
            client.close()
            if not handing.begun and not fresh:
                raise _Stale from error
            failed = FailedForNow("connection_lost", type(error).__name__, uncertain=handing.begun)
            raise MailServerFailed(failed) from error
        if handing.stopped:
            client.close()
        else:
            self._keep(kept)
        return Accepted(message_id)

    def _keep(self, kept: _Kept) -> None:
        kept.uses += 1
        self._kept.append(kept)

    def _refused(self, kept: _Kept, code: int, said: bytes, *, fresh: bool) -> Sent:
        """What an answer means. What the server says may quote the address: the code is enough."""
        if code in (CLOSING, -1):
            kept.client.close()
            if not fresh:
                raise _Stale
            raise MailServerFailed(FailedForNow(str(code), "the mail server is closing"))
        self._reset(kept)
        detail = f"the mail server answers {code}{enhanced(said)}"
        if code in TEMPORARY:
            return FailedForNow(str(code), detail)
        return FailedForGood(str(code), detail)

    def _reset(self, kept: _Kept) -> None:
        """Ready for the next message, or closed."""
        try:
            good = kept.client.docmd("RSET")[0] == READY
        except (OSError, smtplib.SMTPException):
            good = False
        if good:
            self._keep(kept)
        else:
            kept.client.close()

    async def close(self) -> None:
        """Close what is kept."""
        while self._kept:
            self._kept.pop().client.close()
        await trio.lowlevel.checkpoint()


class _HandingOver:
    """Whether a message was handed over, agreed on by the thread and by whoever waits for it: one
    that nobody waits for any more is not, so that another attempt is no second message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stopped = False
        self.begun = False

    def begin(self) -> bool:
        """The thread is about to; false where it must not."""
        with self._lock:
            self.begun = self.begun or not self.stopped
            return not self.stopped

    def stop(self) -> bool:
        """Nobody waits any more; whether it had begun."""
        with self._lock:
            self.stopped = True
            return self.begun


class _Stale(Exception):
    """A kept connection was no good any more; nothing was sent over it."""


def _connected(server: MailServer, authorities: ssl.SSLContext | None) -> smtplib.SMTP:
    """Raises `OSError` or `SMTPException`."""
    context = authorities if authorities is not None else ssl.create_default_context()
    if server.tls:
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=CONNECT_S, context=context
        )
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=CONNECT_S)
    try:
        client.ehlo_or_helo_if_needed()
        if not server.tls and (client.has_extn("starttls") or not server.plain):
            client.starttls(context=context)
            client.ehlo()
        if server.user is not None:
            client.login(server.user, server.password or "")
        if client.sock is not None:
            client.sock.settimeout(SOCKET_S)
    except BaseException:
        client.close()
        raise
    return client


def message_of(mail: Mail, sender: str, key: str) -> EmailMessage:
    """The message as it goes over the wire. Raises `ValueError` for what no header may hold."""
    message = EmailMessage()
    from_ = address_of(sender)
    named = f"{mail.sender_name or display_name_of(sender)}"
    message["From"] = Address(display_name=named, addr_spec=from_)
    message["To"] = Address(addr_spec=mail.to)
    message["Subject"] = _clean(mail.subject)
    message["Message-ID"] = f"<{_clean(key)}@{from_.rpartition('@')[2]}>"
    if mail.reply_to:
        message["Reply-To"] = Address(addr_spec=mail.reply_to)
    for name, value in mail.headers:
        message[name] = _clean(value)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def _clean(value: str) -> str:
    if UNFIT.search(value):
        raise ValueError("a header is one line")
    return value


def wire_address(address: str) -> str:
    """The address in ASCII, its domain as in IDNA. Raises `ValueError`."""
    local, _, domain = address.rpartition("@")
    return Address(
        username=local.encode("ascii").decode(), domain=domain.encode("idna").decode()
    ).addr_spec


def address_of(sender: str) -> str:
    """The address in `Name <address>`, or all of it."""
    return sender.rpartition("<")[2].rstrip(">").strip()


def display_name_of(sender: str) -> str:
    return sender.rpartition("<")[0].strip()


def dotted(data: bytes) -> bytes:
    """The message with its dots doubled at the beginnings of lines, and the dot that ends it."""
    stuffed = re.sub(rb"(?m)^\.", b"..", data)
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def enhanced(said: bytes) -> str:
    """The enhanced status code at the beginning of an answer (RFC 3463), which quotes nobody."""
    match = re.match(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?=\s|$)", said)
    return f" ({match[0].decode()})" if match else ""
