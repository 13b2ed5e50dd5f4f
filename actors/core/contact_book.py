"""The actor that seals, opens and compares addresses for the other domains."""

from typing import Any, ClassVar

from actors.core.cipher import Sealed, Vault
from actors.core.contacts import ContactKind, contact_key, person_key
from actors.core.customer_queries import SEARCH_BY_CONTACT
from actors.core.errors import Unsealable
from actors.core.messages import (
    MAX_SIGNALS,
    Channel,
    FingerprintSignals,
    GetFingerprints,
    GetSealingVersion,
    OpenContact,
    SealContact,
    SealedContact,
)
from actors.core.model import invalid
from actors.core.profiles import StoredCustomer, load_customers
from actors.vocabulary import Refusal
from runtime import Workers
from runtime.storage import Database, StorageError

KIND_OF = {Channel.EMAIL: ContactKind.EMAIL, Channel.SMS: ContactKind.PHONE}

GUEST, PERSON, SIGNAL = "guest", "person", "signal"
"""Purposes: contacts of people who are no customers, and what they are compared by."""


class ContactBook(Workers):
    """Keeps nothing: whoever asks keeps what is sealed."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, Unsealable)

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__()
        self._database = database
        self._vault = vault

    async def receive(self, message: Any) -> object:
        match message:
            case SealContact():
                return await self._seal(message)
            case OpenContact():
                return self._open(message)
            case GetFingerprints():
                return await self._fingerprints(message)
            case FingerprintSignals():
                return self._signals(message)
            case GetSealingVersion():
                return self._vault.current
        return await super().receive(message)

    async def _seal(self, message: SealContact) -> SealedContact | Refusal:
        merchant_id, kind = message.merchant_id, KIND_OF.get(message.channel)
        if kind is None:
            return invalid("invalid_channel", f"nothing is sent by {message.channel.value}")
        key = contact_key(kind, message.address)
        if isinstance(key, Refusal):
            return key
        purpose = f"{GUEST}:{message.channel.value}"
        sealed = self._vault.seal(merchant_id, purpose, key, self.system.random)
        owner = await self._owner(merchant_id, kind, key)
        consent = owner.consent(message.channel) if owner is not None else None
        return SealedContact(
            message.channel,
            sealed.text,
            sealed.version,
            self._person(merchant_id, kind, key),
            owner.customer_id if owner is not None else None,
            refused=consent is not None and not consent.granted,
        )

    async def _owner(self, merchant_id: str, kind: ContactKind, key: str) -> StoredCustomer | None:
        index = self._vault.contact_index(merchant_id, kind.value, key)
        values = (merchant_id, kind.value, index)
        customer_id = await self._database.fetch_value(SEARCH_BY_CONTACT, *values)
        if customer_id is None:
            return None
        found = await load_customers(self._database, merchant_id, (customer_id,))
        return found.get(customer_id)

    def _person(self, merchant_id: str, kind: ContactKind, key: str) -> str:
        text = f"{kind.value}:{person_key(kind, key)}"
        return self._vault.blind_index(merchant_id, PERSON, text)

    def _open(self, message: OpenContact) -> str | None:
        sealed = Sealed(message.text, message.key_version)
        purpose = f"{GUEST}:{message.channel.value}"
        try:
            return self._vault.open(message.merchant_id, purpose, sealed)
        except Unsealable:
            return None

    async def _fingerprints(self, message: GetFingerprints) -> tuple[str, ...]:
        merchant_id, customer_id = message.merchant_id, message.customer_id
        found = await load_customers(self._database, merchant_id, (customer_id,))
        if customer_id not in found:
            return ()
        opened = (
            (each.kind, self._vault.open(merchant_id, each.kind.value, each.sealed))
            for each in found[customer_id].contacts
        )
        keys = ((kind, contact_key(kind, text)) for kind, text in opened)
        return tuple(
            self._person(merchant_id, kind, key) for kind, key in keys if isinstance(key, str)
        )

    def _signals(self, message: FingerprintSignals) -> tuple[str, ...]:
        return tuple(
            self._vault.blind_index(message.merchant_id, SIGNAL, signal.strip().casefold())
            for signal in message.signals[:MAX_SIGNALS]
        )
