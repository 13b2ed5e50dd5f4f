"""Customers: who they are elsewhere, how to reach them, what they agreed to, and their end."""

from datetime import datetime
from enum import Enum

import attrs

from actors.core.messages.orders import Order
from actors.vocabulary import Idempotency, Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

CUSTOMERS = "core.customers"
"""Name of the actor that writes customers."""

CUSTOMERS_MERGED = "core.customers_merged"
"""Topic of the outbox event that follows every merge; payload: `CustomersMerged`."""

CUSTOMER_ERASED = "core.customer_erased"
"""Topic of the outbox event that follows every erasure; payload: `CustomerErased`. Whoever keeps
personal data of customers forgets it then."""

PRIVACY_REQUESTED = "core.privacy_requested"
"""Topic of the outbox event for what a customer demands through a shop; payload:
`PrivacyRequested`."""

MAX_UPSERTS = 500
"""Customers in one `UpsertCustomers`."""


class Channel(Enum):
    """Ways to reach a customer, each with a consent of its own."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


@attrs.frozen
class ExternalId:
    """How another system, such as a shop, names the customer."""

    source: str
    external_id: str


@attrs.frozen
class Consent:
    """`origin` says where it was given or withdrawn: a form, an import, a shop."""

    channel: Channel
    granted: bool
    origin: str
    changed_at: datetime


@attrs.frozen
class Customer:
    """`merged_into` names the customer that this one turned out to be; `erased_at` says when all
    that tells who it was was deleted."""

    merchant_id: str
    customer_id: str
    display_name: str | None = attrs.field(repr=False)
    created_at: datetime
    email: str | None = attrs.field(default=None, repr=False)
    phone: str | None = attrs.field(default=None, repr=False)
    external_ids: tuple[ExternalId, ...] = ()
    consents: tuple[Consent, ...] = ()
    merged_into: str | None = None
    erased_at: datetime | None = None


@attrs.frozen
class CreatedCustomer:
    customer: Customer
    replayed: bool


@attrs.frozen
class CreateCustomer(Call[CreatedCustomer | Refusal]):
    """Without `customer_id` one is made. An id, address, number or external id that is taken is a
    conflict, unless the idempotency key is the one it was created with."""

    merchant_id: str
    customer_id: str | None
    display_name: str | None = attrs.field(repr=False)
    idempotency: Idempotency | None = None
    email: str | None = attrs.field(default=None, repr=False)
    phone: str | None = attrs.field(default=None, repr=False)
    external_ids: tuple[ExternalId, ...] = ()


class Keep(Enum):
    """Stands for what is to stay as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP
Changed = str | Keep | None


@attrs.frozen(kw_only=True)
class ChangeCustomer(Call[Customer | Refusal]):
    """To `CUSTOMERS`: change what is given; None deletes it."""

    merchant_id: str
    customer_id: str
    display_name: Changed = attrs.field(default=KEEP, repr=False)
    email: Changed = attrs.field(default=KEEP, repr=False)
    phone: Changed = attrs.field(default=KEEP, repr=False)
    external_ids: tuple[ExternalId, ...] | Keep = KEEP


@attrs.frozen
class SetConsent(Call[Customer | Refusal]):
    """To `CUSTOMERS`. Every change is kept, with its time."""

    merchant_id: str
    customer_id: str
    channel: Channel
    granted: bool
    origin: str


@attrs.frozen(kw_only=True)
class CustomerData:
    """A customer as a file or a shop tells of it. What is None says nothing.

    Without `customer_id` the first of `external_ids` says who it is; a new one is called after it.
    """

    customer_id: str | None = None
    display_name: str | None = attrs.field(default=None, repr=False)
    email: str | None = attrs.field(default=None, repr=False)
    phone: str | None = attrs.field(default=None, repr=False)
    external_ids: tuple[ExternalId, ...] = ()
    consents: tuple[tuple[Channel, bool], ...] = ()


class UpsertStatus(Enum):
    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@attrs.frozen
class Upserted:
    customer_id: str
    status: UpsertStatus


