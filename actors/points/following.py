"""Telling others of points: for merchants that somebody follows, an event with every entry.

Most merchants have nobody who follows, and their entries cost nothing more.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import msgspec

from actors.points.ledger import KIND_EARN, KIND_MATURE, KIND_REVERSAL, Posted, Transaction
from actors.points.messages import (
    POINTS_POSTED,
    FollowPoints,
    PointsPosted,
    PostedPoints,
)
from actors.points.reversals import root_of
from runtime import ActorError, Workers
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.ports import Ids
from runtime.storage import Database, Statement, StorageError, Write
from runtime.storage.outbox import event_write

SELECT_FOLLOWER = "SELECT 1 FROM points_followers WHERE merchant_id = $1"

INSERT_FOLLOWER = Statement(
    "points.insert_follower",
    "INSERT INTO points_followers (merchant_id, since) VALUES ($1, $2)"
    " ON CONFLICT (merchant_id) DO NOTHING",
    40,
)


class Followers:
    """Which merchants are followed, as far as it was asked: shared by all accounts of a process."""

    def __init__(self) -> None:
        self._followed: dict[str, bool] = {}

    def has(self, merchant_id: str) -> bool:
        """Of a merchant that was looked up."""
        return self._followed.get(merchant_id, False)

    def added(self, merchant_id: str) -> None:
        self._followed[merchant_id] = True

    async def look_up(self, database: Database, merchant_ids: Iterable[str]) -> None:
        """Once for each merchant. Raises `StorageError`."""
        unknown = [each for each in merchant_ids if each not in self._followed]
        if not unknown:
            return
        results = await database.fetch_many([(SELECT_FOLLOWER, (each,)) for each in unknown])
        for merchant_id, rows in zip(unknown, results, strict=True):
            self._followed.setdefault(merchant_id, bool(rows))


class Following(Workers):
    """Notes who is followed. Points that are posted from then on are told of."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, followers: Followers) -> None:
        super().__init__()
        self._followers = followers

    async def receive(self, message: Any) -> object:
        if not isinstance(message, FollowPoints):
            return await super().receive(message)
        row = (message.merchant_id, self.system.clock.now())
        answer = await self.system.ref(JOURNAL).ask(Append((Write(INSERT_FOLLOWER, row),)))
        if isinstance(answer, Rejected):
            raise answer.violation
        self._followers.added(message.merchant_id)
        return None


def told_of(events: Sequence[Posted], ids: Ids) -> Write | None:
    """The event that tells of what was earned and taken back; None where nothing was."""
    transactions = [event.transaction for event in events]
    postings = tuple(filter(None, map(_posting, transactions)))
    if not postings:
        return None
    last = transactions[-1]
    told = PointsPosted(last.customer_id, postings)
    event = OutboxEvent(
        merchant_id=last.merchant_id,
        event_id=ids.new("ev"),
        topic=POINTS_POSTED,
        key=last.customer_id,
        payload=msgspec.to_builtins(told),
        created_at=last.recorded_at,
    )
    return event_write(event)


def _posting(transaction: Transaction) -> PostedPoints | None:
    if transaction.kind in (KIND_EARN, KIND_MATURE):
        root, taken_back = root_of(transaction), False
    elif transaction.kind == KIND_REVERSAL and transaction.reverses is not None:
        root, taken_back = transaction.reverses, True
    else:
        return None
    return PostedPoints(
        transaction_id=transaction.transaction_id,
        earned_by=root,
        amount=transaction.amount,
        taken_back=taken_back,
        effective_at=transaction.effective_at,
    )
