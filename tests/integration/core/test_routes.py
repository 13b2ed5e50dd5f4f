"""Core and products over HTTP, on both stores: what a shop does with them in a year."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio

from actors.auth.messages import Role
from actors.core.messages import MERCHANTS, ChangePlan, Plan
from gateway import api_integrations
from runtime import host
from runtime.storage import AcrossMerchants, DatabaseHandle
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    RIVAL,
    Api,
    eventually,
    outcome_of,
    problem_of,
    running_tree,
)
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

SECRET = "shpss_7f0c"
GIVES_UP_S = 5.0
"""What a shop waits for an answer."""

SHOP = "flora.myshopify.com"
CONTACTS = "SELECT * FROM customer_contacts WHERE merchant_id = $1"
COUNT_PARTS = "SELECT count(*) FROM import_parts WHERE merchant_id = $1"
ADDRESS, NUMBER = "Ada@Example.com", "+41 79 123 45 67"


async def ok(api: Api, method: str, path: str, json: Any = None, **options: Any) -> Any:
    """The answer's body, which must be a success."""
    answer = await api.ask(method, path, json=json, **options)
    assert answer.status_code < 300, answer.text
    return answer.json()


async def test_customers_and_their_orders(tmp_path: Path, lasting_url: str) -> None:
    handle = DatabaseHandle(patient_pipeline())
    async with running_tree(tmp_path, handle=handle, url=lasting_url) as api:
        path = f"/v1/customers/{CUSTOMER}"
        body = {"email": ADDRESS, "phone": NUMBER, "display_name": "Ada L\u00f6velace"}
        await ok(api, "PATCH", path, body)
        with trio.fail_after(60):
            stored = await handle.fetch(
                "SELECT * FROM customer_contacts WHERE merchant_id = $1", MERCHANT
            )
        assert len(stored) == 2
        assert "example" not in str([tuple(row) for row in stored]).lower()

        for question in (
            {"email": "ada@EXAMPLE.com"},
            {"phone": "0041791234567"},
            {"name": "lovel"},
        ):
            found = await ok(api, "POST", "/v1/customers/search", question)
            assert [each["customer_id"] for each in found["items"]] == [CUSTOMER]
            foreign = await api.ask(
                "POST", "/v1/customers/search", json=question, token=api.token(merchant_id=RIVAL)
            )
            assert foreign.json()["items"] == []

        taken = await api.ask("POST", "/v1/customers", json={"email": "ada@example.COM"})
        assert outcome_of(taken) == (409, "email_taken")
        await ok(
            api, "POST", "/v1/customers", {"email": ADDRESS}, token=api.token(merchant_id=RIVAL)
        )

        consent = {"granted": True, "origin": "till"}
        await ok(api, "PUT", f"{path}/consents/sms", consent)
        shown = await ok(api, "PUT", f"{path}/consents/sms", consent | {"granted": False})
        assert [each["granted"] for each in shown["consents"]] == [False]

        await _orders_come_and_go(api)
        await _one_person_twice(api)


async def _orders_come_and_go(api: Api) -> None:
    now = api.system.clock.now()
    products = [
        {"sku": "GIFT-CARD", "name": "Gift", "kind": "package", "price_minor": 5_000},
        {"sku": "ROSES-12", "name": "Roses", "kind": "package", "price_minor": 10_000},
    ]
    products[0]["earns_points"] = False
    listed = [product | {"currency": "EUR"} for product in products]
    assert (await ok(api, "PUT", "/v1/products", {"products": listed}))["written"] == 2
    order = {
        "order_id": "o-1",
        "customer_id": CUSTOMER,
        "ordered_at": now.isoformat(),
        "currency": "EUR",
        "total_minor": 15_000,
        "lines": [
            {"sku": "ROSES-12", "quantity": 1, "unit_price_minor": 10_000},
            {"sku": "GIFT-CARD", "quantity": 1, "unit_price_minor": 5_000},
        ],
    }
    await ok(api, "POST", "/v1/orders", order)
    await has_points(api, CUSTOMER, 100)
    refund = {"refund_id": "r-1", "amount_minor": 5_001, "refunded_at": now.isoformat()}
    first = await api.ask("POST", "/v1/orders/o-1/refunds", json=refund, key="refund")
    again = await api.ask("POST", "/v1/orders/o-1/refunds", json=refund, key="refund")
    assert (first.status_code, again.status_code) == (201, 201) or again.status_code == 200
    assert again.headers["Idempotency-Replayed"] == "true"
    await has_points(api, CUSTOMER, 66)
    for changed, code in (
        ({"amount_minor": 4_000}, "refund_conflict"),
        ({"refund_id": "r-2", "amount_minor": 10_000}, "refund_exceeds_order"),
    ):
        answer = await api.ask("POST", "/v1/orders/o-1/refunds", json=refund | changed)
        assert outcome_of(answer) == (409, code)
    foreign = await api.ask(
        "POST", "/v1/orders/o-1/refunds", json=refund, token=api.token(merchant_id=RIVAL)
    )
    assert foreign.status_code == 404
    cancel = {"cancelled_at": now.isoformat()}
    await ok(api, "POST", "/v1/orders/o-1/cancel", cancel)
    await ok(api, "POST", "/v1/orders/o-1/cancel", cancel)
    await has_points(api, CUSTOMER, 0)


