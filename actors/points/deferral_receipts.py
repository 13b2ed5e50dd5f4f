"""Receipts of earnings that were put off and applied lately, by the keys they were asked with."""

from datetime import datetime, timedelta
from typing import Final

import attrs

from actors.points.messages import Receipt
from actors.vocabulary import KEY_REUSED, Idempotency, Refusal

RECEIPTS_MAX: Final = 50_000
"""As many as may wait on the disk: clients that ask again for all of a backlog are told of all."""

KEPT: Final = timedelta(hours=1)
"""So long is a receipt kept at least, unless there are too many."""


@attrs.frozen
class _Applied:
    fingerprint: str
    receipt: Receipt
    at: datetime


class Receipts:
    """Finds receipts. Those of keys that were applied first go first."""

    def __init__(self) -> None:
        self._applied: dict[tuple[str, str], _Applied] = {}

    def __len__(self) -> int:
        return len(self._applied)

    def keep(self, merchant_id: str, key: Idempotency, receipt: Receipt, at: datetime) -> None:
        self._applied.pop((merchant_id, key.key), None)
        self._applied[merchant_id, key.key] = _Applied(key.fingerprint, receipt, at)
        if len(self._applied) > RECEIPTS_MAX:
            del self._applied[next(iter(self._applied))]

    def find(self, merchant_id: str, key: Idempotency) -> Receipt | Refusal | None:
        """As the account tells it to whoever asks again; a refusal where the key belongs to another
        request."""
        applied = self._applied.get((merchant_id, key.key))
        if applied is None:
            return None
        if applied.fingerprint != key.fingerprint:
            return KEY_REUSED
        return attrs.evolve(applied.receipt, replayed=True)

    def forget(self, before: datetime) -> None:
        """Those that were applied before that, up to the first that was not."""
        while self._applied:
            first = next(iter(self._applied))
            if self._applied[first].at >= before:
                return
            del self._applied[first]
