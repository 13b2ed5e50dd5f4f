"""What is written so that a customer becomes as somebody wants it, decided without I/O."""

from collections.abc import Callable, Iterable, MutableMapping
from datetime import datetime
from typing import NamedTuple

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


class WantedContact(NamedTuple):
    """`text` is as given, `claim` has its blind index; both are None where there is to be none."""

    kind: ContactKind
    text: str | None
    claim: Claim | None


@attrs.frozen(kw_only=True)
class Wanted:
    """What a customer is to be like, and the only one to have: `claims`."""

    display_name: str | Keep | None = KEEP
    contacts: tuple[WantedContact, ...] = attrs.field(default=(), repr=False)
    external_ids: tuple[ExternalId, ...] | Keep = KEEP
    consents: tuple[tuple[Channel, bool], ...] = ()
    claims: tuple[Claim, ...] = ()


def claim_of(external: ExternalId) -> Claim:
    return f"id {external.source}", external.external_id


def wanted(
    vault: Vault,
    merchant_id: str,
    *,
    display_name: str | Keep | None = KEEP,
    contacts: Iterable[tuple[ContactKind, str | Keep | None]] = (),
    external_ids: tuple[ExternalId, ...] | Keep = KEEP,
    consents: tuple[tuple[Channel, bool], ...] = (),
) -> Wanted | Refusal:
    """What is asked for, checked."""
    if not isinstance(display_name, Keep):
        refusal = check_name(display_name)
        if refusal is not None:
            return refusal
    changed: list[WantedContact] = []
    claims: list[Claim] = []
    for kind, text in contacts:
        if isinstance(text, Keep):
            continue
        contact = _wanted_contact(vault, merchant_id, kind, text)
        if isinstance(contact, Refusal):
            return contact
        changed.append(contact)
        if contact.claim is not None:
            claims.append(contact.claim)
    if not isinstance(external_ids, Keep):
        if len(external_ids) > MAX_EXTERNAL_IDS:
            detail = f"a customer has at most {MAX_EXTERNAL_IDS} external ids"
            return Refusal(RefusalKind.INVALID, "too_many_external_ids", detail)
        refusal = next(filter(None, map(check_external_id, external_ids)), None)
        if refusal is not None:
            return refusal
        claims += map(claim_of, external_ids)
    return Wanted(
        display_name=display_name,
        contacts=tuple(changed),
        external_ids=external_ids,
        consents=consents,
        claims=tuple(claims),
    )


def _wanted_contact(
    vault: Vault, merchant_id: str, kind: ContactKind, text: str | None
) -> WantedContact | Refusal:
    if text is None:
        return WantedContact(kind, None, None)
    key = contact_key(kind, text)
    if isinstance(key, Refusal):
        return key
    name = kind.value
    return WantedContact(kind, text.strip(), (name, vault.contact_index(merchant_id, name, key)))


