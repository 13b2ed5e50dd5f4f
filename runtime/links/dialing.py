"""Making links: a dialer for each peer that has an address, and a listener for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import structlog
import trio

from runtime.actor import Actor
from runtime.exits import ExitReason
from runtime.links.errors import ProtocolViolation, TransportClosed
from runtime.links.handshake import NONCE_BYTES, Handshake, Introduction
from runtime.links.session import GOODBYE, STOPPED, Session
from runtime.parking import monotonic
from runtime.trouble import Trouble

if TYPE_CHECKING:
    from runtime.links.links import Links
    from runtime.links.peer import Peer
    from runtime.links.spec import LinksSpec
    from runtime.links.transport import LinkTransport

log = structlog.get_logger("loyalnest.links")

UNREACHABLE, SLOW = "unreachable", "handshake_timeout"
STABLE_S = 10.0
"""A link that lasted so long begins the backoff anew."""

EXPONENT_MAX = 32


class LinkMaker(Actor):
    """What dialers and the listener have in common: handshakes, sessions, goodbyes."""

    keeps_task: ClassVar[bool] = True

    def __init__(self, links: Links) -> None:
        self._links = links
        self._sessions: dict[Session, None] = {}
        self._stopping = False

    @property
    def _spec(self) -> LinksSpec:
        return self._links.spec

    def _handshake(self, transport: LinkTransport) -> Handshake:
        nonce = self.system.secrets.randbytes(NONCE_BYTES)
        return Handshake(self._spec, transport, self._links.incarnation(self.system), nonce)

    def _admitted(self, introduction: Introduction) -> Peer:
        """Whom there may be a link to now. Raises `ProtocolViolation` where a later process has
        the name, and `TransportClosed` when this one says goodbye to all."""
        if self._stopping:
            raise TransportClosed("links are being ended")
        peer = self._links.peer(introduction.hello.shard)
        peer.check(introduction)
        return peer

    async def _serve(self, transport: LinkTransport, introduction: Introduction) -> str:
        """Run a link to its end; why it ended."""
        peer = self._admitted(introduction)
        session = Session(self._links, peer, transport, introduction, self.system)
        self._sessions[session] = None
        self._links.metrics.came_up(peer.name)
        session.log.info("link_up", generation=introduction.hello.generation)
        reason = STOPPED
        try:
            reason = await session.run()
        finally:
            del self._sessions[session]
            session.log.info("link_ended", reason=reason)
        if reason != GOODBYE:
            self._links.metrics.failed(peer.name, reason)
        return reason

    async def stopped(self, reason: ExitReason) -> None:
        """Say goodbye on all links at the same time; they end within `drain_s`, and there are no
        new ones meanwhile."""
        self._stopping = True
        async with trio.open_nursery() as nursery:
            for session in tuple(self._sessions):
                nursery.start_soon(session.drain)


class Dialer(LinkMaker):
    """Keeps a link to one peer: dials, and dials again when the link ends."""

    def __init__(self, links: Links, peer: Peer) -> None:
        super().__init__(links)
        self._peer = peer
        self._trouble = Trouble(log, "link_not_made", "link_made_again")

    async def started(self) -> None:
        self._links.directory.serve(self.system)
        self.start_task(self._dial_for_ever)

    def shown_state(self) -> object:
        return {"address": self._peer.spec.address, "link": self._links.statistics_of(self._peer)}

    async def _dial_for_ever(self) -> None:
        failures = 0
        while True:
            began = monotonic()
            await self._dial()
            failures = 0 if monotonic() - began >= STABLE_S else failures + 1
            await trio.sleep(self._pause_s(failures))

    def _pause_s(self, failures: int) -> float:
        limits = self._spec.limits
        bound = limits.backoff_base_s * 2.0 ** min(failures, EXPONENT_MAX)
        return self.system.random.uniform(0.0, min(limits.backoff_cap_s, bound))

    async def _dial(self) -> None:
        """One link, from the attempt to its end."""
        limit_s, address = self._spec.limits.handshake_s, self._peer.spec.address
        connecting = trio.CancelScope(deadline=monotonic() + limit_s)
        try:
            with connecting:
                await self._link(connecting)
                return
            self._failed(trio.TooSlowError(f"no link to {address} within {limit_s:g} s"), SLOW)
        except TransportClosed as error:
            self._failed(error, UNREACHABLE)
        except ProtocolViolation as error:
            self._failed(error, error.reason)

    def _failed(self, error: Exception, reason: str) -> None:
        self._trouble.failed(error, peer=self._peer.name, reason=reason)
        self._links.metrics.failed(self._peer.name, reason)

    async def _link(self, connecting: trio.CancelScope) -> None:
        spec, peer = self._spec, self._peer
        address, bytes_max = peer.spec.address or "", self._links.message_bytes_max
        async with spec.network.connect(address, message_bytes_max=bytes_max) as transport:
            introduction = await self._handshake(transport).dial(peer.name)
            connecting.deadline = float("inf")
            self._admitted(introduction)
            self._trouble.ended(peer=peer.name)
            await self._serve(transport, introduction)


class Listener(LinkMaker):
    """Serves peers that dial this shard. Whatever one of them does ends its own link at most."""

    def __init__(self, links: Links) -> None:
        super().__init__(links)
        self._refusals: dict[str, Trouble] = {}

    async def started(self) -> None:
        self._links.directory.serve(self.system)
        opened = trio.Event()
        self._failure: OSError | None = None
        self.start_task(self._listen, opened)
        await opened.wait()
        if self._failure is not None:
            raise self._failure

    async def stopped(self, reason: ExitReason) -> None:
        self._links.listening(None)
        await super().stopped(reason)

    def shown_state(self) -> object:
        return {"address": self._links.address, "links": len(self._sessions)}

    async def _listen(self, opened: trio.Event) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._links.listening(await nursery.start(self._accept))
                opened.set()
        except* OSError as group:
            if opened.is_set():
                raise
            self._failure = self._without_address(group.exceptions[0])
            opened.set()

    def _without_address(self, error: BaseException) -> OSError:
        number, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or error
        return OSError(number, f"cannot listen for links on {self._spec.listen}: {reason}")

    async def _accept(self, task_status: trio.TaskStatus[str]) -> None:
        spec = self._spec
        await spec.network.listen(
            spec.listen or "",
            self._welcome,
            message_bytes_max=self._links.message_bytes_max,
            connections_max=spec.limits.connections_max,
            task_status=task_status,
        )

    async def _welcome(self, transport: LinkTransport) -> None:
        """A connection that came in, from its handshake to its end."""
        if self._stopping:
            return
        handshake, peer, reason = self._handshake(transport), UNKNOWN_PEER, SLOW
        try:
            with trio.move_on_after(self._spec.limits.handshake_s) as answering:
                introduction = await handshake.answer()
                peer = introduction.hello.shard
                self._admitted(introduction)
                await handshake.accept()
            if not answering.cancelled_caught:
                await self._serve(transport, introduction)
                return
        except TransportClosed:
            reason = UNREACHABLE
        except ProtocolViolation as error:
            reason = error.reason
            self._refused(error, peer)
        self._links.metrics.failed(peer, reason)

    def _refused(self, error: ProtocolViolation, peer: str) -> None:
        """Anybody can connect again and again: each reason is told once, then once a minute."""
        trouble = self._refusals.setdefault(error.reason, Trouble(log, "link_refused", ""))
        trouble.failed(error, reason=error.reason, peer=peer)


UNKNOWN_PEER: Final = ""
"""The label of those who did not say, or prove, who they are."""
