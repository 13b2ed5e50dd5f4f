"""Mail over SMTP, to a real server."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from random import Random
from typing import Any, cast

import attrs
import pytest
import trio
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from trio.testing import MockClock

from actors.outgoing.policies import SMTP
from actors.outgoing.ports import Accepted, FailedForGood, FailedForNow, Mail, Sent
from actors.outgoing.smtp import SmtpMailer
from runtime import host
from runtime.policies import BreakerOpen, BreakerSpec, Pipeline
from runtime.rotation import RotatingSecret
from tests.ports import reserved_port

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

PATIENCE_S = 60.0
SENDER = "Flora <news@flora.example>"
MAIL = Mail(
    to="ada@example.com",
    subject="Grüße",
    text="Hello\n.\n.. dots\n",
    html="<p>Hello</p>",
    sender_name="Flora & Co",
    headers=(("List-Unsubscribe", "<https://flora.example/u?token=a.b>"),),
)


@pytest.fixture(autouse=True)
def _patient_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("CONNECT_S", "SOCKET_S", "KEPT_S"):
        monkeypatch.setattr(f"actors.outgoing.smtp.{limit}", PATIENCE_S)


@attrs.define(eq=False)
class Inbox:
    """What a server takes. `answer` decides about each message."""

    answer: Callable[[Envelope], str] = lambda _envelope: "250 OK"
    taken: list[EmailMessage] = attrs.field(factory=list)
    raw: list[bytes] = attrs.field(factory=list)
    connections: list[str] = attrs.field(factory=list)
    answer_rcpt: str = ""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd names it
        self, _server: Any, session: Session, _envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.connections.append(str(session.peer))
        return answers

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.answer_rcpt:
            return self.answer_rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: Any, _session: Session, envelope: Envelope
    ) -> str:
        answer = self.answer(envelope)
        if answer.startswith("250"):
            content = cast("bytes", envelope.original_content)
            self.raw.append(content)
            self.taken.append(message_from_bytes(content, policy=default))
        return answer


@contextmanager
def serving(inbox: Inbox, **options: Any) -> Iterator[int]:
    """The port of a server that lives as long as the block."""
    with reserved_port() as port:
        options |= {"hostname": "127.0.0.1", "port": port, "ready_timeout": PATIENCE_S}
        controller = Controller(inbox, **options)
        controller.start()
        try:
            yield port
        finally:
            controller.stop()


def mailer(
    port: int,
    *,
    login: str = "",
    scheme: str = "smtp",
    query: str = "?plain=yes",
    attempt_s: float = PATIENCE_S,
    breaker: BreakerSpec | None = None,
    **options: Any,
) -> SmtpMailer:
    spec = attrs.evolve(SMTP, deadline_s=attempt_s, attempt_s=attempt_s, breaker=breaker)
    url = f"{scheme}://{login}127.0.0.1:{port}{query}"
    pipeline = Pipeline("smtp", spec, Random(1))
    return SmtpMailer(RotatingSecret(url), SENDER, pipeline, threads_max=4, **options)


async def test_a_mail_arrives_as_it_was_written() -> None:
    inbox = Inbox()
    with serving(inbox) as port:
        using = mailer(port)
        sent = await using.send(MAIL, "dlv_1")
        await using.close()
    assert sent == Accepted("<dlv_1@flora.example>")
    [mail] = inbox.taken
    assert (mail["From"], mail["To"]) == ("Flora & Co <news@flora.example>", "ada@example.com")
    assert (mail["Subject"], mail["Message-ID"]) == ("Grüße", "<dlv_1@flora.example>")
    assert mail["List-Unsubscribe"] == "<https://flora.example/u?token=a.b>"
    plain, html = mail.iter_parts()
    assert cast("EmailMessage", plain).get_content().splitlines() == ["Hello", ".", ".. dots"]
    assert cast("EmailMessage", html).get_content().strip() == "<p>Hello</p>"


async def test_connections_are_kept_and_one_that_died_meanwhile_is_replaced() -> None:
    inbox = Inbox()
    with serving(inbox) as port:
        using = mailer(port)
        for number in range(3):
            assert isinstance(await using.send(MAIL, f"dlv_{number}"), Accepted)
        assert len(inbox.connections) == 1
        for kept in using._kept:
            assert kept.client.sock is not None
            kept.client.sock.shutdown(socket.SHUT_RDWR)
        assert isinstance(await using.send(MAIL, "dlv_9"), Accepted)
        assert len(inbox.connections) == 2
        await using.close()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("550 5.1.1 no such user ada", FailedForGood("550", "the mail server answers 550 (5.1.1)")),
        ("451 4.3.0 ada is busy", FailedForNow("451", "the mail server answers 451 (4.3.0)")),
        ("421 closing", FailedForNow("421", "the mail server is closing")),
    ],
)
async def test_what_the_answers_mean_and_that_they_quote_nobody(said: str, expected: Sent) -> None:
    refusing, taking = Inbox(answer=lambda _envelope: said), Inbox(answer_rcpt=said)
    for inbox in (refusing, taking):
        with serving(inbox) as port:
            using = mailer(port)
            assert await using.send(MAIL, "dlv_1") == expected
            inbox.answer, inbox.answer_rcpt = (lambda _envelope: "250 OK"), ""
            assert isinstance(await using.send(MAIL, "dlv_1"), Accepted)
            await using.close()


@pytest.mark.parametrize(
    "mail",
    [
        attrs.evolve(MAIL, subject="a\r\nBcc: all@example.com"),
        attrs.evolve(MAIL, headers=(("X-A", "b\nBcc: all@example.com"),)),
        attrs.evolve(MAIL, to="ada@example.com>\r\nRCPT TO:<all@example.com"),
        attrs.evolve(MAIL, sender_name="a\r\nBcc: all@example.com"),
        attrs.evolve(MAIL, reply_to="a\r\nb@example.com"),
        attrs.evolve(MAIL, to="ünläut@example.com"),
    ],
)
async def test_nothing_slips_into_a_header_or_a_command(mail: Mail) -> None:
    inbox = Inbox()
    with serving(inbox) as port:
        sent = await mailer(port).send(mail, "dlv_1")
    assert sent == FailedForGood("invalid_message", "ValueError") or (
        isinstance(sent, FailedForGood) and sent.code == "invalid_message"
    )
    assert inbox.taken == []


async def test_a_server_that_is_away_was_sent_nothing_and_opens_the_breaker() -> None:
    spec = BreakerSpec(calls_min=3)
    with reserved_port() as port:
        using = mailer(port, breaker=spec)
        for _ in range(3):
            sent = await using.send(MAIL, "dlv_1")
            assert isinstance(sent, FailedForNow)
            assert (sent.code, sent.uncertain) == ("no_connection", False)
        with pytest.raises(BreakerOpen):
            await using.send(MAIL, "dlv_1")


@contextmanager
def scripted(answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A server that says what `answer` says to each piece, and hangs up at nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220 hello\r\n")
            while data := connection.recv(65_536):
                said = answer(data)
                if not said:
                    return
                connection.sendall(said)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join(PATIENCE_S)
        listener.close()


def agreeing(data: bytes) -> bytes:
    return b"354 go\r\n" if data.startswith(b"DATA") else b"250 ok\r\n"


@pytest.mark.parametrize(
    ("after", "uncertain"), [(b"RCPT", False), (b"DATA", False), (b"\r\n.\r\n", True)]
)
async def test_only_a_message_that_was_handed_over_is_of_unknown_fate(
    after: bytes, uncertain: bool
) -> None:
    with scripted(lambda data: b"" if after in data else agreeing(data)) as port:
        sent = await mailer(port).send(MAIL, "dlv_1")
    assert isinstance(sent, FailedForNow)
    assert (sent.code, sent.uncertain) == ("connection_lost", uncertain)


async def test_a_server_that_hangs_costs_no_more_than_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        using = mailer(silent.getsockname()[1], attempt_s=0.1)
        with trio.fail_after(PATIENCE_S):
            sent = await using.send(MAIL, "dlv_1")
    assert sent == FailedForNow("no_answer", "the mail server took too long")


@attrs.define
class Hanging:
    """An answer that does not come until it is let go, when what it is about has come."""

    about: bytes
    seen: list[bytes] = attrs.field(factory=list)
    _reached: threading.Event = attrs.field(factory=threading.Event)
    _go: threading.Event = attrs.field(factory=threading.Event)

    def __call__(self, data: bytes) -> bytes:
        self.seen.append(data)
        if self.about in data:
            self._reached.set()
            self._go.wait(PATIENCE_S)
        return agreeing(data)

    async def sent_meanwhile(self, port: int, clock: MockClock) -> Sent:
        """What becomes of a mail whose time is up while the server hangs."""
        sent: list[Sent] = []

        async def send() -> None:
            sent.append(await mailer(port).send(MAIL, "dlv_1"))

        clock.rate = 1.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            assert await trio.to_thread.run_sync(self._reached.wait, PATIENCE_S)
            clock.jump(PATIENCE_S)
        self._go.set()
        return sent[0]


async def test_a_server_that_hangs_after_the_message_may_have_taken_it(
    mock_clock: MockClock,
) -> None:
    answer = Hanging(b"\r\n.\r\n")
    with scripted(answer) as port:
        sent = await answer.sent_meanwhile(port, mock_clock)
    assert sent == FailedForNow("no_answer", "the mail server took too long", uncertain=True)


async def test_a_message_that_nobody_waits_for_any_more_is_not_handed_over(
    mock_clock: MockClock,
) -> None:
    answer = Hanging(b"DATA\r\n")
    with scripted(answer) as port:
        sent = await answer.sent_meanwhile(port, mock_clock)
    assert isinstance(sent, FailedForNow)
    assert not sent.uncertain
    assert not any(b"Subject" in data for data in answer.seen)


async def test_a_login_that_is_refused_is_tried_again_later() -> None:
    def answer(data: bytes) -> bytes:
        if data.startswith(b"ehlo"):
            return b"250-hello\r\n250 AUTH PLAIN\r\n"
        return b"535 5.7.8 wrong\r\n" if data.startswith(b"AUTH") else agreeing(data)

    with scripted(answer) as port:
        sent = await mailer(port, login="flora:wrong@").send(MAIL, "dlv_1")
    assert sent == FailedForNow("login_refused", "login refused")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none) + made.public_bytes(pem)
    )
    return path


def logged_in(_server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"flora", b"p@ss")
    return AuthResult(success=good)


async def test_with_starttls_and_a_login(certificate: Path) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    inbox = Inbox()
    options = {"tls_context": ours, "authenticator": logged_in, "auth_required": True}
    with serving(inbox, **options) as port:
        using = mailer(port, login="flora:p%40ss@", query="", authorities=trusting)
        assert isinstance(await using.send(MAIL, "dlv_1"), Accepted)
        await using.close()
    assert len(inbox.taken) == 1


async def test_without_tls_nothing_is_sent_unless_that_was_said(certificate: Path) -> None:
    """And a certificate of nobody we know is none."""
    inbox = Inbox()
    with serving(inbox) as port:
        assert isinstance(await mailer(port, query="").send(MAIL, "dlv_1"), FailedForNow)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(certificate)
    with serving(inbox, tls_context=ours) as port:
        assert isinstance(await mailer(port, query="").send(MAIL, "dlv_1"), FailedForNow)
    assert inbox.taken == []
