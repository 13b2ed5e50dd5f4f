"""Making one customer out of two, and erasing one: the writes, decided without I/O."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from actors.core.customer_changes import alive, consent_write
from actors.core.customer_queries import (
    DELETE_CONSENTS,
    DELETE_CONTACTS,
    DELETE_EXTERNAL_IDS,
    ERASE_CUSTOMER,
    FORGET_REASON,
    MERGE_CUSTOMER,
    MERGE_ON,
    MOVE_EXTERNAL_IDS,
    PUT_CONTACT,
)
from actors.core.profiles import StoredCustomer
from actors.vocabulary import Refusal, RefusalKind
from runtime.storage import Write


def merge_refusal(customer: StoredCustomer, into: StoredCustomer) -> Refusal | None:
    """Why these two cannot become one."""
    if customer.customer_id == into.customer_id:
        detail = "a customer cannot be merged into itself"
        return Refusal(RefusalKind.INVALID, "same_customer", detail)
    return alive(customer) or alive(into)


def merge_writes(customer: StoredCustomer, into: StoredCustomer) -> Iterator[Write]:
    """`customer` becomes a name of `into`, which gets what it has none of."""
    merchant_id, old, new = customer.merchant_id, customer.customer_id, into.customer_id
    yield Write(MERGE_CUSTOMER, (merchant_id, old, new))
    yield Write(MERGE_ON, (merchant_id, old, new))
    yield Write(DELETE_CONTACTS, (merchant_id, old))
    for contact in customer.contacts:
        if into.contact(contact.kind) is None:
            row = (contact.kind.value, contact.text, contact.version, contact.index)
            yield Write(PUT_CONTACT, (merchant_id, new, *row))
    yield Write(MOVE_EXTERNAL_IDS, (merchant_id, old, new))
    for consent in customer.consents:
        if into.consent(consent.channel) is None:
            yield consent_write(merchant_id, new, consent)


def erase_writes(
    merchant_id: str, customers: Iterable[str], refunds: Iterable[tuple[str, str]], now: datetime
) -> Iterator[Write]:
    """Nothing that tells who they were stays; of `refunds` (order, refund) the reasons go."""
    for customer_id in customers:
        key = (merchant_id, customer_id)
        yield Write(ERASE_CUSTOMER, (*key, now))
        for statement in (DELETE_CONTACTS, DELETE_EXTERNAL_IDS, DELETE_CONSENTS):
            yield Write(statement, key)
    for order_id, refund_id in refunds:
        yield Write(FORGET_REASON, (merchant_id, order_id, refund_id))
