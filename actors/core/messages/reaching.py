"""Reaching customers: their addresses for those who send them something, and the way out of it."""

import attrs

from actors.core.messages.customers import Channel
from runtime.message import Call

MAX_CONTACTS = 500
"""Customers in one question."""


@attrs.frozen
class Contact:
    """How to reach a customer over a channel, and whether that is wanted. `unsubscribe` is a token
    that withdraws the consent; whoever has it needs no other right."""

    customer_id: str
    display_name: str | None = attrs.field(repr=False)
    address: str | None = attrs.field(repr=False)
    consented: bool
    unsubscribe: str = attrs.field(repr=False)


@attrs.frozen
class GetContacts(Call[tuple[Contact, ...]]):
    """To `QUERIES`: of those customers that there are, as the database has it now; without those
    that were merged into others, or erased. At most `MAX_CONTACTS`. Without a `channel` no address
    is opened, and none is consented to. Raises `StorageError`."""

    merchant_id: str
    channel: Channel | None
    customer_ids: tuple[str, ...]


@attrs.frozen
class Unsubscribe(Call[bool]):
    """To `CUSTOMERS`: withdraw the consent that a token of a `Contact` is about. Again is harmless.
    False for what is no token of ours, or of a customer that there is no more."""

    token: str = attrs.field(repr=False)
