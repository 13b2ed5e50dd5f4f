"""The actor that creates customers."""

from typing import Any, ClassVar

import msgspec

from actors.core.messages import (
    MERCHANTS,
    CreateCustomer,
    CreatedCustomer,
    Customer,
    GetMerchant,
)
from actors.core.model import check_id
from actors.core.queries import SELECT_CUSTOMER
from actors.core.records import customer_of, customer_write
from actors.vocabulary import KEY_REUSED, Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, StorageError
from runtime.storage.idempotency import SELECT_KEY, idempotency_write


class Customers(Actor):
    """Creates customers, each key once."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(self, message: Any) -> object:
        if isinstance(message, CreateCustomer):
            return await self._create(message)
        return await super().receive(message)

    async def _create(self, message: CreateCustomer) -> CreatedCustomer | Refusal:
        earlier = await self._replay(message)
        if earlier is not None:
            return earlier
        customer = self._customer(message)
        refusal = check_id("customer_id", customer.customer_id)
        if refusal is not None:
            return refusal
        if await self.system.ref(MERCHANTS).ask(GetMerchant(message.merchant_id)) is None:
            detail = f"there is no merchant {message.merchant_id}"
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
        answer = await self.system.ref(JOURNAL).ask(Append(_entry(customer, message)))
        if isinstance(answer, Rejected):
            # The commit of an earlier try may have been under way when its key was looked up.
            earlier = await self._replay(message)
            if earlier is not None:
                return earlier
            detail = f"customer {customer.customer_id} exists already"
            return Refusal(RefusalKind.CONFLICT, "customer_exists", detail)
        return CreatedCustomer(customer, replayed=False)

    def _customer(self, message: CreateCustomer) -> Customer:
        customer_id = message.customer_id
        if customer_id is None:
            customer_id = self.system.ids.new("cus")
        return Customer(
            message.merchant_id, customer_id, message.display_name, self.system.clock.now()
        )

    async def _replay(self, message: CreateCustomer) -> CreatedCustomer | Refusal | None:
        key = message.idempotency
        if key is None:
            return None
        row = await self._database.fetch_row(SELECT_KEY, message.merchant_id, key.key)
        if row is None:
            return None
        if row["fingerprint"] != key.fingerprint:
            return KEY_REUSED
        stored = msgspec.convert(row["response"], dict[str, str])
        found = await self._database.fetch_row(
            SELECT_CUSTOMER, message.merchant_id, stored["customer_id"]
        )
        return CreatedCustomer(customer_of(found), replayed=True) if found is not None else None


def _entry(customer: Customer, message: CreateCustomer) -> Entry:
    write = customer_write(customer)
    if message.idempotency is None:
        return (write,)
    key = idempotency_write(
        merchant_id=customer.merchant_id,
        key=message.idempotency.key,
        fingerprint=message.idempotency.fingerprint,
        response={"customer_id": customer.customer_id},
        created_at=customer.created_at,
    )
    return (write, key)
