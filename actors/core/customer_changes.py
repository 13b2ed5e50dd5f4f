"""What is written so that a customer becomes as somebody wants it, decided without I/O."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import datetime

import attrs

from actors.core.cipher import Sealed, Vault
from actors.core.contacts import (
    ContactKind,
    check_external_id,
    check_name,
    contact_key,
    search_name,
)
from actors.core.customer_queries import (
    DELETE_CONTACT,
    DELETE_EXTERNAL_ID,
    INSERT_CONSENT,
    INSERT_CUSTOMER,
    INSERT_EXTERNAL_ID,
    PUT_CONTACT,
    RENAME_CUSTOMER,
)
from actors.core.messages import KEEP, Channel, Consent, ExternalId, Keep
from actors.core.profiles import StoredContact, StoredCustomer
from actors.vocabulary import Refusal, RefusalKind
from runtime.storage import Write

MAX_EXTERNAL_IDS = 50

Claim = tuple[str, str]
"""What only one customer of a merchant may have: a kind and a blind index, or a source and id."""

Owners = MutableMapping[Claim, str]
"""Who has it now."""

Seal = Callable[[str, str, str], Sealed]
"""Seals a text for a merchant and a purpose."""


@attrs.frozen(kw_only=True)
class Wanted:
    """What a customer is to be like. Texts are as given, `indexes` tells their blind indexes."""

    display_name: str | Keep | None = KEEP
    contacts: Mapping[ContactKind, str | None] = attrs.field(factory=dict, repr=False)
    indexes: Mapping[ContactKind, str] = attrs.field(factory=dict)
    external_ids: tuple[ExternalId, ...] | Keep = KEEP
    consents: tuple[tuple[Channel, bool], ...] = ()

    def claims(self) -> Iterator[Claim]:
        """What it must be the only one to have."""
        for kind, index in self.indexes.items():
            yield kind.value, index
        if not isinstance(self.external_ids, Keep):
            for external in self.external_ids:
                yield claim_of(external)


def claim_of(external: ExternalId) -> Claim:
    return f"id {external.source}", external.external_id


def wanted(
    vault: Vault,
    merchant_id: str,
    *,
    display_name: str | Keep | None = KEEP,
    contacts: Mapping[ContactKind, str | Keep | None] | None = None,
    external_ids: tuple[ExternalId, ...] | Keep = KEEP,
    consents: tuple[tuple[Channel, bool], ...] = (),
) -> Wanted | Refusal:
    """What is asked for, checked."""
    if not isinstance(display_name, Keep):
        refusal = check_name(display_name)
        if refusal is not None:
            return refusal
    changed: dict[ContactKind, str | None] = {}
    indexes: dict[ContactKind, str] = {}
    for kind, text in (contacts or {}).items():
        if isinstance(text, Keep):
            continue
        changed[kind] = text.strip() if text is not None else None
        if text is not None:
            key = contact_key(kind, text)
            if isinstance(key, Refusal):
                return key
            indexes[kind] = vault.contact_index(merchant_id, kind.value, key)
    if not isinstance(external_ids, Keep):
        if len(external_ids) > MAX_EXTERNAL_IDS:
            detail = f"a customer has at most {MAX_EXTERNAL_IDS} external ids"
            return Refusal(RefusalKind.INVALID, "too_many_external_ids", detail)
        refusal = next(filter(None, map(check_external_id, external_ids)), None)
        if refusal is not None:
            return refusal
    return Wanted(
        display_name=display_name,
        contacts=changed,
        indexes=indexes,
        external_ids=external_ids,
        consents=consents,
    )


@attrs.frozen
class Change:
    """The customer as it will be, and the writes that make it so."""

    customer: StoredCustomer
    writes: tuple[Write, ...]


@attrs.frozen
class Changer:
    """Decides changes at one moment. `owners` follows what it decides."""

    seal: Seal
    owners: Owners
    now: datetime
    origin: str

    def create(self, merchant_id: str, customer_id: str, wish: Wanted) -> Change | Refusal:
        """A new customer."""
        name = wish.display_name if not isinstance(wish.display_name, Keep) else None
        blank = StoredCustomer(merchant_id, customer_id, name, self.now)
        row = (merchant_id, customer_id, name, search_name(name), self.now)
        rest = self._rest(blank, wish)
        if isinstance(rest, Refusal):
            return rest
        return Change(rest.customer, (Write(INSERT_CUSTOMER, row), *rest.writes))

    def change(self, stored: StoredCustomer, wish: Wanted) -> Change | Refusal:
        """A customer that is there; without writes where it is as wanted already."""
        refusal = alive(stored)
        if refusal is not None:
            return refusal
        name = wish.display_name
        writes: tuple[Write, ...] = ()
        if not isinstance(name, Keep) and name != stored.display_name:
            row = (stored.merchant_id, stored.customer_id, name, search_name(name))
            writes = (Write(RENAME_CUSTOMER, row),)
            stored = attrs.evolve(stored, display_name=name)
        rest = self._rest(stored, wish)
        if isinstance(rest, Refusal):
            return rest
        return Change(rest.customer, (*writes, *rest.writes))

    def _rest(self, stored: StoredCustomer, wish: Wanted) -> Change | Refusal:
        """Contacts, external ids and consents."""
        taken = next((c for c in wish.claims() if self._is_taken(c, stored.customer_id)), None)
        if taken is not None:
            return refused_claim(taken)
        becoming = _Becoming(stored)
        for kind, text in wish.contacts.items():
            self._contact(becoming, kind, text, wish.indexes.get(kind, ""))
        if not isinstance(wish.external_ids, Keep):
            self._external_ids(becoming, wish.external_ids)
        for channel, granted in wish.consents:
            self._consent(becoming, channel, granted)
        return becoming.change()

    def _is_taken(self, claim: Claim, customer_id: str) -> bool:
        return self.owners.get(claim, customer_id) != customer_id

    def _contact(
        self, becoming: "_Becoming", kind: ContactKind, text: str | None, index: str
    ) -> None:
        customer, old = becoming.stored, becoming.contacts.get(kind)
        if (old.index if old is not None else "") == index:
            return
        key = (customer.merchant_id, customer.customer_id, kind.value)
        if old is not None:
            self.owners.pop((kind.value, old.index), None)
        if text is None:
            becoming.writes.append(Write(DELETE_CONTACT, key))
            del becoming.contacts[kind]
            return
        self.owners[kind.value, index] = customer.customer_id
        sealed = self.seal(customer.merchant_id, kind.value, text)
        row = (*key, sealed.text, sealed.version, index)
        becoming.writes.append(Write(PUT_CONTACT, row))
        becoming.contacts[kind] = StoredContact(kind, sealed.text, sealed.version, index)

    def _external_ids(self, becoming: "_Becoming", ids: tuple[ExternalId, ...]) -> None:
        customer = becoming.stored
        merchant_id = customer.merchant_id
        for gone in customer.external_ids:
            if gone not in ids:
                self.owners.pop(claim_of(gone), None)
                row: tuple[str, ...] = (merchant_id, gone.source, gone.external_id)
                becoming.writes.append(Write(DELETE_EXTERNAL_ID, row))
        becoming.external_ids = tuple(dict.fromkeys(ids))
        for new in becoming.external_ids:
            if new not in customer.external_ids:
                self.owners[claim_of(new)] = customer.customer_id
                row = (merchant_id, new.source, new.external_id, customer.customer_id)
                becoming.writes.append(Write(INSERT_EXTERNAL_ID, row))

    def _consent(self, becoming: "_Becoming", channel: Channel, granted: bool) -> None:
        customer, old = becoming.stored, becoming.consents.get(channel)
        if old is not None and old.granted == granted:
            return
        consent = becoming.consents[channel] = Consent(channel, granted, self.origin, self.now)
        write = consent_write(customer.merchant_id, customer.customer_id, consent)
        becoming.writes.append(write)


class _Becoming:
    """What a customer is about to be."""

    def __init__(self, stored: StoredCustomer) -> None:
        self.stored = stored
        self.contacts = {contact.kind: contact for contact in stored.contacts}
        self.external_ids = stored.external_ids
        self.consents = {consent.channel: consent for consent in stored.consents}
        self.writes: list[Write] = []

    def change(self) -> Change:
        old = self.stored
        customer = StoredCustomer(
            old.merchant_id,
            old.customer_id,
            old.display_name,
            old.created_at,
            old.merged_into,
            old.erased_at,
            tuple(self.contacts.values()),
            self.external_ids,
            tuple(self.consents.values()),
        )
        return Change(customer, tuple(self.writes))


def consent_write(merchant_id: str, customer_id: str, consent: Consent) -> Write:
    row = (consent.channel.value, consent.changed_at, consent.granted, consent.origin)
    return Write(INSERT_CONSENT, (merchant_id, customer_id, *row))


def alive(stored: StoredCustomer) -> Refusal | None:
    """Whether it can still be changed."""
    if stored.erased_at is not None:
        detail = f"customer {stored.customer_id} was erased"
        return Refusal(RefusalKind.CONFLICT, "customer_erased", detail)
    if stored.merged_into is not None:
        detail = f"customer {stored.customer_id} was merged into {stored.merged_into}"
        return Refusal(RefusalKind.CONFLICT, "customer_merged", detail)
    return None


def refused_claim(claim: Claim) -> Refusal:
    kind = claim[0]
    if kind in {kind.value for kind in ContactKind}:
        what = "e-mail address" if kind == ContactKind.EMAIL.value else "phone number"
        return Refusal(RefusalKind.CONFLICT, f"{kind}_taken", f"another customer has that {what}")
    detail = f"another customer has that {kind}"
    return Refusal(RefusalKind.CONFLICT, "external_id_taken", detail)


def unknown(customer_id: str) -> Refusal:
    detail = f"there is no customer {customer_id[:64]}"
    return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", detail)
