"""The earnings that wait for the database, in memory: what the disk holds, made searchable."""

from collections import deque
from datetime import datetime
from itertools import islice
from math import inf

import attrs

from actors.points.deferral_messages import Deferral
from actors.points.deferral_receipts import Receipts
from actors.points.deferral_records import DeferredRecord, queued
from actors.points.messages import AccountKey, Receipt
from actors.vocabulary import KEY_REUSED, Idempotency, Refusal

ROUND = 256
"""Earnings replayed at the same time, over all accounts."""

PER_ACCOUNT = 64
"""Of them, those of one account."""

RECENT = 4_096
"""Outcomes kept in memory, to be told while the database is away again."""


@attrs.define(eq=False)
class Waiting:
    """One earning, by its sequence on the disk. `attempts` made its account fail."""

    sequence: int
    record: DeferredRecord
    attempts: int = 0


@attrs.define(eq=False)
class Line:
    """The earnings of one account, in order, none before `not_before` (Trio's clock). The next
    `careful` of them go one by one, because one of them made the account fail."""

    account: AccountKey
    waiting: deque[Waiting] = attrs.field(factory=deque)
    careful: int = 0
    not_before: float = -inf


class Backlog:
    """Finds earnings by key and by id, and deals them out by account. Knows no I/O."""

    def __init__(self, acknowledged: int) -> None:
        self._lines: dict[AccountKey, Line] = {}
        self._by_key: dict[tuple[str, str], Waiting] = {}
        self._by_id: dict[tuple[str, str], Waiting] = {}
        self._recent: dict[tuple[str, str], Deferral] = {}
        self.receipts = Receipts()
        self._unfinished: dict[int, Waiting] = {}
        self._arrived = acknowledged
        self._early: set[int] = set()
        self._done = acknowledged

    def __len__(self) -> int:
        return len(self._unfinished)

    def add(self, sequence: int, record: DeferredRecord) -> None:
        """An earning is durable. Those written at the same time may come in any order."""
        waiting = self._unfinished[sequence] = Waiting(sequence, record)
        self._by_key[record.merchant_id, record.earn.idempotency.key] = waiting
        self._by_id[record.merchant_id, record.deferral_id] = waiting
        line = self._lines.get(record.account)
        if line is None:
            line = self._lines[record.account] = Line(record.account)
        line.waiting.append(waiting)
        self._early.add(sequence)
        while self._arrived + 1 in self._early:
            self._arrived += 1
            self._early.remove(self._arrived)

    def recovered(self, through: int) -> None:
        """Everything on the disk up to this sequence has been added, or cannot be read."""
        self._arrived = max(self._arrived, through)
        self._early = {sequence for sequence in self._early if sequence > self._arrived}

    @property
    def done_through(self) -> int:
        """The sequence up to which everything is finished."""
        while self._done < self._arrived and self._done + 1 not in self._unfinished:
            self._done += 1
        return self._done

    @property
    def oldest(self) -> datetime | None:
        first = next(iter(self._unfinished.values()), None)
        return first.record.deferred_at if first is not None else None

    def find(self, merchant_id: str, idempotency: Idempotency) -> Deferral | Refusal | None:
        """What waits under a key, unless it belongs to another request."""
        waiting = self._by_key.get((merchant_id, idempotency.key))
        if waiting is None:
            return None
        if waiting.record.earn.idempotency.fingerprint != idempotency.fingerprint:
            return KEY_REUSED
        return queued(waiting.record).deferral

    def get(self, merchant_id: str, deferral_id: str) -> Deferral | None:
        """What waits under an id, or came to its end lately."""
        waiting = self._by_id.get((merchant_id, deferral_id))
        if waiting is not None:
            return queued(waiting.record).deferral
        return self._recent.get((merchant_id, deferral_id))

    def ready(self, now: float) -> list[list[Waiting]]:
        """The next to be replayed, by account. Accounts take turns."""
        groups: list[list[Waiting]] = []
        room = ROUND
        for line in list(self._lines.values()):
            if room == 0:
                break
            if line.not_before > now:
                continue
            group = list(islice(line.waiting, 1 if line.careful else min(room, PER_ACCOUNT)))
            room -= len(group)
            groups.append(group)
        for group in groups:
            account = group[0].record.account
            self._lines[account] = self._lines.pop(account)
        return groups

    def next_at(self) -> float:
        """When the next one may be replayed, on Trio's clock; infinity when none waits."""
        return min((line.not_before for line in self._lines.values()), default=inf)

    def hold(self, account: AccountKey, until: float) -> None:
        """The account's next earnings go one by one, and none before `until`."""
        line = self._lines[account]
        line.careful, line.not_before = PER_ACCOUNT, until

    def finish(self, waiting: Waiting, deferral: Deferral) -> None:
        """An earning came to its end, and that is durable."""
        record = waiting.record
        del self._unfinished[waiting.sequence]
        _forget(self._by_key, (record.merchant_id, record.earn.idempotency.key), waiting)
        _forget(self._by_id, (record.merchant_id, record.deferral_id), waiting)
        line = self._lines[record.account]
        line.waiting.remove(waiting)
        line.careful = max(0, line.careful - 1)
        if not line.waiting:
            del self._lines[record.account]
        self._recent[record.merchant_id, record.deferral_id] = deferral
        for key in list(islice(self._recent, max(0, len(self._recent) - RECENT))):
            del self._recent[key]
        if isinstance(deferral.result, Receipt) and deferral.finished_at is not None:
            key_of = record.earn.idempotency
            self.receipts.keep(record.merchant_id, key_of, deferral.result, deferral.finished_at)


def _forget(index: dict[tuple[str, str], Waiting], key: tuple[str, str], waiting: Waiting) -> None:
    if index.get(key) is waiting:
        del index[key]
