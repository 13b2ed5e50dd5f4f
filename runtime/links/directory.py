"""Whom a chain of askers names, when it goes from one shard to the next and comes back."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs

from runtime.cell import Cell
from runtime.links.keyed import KeyedCell

if TYPE_CHECKING:
    from runtime.system import ActorSystem

CHAIN_MAX: Final = 64
"""Askers of a message that are told to the other side; those before them are forgotten."""

SENT_MAX: Final = 4096
"""Askers of this shard that are recognised when they come back."""


@attrs.define(eq=False)
class RemoteAsker:
    """An actor of another shard that waits for an answer: equal to the proxy for it in here, so
    that an ask of that is an ask of itself."""

    shard: str
    name: str
    _directory: Directory

    @property
    def address(self) -> str:
        return f"{self.shard}:{self.name}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RemoteAsker):
            return (self.shard, self.name) == (other.shard, other.name)
        if isinstance(other, Cell):
            return self._directory.stands_for(other) == (self.shard, self.name)
        return False

    def __hash__(self) -> int:
        return hash((self.shard, self.name))


class Directory:
    """The names of one shard's actors, and for whom its proxies stand."""

    def __init__(self, shard: str) -> None:
        self.shard = shard
        self._system: ActorSystem | None = None
        self._proxies: dict[Cell, tuple[str, str]] = {}
        self._names: dict[Cell, str] = {}
        self._known = 0
        self._sent: OrderedDict[str, Cell] = OrderedDict()

    def serve(self, system: ActorSystem) -> None:
        """Names are those of this system from now on."""
        self._system = system

    def stand(self, proxy: Cell, shard: str, name: str) -> None:
        """The proxy in this cell stands for `name` of `shard`."""
        self._proxies[proxy] = (shard, name)

    def stands_for(self, cell: Cell) -> tuple[str, str] | None:
        if isinstance(cell, KeyedCell):
            return (cell.shard, cell.address)
        return self._proxies.get(cell)

    def chain_of(self, asking: tuple[object, ...]) -> list[tuple[str, str]]:
        """Askers as the other side gets them, the last ones."""
        askers = [asker for asker in asking if isinstance(asker, Cell | RemoteAsker)]
        return [self._told(asker) for asker in askers[-CHAIN_MAX:]]

    def _told(self, asker: Cell | RemoteAsker) -> tuple[str, str]:
        if isinstance(asker, RemoteAsker):
            return (asker.shard, asker.name)
        name = self._name(asker)
        self._sent[name] = asker
        self._sent.move_to_end(name)
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)
        return (self.shard, name)

    def _name(self, cell: Cell) -> str:
        """Under which it is registered, or its address, which is that for entities."""
        name = self._names.get(cell)
        if name is None and self._system is not None:
            there = self._system.names
            if len(there) != self._known:
                self._names = {named: name for name, named in there.items()}
                self._known = len(there)
                name = self._names.get(cell)
        return cell.address if name is None else name

    def askers(self, chain: list[tuple[str, str]]) -> tuple[object, ...]:
        """The chain as messages carry it in here."""
        return tuple(self._asker(shard, name) for shard, name in chain[-CHAIN_MAX:])

    def _asker(self, shard: str, name: str) -> object:
        cell = self._sent.get(name) if shard == self.shard else None
        return cell if cell is not None else RemoteAsker(shard, name, self)
