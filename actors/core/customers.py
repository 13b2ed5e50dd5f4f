"""The actor that writes customers."""

from typing import Any, ClassVar

import msgspec

from actors.core.contacts import ContactKind
from actors.core.customer_changes import Change, Wanted, unknown, wanted
from actors.core.customer_store import CustomerStore
from actors.core.endings import Endings
from actors.core.messages import (
    MAX_UPSERTS,
    MERCHANTS,
    ChangeCustomer,
    CreateCustomer,
    CreatedCustomer,
    Customer,
    EraseCustomer,
    GetMerchant,
    MergeCustomers,
    SetConsent,
    Unsubscribe,
    UpsertCustomers,
    Upserted,
)
from actors.core.model import check_id, invalid
from actors.core.preparing import ORIGIN, UpsertSteps
from actors.core.quotas import Quotas
from actors.core.reaching import consented_of
from actors.core.upserting import BUSY, TRIES, Piece, Upserting
from actors.vocabulary import KEY_REUSED, Refusal, RefusalKind
from runtime import Actor, ActorError
from runtime.foreground import Turns
from runtime.journal import Rejected
from runtime.storage import Entry, StorageError
from runtime.storage.idempotency import SELECT_KEY, idempotency_write

API = "api"
"""Origin of what came by a request."""

UNSUBSCRIBED = "unsubscribe"
"""Origin of what came by the link in a message."""


