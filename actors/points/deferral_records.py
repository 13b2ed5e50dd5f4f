"""Deferred earnings as they lie on the disk, and their outcomes as they lie in the database."""

from collections.abc import Sequence
from datetime import datetime

import attrs
import msgspec

from actors.points.deferral_messages import Deferral, DeferralStatus
from actors.points.messages import AccountKey, Earn, Receipt, Result
from actors.points.queries import PUT_DEFERRAL, SELECT_DEFERRALS
from actors.points.questions import fetch_by_ids
from actors.vocabulary import Refusal
from runtime.storage import Database, Row, Write


@attrs.frozen(kw_only=True)
class DeferredRecord:
    """What the disk keeps of a deferral. Fields may be added, with defaults, but never renamed:
    a new version reads what an old one has left."""

    deferral_id: str
    merchant_id: str
    customer_id: str
    deferred_at: datetime
    earn: Earn

    @property
    def account(self) -> AccountKey:
        return AccountKey(self.merchant_id, self.customer_id)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DeferredRecord).decode


def encode_record(record: DeferredRecord) -> bytes:
    return _encode(record)


def decode_record(payload: bytes) -> DeferredRecord:
    """Raises `msgspec.MsgspecError`."""
    return _decode(payload)


@attrs.frozen
class Known:
    """What the database knows of a deferral: attempts that failed, and its end if it has one."""

    attempts: int
    deferral: Deferral


def outcome(record: DeferredRecord, result: Result, status: DeferralStatus, at: datetime) -> Known:
    """The end of a deferral."""
    return Known(
        0,
        Deferral(record.deferral_id, record.customer_id, status, record.deferred_at, at, result),
    )


def queued(record: DeferredRecord, attempts: int = 0) -> Known:
    return Known(
        attempts,
        Deferral(record.deferral_id, record.customer_id, DeferralStatus.QUEUED, record.deferred_at),
    )


def deferral_write(record: DeferredRecord, known: Known) -> Write:
    """Keep what is known; what has ended stays as it is."""
    deferral = known.deferral
    return Write(
        PUT_DEFERRAL,
        (
            record.merchant_id,
            record.deferral_id,
            record.customer_id,
            record.earn.idempotency.key,
            deferral.status.value,
            known.attempts,
            record.deferred_at,
            deferral.finished_at,
            _result_value(deferral.result),
        ),
    )


def _result_value(result: Result | None) -> dict[str, object] | None:
    if result is None:
        return None
    name = "refusal" if isinstance(result, Refusal) else "receipt"
    return {name: msgspec.to_builtins(result)}


async def find_deferrals(
    database: Database, merchant_id: str, ids: Sequence[str]
) -> dict[str, Known]:
    """What the database knows, by id. Raises `StorageError`."""
    rows = await fetch_by_ids(database, SELECT_DEFERRALS, merchant_id, ids)
    return {row["deferral_id"]: _known(row) for row in rows}


def _known(row: Row) -> Known:
    deferral = Deferral(
        row["deferral_id"],
        row["customer_id"],
        DeferralStatus(row["status"]),
        row["deferred_at"],
        row["finished_at"],
        _result(row["result"]),
    )
    return Known(row["attempts"], deferral)


def _result(value: dict[str, object] | None) -> Result | None:
    if value is None:
        return None
    if "refusal" in value:
        return msgspec.convert(value["refusal"], Refusal)
    return msgspec.convert(value["receipt"], Receipt)
