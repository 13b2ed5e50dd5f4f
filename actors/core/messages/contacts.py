"""Addresses of people who are no customers: core, which has the keys, seals and compares them."""

import attrs

from actors.core.messages.customers import Channel
from actors.vocabulary import Refusal
from runtime.message import Call

CONTACTS = "core.contacts"
"""Name of the actor that seals, opens and compares."""

MAX_SIGNALS = 10
"""In one `FingerprintSignals`."""


@attrs.frozen
class SealedContact:
    """An address or a number as it may be kept.

    `fingerprint` is the same for all spellings that reach the same person, and different for
    every merchant. `customer_id` is the customer that has it; `refused` says that this customer
    withdrew the consent to be written to.
    """

    channel: Channel
    text: str = attrs.field(repr=False)
    key_version: int
    fingerprint: str
    customer_id: str | None = None
    refused: bool = False


@attrs.frozen
class SealContact(Call[SealedContact | Refusal]):
    """By `EMAIL` an address, by `SMS` a number as in E.164; the refusal does not quote it."""

    merchant_id: str
    channel: Channel
    address: str = attrs.field(repr=False)


@attrs.frozen
class OpenContact(Call[str | None]):
    """The address or number that was sealed, as it is sent to; None when it cannot be read."""

    merchant_id: str
    channel: Channel
    text: str = attrs.field(repr=False)
    key_version: int


@attrs.frozen
class GetFingerprints(Call[tuple[str, ...]]):
    """Of all that a customer can be reached by, comparable with those of `SealedContact`."""

    merchant_id: str
    customer_id: str


@attrs.frozen
class FingerprintSignals(Call[tuple[str, ...]]):
    """What may tell that two people share a household, one fingerprint for each, in order: an IP
    address, a device, a postal address. At most `MAX_SIGNALS`; equal texts have equal ones."""

    merchant_id: str
    signals: tuple[str, ...] = attrs.field(repr=False)


@attrs.frozen
class GetSealingVersion(Call[int]):
    """Of the key that seals now: what older ones sealed is to be sealed again within days."""
