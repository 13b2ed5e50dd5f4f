"""Contacts for those who send something, and the tokens that put an end to that."""

import base64
import binascii
import hmac
from collections.abc import Iterable

import attrs
import msgspec

from actors.core.cipher import Vault
from actors.core.contacts import ContactKind
from actors.core.errors import Unsealable
from actors.core.messages import Channel, Contact
from actors.core.profiles import StoredCustomer

PURPOSE = "unsubscribe"
MAC_DIGITS = 32
TOKEN_MAX = 600

ADDRESS_OF = {Channel.EMAIL: ContactKind.EMAIL, Channel.SMS: ContactKind.PHONE}
"""Where messages of a channel go; others go to no address."""


@attrs.frozen
class Consented:
    """What a token is about."""

    merchant_id: str
    customer_id: str
    channel: Channel


def token_of(vault: Vault, about: Consented) -> str:
    """A token that only we can make, and everybody can carry in a link."""
    plain = msgspec.json.encode([about.merchant_id, about.customer_id, about.channel.value])
    return f"{base64.urlsafe_b64encode(plain).decode().rstrip('=')}.{_mac(vault, about)}"


def consented_of(vault: Vault, token: str) -> Consented | None:
    """What a token is about; None where it is not ours. Raises `Unsealable` without keys."""
    text, _, mac = token.partition(".")
    if len(token) > TOKEN_MAX:
        return None
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        named = msgspec.json.decode(plain, type=tuple[str, str, Channel])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
    about = Consented(*named)
    ours = hmac.compare_digest(_mac(vault, about).encode(), mac.encode())
    return about if ours else None


def _mac(vault: Vault, about: Consented) -> str:
    text = f"{about.channel.value}:{about.customer_id}"
    return vault.blind_index(about.merchant_id, PURPOSE, text)[:MAC_DIGITS]


def contacts(
    vault: Vault, stored: Iterable[StoredCustomer], channel: Channel | None
) -> tuple[Contact, ...]:
    """Of those that are still somebody. Raises `Unsealable` where there are no keys."""
    living = (each for each in stored if each.merged_into is None and each.erased_at is None)
    return tuple(_contact(vault, each, channel) for each in living)


def _contact(vault: Vault, stored: StoredCustomer, channel: Channel | None) -> Contact:
    if channel is None:
        return Contact(stored.customer_id, stored.display_name, None, False, "")
    about = Consented(stored.merchant_id, stored.customer_id, channel)
    consent = stored.consent(channel)
    return Contact(
        stored.customer_id,
        stored.display_name,
        _address(vault, stored, channel),
        consent is not None and consent.granted,
        token_of(vault, about),
    )


def _address(vault: Vault, stored: StoredCustomer, channel: Channel) -> str | None:
    """None also for what one damaged row holds: it must not stop all others."""
    kind = ADDRESS_OF.get(channel)
    contact = stored.contact(kind) if kind is not None else None
    if contact is None:
        return None
    try:
        return vault.open(stored.merchant_id, contact.kind.value, contact.sealed)
    except Unsealable:
        return None
