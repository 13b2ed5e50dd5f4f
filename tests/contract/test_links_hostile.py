"""Peers that mean harm, or are broken: whatever they do, the other links still work."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import pytest
import trio

from runtime.links import (
    LinkLimits,
    LinkNetwork,
    LinkTransport,
    ProtocolViolation,
    TransportClosed,
    WebSocketNetwork,
)
from runtime.links.frames import (
    FRAMES_MAX,
    VERSION,
    Answer,
    Ask,
    Cancel,
    Credit,
    Failure,
    Frame,
    Hello,
    Offer,
    Ping,
    Pong,
    Proof,
    Tell,
    encode_frame,
    frames_of,
    joined,
)
from runtime.links.handshake import Handshake, Introduction
from runtime.links.spec import LinksSpec, PeerSpec
from runtime.links.wire_types import DEPTH_MAX, LIST
from tests.shards import (
    PATIENT,
    SECRET,
    TYPES,
    Echo,
    Hold,
    Shard,
    peer_of,
    running_shard,
    virtual_network,
)

PATIENCE_S = 60.0
STRICT_S = 3.0
"""For a bad peer. A machine that stands still as long looks like one."""

SMALL = attrs.evolve(PATIENT, ping_every_s=0.2, window=16)
IMPATIENT = {
    "handshake": attrs.evolve(SMALL, handshake_s=STRICT_S),
    "silence": attrs.evolve(SMALL, silence_max_s=STRICT_S),
    "send": attrs.evolve(SMALL, send_s=STRICT_S),
}


@attrs.define
class Stage:
    """A shard that listens, with a good peer; and a bad one on its way."""

    network: LinkNetwork
    address: str
    victim: Shard
    friend: Shard

    def bad(self, secret: bytes = SECRET, generation: int = 0) -> LinksSpec:
        """Who the bad peer says it is."""
        return LinksSpec(
            shard="bad",
            peers=(PeerSpec(name="one"),),
            types=TYPES,
            network=self.network,
            secrets=lambda: (secret,),
            generation=lambda: generation,
            limits=LinkLimits(),
        )

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[LinkTransport]:
        async with self.network.connect(self.address, message_bytes_max=1 << 21) as transport:
            yield transport

    @asynccontextmanager
    async def linked(self) -> AsyncIterator[tuple[LinkTransport, Introduction]]:
        """Past the handshake, with the right secret."""
        async with self.connected() as transport:
            handshake = Handshake(self.bad(), transport, "bad-1", b"b" * 32)
            yield transport, await handshake.dial("one")

    async def the_others_work(self) -> None:
        for asker, name in ((self.friend, "one.clerk"), (self.victim, "two.clerk")):
            assert (
                await asker.ref(name).ask(Echo("still there"), timeout_s=PATIENCE_S)
                == "still there"
            )

    def failures(self, reason: str, peer: str = "bad") -> float:
        """How often that is counted."""
        labels = {"peer": peer, "reason": reason}
        registry = self.victim.system.metrics.registry
        return registry.get_sample_value("loyalnest_link_failures_total", labels) or 0.0


@pytest.fixture
def limits() -> LinkLimits:
    """Those of the shard that listens."""
    return SMALL


def impatient(what: str) -> pytest.MarkDecorator:
    """The shard that listens does not wait long for that, and for nothing else."""
    return pytest.mark.parametrize("limits", [IMPATIENT[what]], ids=[what])


@pytest.fixture(params=["sockets", "virtual"])
async def stage(request: pytest.FixtureRequest, limits: LinkLimits) -> AsyncIterator[Stage]:
    network: LinkNetwork = WebSocketNetwork()
    names = {"one": network, "two": network, "bad": network}
    listen = "127.0.0.1:0"
    if request.param == "virtual":
        virtual, listen = virtual_network(), "one:1"
        names = {name: virtual.node(name) for name in names}
    two, bad = peer_of("two"), PeerSpec(name="bad")
    async with running_shard("one", names["one"], (two, bad), listen=listen, limits=limits) as one:
        address = await one.links.listens()
        peers = (peer_of("one", address),)
        async with running_shard("two", names["two"], peers, limits=PATIENT) as other:
            with trio.fail_after(PATIENCE_S):
                await one.links.up("two")
                await other.links.up()
            yield Stage(names["bad"], address, one, other)


async def ends(transport: LinkTransport) -> list[Frame]:
    """Read until the other side has closed it, which it does soon."""
    read: list[Frame] = []
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                read += frames_of(await transport.receive())
            except TransportClosed:
                return read


def hello(**changes: Any) -> bytes:
    frame = Hello(VERSION, "bad", "bad-1", 0, b"n" * 32, "one")
    for name, value in changes.items():
        setattr(frame, name, value)
    return joined([encode_frame(frame)])


BEFORE: dict[str, tuple[bytes, str]] = {
    "garbage": (b"\xc1\x00garbage", "unreadable"),
    "nothing": (b"", "unreadable"),
    "no frames": (joined([]), "out_of_order"),
    "a stranger": (hello(shard="nobody"), "stranger"),
    "another version": (hello(version=99), "version"),
    "for somebody else": (hello(to="two"), "wrong_shard"),
    "a short nonce": (hello(nonce=b"n"), "nonce"),
    "an ask before the handshake": (
        joined([encode_frame(Ask(1, "one.clerk", None, None, 1.0, None, [], 0))]),
        "out_of_order",
    ),
    "deep nesting": (b"\x91" * 100_000, "unreadable"),
    "a long hello": (b"x" * 300_000, "too_large"),
}


@pytest.mark.parametrize("name", BEFORE)
async def test_whoever_begins_badly_is_closed_and_counted(stage: Stage, name: str) -> None:
    data, reason = BEFORE[name]
    async with stage.connected() as transport:
        await transport.send(data)
        assert await ends(transport) == []
    assert stage.failures(reason, peer="") == 1
    await stage.the_others_work()


async def test_the_wrong_secret_is_refused_by_both_sides(stage: Stage) -> None:
    async with stage.connected() as transport:
        handshake = Handshake(stage.bad(b"another secret ....."), transport, "bad-1", b"b" * 32)
        with pytest.raises(ProtocolViolation, match="wrong_secret"):
            await handshake.dial("one")
    async with stage.connected() as transport:
        await transport.send(hello())
        await transport.receive()
        offer = Offer(None, None, 16, 1000)
        await transport.send(joined([encode_frame(Proof(b"p" * 32)), encode_frame(offer)]))
        assert await ends(transport) == []
    assert stage.failures("wrong_secret", peer="") == 1
    assert stage.victim.links.statistics()[1].sessions == 0
    await stage.the_others_work()


@attrs.define
class Recorder:
    """A transport that keeps what was sent over it."""

    inner: LinkTransport
    sent: list[bytes] = attrs.field(factory=list)

    async def send(self, data: bytes) -> None:
        self.sent.append(data)
        await self.inner.send(data)

    async def receive(self) -> bytes:
        return await self.inner.receive()

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_a_handshake_that_was_recorded_is_worth_nothing(stage: Stage) -> None:
    async with stage.connected() as transport:
        recorder = Recorder(transport)
        await Handshake(stage.bad(), recorder, "bad-1", b"b" * 32).dial("one")
    async with stage.connected() as transport:
        for data in recorder.sent:
            await transport.send(data)
            if data is recorder.sent[0]:
                await transport.receive()
        assert await ends(transport) == []
    assert stage.failures("wrong_secret", peer="") == 1
    await stage.the_others_work()


async def test_a_proof_that_is_sent_back_to_whoever_made_it_is_worth_nothing(stage: Stage) -> None:
    async with stage.connected() as transport:
        await transport.send(hello())
        theirs, proof = frames_of(await transport.receive())
        assert isinstance(theirs, Hello)
        offer = Offer(None, None, 16, 1000)
        await transport.send(joined(list(map(encode_frame, (proof, offer)))))
        assert await ends(transport) == []
    assert stage.failures("wrong_secret", peer="") == 1
    await stage.the_others_work()


@impatient("handshake")
async def test_who_says_nothing_is_not_waited_for(stage: Stage) -> None:
    before = stage.failures("handshake_timeout", peer="")
    async with stage.connected() as silent, stage.connected() as transport:
        await transport.send(hello())
        await transport.receive()
        assert await ends(transport) == []
        assert await ends(silent) == []
    assert stage.failures("handshake_timeout", peer="") == before + 2
    await stage.the_others_work()


WITHIN: dict[str, tuple[Callable[[], list[Frame]], str]] = {
    "more than was granted": (
        lambda: [Tell("one.pool", None, TYPES.to_plain(Hold()), None) for _ in range(600)],
        "over_credit",
    ),
    "a number twice": (
        lambda: [Ask(1, "one.clerk", None, None, 1.0, None, [], 0) for _ in range(2)],
        "out_of_order",
    ),
    "no time that is left": (
        lambda: [Ask(1, "one.clerk", None, None, float("nan"), None, [], 0)],
        "out_of_order",
    ),
    "more frames than a message has": (lambda: [Cancel(1)] * (FRAMES_MAX + 1), "unreadable"),
    "a pong without a ping": (lambda: [Pong(77)], "out_of_order"),
    "a second hello": (lambda: [Hello(VERSION, "bad", "b", 0, b"n" * 32, "one")], "out_of_order"),
}


@pytest.mark.parametrize("name", WITHIN)
async def test_whoever_breaks_the_protocol_later_is_closed_and_counted(
    stage: Stage, name: str
) -> None:
    make, reason = WITHIN[name]
    async with stage.linked() as (transport, _):
        await transport.send(joined(list(map(encode_frame, make()))))
        await ends(transport)
    assert stage.failures(reason) == 1
    await stage.the_others_work()


def nested(depth: int) -> Any:
    """A list in a list, and so on."""
    value: Any = [LIST]
    for _ in range(depth):
        value = [LIST, value]
    return value


async def test_harmless_nonsense_is_answered_or_ignored(stage: Stage) -> None:
    nonsense = (
        Ask(1, "one.clerk", None, ["no.such.Class", 1], PATIENCE_S, None, [], 0),
        Ask(2, "one.clerk", None, {"not": "a value"}, PATIENCE_S, None, [], 0),
        Ask(3, "one.residents", [0, [0]], TYPES.to_plain(Echo(1)), PATIENCE_S, None, [], 0),
        Ask(4, "nobody", None, TYPES.to_plain(Echo(1)), PATIENCE_S, None, [("x", "y")] * 900, 7),
        Ask(5, "one.clerk", None, TYPES.to_plain(Echo(1)), -1.0, None, [], 0),
        Ask(6, "one.residents", [1, 2], TYPES.to_plain(Echo(1)), PATIENCE_S, None, [], 0),
        Ask(7, "one.residents", "late", TYPES.to_plain(Echo(1)), 0.0, None, [], 0),
        Ask(8, "one.clerk", None, nested(DEPTH_MAX + 2), PATIENCE_S, None, [], 0),
        Answer(99, None, False),
        Cancel(99),
        Credit(3),
        Ping(5),
    )
    async with stage.linked() as (transport, _):
        await transport.send(joined(list(map(encode_frame, nonsense))))
        kinds: dict[int, str] = {}
        with trio.fail_after(PATIENCE_S):
            while len(kinds) < 8:
                for frame in frames_of(await transport.receive()):
                    if isinstance(frame, Failure):
                        kinds[frame.number] = frame.kind
                    elif isinstance(frame, Answer):
                        kinds[frame.number] = "answer"
        assert kinds == {
            1: "unsendable",
            2: "unsendable",
            3: "answer",
            4: "down",
            5: "expired",
            6: "unsendable",
            7: "expired",
            8: "unsendable",
        }
    assert stage.victim.system.entities("one.residents").find("one.residents/late") is None
    await stage.the_others_work()


async def test_a_message_above_the_bound_ends_its_link(stage: Stage) -> None:
    async with stage.linked() as (transport, _):
        with suppress(TransportClosed):  # that may be found out while it is sent
            await transport.send(b"x" * (1 << 21))
        await ends(transport)
    await stage.the_others_work()


@impatient("send")
async def test_who_stops_reading_loses_its_link_and_nobody_waits_for_it(stage: Stage) -> None:
    async with stage.linked() as (transport, _), trio.open_nursery() as nursery:

        async def ask_for_much() -> None:
            message = TYPES.to_plain(Echo("x" * 200_000))
            for number in range(1, 100):
                ask = Ask(number, "one.clerk", None, message, 5.0, None, [], 0)
                try:
                    await transport.send(joined([encode_frame(ask)]))
                except TransportClosed:
                    return

        nursery.start_soon(ask_for_much)
        with trio.fail_after(PATIENCE_S):
            while stage.victim.links.is_up("bad"):
                await trio.sleep(0.02)
                await stage.the_others_work()
        nursery.cancel_scope.cancel()
    await stage.the_others_work()


@impatient("silence")
async def test_who_never_answers_is_found_out_by_its_silence(stage: Stage) -> None:
    async with stage.linked() as (transport, _):
        with trio.fail_after(PATIENCE_S):
            while not stage.failures("silent"):  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.02)
        await ends(transport)
    await stage.the_others_work()


async def send_raw(address: str, data: bytes) -> bytes:
    host, port = address.split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        with trio.fail_after(PATIENCE_S):
            try:
                await stream.send_all(data)
                return await stream.receive_some()
            except trio.BrokenResourceError:
                return b""


REQUEST = (
    b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        REQUEST % b"/elsewhere",
        REQUEST % b"/loyalnest/link" + b"\xff\xff\xff\xff\xff",
        REQUEST % b"/loyalnest/link" + b"\x81\x85\x00\x00\x00\x00hello",
        b"\r\n" * 1000,
    ],
)
@pytest.mark.parametrize("stage", ["sockets"], indirect=True)
async def test_what_is_no_websocket_ends_by_itself(stage: Stage, data: bytes) -> None:
    await send_raw(stage.address, data)
    await stage.the_others_work()