@attrs.frozen
class UpsertCustomers(Call[tuple[Upserted | Refusal, ...]]):
    """To `CUSTOMERS`: create or change customers of one merchant, each on its own.

    What is already as told is unchanged, so that a repetition does no harm. At most `MAX_UPSERTS`.
    """

    merchant_id: str
    customers: tuple[CustomerData, ...]
    origin: str


@attrs.frozen
class GetCustomer(Call[Customer | None]):
    """A change made by another process may be seen up to 5 s late."""

    merchant_id: str
    customer_id: str


@attrs.frozen
class HasCustomer(Call[bool]):
    """To `QUERIES`: whether there is such a customer, as the database has it."""

    merchant_id: str
    customer_id: str


@attrs.frozen
class FindCustomers(Call[tuple[str, ...]]):
    """To `QUERIES`: those of the ids that a customer has who was neither merged into another nor
    erased, in order. At most `MAX_FIGURES`."""

    merchant_id: str
    customer_ids: tuple[str, ...]


@attrs.frozen
class CustomerFigures:
    """A customer in numbers. Of orders in the merchant's currency that were not cancelled: how
    many there are, their totals net of refunds in minor units, and the time of the last one."""

    customer_id: str
    created_at: datetime
    orders: int
    spend_minor: int
    last_ordered_at: datetime | None


MAX_FIGURES = 500
"""Customers in one answer."""


@attrs.frozen
class ListFigures(Call[tuple[CustomerFigures, ...]]):
    """To `QUERIES`: customers after the id `after`, in the order of their ids, fewer than `limit`
    at the end; without those merged into others, and those erased."""

    merchant_id: str
    after: str = ""
    limit: int = MAX_FIGURES


@attrs.frozen
class ListCustomers(Call[Page[Customer] | Refusal]):
    """In the order of their ids; without those merged into others."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen(kw_only=True)
class SearchCustomers(Call[Page[Customer] | Refusal]):
    """By exactly one of: an address, a number, an external id, or a part of the name (of at least
    2 characters, without regard to case). In the order of their ids."""

    merchant_id: str
    email: str | None = attrs.field(default=None, repr=False)
    phone: str | None = attrs.field(default=None, repr=False)
    external_id: ExternalId | None = None
    name: str | None = attrs.field(default=None, repr=False)
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class MergeCustomers(Call[Customer | Refusal]):
    """To `CUSTOMERS`: `customer_id` and `into` are the same person.

    Address, number, external ids and consents go to `into`, except where that has its own; later
    orders of `customer_id` count for it, and so do refunds of earlier ones. Who hears of
    `CUSTOMERS_MERGED` then transfers the available points. Repeating it is harmless; it cannot
    be undone.
    """

    merchant_id: str
    customer_id: str
    into: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class CustomersMerged:
    """Payload of the outbox event."""

    customer_id: str
    into: str


@attrs.frozen
class CustomerExport:
    """All that core knows about a customer. `consents` has every change, the oldest first; `orders`
    are the newest `MAX_EXPORTED_ORDERS`."""

    customer: Customer
    consents: tuple[Consent, ...]
    orders: tuple[Order, ...]


MAX_EXPORTED_ORDERS = 10_000


@attrs.frozen
class ExportCustomer(Call[CustomerExport | None]):
    """To `QUERIES`: for a customer that wants to know; None when there is none."""

    merchant_id: str
    customer_id: str


@attrs.frozen
class ErasedCustomer:
    """`replayed`: it was erased before, at `erased_at`."""

    customer_id: str
    erased_at: datetime
    replayed: bool = False


@attrs.frozen
class EraseCustomer(Call[ErasedCustomer | Refusal]):
    """To `CUSTOMERS`: delete all that tells who a customer is, for good.

    Name, address, number, external ids and consents go, also of those merged into this one. The
    id, orders and ledger rows stay, and say nothing about a person any more. `publishes` are
    events of the same transaction, beside `CUSTOMER_ERASED`.
    """

    merchant_id: str
    customer_id: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class CustomerErased:
    """Payload of the outbox event."""

    customer_id: str


@attrs.frozen
class PrivacyRequested:
    """Payload of the outbox event. `reference` is the number of the request where it came from."""

    customer_id: str
    kind: str
    reference: str
    received_at: datetime
