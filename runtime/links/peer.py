"""A peer: the other shard, and the one link to it that counts, if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from trio.lowlevel import ParkingLot

from runtime.links.errors import ProtocolViolation

if TYPE_CHECKING:
    from runtime.links.handshake import Introduction
    from runtime.links.session import Session
    from runtime.links.spec import PeerSpec

log = structlog.get_logger("loyalnest.links")

SUPERSEDED: Final = "superseded"


class Peer:
    """What a shard knows of another one. It outlives links, dialers and proxies."""

    def __init__(self, spec: PeerSpec) -> None:
        self.spec = spec
        self.session: Session | None = None
        self.generation = 0
        self.sessions = 0
        self._waiting = ParkingLot()

    @property
    def name(self) -> str:
        return self.spec.name

    def check(self, introduction: Introduction) -> None:
        """Raises `ProtocolViolation` where a later process has had this name."""
        if introduction.hello.generation < self.generation:
            raise ProtocolViolation(SUPERSEDED, "a later process has the name")

    def adopt(self, session: Session) -> None:
        """From now on this is the link. The one before ends, and what it was asked is unknown."""
        before, self.session = self.session, session
        self.generation = session.introduction.hello.generation
        self.sessions += 1
        if before is not None:
            before.end("replaced")
        self.changed()

    def drop(self, session: Session) -> None:
        """It has ended."""
        if self.session is session:
            self.session = None
        self.changed()

    def changed(self) -> None:
        """There is a link, or none any more, or more may be sent over it."""
        self._waiting.unpark_all()

    async def change(self) -> None:
        """Wait for that. A checkpoint."""
        await self._waiting.park()
