"""Cells of entities that live elsewhere: one for each key, and one mailbox for all of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from runtime.cell import Cell

if TYPE_CHECKING:
    from collections.abc import Hashable

    from trio.lowlevel import ParkingLot

    from runtime.envelope import Envelope


class KeyedCell(Cell):
    """The address of one entity of another shard. What is put into it waits in the mailbox of the
    region's proxy, `host`, whose bound it shares."""

    __slots__ = ("host", "key", "region", "shard")

    def __init__(self, host: Cell, region: str, key: Hashable, shard: str) -> None:
        self.host = host
        self.region = region
        self.key = key
        self.shard = shard
        address = f"{region}/{key}"
        super().__init__(address, host.spec, host.dead_letters, host.deadlines)
        self.items = _HostLane(host)

    @property
    def accepting(self) -> bool:
        return self.host.accepting

    @accepting.setter
    def accepting(self, _accepting: bool) -> None:
        """Decided by the host."""

    @property
    def limit(self) -> int:
        return self.host.limit

    @limit.setter
    def limit(self, _limit: int) -> None:
        """Decided by the host."""

    @property
    def room(self) -> ParkingLot | None:
        return self.host.room

    @room.setter
    def room(self, room: ParkingLot | None) -> None:
        if room is not None:
            self.host.room = room

    def make_room(self, message: object) -> bool:
        return self.host.make_room(message)


class _HostLane(deque["Envelope"]):
    """The host's mailbox, as one of its keyed cells sees it: no more than what senders do."""

    def __init__(self, host: Cell) -> None:
        super().__init__()
        self._host = host

    def __len__(self) -> int:
        return len(self._host.items)

    def append(self, envelope: Any, /) -> None:
        self._host.deliver(envelope)

    def remove(self, envelope: Any, /) -> None:
        self._host.items.remove(envelope)
