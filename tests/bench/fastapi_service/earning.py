"""One earn as one transaction: lock the account, look the key up, write, commit."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy
from fastapi import HTTPException

from actors.points.ledger import GENESIS, LotMovement, Posting, Transaction, seal
from actors.points.messages import MAX_BALANCE
from tests.bench.fastapi_service import sql
from tests.bench.fastapi_service.models import Balance, EarnBody, Receipt

ASSET = "points"


async def earn(
    connection: PoolConnectionProxy, merchant_id: str, key: str, body: EarnBody
) -> tuple[Receipt, bool]:
    """The receipt, and whether it was given before. Raises `HTTPException`."""
    fingerprint = sha256(body.model_dump_json(exclude_defaults=True).encode()).hexdigest()
    async with connection.transaction():
        account = await _lock(connection, merchant_id, body.customer_id)
        stored = await connection.fetchrow(sql.SELECT_KEY, merchant_id, key)
        if stored is not None:
            if stored["fingerprint"] != fingerprint:
                raise HTTPException(422, "the key was used with another request")
            return Receipt.model_validate_json(stored["response"]), True
        transaction, head = _next(merchant_id, key, body, account)
        await _write(connection, transaction, head, account)
        receipt = _receipt(transaction)
        await connection.execute(
            sql.INSERT_KEY,
            *(merchant_id, key, fingerprint, receipt.model_dump_json(), transaction.recorded_at),
        )
    return receipt, False


async def _lock(
    connection: PoolConnectionProxy, merchant_id: str, customer_id: str
) -> Record | None:
    """The account's row, locked. The first earn of a customer locks the customer instead."""
    account = await connection.fetchrow(sql.LOCK_ACCOUNT, merchant_id, customer_id, ASSET)
    if account is None:
        if await connection.fetchrow(sql.LOCK_CUSTOMER, merchant_id, customer_id) is None:
            raise HTTPException(404, "there is no such customer")
        account = await connection.fetchrow(sql.LOCK_ACCOUNT, merchant_id, customer_id, ASSET)
    return account


def _next(
    merchant_id: str, key: str, body: EarnBody, account: Record | None
) -> tuple[Transaction, bytes]:
    """The transaction that follows the account's last one, and the hash that seals it."""
    now = datetime.now(UTC)
    sequence, member, hold, pending, head = 0, 0, 0, 0, GENESIS
    if account is not None:
        sequence, member, hold, pending = account[:4]
        head = bytes.fromhex(account["head"])
        now = max(now, account["recorded_at"])
    if member + hold + pending + body.amount > MAX_BALANCE:
        raise HTTPException(409, "the account is full")
    if body.effective_at is not None and body.effective_at > now:
        raise HTTPException(422, "effective_at is in the future")
    if body.expires_at is not None and body.expires_at <= now:
        raise HTTPException(422, "expires_at is in the past")
    transaction_id = f"tx_{uuid4().hex}"
    filled = min(body.amount, max(0, -member - hold))
    transaction = Transaction(
        merchant_id=merchant_id,
        customer_id=body.customer_id,
        asset=ASSET,
        sequence=sequence + 1,
        transaction_id=transaction_id,
        kind="earn",
        amount=body.amount,
        reason=body.reason,
        effective_at=body.effective_at.astimezone(UTC) if body.effective_at else now,
        recorded_at=now,
        postings=(Posting("issuance", -body.amount), Posting("member", body.amount)),
        member=member + body.amount,
        hold=hold,
        pending=pending,
        lot_id=transaction_id,
        lot_amount=body.amount,
        movements=(LotMovement(transaction_id, -filled, body.expires_at, sequence + 1),)
        if filled
        else (),
        expires_at=body.expires_at.astimezone(UTC) if body.expires_at else None,
        order_id=body.order_id,
        idempotency_key=key,
    )
    return transaction, seal(head, transaction)


async def _write(
    connection: PoolConnectionProxy, t: Transaction, head: bytes, account: Record | None
) -> None:
    await connection.execute(
        sql.INSERT_TRANSACTION,
        *(t.merchant_id, t.transaction_id, t.customer_id, t.asset, t.sequence, t.kind, t.amount),
        *(t.reason, t.effective_at, t.recorded_at, t.member, t.hold, t.pending, t.lot_id),
        *(t.lot_amount, t.expires_at, t.order_id, t.idempotency_key, head.hex()),
    )
    await connection.execute(sql.INSERT_POSTINGS, t.merchant_id, t.transaction_id, t.amount)
    filled = -sum(movement.points for movement in t.movements)
    await connection.execute(
        sql.INSERT_LOT,
        *(t.merchant_id, t.lot_id, t.customer_id, t.asset, t.transaction_id, t.sequence),
        *(t.lot_amount, t.amount - filled, t.effective_at, t.expires_at),
    )
    if filled:
        await connection.execute(
            sql.INSERT_LOT_MOVEMENT, t.merchant_id, t.transaction_id, t.lot_id, -filled
        )
    earlier: datetime | None = account["next_due_at"] if account is not None else None
    due = [at for at in (earlier, t.expires_at) if at is not None]
    await connection.execute(
        sql.PUT_ACCOUNT,
        *(t.merchant_id, t.customer_id, t.asset, t.sequence, t.member, t.hold, t.pending),
        *(head.hex(), t.recorded_at, min(due, default=None)),
    )


def _receipt(t: Transaction) -> Receipt:
    posted = t.member + t.hold
    return Receipt(
        transaction_id=t.transaction_id,
        customer_id=t.customer_id,
        sequence=t.sequence,
        kind=t.kind,
        amount=t.amount,
        balance=Balance(posted=posted, held=t.hold, available=t.member, pending=t.pending),
        recorded_at=t.recorded_at,
    )
