"""Customers as clients see them."""

from datetime import datetime

import msgspec

from actors.core.messages import Consent, Customer, ExternalId
from actors.vocabulary import Page


class CustomerView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`degraded`: it could not be read now, and this is how it was `age_s` seconds ago."""

    merchant_id: str
    customer_id: str
    display_name: str | None
    created_at: datetime
    email: str | None = None
    phone: str | None = None
    external_ids: tuple[ExternalId, ...] = ()
    consents: tuple[Consent, ...] = ()
    merged_into: str | None = None
    erased_at: datetime | None = None
    degraded: bool = False
    age_s: int = 0


class CustomerPage(msgspec.Struct, frozen=True):
    items: tuple[CustomerView, ...]
    next_cursor: str | None


def view_of(customer: Customer, *, degraded: bool = False, age_s: float = 0.0) -> CustomerView:
    return CustomerView(
        merchant_id=customer.merchant_id,
        customer_id=customer.customer_id,
        display_name=customer.display_name,
        created_at=customer.created_at,
        email=customer.email,
        phone=customer.phone,
        external_ids=customer.external_ids,
        consents=customer.consents,
        merged_into=customer.merged_into,
        erased_at=customer.erased_at,
        degraded=degraded,
        age_s=round(age_s),
    )


def page_of(page: Page[Customer]) -> CustomerPage:
    return CustomerPage(tuple(map(view_of, page.items)), page.next_cursor)