class Customers(Actor):
    """The only writer of customers in its process, which makes look-then-write sound.

    The constraints of the tables are the last wall.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, store: CustomerStore, quotas: Quotas) -> None:
        self._database = store.database
        self._vault = store.vault
        self._quotas = quotas
        self._store = store

    async def receive(self, message: Any) -> object:
        match message:
            case CreateCustomer():
                return await self._create(message)
            case ChangeCustomer():
                return await self._change(message)
            case SetConsent():
                return await self._set_consent(message)
            case Unsubscribe():
                return await self._unsubscribe(message)
            case UpsertCustomers():
                return await self._upsert(message)
            case UpsertSteps():
                return await self._upsert_steps(message)
            case MergeCustomers():
                return await Endings(self.system, self._store).merge(message)
            case EraseCustomer():
                return await Endings(self.system, self._store).erase(message)
        return await super().receive(message)

    async def _create(self, message: CreateCustomer) -> CreatedCustomer | Refusal:
        earlier = await self._replay(message)
        if earlier is not None:
            return earlier
        customer_id = message.customer_id
        if customer_id is None:
            customer_id = self.system.ids.new("cus")
        refusal = check_id("customer_id", customer_id)
        if refusal is not None:
            return refusal
        wish = wanted(
            self._vault,
            message.merchant_id,
            display_name=message.display_name,
            contacts=_contacts(message),
            external_ids=message.external_ids,
        )
        if isinstance(wish, Refusal):
            return wish
        if await self.system.ref(MERCHANTS).ask(GetMerchant(message.merchant_id)) is None:
            detail = f"there is no merchant {message.merchant_id}"
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", detail)
        return await self._write_new(message, customer_id, wish)

    async def _write_new(
        self, message: CreateCustomer, customer_id: str, wish: Wanted
    ) -> CreatedCustomer | Refusal:
        merchant_id = message.merchant_id
        room = await self._quotas.room(merchant_id, self.system.clock.now())
        exists = _exists(customer_id)
        refusal = room.take_customer()
        if refusal is not None:
            return exists if await self._store.load(merchant_id, (customer_id,)) else refusal
        owners = await self._store.owners(merchant_id, wish.claims)
        change = self._store.changer(self.system, owners, API).create(
            merchant_id, customer_id, wish
        )
        if isinstance(change, Refusal):
            return change
        entry = (*change.writes, *_key(message, change))
        if await self._append(entry, merchant_id, customer_id) is None:
            self._quotas.keep(merchant_id, room)
            return CreatedCustomer(change.customer.opened(self._vault), replayed=False)
        # The commit of an earlier try may have been under way when its key was looked up.
        earlier = await self._replay(message)
        if earlier is not None:
            return earlier
        return exists if await self._store.load(merchant_id, (customer_id,)) else BUSY

    async def _append(self, entry: Entry, merchant_id: str, *ids: str) -> Rejected | None:
        return await self._store.append(self.system, entry, merchant_id, ids)

    async def _upsert(self, message: UpsertCustomers) -> tuple[Upserted | Refusal, ...]:
        customers = message.customers
        if len(customers) > MAX_UPSERTS:
            refusal = invalid("too_many_customers", f"at most {MAX_UPSERTS} customers at once")
            return (refusal,) * len(customers)
        upserting = Upserting(
            self.system, self._store, self._quotas, message.merchant_id, message.origin
        )
        return await upserting.upsert([Piece(customers)])

    async def _upsert_steps(self, message: UpsertSteps) -> tuple[Upserted | Refusal, ...]:
        upserting = Upserting(
            self.system,
            self._store,
            self._quotas,
            message.merchant_id,
            ORIGIN,
            dry_run=message.dry_run,
            trust=message.trust,
            turns=Turns(self.system.foreground),
        )
        return await upserting.upsert([Piece(told, step) for step, told in message.steps])

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
        found = await self._store.load(message.merchant_id, (stored["customer_id"],))
        customer = found.get(stored["customer_id"])
        return CreatedCustomer(customer.opened(self._vault), replayed=True) if customer else None

    async def _change(self, message: ChangeCustomer) -> Customer | Refusal:
        wish = wanted(
            self._vault,
            message.merchant_id,
            display_name=message.display_name,
            contacts=_contacts(message),
            external_ids=message.external_ids,
        )
        if isinstance(wish, Refusal):
            return wish
        return await self._changed(message.merchant_id, message.customer_id, wish, API)

    async def _set_consent(self, message: SetConsent) -> Customer | Refusal:
        wish = Wanted(consents=((message.channel, message.granted),))
        return await self._changed(message.merchant_id, message.customer_id, wish, message.origin)

    async def _unsubscribe(self, message: Unsubscribe) -> bool:
        about = consented_of(self._vault, message.token)
        if about is None:
            return False
        wish = Wanted(consents=((about.channel, False),))
        changed = await self._changed(about.merchant_id, about.customer_id, wish, UNSUBSCRIBED)
        return not isinstance(changed, Refusal)

    async def _changed(
        self, merchant_id: str, customer_id: str, wish: Wanted, origin: str
    ) -> Customer | Refusal:
        for _ in range(TRIES):
            stored = (await self._store.load(merchant_id, (customer_id,))).get(customer_id)
            if stored is None:
                return unknown(customer_id)
            owners = await self._store.owners(merchant_id, wish.claims)
            change = self._store.changer(self.system, owners, origin).change(stored, wish)
            if isinstance(change, Refusal):
                return change
            if not change.writes or (
                await self._append(change.writes, merchant_id, customer_id) is None
            ):
                return change.customer.opened(self._vault)
        return BUSY


def _contacts(message: CreateCustomer | ChangeCustomer) -> tuple[tuple[ContactKind, Any], ...]:
    return (ContactKind.EMAIL, message.email), (ContactKind.PHONE, message.phone)


def _exists(customer_id: str) -> Refusal:
    detail = f"customer {customer_id} exists already"
    return Refusal(RefusalKind.CONFLICT, "customer_exists", detail)


def _key(message: CreateCustomer, change: Change) -> Entry:
    if message.idempotency is None:
        return ()
    write = idempotency_write(
        merchant_id=change.customer.merchant_id,
        key=message.idempotency.key,
        fingerprint=message.idempotency.fingerprint,
        response={"customer_id": change.customer.customer_id},
        created_at=change.customer.created_at,
    )
    return (write,)
