"""Webhooks: signed, and never to an address that is not somebody's on the internet."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from random import Random
from typing import Any

import attrs
import httpcore
import pytest
import trio

from actors.outgoing.http import HttpClient
from actors.outgoing.policies import WEBHOOKS
from actors.outgoing.ports import Accepted, FailedForGood, FailedForNow, Hook
from actors.outgoing.reachable import Reachable, Unreachable
from actors.outgoing.webhooks import GuardedNetwork, WebhookCaller, retry_after_s
from runtime.policies import Pipeline
from runtime.ports import VirtualClock
from tests.virtual import run_virtually

START = datetime(2026, 3, 1, tzinfo=UTC)
PUBLIC = "93.184.215.14"
HOOK = Hook(
    url="http://shop.example/hook", body=b'{"a":1}', topic="campaign.message", secrets=("s1", "s0")
)

FORBIDDEN = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "localhost",
    "",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_that_are_nobody_elses_are_refused(address: str) -> None:
    with pytest.raises(Unreachable):
        Reachable().check([address])
    with pytest.raises(Unreachable):
        Reachable().check([PUBLIC, address])


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_on_the_internet_are_reached(address: str) -> None:
    assert Reachable().check([address]) == (address,)


def test_a_name_without_addresses_leads_nowhere() -> None:
    with pytest.raises(Unreachable):
        Reachable().check([])


def test_what_is_allowed_in_development_is_no_more_than_that() -> None:
    reachable = Reachable((ip_network("127.0.0.0/8"),))
    assert reachable.check(["127.0.0.1"])
    for address in ("10.0.0.1", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(Unreachable):
            reachable.check([address])


@attrs.define(eq=False)
class Names(trio.abc.HostnameResolver):
    """A name server that answers something else each time; numbers are read as the C library
    reads them."""

    answers: list[list[str]]
    asked: int = 0

    async def getaddrinfo(self, host: Any, port: Any, *_rest: Any, **_more: Any) -> Any:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(2, 1, 6, "", (address, port)) for address in answer]

    async def getnameinfo(self, *_arguments: Any) -> Any:
        raise NotImplementedError


@contextmanager
def names(*answers: list[str]) -> Iterator[Names]:
    given = Names(list(answers))
    before = trio.socket.set_custom_hostname_resolver(given)
    try:
        yield given
    finally:
        trio.socket.set_custom_hostname_resolver(before)


class Wire(httpcore.AsyncMockBackend):
    """Where connections go to, and what comes back over each."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__([])
        self.connected: list[tuple[str, int]] = []
        self.sent: list[bytes] = []
        self._answers = list(answers)

    async def connect_tcp(
        self, host: str, port: int, *_rest: Any, **_more: Any
    ) -> httpcore.AsyncNetworkStream:
        await trio.lowlevel.checkpoint()
        self.connected.append((host, port))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return Recorded([answer], self.sent)


class Recorded(httpcore.AsyncMockStream):
    def __init__(self, answers: list[bytes], sent: list[bytes]) -> None:
        super().__init__(answers)
        self._sent = sent

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._sent.append(buffer)


def http(status: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Length: 0", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


def caller(wire: Wire, allowed: Iterable[str] = ()) -> WebhookCaller:
    reachable = Reachable(tuple(map(ip_network, allowed)))
    client = HttpClient("webhooks", GuardedNetwork(reachable, wire))
    spec = attrs.evolve(WEBHOOKS, breaker=None)
    pipeline = Pipeline("webhooks", spec, Random(1))
    return WebhookCaller(client, pipeline, VirtualClock(START), Random(1))


pytestmark: list[Any] = []
virtually = pytest.mark.trio(run=run_virtually)


@virtually
async def test_it_is_signed_under_every_secret_that_counts_and_says_its_key() -> None:
    wire = Wire(http("204 No Content"))
    with names([PUBLIC]):
        assert await caller(wire).send(HOOK, "dlv_1") == Accepted("dlv_1")
    assert wire.connected == [(PUBLIC, 80)]
    head, _, body = b"".join(wire.sent).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert json.loads(body) == {"a": 1}
    assert (headers["Host"], headers["Idempotency-Key"]) == ("shop.example", "dlv_1")
    moment = int(START.timestamp())
    marks = [
        hmac.new(secret, f"{moment}.".encode() + HOOK.body, hashlib.sha256).hexdigest()
        for secret in (b"s1", b"s0")
    ]
    assert headers["LoyalNest-Signature"] == f"t={moment},v1={marks[0]},v1={marks[1]}"


@virtually
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1"])
async def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(address: str) -> None:
    wire = Wire(http("200 OK"))
    with names([address]), names([PUBLIC, address]):
        sent = await caller(wire).send(HOOK, "dlv_1")
    assert isinstance(sent, FailedForGood)
    assert sent.code == "address_refused"
    assert address not in sent.detail
    assert wire.connected == []


@pytest.mark.trio
@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost"]
)
async def test_other_ways_to_write_an_address_are_seen_through(host: str) -> None:
    """By the real resolver: what counts is what the name has become."""
    wire = Wire(http("200 OK"))
    hook = attrs.evolve(HOOK, url=f"http://{host}/hook")
    sent = await caller(wire).send(hook, "dlv_1")
    assert isinstance(sent, FailedForGood | FailedForNow)
    assert wire.connected == []