class Change(NamedTuple):
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
        becoming = _Becoming(merchant_id, customer_id, name, self.now)
        row = (merchant_id, customer_id, name, search_name(name), self.now)
        becoming.writes.append(Write(INSERT_CUSTOMER, row))
        return self._rest(becoming, wish)

    def change(self, stored: StoredCustomer, wish: Wanted) -> Change | Refusal:
        """A customer that is there; without writes where it is as wanted already."""
        refusal = alive(stored)
        if refusal is not None:
            return refusal
        becoming, name = _Becoming.of(stored), wish.display_name
        if not isinstance(name, Keep) and name != stored.display_name:
            row = (stored.merchant_id, stored.customer_id, name, search_name(name))
            becoming.writes.append(Write(RENAME_CUSTOMER, row))
            becoming.display_name = name
        return self._rest(becoming, wish)

    def _rest(self, becoming: "_Becoming", wish: Wanted) -> Change | Refusal:
        """Contacts, external ids and consents."""
        customer_id = becoming.customer_id
        for claim in wish.claims:
            if self.owners.get(claim, customer_id) != customer_id:
                return refused_claim(claim)
        for contact in wish.contacts:
            self._contact(becoming, contact)
        if not isinstance(wish.external_ids, Keep):
            self._external_ids(becoming, wish.external_ids)
        for channel, granted in wish.consents:
            self._consent(becoming, channel, granted)
        return becoming.change()

    def _contact(self, becoming: "_Becoming", wanted: WantedContact) -> None:
        kind, claim = wanted.kind, wanted.claim
        old = becoming.contacts.get(kind)
        if (old.index if old is not None else None) == (claim[1] if claim is not None else None):
            return
        if old is not None:
            self.owners.pop((kind.value, old.index), None)
        if wanted.text is None or claim is None:
            row = (becoming.merchant_id, becoming.customer_id, kind.value)
            becoming.writes.append(Write(DELETE_CONTACT, row))
            del becoming.contacts[kind]
        else:
            self._put_contact(becoming, kind, wanted.text, claim)

    def _put_contact(
        self, becoming: "_Becoming", kind: ContactKind, text: str, claim: Claim
    ) -> None:
        merchant_id, customer_id = becoming.merchant_id, becoming.customer_id
        name, index = claim
        self.owners[claim] = customer_id
        sealed = self.seal(merchant_id, name, text)
        row = (merchant_id, customer_id, name, sealed.text, sealed.version, index)
        becoming.writes.append(Write(PUT_CONTACT, row))
        becoming.contacts[kind] = StoredContact(kind, sealed.text, sealed.version, index)

    def _external_ids(self, becoming: "_Becoming", ids: tuple[ExternalId, ...]) -> None:
        merchant_id, before = becoming.merchant_id, becoming.external_ids
        for gone in before:
            if gone not in ids:
                self.owners.pop(claim_of(gone), None)
                row: tuple[str, ...] = (merchant_id, gone.source, gone.external_id)
                becoming.writes.append(Write(DELETE_EXTERNAL_ID, row))
        becoming.external_ids = tuple(dict.fromkeys(ids))
        for new in becoming.external_ids:
            if new not in before:
                self.owners[claim_of(new)] = becoming.customer_id
                row = (merchant_id, new.source, new.external_id, becoming.customer_id)
                becoming.writes.append(Write(INSERT_EXTERNAL_ID, row))

    def _consent(self, becoming: "_Becoming", channel: Channel, granted: bool) -> None:
        old = becoming.consents.get(channel)
        if old is not None and old.granted == granted:
            return
        consent = becoming.consents[channel] = Consent(channel, granted, self.origin, self.now)
        write = consent_write(becoming.merchant_id, becoming.customer_id, consent)
        becoming.writes.append(write)


class _Becoming:
    """What a customer is about to be that was neither merged nor erased."""

    def __init__(
        self, merchant_id: str, customer_id: str, display_name: str | None, created_at: datetime
    ) -> None:
        self.merchant_id = merchant_id
        self.customer_id = customer_id
        self.display_name = display_name
        self.created_at = created_at
        self.contacts: dict[ContactKind, StoredContact] = {}
        self.external_ids: tuple[ExternalId, ...] = ()
        self.consents: dict[Channel, Consent] = {}
        self.writes: list[Write] = []

    @classmethod
    def of(cls, stored: StoredCustomer) -> "_Becoming":
        """As it is now."""
        becoming = cls(
            stored.merchant_id, stored.customer_id, stored.display_name, stored.created_at
        )
        becoming.contacts = {contact.kind: contact for contact in stored.contacts}
        becoming.external_ids = stored.external_ids
        becoming.consents = {consent.channel: consent for consent in stored.consents}
        return becoming

    def change(self) -> Change:
        customer = StoredCustomer(
            self.merchant_id,
            self.customer_id,
            self.display_name,
            self.created_at,
            contacts=tuple(self.contacts.values()),
            external_ids=self.external_ids,
            consents=tuple(self.consents.values()),
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
