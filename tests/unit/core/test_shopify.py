"""What Shopify says, as ours; and who signed it."""

import json
from typing import Any

import pytest

from actors.core.messages import Channel, ExternalId
from actors.core.shopify import (
    Person,
    ShopifyOrder,
    ShopifyRefund,
    Unusable,
    about,
    customer_data,
    decoded,
    is_paid,
    paid_order,
    refund_of,
)
from actors.core.signatures import is_signed, signature_of

ORDER: dict[str, Any] = {
    "id": 450789469,
    "created_at": "2026-11-10T12:00:00+01:00",
    "currency": "USD",
    "total_price": "409.94",
    "financial_status": "paid",
    "customer": {"id": 7, "email": "not an address", "first_name": "Bob", "last_name": None},
    "line_items": [{"quantity": 2, "price": "199.00", "sku": "ipod"}, {"price": "11.94"}],
    "anything_new": {"that": ["shopify", "adds"]},
}


def order(**changes: Any) -> ShopifyOrder:
    told: ShopifyOrder = decoded(json.dumps(ORDER | changes), ShopifyOrder)
    return told


def test_an_order_becomes_ours_to_the_cent_and_second() -> None:
    ours = paid_order(order(), "bob")
    assert (ours.order_id, ours.total_minor, ours.items) == ("shopify-450789469", 40_994, 3)
    assert ours.ordered_at.isoformat() == "2026-11-10T11:00:00+00:00"
    assert [(line.sku, line.unit_price_minor) for line in ours.lines] == [
        ("IPOD", 19_900),
        ("-", 1_194),
    ]


@pytest.mark.parametrize(
    "changes", [{"financial_status": "pending"}, {"cancelled_at": "2026-11-10T12:00:00Z"}]
)
def test_only_what_is_paid_for_earns(changes: dict[str, Any]) -> None:
    assert is_paid(order())
    assert not is_paid(order(**changes))


@pytest.mark.parametrize(
    "changes", [{"total_price": "NaN"}, {"total_price": "-1"}, {"total_price": "1.999"}]
)
def test_amounts_that_are_none_are_unusable(changes: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        paid_order(order(**changes), "bob")


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"id": "x"}', "[" * 2_000])
def test_a_body_that_is_something_else_is_unusable(body: str) -> None:
    with pytest.raises(Unusable):
        decoded(body, ShopifyOrder)
    assert about("orders-paid", body)


def test_an_address_that_is_none_is_left_out_and_consent_is_kept() -> None:
    data = customer_data(
        decoded(
            '{"id": 7, "email": "no", "phone": "+13125551212", "first_name": "Bob",'
            ' "email_marketing_consent": {"state": "subscribed"},'
            ' "sms_marketing_consent": {"state": "not_subscribed"}}',
            Person,
        )
    )
    assert (data.display_name, data.email, data.phone) == ("Bob", None, "+13125551212")
    assert data.external_ids == (ExternalId("shopify", "7"),)
    assert data.consents == ((Channel.EMAIL, True), (Channel.SMS, False))


def test_a_refund_counts_the_money_that_went_back() -> None:
    moved = [
        {"kind": "refund", "amount": "10.50", "status": "success"},
        {"kind": "refund", "amount": "5.00", "status": "failure"},
        {"kind": "sale", "amount": "99.00", "status": "success"},
    ]
    told = {"id": 9, "order_id": 4, "created_at": "2026-11-11T00:00:00Z", "transactions": moved}
    refund = refund_of(decoded(json.dumps(told), ShopifyRefund), "USD")
    assert refund is not None
    assert (refund.order_id, refund.amount_minor) == ("shopify-4", 1_050)
    nothing = decoded(json.dumps(told | {"transactions": []}), ShopifyRefund)
    assert refund_of(nothing, "USD") is None


def test_refunds_wait_behind_their_order() -> None:
    assert about("refunds-create", '{"id": 9, "order_id": 4}') == about("orders-paid", '{"id": 4}')
    redact = '{"customer": {"id": 7}}'
    assert about("customers-redact", redact) == about("customers-update", '{"id": 7}')


def test_either_secret_signs_and_no_other() -> None:
    body = b'{"id": 1}'
    signature = signature_of("old", body)
    assert is_signed(body, signature, ("new", "old"))
    assert not is_signed(body, signature, ("new",))
    assert not is_signed(body + b" ", signature, ("old",))
    assert not is_signed(body, "", ("old",))
    assert not is_signed(body, "\xff", ("old",))
