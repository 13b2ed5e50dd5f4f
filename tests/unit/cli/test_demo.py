"""The demo shop: the same every time, plausible, and acceptable to the domains."""

import re
from datetime import date

from actors.core.model import check_order
from actors.products.messages import MAX_PRICE_MINOR
from actors.vocabulary import SKU_PATTERN
from cli.demo import CUSTOMERS_TOTAL, demand, mothers_day, products, shop_before

DAY = date(2026, 6, 30)


def test_the_same_day_gives_the_same_shop() -> None:
    assert shop_before(DAY) == shop_before(DAY)
    assert shop_before(DAY) != shop_before(date(2026, 7, 1))


def test_the_shop_has_customers_with_names_and_about_four_hundred_orders() -> None:
    shop = shop_before(DAY)
    names = dict(shop.customers)
    assert len(names) == CUSTOMERS_TOTAL == len(set(names.values()))
    assert 380 <= len(shop.orders) <= 450
    assert {order.customer_id for order in shop.orders} <= names.keys()


def test_every_order_is_valid_and_adds_up() -> None:
    known = {product.sku: product for product in products()}
    for order in shop_before(DAY).orders:
        assert check_order(order) is None
        assert order.total_minor == sum(x.quantity * x.unit_price_minor for x in order.lines)
        assert order.items == sum(line.quantity for line in order.lines)
        for line in order.lines:
            assert known[line.sku].price_minor == line.unit_price_minor


def test_products_are_valid_packages_and_subscriptions() -> None:
    assert {product.kind.value for product in products()} == {"package", "subscription"}
    for product in products():
        assert re.fullmatch(SKU_PATTERN, product.sku)
        assert 1 <= product.price_minor <= MAX_PRICE_MINOR


def test_orders_are_of_the_year_before_and_in_order() -> None:
    moments = [order.ordered_at for order in shop_before(DAY).orders]
    assert moments == sorted(moments)
    assert (DAY - moments[0].date()).days <= 365 + 3
    assert moments[-1].date() < DAY


def test_flowers_sell_on_valentines_and_mothers_day() -> None:
    days = [order.ordered_at.date() for order in shop_before(DAY).orders]
    ordinary = len(days) / 365
    before_valentines = [day for day in days if demand(day) > 5 and day.month == 2]
    before_mothers_day = [day for day in days if demand(day) > 5 and day.month == 5]
    assert len(before_valentines) / 8 > 2.5 * ordinary
    assert len(before_mothers_day) / 10 > 2.5 * ordinary


def test_mothers_day_is_the_second_sunday_of_may() -> None:
    assert mothers_day(2024) == date(2024, 5, 12)
    assert mothers_day(2026) == date(2026, 5, 10)
    assert mothers_day(2022) == date(2022, 5, 8)
