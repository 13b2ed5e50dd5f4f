"""Many customers of one merchant at once, as files and shops tell of them."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import NamedTuple

import attrs

from actors.core.cipher import Vault
from actors.core.contacts import ContactKind
from actors.core.customer_changes import Changer, Claim, Owners, Wanted, claim_of, wanted
from actors.core.messages import KEEP, CustomerData, Upserted, UpsertStatus
from actors.core.model import IDS, check_id
from actors.core.profiles import StoredCustomer
from actors.core.quotas import Room
from actors.vocabulary import Refusal, RefusalKind
from runtime.foreground import Turns
from runtime.ports import Ids
from runtime.storage import Entry, Write

Result = Upserted | Refusal


class Asked(NamedTuple):
    """One customer, checked: which one it is, unless it is new, and what it is to be like."""

    customer_id: str | None
    wish: Wanted


def checked(vault: Vault, merchant_id: str, data: CustomerData, owners: Owners) -> Asked | Refusal:
    """`owners` knows who has the external ids."""
    contacts = (
        (ContactKind.EMAIL, data.email if data.email is not None else KEEP),
        (ContactKind.PHONE, data.phone if data.phone is not None else KEEP),
    )
    wish = wanted(
        vault,
        merchant_id,
        display_name=data.display_name if data.display_name is not None else KEEP,
        contacts=contacts,
        external_ids=data.external_ids,
        consents=data.consents,
    )
    if isinstance(wish, Refusal):
        return wish
    if data.customer_id is not None:
        return check_id("customer_id", data.customer_id) or Asked(data.customer_id, wish)
    if not data.external_ids:
        detail = "a customer needs an id, or one of another system"
        return Refusal(RefusalKind.INVALID, "customer_id_missing", detail)
    return Asked(owners.get(claim_of(data.external_ids[0])), wish)


async def all_checked(
    vault: Vault,
    merchant_id: str,
    customers: Sequence[CustomerData],
    owners: Owners,
    turns: Turns,
) -> list[Asked | Refusal]:
    """Each as `checked` has it."""
    asked: list[Asked | Refusal] = []
    for data in customers:
        await turns.take()
        asked.append(checked(vault, merchant_id, data, owners))
    return asked


def claims(asked: Iterable[Asked | Refusal]) -> list[Claim]:
    """All that only one customer may have."""
    return [claim for one in asked if isinstance(one, Asked) for claim in one.wish.claims]


@attrs.define
class Deciding:
    """Decides one after another; each sees what was decided before it."""

    merchant_id: str
    changer: Changer
    ids: Ids
    room: Room
    stored: MutableMapping[str, StoredCustomer]
    turns: Turns
    writes: list[Write] = attrs.field(factory=list)
    changed: list[str] = attrs.field(factory=list)

    async def decide(
        self, data: Sequence[CustomerData], asked: Sequence[Asked | Refusal]
    ) -> list[Result]:
        """One result each."""
        results: list[Result] = []
        for each, one in zip(data, asked, strict=True):
            await self.turns.take()
            results.append(one if isinstance(one, Refusal) else self._one(each, one))
        return results

    def taken(self) -> tuple[Entry, Sequence[str]]:
        """What was decided since the last time, to be written, and the customers it changes. Those
        that are new were in no cache: that there is no such customer is never cached."""
        writes, self.writes = tuple(self.writes), []
        changed, self.changed = self.changed, []
        return writes, changed

    def _one(self, data: CustomerData, asked: Asked) -> Result:
        named = asked.customer_id or self._known(data) or named_after(data)
        customer_id = named or self.ids.new("cus")
        before = self.stored.get(customer_id)
        if before is None:
            refusal = self.room.take_customer()
            if refusal is not None:
                return refusal
            change = self.changer.create(self.merchant_id, customer_id, asked.wish)
            if isinstance(change, Refusal):
                self.room.customers -= 1
        else:
            change = self.changer.change(before, _adding(asked.wish, before))
        if isinstance(change, Refusal):
            return change
        if not change.writes:
            return Upserted(customer_id, UpsertStatus.UNCHANGED)
        self.stored[customer_id] = change.customer
        self.writes += change.writes
        if before is None:
            return Upserted(customer_id, UpsertStatus.CREATED)
        self.changed.append(customer_id)
        return Upserted(customer_id, UpsertStatus.CHANGED)

    def _known(self, data: CustomerData) -> str | None:
        """Another line before may have told of it."""
        return self.changer.owners.get(claim_of(data.external_ids[0]))


def named_after(data: CustomerData) -> str | None:
    """An id that tells where a customer without one came from, as far as it may be one."""
    first = data.external_ids[0]
    named = f"{first.source}-{first.external_id}"
    return named if IDS.fullmatch(named) else None


def _adding(wish: Wanted, stored: StoredCustomer) -> Wanted:
    """External ids are added to those that are there."""
    assert isinstance(wish.external_ids, tuple)  # noqa: S101 - `checked` made it so
    if not wish.external_ids:
        return attrs.evolve(wish, external_ids=KEEP)
    return attrs.evolve(wish, external_ids=(*stored.external_ids, *wish.external_ids))


def found_ids(asked: Iterable[Asked | Refusal], owners: Mapping[Claim, str]) -> set[str]:
    """Whom to load before anything is decided."""
    named = {one.customer_id for one in asked if isinstance(one, Asked)}
    return {each for each in (*named, *owners.values()) if each is not None}
