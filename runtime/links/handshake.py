"""The handshake: both sides prove that they know the secret before anything else is read.

Each sends a hello with a number used once, and an HMAC over both hellos under the shared secret,
bound to its role. So a recorded handshake is worth nothing, and neither is one that is reflected.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any, Final

import attrs

from runtime.links.errors import ProtocolViolation
from runtime.links.frames import (
    VERSION,
    Frame,
    Hello,
    Offer,
    Proof,
    encode_frame,
    frames_of,
    joined,
)
from runtime.links.spec import SECRET_BYTES_MIN, LinksSpec
from runtime.links.transport import LinkTransport

NONCE_BYTES: Final = 32
HANDSHAKE_BYTES_MAX: Final = 256 * 1024
"""Of one message; what is offered may be a long list."""

DETAIL_MAX: Final = 500

DIALLER, LISTENER = b"loyalnest link dialler", b"loyalnest link listener"


@attrs.frozen(kw_only=True)
class Introduction:
    """Who is at the other end, and what may be asked of it."""

    hello: Hello
    offer: Offer


@attrs.define
class Handshake:
    """One side's. No method has a bound in time, which is the caller's. They raise
    `TransportClosed`, or `ProtocolViolation` for a peer that is not what it should be."""

    spec: LinksSpec
    transport: LinkTransport
    incarnation: str
    nonce: bytes

    async def dial(self, to: str) -> Introduction:
        """As the side that connected, to the shard `to`."""
        ours = self._hello(to)
        await self._send(encode_frame(ours))
        theirs, proof = await self._receive(Hello, Proof)
        self._check_hello(theirs)
        if theirs.shard != to:
            raise ProtocolViolation("wrong_shard", f"{theirs.shard} is not {to}")
        self._check_proof(LISTENER, ours, theirs, proof)
        mac = _mac(self._secrets()[0], DIALLER, ours, theirs)
        await self._send(encode_frame(Proof(mac)), encode_frame(self._offer()))
        (offer,) = await self._receive(Offer)
        return self._introduced(theirs, offer)

    async def answer(self) -> Introduction:
        """As the side that was connected to, up to the proof of the other one: `accept` is left."""
        (theirs,) = await self._receive(Hello)
        self._check_hello(theirs)
        if theirs.to != self.spec.shard:
            raise ProtocolViolation("wrong_shard", f"{theirs.to} was meant")
        ours = self._hello(theirs.shard)
        mac = _mac(self._secrets()[0], LISTENER, theirs, ours)
        await self._send(encode_frame(ours), encode_frame(Proof(mac)))
        proof, offer = await self._receive(Proof, Offer)
        self._check_proof(DIALLER, theirs, ours, proof)
        return self._introduced(theirs, offer)

    async def accept(self) -> None:
        """Let in whom `answer` has introduced: for the other side, there is a link from now on."""
        await self._send(encode_frame(self._offer()))

    def _hello(self, to: str) -> Hello:
        spec = self.spec
        generation = spec.generation()
        return Hello(VERSION, spec.shard, self.incarnation, generation, self.nonce, to)

    def _offer(self) -> Offer:
        offers, limits = self.spec.offers, self.spec.limits
        actors = None if offers.actors is None else tuple(sorted(offers.actors))
        regions = None if offers.regions is None else tuple(sorted(offers.regions))
        return Offer(actors, regions, limits.window, limits.frame_bytes_max)

    def _secrets(self) -> Sequence[bytes]:
        try:
            secrets = self.spec.secrets()
        except Exception as error:
            raise ProtocolViolation("no_secret", str(error)[:DETAIL_MAX]) from error
        if not secrets or any(len(secret) < SECRET_BYTES_MIN for secret in secrets):
            raise ProtocolViolation("no_secret", f"at least {SECRET_BYTES_MIN} bytes are needed")
        return secrets

    def _check_hello(self, hello: Hello) -> None:
        if hello.version != VERSION:
            raise ProtocolViolation("version", f"{hello.version} is not {VERSION}")
        if len(hello.nonce) != NONCE_BYTES or hello.nonce == self.nonce:
            raise ProtocolViolation("nonce")
        if not any(peer.name == hello.shard for peer in self.spec.peers):
            raise ProtocolViolation("stranger", f"{hello.shard[:100]} is no peer")

    def _check_proof(self, role: bytes, dialler: Hello, listener: Hello, proof: Proof) -> None:
        right = [
            hmac.compare_digest(_mac(secret, role, dialler, listener), proof.mac)
            for secret in self._secrets()
        ]
        if not any(right):
            raise ProtocolViolation("wrong_secret")

    def _introduced(self, hello: Hello, offer: Offer) -> Introduction:
        if offer.window < 1 or offer.frame_bytes_max < 1:
            raise ProtocolViolation("unreadable", "an offer of nothing")
        return Introduction(hello=hello, offer=offer)

    async def _send(self, *frames: bytes) -> None:
        await self.transport.send(joined(frames))

    async def _receive(self, *kinds: type[Frame]) -> tuple[Any, ...]:
        data = await self.transport.receive()
        if len(data) > HANDSHAKE_BYTES_MAX:
            raise ProtocolViolation("too_large", f"{len(data)} bytes in a handshake")
        frames = frames_of(data)
        if [type(frame) for frame in frames] != list(kinds):
            raise ProtocolViolation("out_of_order", "not what a handshake goes on with")
        return tuple(frames)


def _mac(secret: bytes, role: bytes, dialler: Hello, listener: Hello) -> bytes:
    said = encode_frame(dialler) + encode_frame(listener)
    return hmac.digest(secret, role + b"\0" + said, "sha256")