async def _one_person_twice(api: Api) -> None:
    await ok(api, "POST", "/v1/customers", {"customer_id": "ada-2", "phone": "+41791111111"})
    merged = await ok(api, "POST", "/v1/customers/ada-2/merge", {"into": CUSTOMER})
    assert merged["customer_id"] == CUSTOMER
    assert (await ok(api, "GET", "/v1/customers/ada-2"))["merged_into"] == CUSTOMER
    order = {
        "order_id": "o-2",
        "customer_id": "ada-2",
        "ordered_at": api.system.clock.now().isoformat(),
        "currency": "EUR",
        "total_minor": 700,
    }
    await ok(api, "POST", "/v1/orders", order)
    await has_points(api, CUSTOMER, 7)
    circle = await api.ask("POST", f"/v1/customers/{CUSTOMER}/merge", json={"into": "ada-2"})
    assert outcome_of(circle) == (409, "customer_merged")


async def has_points(api: Api, customer_id: str, points: int) -> None:
    async def there() -> bool:
        return await api.posted(customer_id) == points

    await eventually(there)


async def test_settings_have_versions_and_plans_have_ends(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        change = {"based_on": 0, "time_zone": "Europe/Zurich"}
        assert (await ok(api, "PUT", "/v1/merchant/settings", change))["version"] == 1
        assert (await ok(api, "PUT", "/v1/merchant/settings", change))["version"] == 1
        late = await api.ask("PUT", "/v1/merchant/settings", json=change | {"locale": "de"})
        assert outcome_of(late) == (409, "settings_conflict")
        history = await ok(api, "GET", "/v1/merchant/settings/history")
        assert [each["version"] for each in history["items"]] == [1]
        assert (await ok(api, "PATCH", "/v1/merchant", {"name": "Flora & Co"}))[
            "name"
        ] == "Flora & Co"
        assert (await ok(api, "GET", "/v1/merchant"))["name"] == "Flora & Co"
        support = await api.ask("PATCH", "/v1/merchant", json={"name": "x"}, role=Role.SUPPORT)
        assert support.status_code == 403

        changed = await api.system.ref(MERCHANTS).ask(ChangePlan(MERCHANT, Plan.STARTER))
        assert changed is Plan.STARTER
        orders = [_order(number) for number in range(500)]
        for start in (0, 500, 1_000, 1_500):
            some = [order | {"order_id": f"q-{start + n}"} for n, order in enumerate(orders)]
            told = await ok(api, "POST", "/v1/orders/batch", {"orders": some})
            assert {item["status"] for item in told["items"]} == {201}
            if start == 1_000:
                plan = await ok(api, "GET", "/v1/merchant/plan")
                assert [quota["state"] for quota in plan["quotas"]] == ["ok", "ok"]
        more = await api.ask("POST", "/v1/orders", json=_order(1) | {"order_id": "one-more"})
        assert outcome_of(more) == (409, "plan_quota_exceeded")
        again = await api.ask("POST", "/v1/orders", json=_order(0) | {"order_id": "q-0"})
        assert again.status_code == 200
        plan = await ok(api, "GET", "/v1/merchant/plan")
        assert [quota["state"] for quota in plan["quotas"]] == ["ok", "stopped"]
        await api.system.ref(MERCHANTS).ask(ChangePlan(MERCHANT, Plan.GROWTH))
        await ok(api, "POST", "/v1/orders", _order(1) | {"order_id": "one-more"})


def _order(number: int) -> dict[str, Any]:
    return {
        "order_id": f"q-{number}",
        "customer_id": CUSTOMER,
        "ordered_at": "2026-01-01T00:00:00Z",
        "currency": "EUR",
        "total_minor": 0,
    }


CUSTOMERS_CSV = b"""customer_id,name,email,accepts_marketing
c-1,Anna,anna@example.ch,yes
c-2,Ben,not-an-address,no
c-3,Carla,ANNA@example.ch,no
c-4,Dora,dora@example.ch,no
"""


async def imported(api: Api, kind: str, *parts: bytes, dry_run: bool = False) -> dict[str, Any]:
    """The import when it has ended."""
    begun = await ok(api, "POST", "/v1/imports", {"kind": kind, "dry_run": dry_run})
    path = f"/v1/imports/{begun['import_id']}"
    for number, part in enumerate(parts):
        for _ in range(2):
            await ok(
                api,
                "PUT",
                f"{path}/parts/{number}",
                content=part,
                headers={"Content-Type": "text/csv"},
            )
    assert (await ok(api, "POST", f"{path}/start"))["state"] == "running"
    shown: dict[str, Any] = {}

    async def ended() -> bool:
        shown.update(await ok(api, "GET", path))
        return shown["finished_at"] is not None

    await eventually(ended)
    shown["errors"] = (await ok(api, "GET", f"{path}/errors"))["items"]
    assert (await api.ask("GET", path, token=api.token(merchant_id=RIVAL))).status_code == 404
    return shown


async def test_files_are_imported_in_parts(tmp_path: Path, lasting_url: str) -> None:
    handle = DatabaseHandle(patient_pipeline())
    async with running_tree(tmp_path, handle=handle, url=lasting_url) as api:
        cut = CUSTOMERS_CSV.index(b"c-4")
        parts = (CUSTOMERS_CSV[:cut], CUSTOMERS_CSV[cut:])
        for dry_run in (True, False):
            done = await imported(api, "customers", *parts, dry_run=dry_run)
            assert done["rows"] == {"read": 4, "new": 2, "changed": 0, "unchanged": 0, "refused": 2}
            assert [error["line"] for error in done["errors"]] == [3, 4]
            assert (await api.ask("GET", "/v1/customers/c-1")).status_code == (
                404 if dry_run else 200
            )
        again = await imported(api, "customers", CUSTOMERS_CSV)
        assert again["rows"]["unchanged"] == 2
        changed = await imported(api, "customers", b"id,name\nc-1,Anne\n")
        assert changed["rows"]["changed"] == 1

        balances = b"customer;points\nc-1;500\nc-9;10\n"
        credited = await imported(api, "balances", balances)
        assert (credited["rows"]["new"], credited["rows"]["refused"]) == (1, 1)
        repeated = await imported(api, "balances", balances)
        assert repeated["rows"]["unchanged"] == 1
        other = await imported(api, "balances", b"customer;points\nc-1;600\n")
        assert "another amount" in other["errors"][0]["reason"]
        assert await api.posted("c-1") == 500

        orders = b"order_id,customer_id,ordered_at,total\no-1,c-4,2026-01-05,12.50\no-2,c-4,x,1\n"
        recorded = await imported(api, "orders", orders)
        assert (recorded["rows"]["new"], recorded["rows"]["refused"]) == (1, 1)
        assert recorded["errors"][0]["column"] == "ordered_at"
        await has_points(api, "c-4", 12)

        kept = await handle.fetch_value(
            "SELECT count(*) FROM import_parts WHERE merchant_id = $1", MERCHANT
        )
        assert kept == 0
        await _refused_imports(api)


async def _refused_imports(api: Api) -> None:
    begun = await ok(api, "POST", "/v1/imports", {"kind": "orders"})
    path = f"/v1/imports/{begun['import_id']}"
    assert outcome_of(await api.ask("POST", f"{path}/start")) == (422, "no_parts")
    csv = {"Content-Type": "text/csv"}
    gap = await api.ask("PUT", f"{path}/parts/1", content=b"x\n", headers=csv)
    assert outcome_of(gap) == (422, "part_out_of_order")
    await ok(api, "PUT", f"{path}/parts/0", content=b"a,b\n1,2\n", headers=csv)
    other = await api.ask("PUT", f"{path}/parts/0", content=b"a,c\n", headers=csv)
    assert outcome_of(other) == (409, "part_conflict")
    assert outcome_of(await api.ask("POST", f"{path}/start")) == (422, "unusable_file")
    assert (await ok(api, "POST", f"{path}/cancel"))["state"] == "cancelled"
    assert outcome_of(await api.ask("POST", f"{path}/start")) == (409, "import_not_open")


async def sent(
    api: Api, topic: str, body: dict[str, Any], webhook_id: str, secret: str = SECRET
) -> httpx.Response:
    """A webhook as the shop sends it."""
    raw = json.dumps(body).encode()
    signature = base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest())
    headers = {
        "Content-Type": "application/json",
        "X-Shopify-Hmac-Sha256": signature.decode(),
        "X-Shopify-Shop-Domain": SHOP,
        "X-Shopify-Webhook-Id": webhook_id,
        "X-Shopify-Topic": topic.replace("-", "/", 1),
    }
    path = f"/v1/webhooks/shopify/{topic}"
    return await api.client.post(path, content=raw, headers=headers)


