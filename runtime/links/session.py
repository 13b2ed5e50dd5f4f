"""One link, from its handshake to its end: a reader, a writer and a pulse."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
import trio

from runtime.envelope import Envelope
from runtime.links.errors import ProtocolViolation, TransportClosed
from runtime.links.frames import (
    BATCH_BYTES,
    FRAMES_MAX,
    Answer,
    AnyFrame,
    Ask,
    Cancel,
    Credit,
    Failure,
    Goodbye,
    Ping,
    Pong,
    Tell,
    encode_frame,
    frames_of,
    joined,
)
from runtime.links.incoming import Incoming
from runtime.links.metrics import RECEIVED, SENT
from runtime.links.outgoing import Outgoing
from runtime.parking import monotonic

if TYPE_CHECKING:
    from runtime.links.handshake import Introduction
    from runtime.links.links import Links
    from runtime.links.peer import Peer
    from runtime.links.transport import LinkTransport
    from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.links")

QUEUE_SPARE: Final = 1024
"""Frames that may wait to be written beside those that credit bounds: cancellations, pings."""

CLOSED, SILENT, STUCK, BROKE = "closed", "silent", "stuck", "broke"
GOODBYE, STOPPED = "goodbye", "stopped"
"""Why links end, among other reasons."""


class Session:
    """A link whose peer has been proven. What is said of it is forgotten with it: numbers, credit
    and what is outstanding belong to one session, and never to the next."""

    def __init__(
        self,
        links: Links,
        peer: Peer,
        transport: LinkTransport,
        introduction: Introduction,
        system: ActorSystem,
    ) -> None:
        self.links = links
        self.peer = peer
        self.introduction = introduction
        self.log = log.bind(peer=peer.name, incarnation=introduction.hello.incarnation)
        self.outgoing = Outgoing(self, introduction.offer.window)
        self.incoming = Incoming(self, system, links.spec.limits.window)
        self.draining = False
        self.round_trip_s: float | None = None
        self._transport = transport
        self._queue: deque[bytes | Envelope] = deque()
        self._queue_max = QUEUE_SPARE + 4 * (introduction.offer.window + links.spec.limits.window)
        self._writable = trio.Event()
        self._writing = False
        self._nursery: trio.Nursery | None = None
        self._reason: str | None = None
        self._ping = 0
        self._pinged_at: float | None = None
        self._metrics = links.metrics

    # Life

    async def run(self) -> str:
        """Serve both sides until the link ends; why it did. When cancelled, it ends at once."""
        self.peer.adopt(self)
        self.links.changed()
        try:
            async with trio.open_nursery() as self._nursery:
                if self._reason is not None:
                    self._nursery.cancel_scope.cancel()
                for task in (self._read, self._write, self._beat):
                    self._nursery.start_soon(self._guarded, task)
        finally:
            self._finish(self._reason or STOPPED)
        return self._reason or STOPPED

    async def _guarded(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except TransportClosed:
            self.end(GOODBYE if self.draining else CLOSED)
        except ProtocolViolation as error:
            self.log.error("link_protocol_violation", error=str(error)[:500])
            self.end(error.reason)
        except Exception as error:
            self.log.exception("link_broke", exc_info=error)
            self.end(BROKE)

    def end(self, reason: str) -> None:
        """It is over. The first reason counts."""
        if self._reason is None:
            self._reason = reason
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def _finish(self, reason: str) -> None:
        """Tell everybody who waits, on both sides of it."""
        self._reason = reason
        self.peer.drop(self)
        self.links.changed()
        unsent = [item for item in self._queue if isinstance(item, Envelope)]
        self._queue.clear()
        self.outgoing.end(unsent, reason)
        self.incoming.end()

    @property
    def open(self) -> bool:
        """Whether messages may be posted to the other side."""
        return self._reason is None and not self.draining

    async def drain(self) -> None:
        """Say goodbye, and wait until all that is under way has ended, `drain_s` at most."""
        if self._reason is not None:
            await trio.lowlevel.checkpoint()
            return
        self._say_goodbye()
        with trio.move_on_after(self.links.spec.limits.drain_s):
            while self._reason is None and self._busy:
                await self.peer.change()
        self.end(GOODBYE)

    @property
    def _busy(self) -> bool:
        under_way = self.outgoing.asks or self.incoming.asks
        return bool(self._queue or self._writing or under_way)

    def _say_goodbye(self) -> None:
        self.draining = True
        self.put(encode_frame(Goodbye(STOPPED)))
        self.peer.changed()

    def start_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run it until the link ends."""
        if self._nursery is not None:
            self._nursery.start_soon(partial(function, *args))

    # Writing

    def put(self, item: bytes | Envelope) -> None:
        """Write it when its turn comes. What nobody reads in time ends the link."""
        if self._reason is not None:
            return
        self._queue.append(item)
        self._writable.set()
        if len(self._queue) > self._queue_max:
            self.end(STUCK)

    def nudge(self) -> None:
        """Something that was under way has ended: there may be credit to be told, or nothing left
        to wait for."""
        if self.incoming.owes_credit:
            self._writable.set()
        if self.draining:
            self.peer.changed()

    async def _write(self) -> None:
        limits = self.links.spec.limits
        while True:
            await self._writable.wait()
            self._writable = trio.Event()
            while frames := self._take():
                data = joined(frames)
                self._writing = True
                with trio.move_on_after(limits.send_s) as scope:
                    await self._transport.send(data)
                self._writing = False
                if scope.cancelled_caught:
                    return self.end(STUCK)
                self._metrics.moved(self.peer.name, SENT, len(frames), len(data))
                if self.draining:
                    self.peer.changed()

    def _take(self) -> list[bytes]:
        """As many frames as go into one message, the oldest first."""
        frames: list[bytes] = []
        size = 0
        while self._queue and size < BATCH_BYTES and len(frames) < FRAMES_MAX - 1:
            item = self._queue.popleft()
            frame = item if isinstance(item, bytes) else self.outgoing.encoded(item)
            if frame is not None:
                frames.append(frame)
                size += len(frame)
        credit = self.incoming.credit_frame() if frames or self.incoming.owes_credit else None
        if credit is not None:
            frames.append(credit)
        return frames

    # Reading

    async def _read(self) -> None:
        while True:
            data = await self._transport.receive()
            frames = frames_of(data)
            self._metrics.moved(self.peer.name, RECEIVED, len(frames), len(data))
            for frame in frames:
                self._take_up(frame)

    def _take_up(self, frame: AnyFrame) -> None:
        match frame:
            case Ask():
                self.incoming.ask(frame)
            case Answer():
                self.outgoing.answered(frame)
            case Failure():
                self.outgoing.failed(frame)
            case Tell():
                self.incoming.tell(frame)
            case Cancel():
                self.incoming.cancel(frame.number)
            case Credit():
                self.outgoing.grant(frame.total)
            case Ping():
                self.put(encode_frame(Pong(frame.number)))
            case Pong():
                self._pong(frame.number)
            case Goodbye():
                self._goodbye()
            case _:
                raise ProtocolViolation("out_of_order", "a handshake within a link")

    def _goodbye(self) -> None:
        """The other side ends it, when what is under way has ended here as well."""
        if not self.draining:
            self.draining = True
            self.peer.changed()

    # The pulse

    async def _beat(self) -> None:
        """Ping, and find out when nobody answers: a network that is silent says nothing.

        Waits are counted, and not the clock read: after this process itself stood still, the
        answer may be there and not read yet.
        """
        limits, waited_s = self.links.spec.limits, 0.0
        while True:
            await trio.sleep(limits.ping_every_s)
            waited_s += limits.ping_every_s
            if self._pinged_at is None:
                self._ping += 1
                self._pinged_at, waited_s = monotonic(), 0.0
                self.put(encode_frame(Ping(self._ping)))
            elif waited_s >= limits.silence_max_s:
                self.end(SILENT)

    def _pong(self, number: int) -> None:
        if number != self._ping or self._pinged_at is None:
            raise ProtocolViolation(
                "out_of_order", f"pong {number}, the last ping was {self._ping}"
            )
        self.round_trip_s = monotonic() - self._pinged_at
        self._pinged_at = None
        self._metrics.round_trip(self.peer.name, self.round_trip_s)
