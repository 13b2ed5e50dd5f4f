"""Addressing entities by key, wherever their activation stands."""

from __future__ import annotations

from collections.abc import Coroutine, Hashable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from runtime.cell import Cell
from runtime.deadletters import DeadReason
from runtime.errors import ActorDown, MailboxFull
from runtime.message import Call, Message
from runtime.ref import ActorRef, ask, send

if TYPE_CHECKING:
    from runtime.system import ActorSystem

Reply = TypeVar("Reply")


class RegionHost(Protocol):
    """The actor that runs a region's entities."""

    @property
    def ref(self) -> ActorRef: ...

    @property
    def active(self) -> dict[Hashable, Cell]: ...

    def activate(self, key: Hashable) -> Cell | None:
        """The cell of a new activation, or None when there is no room for one."""

    def depth(self) -> int:
        """Messages to entities that are not read."""


class Region:
    """The entities of one kind. References stay valid while the host restarts."""

    def __init__(self, name: str, system: ActorSystem) -> None:
        self.name = name
        self._system = system
        self._host: RegionHost | None = None

    def ref(self, key: Hashable) -> EntityRef:
        """The entity with this key. Making a reference activates nothing."""
        return EntityRef(self, key)

    def attach(self, host: RegionHost) -> None:
        self._host = host

    def detach(self) -> None:
        self._host = None

    def cell(self, key: Hashable, message: object) -> Cell:
        """The cell of the active entity, activated if need be.

        Raises `ActorDown` while the host is away, `MailboxFull` when no more entities fit.
        """
        host = self._host
        if host is None:
            raise ActorDown(self.address(key), message)
        cell = host.active.get(key)
        if cell is None:
            if not host.ref.alive:
                raise ActorDown(self.address(key), message)
            cell = host.activate(key)
        if cell is None:
            raise MailboxFull(self.address(key), message, "too many active entities")
        return cell

    def depth(self) -> int:
        """Messages that entities here have not read."""
        return self._host.depth() if self._host is not None else 0

    def find(self, address: str) -> Cell | None:
        """The active entity at this address; none is activated."""
        active = self._host.active if self._host is not None else {}
        return next((cell for cell in active.values() if cell.address == address), None)

    def address(self, key: Hashable) -> str:
        return f"{self.name}/{key}"

    def bury(self, key: Hashable, message: Message) -> None:
        self._system.dead_letters.add(self.address(key), message, DeadReason.NOT_RUNNING)


class EntityRef:
    """Like `ActorRef`, for the entity with `key`: a message activates it if it sleeps."""

    __slots__ = ("_key", "_region")

    def __init__(self, region: Region, key: Hashable) -> None:
        self._region = region
        self._key = key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EntityRef):
            return False
        return self._region is other._region and self._key == other._key

    def __hash__(self) -> int:
        return hash((self._region, self._key))

    @property
    def address(self) -> str:
        return self._region.address(self._key)

    def receiver(self, message: object) -> Cell:
        """See `runtime.ref.Asked`. Activates the entity if it sleeps."""
        return self._region.cell(self._key, message)

    def tell(self, message: Message) -> bool:
        """See `ActorRef.tell`."""
        try:
            cell = self._region.cell(self._key, message)
        except (ActorDown, MailboxFull):
            self._region.bury(self._key, message)
            return False
        return ActorRef(cell).tell(message)

    async def send(self, message: Message) -> None:
        """See `ActorRef.send`."""
        await send(self._region.cell(self._key, message), message)

    def ask(
        self, message: Call[Reply], *, timeout_s: float | None = None
    ) -> Coroutine[Any, Any, Reply]:
        """See `ActorRef.ask`. Raises at the call, not at the await, when the host is away."""
        return ask(self._region.cell(self._key, message), message, timeout_s)