ORDER: dict[str, Any] = {
    "id": 450,
    "created_at": "2026-01-10T12:00:00+01:00",
    "currency": "EUR",
    "total_price": "100.00",
    "financial_status": "paid",
    "customer": {"id": 7, "email": "bob@mail.example.com", "first_name": "Bob"},
    "line_items": [{"quantity": 1, "price": "100.00", "sku": "ROSES-12"}],
}


@pytest.fixture
def patient_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a second sends no shop away."""
    routes = tuple(attrs.evolve(route, deadline_s=None) for route in api_integrations.ROUTES)
    monkeypatch.setattr(api_integrations, "ROUTES", routes)


@pytest.mark.usefixtures("patient_webhooks")
async def test_a_shop_sends_what_happens(tmp_path: Path, lasting_url: str) -> None:
    handle = DatabaseHandle(patient_pipeline())
    async with running_tree(tmp_path, handle=handle, url=lasting_url) as api:
        token = api.token(merchant_id=RIVAL)
        connect = {"account": SHOP, "secret": "of somebody who claims the same shop"}
        await ok(api, "PUT", "/v1/integrations/shopify", connect, token=token)
        await ok(api, "PUT", "/v1/integrations/shopify", {"account": SHOP, "secret": "former"})
        put = await ok(api, "PUT", "/v1/integrations/shopify", {"account": SHOP, "secret": SECRET})
        assert put["former_until"] is not None
        assert SECRET not in json.dumps(put)

        assert outcome_of(await sent(api, "orders-paid", ORDER, "w-0", "forged")) == (
            401,
            "signature_invalid",
        )
        began = trio.current_time()
        unpaid = await sent(api, "orders-create", ORDER | {"financial_status": "pending"}, "w-1")
        assert unpaid.json() == {"duplicate": False}
        assert trio.current_time() - began < GIVES_UP_S
        assert (await sent(api, "orders-paid", ORDER, "w-2", "former")).json() == {
            "duplicate": False
        }
        for webhook_id in ("w-2", "w-other"):
            repeated = await sent(api, "orders-paid", ORDER, webhook_id)
            assert repeated.json() == {"duplicate": True}
        await has_state(api, "w-2", "done")
        await has_points(api, "shopify-7", 100)
        moved = [{"kind": "refund", "amount": "40.00", "status": "success"}]
        refund = {"id": 1, "order_id": 450, "created_at": "2026-01-11T00:00:00Z"}
        await sent(api, "refunds-create", refund | {"transactions": moved}, "w-3")
        await has_points(api, "shopify-7", 60)
        not_cancelled = await sent(api, "orders-cancelled", ORDER, "w-4")
        assert not_cancelled.status_code == 200
        await has_state(api, "w-4", "attention")
        await sent(api, "orders-cancelled", ORDER | {"cancelled_at": "2026-01-12T00:00:00Z"}, "w-5")
        await has_points(api, "shopify-7", 0)

        named = {"customer": {"id": 7}, "data_request": {"id": 99}}
        await sent(api, "customers-data_request", named, "w-6")
        await has_state(api, "w-6", "attention")
        await sent(api, "customers-redact", named, "w-7")
        await has_state(api, "w-7", "done")
        erased = await ok(api, "GET", "/v1/customers/shopify-7")
        assert erased["erased_at"] is not None
        assert erased["display_name"] is None
        assert not {"email", "phone", "external_ids", "consents"} & erased.keys()
        verified = await ok(api, "GET", "/v1/points/verify")
        assert verified["clean"]
        ledger = await ok(api, "GET", "/v1/customers/shopify-7/ledger")
        assert len(ledger["items"]) == 3
        kept = await handle.fetch(AcrossMerchants("SELECT sealed FROM webhook_receipts"))
        assert {row[0] for row in kept} == {None}
        foreign = await ok(api, "GET", "/v1/integrations/shopify/webhooks", token=token)
        assert foreign["items"] == []
        assert (await ok(api, "GET", "/v1/integrations/shopify"))["health"] == "failing"
        assert (await ok(api, "DELETE", "/v1/integrations/shopify"))["removed"]
        assert (await sent(api, "orders-paid", ORDER | {"id": 451}, "w-8")).status_code == 401


async def has_state(api: Api, webhook_id: str, state: str) -> None:
    async def there() -> bool:
        listed = await ok(api, "GET", "/v1/integrations/shopify/webhooks")
        states = {each["webhook_id"]: each["state"] for each in listed["items"]}
        return states.get(webhook_id) == state

    await eventually(there)


async def test_prices_change_when_they_should(tmp_path: Path, lasting_url: str) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        box = {"sku": "MOON-BOX", "name": "Moon Box", "kind": "subscription", "currency": "EUR"}
        product = box | {"price_minor": 2_500, "source_version": 5}
        await ok(api, "PUT", "/v1/products", {"products": [product]})
        for version, price, stale in ((4, 1, ["MOON-BOX"]), (5, 1, ["MOON-BOX"]), (5, 2_500, [])):
            older = product | {"price_minor": price, "source_version": version}
            told = await ok(api, "PUT", "/v1/products", {"products": [older]})
            assert (told["written"], told["stale"]) == (0, stale)
        soon = api.system.clock.now() + timedelta(seconds=0.5)
        path = "/v1/products/MOON-BOX"
        later = {"price_minor": 2_800, "currency": "EUR", "effective_from": soon.isoformat()}
        await ok(api, "PUT", f"{path}/price", later)
        assert (await ok(api, "GET", path))["price_minor"] == 2_500

        async def changed() -> bool:
            quote = await ok(api, "POST", "/v1/products/quote", {"skus": ["MOON-BOX", "NONE-1"]})
            assert quote["unknown"] == ["NONE-1"]
            return bool(quote["prices"][0]["price_minor"] == 2_800)

        await eventually(changed)
        prices = await ok(api, "GET", f"{path}/prices")
        assert [each["price_minor"] for each in prices["items"]] == [2_800, 2_500]
        past = await api.ask("PUT", f"{path}/price", json=later)
        assert outcome_of(past) == (422, "price_in_past")
        plan = {"plan_id": "monthly", "sku": "MOON-BOX", "name": "Monthly", "interval": "month"}
        await ok(api, "PUT", "/v1/plans", {"plans": [plan | {"trial_days": 14}]})
        assert (await ok(api, "GET", "/v1/plans/monthly"))["trial_days"] == 14
        assert (await api.ask("GET", "/v1/plans/none")).status_code == 404
        found = await ok(api, "GET", "/v1/products?search=moon&kind=subscription")
        assert [each["sku"] for each in found["items"]] == ["MOON-BOX"]
        assert problem_of(await api.ask("GET", "/v1/products?kind=car"))["status"] == 422
