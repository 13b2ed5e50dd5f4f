"""Whose a journal partition is: one process at a time, the last one that came for it."""

from collections.abc import Callable
from math import inf

import attrs
import structlog
import trio

from runtime.parking import monotonic
from runtime.ports import Ids
from runtime.storage import (
    TAKEN_OVER,
    CommitUnknown,
    Database,
    StorageFull,
    StorageUnavailable,
    TakenOver,
)
from runtime.storage.partitions import CLAIM, CLAIM_AGAIN, SELECT_OWNER, TAKE_FROM_OTHERS

MAIN = "main"
"""The partition of a tree that is not sharded."""

ANY = "%"
"""The pattern of all partitions."""

LOOK_S = 0.25
"""How long a look at the owner may take, as readers may have all the connections."""

log = structlog.get_logger("loyalnest.journal")


@attrs.define
class Tenure:
    """An epoch in which its holder alone may write. `commits` counts all there were so far."""

    partition: str
    epoch: int
    commits: int


@attrs.define
class Ownership:
    """A process's claim to a partition. It outlives the journal's incarnations.

    The first claim takes the partition from whoever has it, so that a new process can replace an
    old one. Later claims do not: a process that was replaced stays so, and `on_loss` is told once.
    Partitions that are not of the `family`, a pattern as of SQL's LIKE, belong to processes that
    have divided the work in another way: the first claim takes them all. Unless it is said, `main`
    is a family of its own, and to any other partition all are of its family. `seen_at` is when it
    was last seen to be this process's, on Trio's clock.
    """

    partition: str = MAIN
    on_loss: Callable[[], None] = lambda: None
    family: str = attrs.field(
        default=attrs.Factory(lambda own: MAIN if own.partition == MAIN else ANY, takes_self=True)
    )
    epoch: int = 0
    seen_at: float = -inf
    _owner: str | None = None
    _lost: bool = False

    @property
    def owner(self) -> str | None:
        """This process's name in the partition's row; None before the first claim."""
        return self._owner

    @property
    def lost(self) -> bool:
        """Whether another process is known to have it."""
        return self._lost

    @property
    def alone(self) -> bool:
        """Whether the journal of this process writes every entry there is, as far as is known: its
        partition is the only one, and was claimed."""
        return self.partition == MAIN and self._owner is not None and not self._lost

    async def claim(self, database: Database, ids: Ids) -> Tenure:
        """A new epoch, after every commit of the old one has ended.

        Raises `StorageUnavailable` when the store is away, or the partition is somebody else's.
        """
        self._check()
        owner = self._owner if self._owner is not None else ids.new("proc")
        sql = CLAIM if self._owner is None else CLAIM_AGAIN
        try:
            if self._owner is None:
                await database.execute(TAKE_FROM_OTHERS, owner, self.family)
            rows = await database.execute(sql, self.partition, owner)
        except (CommitUnknown, StorageFull) as error:
            raise StorageUnavailable(f"{error} (of a claim)") from error
        if not rows:
            self._lose()
        self._owner, self.epoch = owner, rows[0]["epoch"]
        return Tenure(self.partition, rows[0]["epoch"], rows[0]["commits"])

    async def still_mine(self, database: Database) -> bool:
        """Whether nobody else has claimed it; true when that cannot be found out now."""
        if self._owner is None or self._lost:
            await trio.lowlevel.checkpoint()
            return not self._lost
        try:
            with trio.move_on_after(LOOK_S):
                self.hear(await database.fetch_value(SELECT_OWNER, self.partition))
        except StorageUnavailable:
            return True
        return not self._lost

    def hear(self, owner: object) -> bool:
        """What the partition's row said just now: whether this process is the owner."""
        if owner == self._owner:
            self.confirm()
        elif not self._lost:
            self._note_loss()
        return owner == self._owner

    def confirm(self) -> None:
        """It was this process's just now: a look, or a commit that went through, said so."""
        self.seen_at = monotonic()

    def _check(self) -> None:
        if self._lost:
            raise TakenOver(TAKEN_OVER)

    def _lose(self) -> None:
        self._note_loss()
        self._check()

    def _note_loss(self) -> None:
        self._lost = True
        self.on_loss()
        log.error("journal_taken_over", partition=self.partition)