@virtually
async def test_a_name_that_changes_its_mind_is_looked_up_once_and_that_is_what_counts() -> None:
    """DNS rebinding: the second answer would lead inside."""
    wire = Wire(http("200 OK"))
    with names([PUBLIC], ["127.0.0.1"]) as asked:
        calling = caller(wire)
        assert isinstance(await calling.send(HOOK, "dlv_1"), Accepted)
        assert asked.asked == 1
        assert isinstance(await calling.send(HOOK, "dlv_2"), FailedForGood)
    assert wire.connected == [(PUBLIC, 80)]


@virtually
async def test_redirects_are_not_followed() -> None:
    wire = Wire(http("302 Found", "Location: http://127.0.0.1/admin"))
    with names([PUBLIC]):
        sent = await caller(wire).send(HOOK, "dlv_1")
    assert sent == FailedForGood("302", "redirects are not followed")
    assert wire.connected == [(PUBLIC, 80)]


@virtually
async def test_what_is_allowed_for_development_is_reached() -> None:
    wire = Wire(http("200 OK"))
    with names(["127.0.0.1"]):
        sent = await caller(wire, ["127.0.0.0/8"]).send(HOOK, "dlv_1")
    assert isinstance(sent, Accepted)
    assert wire.connected == [("127.0.0.1", 80)]


@virtually
@pytest.mark.parametrize(
    "url", ["ftp://shop.example/", "file:///etc/passwd", "http://", "nonsense"]
)
async def test_only_http_is_spoken(url: str) -> None:
    wire = Wire(http("200 OK"))
    with names([PUBLIC]):
        sent = await caller(wire).send(attrs.evolve(HOOK, url=url), "dlv_1")
    assert not isinstance(sent, Accepted)
    assert wire.connected == []


@virtually
async def test_a_4xx_is_for_good_a_5xx_is_not_and_a_429_is_obeyed_for_that_server_alone() -> None:
    wire = Wire(
        http("410 Gone"), http("503 Busy"), http("429 Slow", "Retry-After: 30"), http("200 OK")
    )
    other = attrs.evolve(HOOK, url="http://other.example/")
    with names([PUBLIC]):
        calling = caller(wire)
        assert await calling.send(HOOK, "1") == FailedForGood("410", "the server answers 410")
        assert await calling.send(HOOK, "1") == FailedForNow("503", "the server answers 503")
        slow = await calling.send(HOOK, "1")
        assert isinstance(slow, FailedForNow)
        assert slow.retry_after_s == 30.0
        assert isinstance(await calling.send(other, "2"), Accepted)
        await trio.sleep(29)
        assert isinstance(await calling.send(HOOK, "1"), FailedForNow)
        assert len(wire.connected) == 4
        await trio.sleep(2)
        assert isinstance(await calling.send(HOOK, "1"), Accepted)


@virtually
async def test_a_server_that_keeps_failing_is_left_alone_and_no_other_suffers() -> None:
    wire = Wire(*[http("500 Oops")] * 5, http("200 OK"))
    other = attrs.evolve(HOOK, url="http://other.example/")
    with names([PUBLIC]):
        calling = caller(wire)
        answers = [await calling.send(HOOK, str(number)) for number in range(8)]
        assert len(wire.connected) == 5
        for sent in answers[5:]:
            assert isinstance(sent, FailedForNow)
            assert sent.retry_after_s is not None
        assert isinstance(await calling.send(other, "9"), Accepted)


@pytest.mark.parametrize(
    ("told", "wait_s"),
    [
        ("30", 30.0),
        ("Sun, 01 Mar 2026 00:02:00 GMT", 120.0),
        ("Sun, 01 Mar 2020 00:02:00 GMT", 1.0),
        ("999999999", 3_600.0),
        ("soon", 30.0),
        (None, 30.0),
        ("Sun, 01 Mar 2026 00:02:00 -0000", 30.0),
    ],
)
def test_when_to_come_back(told: str | None, wait_s: float) -> None:
    assert retry_after_s(told, START) == wait_s
