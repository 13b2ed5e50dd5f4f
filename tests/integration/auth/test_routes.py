"""Accounts, sessions, keys, merchants and privacy over HTTP, on both stores."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.admin_core.messages import PRIVACY
from actors.auth.messages import Role
from actors.core.messages import CUSTOMERS, PRIVACY_REQUESTED, CreateCustomer
from runtime import RestartChild, TerminateChild, host
from runtime.outbox import Deliver, OutboxEvent
from tests.integration.gateway.helpers import (
    MERCHANT,
    Api,
    eventually,
    outcome_of,
    running_tree,
)

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

PASSWORD = "nine green bicycles"
OWNER = {"merchant_id": MERCHANT, "email": "ada@flora.example", "role": "owner"}
MEMBER = "mia"


async def asked(api: Api, method: str, path: str, **options: Any) -> Any:
    """The body of an answer that must be good; asked for by an operator unless a token is given."""
    if "token" not in options:
        options["role"] = Role.PLATFORM
    answer = await api.ask(method, path, **options)
    assert answer.status_code < 300, (path, answer.text)
    return answer.json()


async def created(api: Api, **fields: Any) -> dict[str, Any]:
    body = OWNER | {"password": PASSWORD} | fields
    account: dict[str, Any] = await asked(api, "POST", "/v1/admin/accounts", json=body)
    return account


async def try_login(api: Api, **fields: Any) -> httpx.Response:
    body = {"merchant_id": MERCHANT, "email": OWNER["email"], "password": PASSWORD} | fields
    given = {name: value for name, value in body.items() if value is not None}
    return await api.client.post("/v1/auth/login", json=given)


async def logged_in(api: Api, **fields: Any) -> dict[str, Any]:
    answer = await try_login(api, **fields)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def refreshed(api: Api, token: str) -> httpx.Response:
    return await api.client.post("/v1/auth/refresh", json={"refresh_token": token})


async def test_from_the_account_to_the_logout(lasting_url: str, tmp_path: Path) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        account = await created(api)
        assert PASSWORD not in str(account)
        again = await api.ask(
            "POST", "/v1/admin/accounts", role=Role.PLATFORM, json=OWNER | {"password": PASSWORD}
        )
        assert outcome_of(again) == (409, "account_exists")
        tokens = await logged_in(api)
        assert tokens["expires_in"] <= 900
        me = await asked(api, "GET", "/v1/auth/me", token=tokens["access_token"])
        assert (me["subject"], me["role"]) == (account["account_id"], "owner")
        renewed = (await refreshed(api, tokens["refresh_token"])).json()
        reused = await refreshed(api, tokens["refresh_token"])
        assert outcome_of(reused) == (401, "refresh_token_reused")
        ended = await api.ask("GET", "/v1/auth/me", token=renewed["access_token"])
        assert outcome_of(ended) == (401, "token_revoked")
        other = await logged_in(api, device_token=tokens["device_token"])
        assert other["device_token"] is None
        await asked(api, "POST", "/v1/auth/logout", token=other["access_token"])
        out = await api.ask("GET", "/v1/orders", token=other["access_token"])
        assert outcome_of(out) == (401, "token_revoked")
        wrong = [outcome_of(await try_login(api, password="wrong")) for _ in range(4)]
        assert wrong == [(401, "invalid_credentials")] * 3 + [(401, "captcha_required")]
        audit = await asked(api, "GET", f"/v1/admin/login-audit?account_id={account['account_id']}")
        outcomes = [each["outcome"] for each in audit["items"]]
        assert outcomes == ["invalid_credentials"] * 3 + ["success"] * 2


async def test_a_key_of_a_merchant_may_what_its_scopes_say_until_it_is_revoked(
    lasting_url: str, tmp_path: Path
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        owner = api.token()
        body = {"name": "shop", "scopes": ["orders:read"]}
        made = await asked(api, "POST", "/v1/auth/api-keys", token=owner, json=body)
        secret, key_id = made["secret"], made["key"]["key_id"]
        await asked(api, "GET", "/v1/orders", token=secret)
        products = await api.ask("GET", "/v1/products", token=secret)
        assert outcome_of(products) == (403, "permission_missing")
        listed = await asked(api, "GET", "/v1/auth/api-keys", token=owner)
        assert [each["key_id"] for each in listed["items"]] == [key_id]
        assert secret not in str(listed)
        foreign = api.token(merchant_id="rival")
        assert (await asked(api, "GET", "/v1/auth/api-keys", token=foreign))["items"] == []
        path = f"/v1/auth/api-keys/{key_id}"
        assert (await api.ask("DELETE", path, token=foreign)).status_code == 404
        assert (await api.ask("POST", "/v1/auth/logout", token=secret)).status_code == 403
        await asked(api, "DELETE", path, token=owner)
        revoked = await api.ask("GET", "/v1/orders", token=secret)
        assert outcome_of(revoked) == (401, "token_revoked")
        unknown = await api.ask("GET", "/v1/orders", token="lnk_" + "0" * 64)
        assert outcome_of(unknown) == (401, "invalid_token")
        for scopes in (["orders:everything"], ["platform:write"], []):
            refused = await api.ask(
                "POST", "/v1/auth/api-keys", token=owner, json=body | {"scopes": scopes}
            )
            assert refused.status_code == 422


async def test_a_narrower_role_narrows_and_gives_nobody_more_than_it_has(
    lasting_url: str, tmp_path: Path
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        role = {"base": "owner", "permissions": ["orders:read", "auth:write"], "reason": "counter"}
        await asked(api, "PUT", "/v1/admin/roles/clerk", json=role)
        await created(api, role_id="clerk")
        clerk = (await logged_in(api))["access_token"]
        await asked(api, "GET", "/v1/orders", token=clerk)
        customers = await api.ask("GET", "/v1/customers", token=clerk)
        assert outcome_of(customers) == (403, "permission_missing")
        more = {"name": "more", "scopes": ["customers:read"]}
        refused = await api.ask("POST", "/v1/auth/api-keys", token=clerk, json=more)
        assert outcome_of(refused) == (403, "permission_missing")
        auditor = {"base": "platform", "permissions": ["accounts:write"], "reason": "audit"}
        await asked(api, "PUT", "/v1/admin/roles/registrar", json=auditor)
        staff = {"merchant_id": None, "email": "r@example.com", "role": "platform"}
        await created(api, **staff, role_id="registrar")
        registrar = (await logged_in(api, merchant_id=None, email="r@example.com"))["access_token"]
        chief = staff | {"email": "chief@example.com", "password": PASSWORD}
        wider = await api.ask("POST", "/v1/admin/accounts", token=registrar, json=chief)
        assert outcome_of(wider) == (403, "permission_missing")
        listed = await asked(api, "GET", "/v1/admin/roles")
        assert {"owner", "clerk", "registrar"} <= {each["role_id"] for each in listed["items"]}
        in_use = await api.ask("DELETE", "/v1/admin/roles/clerk", role=Role.PLATFORM)
        assert outcome_of(in_use) == (409, "role_in_use")
        built_in = await api.ask("PUT", "/v1/admin/roles/owner", role=Role.PLATFORM, json=role)
        assert outcome_of(built_in) == (409, "role_built_in")


async def test_nobody_of_a_suspended_merchant_is_let_in_and_all_of_it_is_audited(
    lasting_url: str, tmp_path: Path
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        await created(api)
        tokens = await logged_in(api)
        path = f"/v1/admin/merchants/{MERCHANT}"
        reason = {"reason": "did not pay"}
        suspended = await asked(api, "POST", f"{path}/suspend", json=reason)
        assert suspended["suspended"] is True
        for attempt in (
            await api.ask("GET", "/v1/orders", token=tokens["access_token"]),
            await api.ask("GET", "/v1/orders", token=api.token(Role.MACHINE)),
            await refreshed(api, tokens["refresh_token"]),
            await try_login(api),
        ):
            assert outcome_of(attempt) == (403, "merchant_suspended")
        rival = await api.ask("GET", "/v1/orders", token=api.token(merchant_id="rival"))
        assert rival.status_code == 200
        found = await asked(api, "GET", "/v1/admin/merchants?text=LOR")
        assert [(each["merchant_id"], each["suspended"]) for each in found["items"]] == [
            (MERCHANT, True)
        ]
        assert (await asked(api, "GET", "/v1/admin/merchants?text=%25"))["items"] == []
        await asked(api, "POST", f"{path}/resume", json=reason)
        await asked(api, "GET", "/v1/orders", token=tokens["access_token"])
        plan = await asked(api, "PUT", f"{path}/plan", json=reason | {"plan": "scale"})
        assert plan["usage"]["plan"] == "scale"
        missing = await api.ask("POST", f"{path}x/suspend", role=Role.PLATFORM, json=reason)
        assert missing.status_code == 404

        async def all_is_audited() -> bool:
            audit = await asked(api, "GET", f"/v1/admin/audit?merchant_id={MERCHANT}")
            actions = [each["action"] for each in audit["items"]]
            wanted = ["merchant.plan", "merchant.resume", "merchant.suspend", "account.create"]
            return actions == wanted

        await eventually(all_is_audited)
        assert (await asked(api, "GET", "/v1/admin/audit/verify"))["clean"] is True


async def test_a_customer_is_exported_and_erased_and_the_ledger_stays(
    lasting_url: str, tmp_path: Path
) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        member = CreateCustomer(MERCHANT, MEMBER, "Mia Secret", email="mia@secret.example")
        await api.system.ref(CUSTOMERS).ask(member)
        customer_account = {"role": "customer", "customer_id": MEMBER}
        await created(api, email="mia@secret.example", **customer_account)
        token = (await logged_in(api, email="mia@secret.example"))["access_token"]
        assert (await api.earn(25, customer_id=MEMBER)).status_code == 200
        path, body = "/v1/admin/privacy-requests", {"merchant_id": MERCHANT, "customer_id": MEMBER}
        wanted = body | {"kind": "export", "reason": "asked by post"}
        export = await asked(api, "POST", path, json=wanted)
        assert export["state"] == "open"
        one = f"{path}/{export['request_id']}"
        file = await asked(api, "GET", f"{one}/export")
        assert "mia@secret.example" in str(file["customer"])
        assert [entry["amount"] for entry in file["ledger"]] == [25]
        done = await asked(api, "POST", f"{one}/complete", json={"outcome": "sent by post"})
        assert done["state"] == "done"
        twice = await api.ask(
            "POST", f"{one}/complete", role=Role.PLATFORM, json={"outcome": "again"}
        )
        assert outcome_of(twice) == (409, "not_open")

        erase = await asked(api, "POST", path, json=body | {"kind": "erase", "reason": "asked"})
        assert (erase["state"], erase["due_at"] > erase["received_at"]) == ("running", True)

        async def is_erased() -> bool:
            request = await asked(api, "GET", f"{path}/{erase['request_id']}")
            return bool(request["state"] == "done")

        await eventually(is_erased)
        customer = await api.ask("GET", f"/v1/customers/{MEMBER}")
        assert "ecret" not in customer.text
        assert await api.posted(MEMBER) == 25
        assert (await asked(api, "GET", "/v1/points/verify", token=api.token()))["clean"] is True

        async def account_is_gone() -> bool:
            mine = await api.ask("GET", f"/v1/customers/{MEMBER}/balance", token=token)
            listed = await asked(api, "GET", "/v1/admin/accounts")
            return mine.status_code == 401 and "mia@secret" not in str(listed)

        await eventually(account_is_gone)
        login = await try_login(api, email="mia@secret.example")
        assert outcome_of(login) == (401, "invalid_credentials")
        nobody = await api.ask(
            "POST", path, role=Role.PLATFORM, json=wanted | {"customer_id": "nobody"}
        )
        assert outcome_of(nobody) == (404, "customer_unknown")
        open_ones = await asked(api, "GET", f"{path}?unfinished=true")
        assert open_ones["items"] == []


async def test_what_a_shop_passes_on_is_noted_once_with_its_due_date(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        received_at = api.system.clock.now()
        told = {
            "customer_id": "ada",
            "kind": "export",
            "reference": "shop-77",
            "received_at": received_at.isoformat(),
        }
        event = OutboxEvent(
            merchant_id=MERCHANT,
            event_id=api.system.ids.new("ev"),
            topic=PRIVACY_REQUESTED,
            key="ada",
            payload=told,
            created_at=received_at,
        )
        delivery = Deliver((event,))
        await api.system.ref(PRIVACY).ask(delivery)
        await api.system.ref(PRIVACY).ask(delivery)
        (noted,) = (await asked(api, "GET", "/v1/admin/privacy-requests"))["items"]
        assert (noted["reference"], noted["state"]) == ("shop-77", "open")
        due = datetime.fromisoformat(noted["due_at"]) - received_at
        assert due == timedelta(days=30)


async def test_an_erasure_waits_for_core_and_then_happens(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        body = {"merchant_id": MERCHANT, "customer_id": "ada", "kind": "erase", "reason": "asked"}
        domain = api.system.ref("domain.core")
        await domain.ask(TerminateChild("customers"))
        noted = await asked(api, "POST", "/v1/admin/privacy-requests", json=body)
        assert noted["state"] == "running"
        await domain.ask(RestartChild("customers"))

        async def is_done() -> bool:
            one = f"/v1/admin/privacy-requests/{noted['request_id']}"
            return bool((await asked(api, "GET", one))["state"] == "done")

        await eventually(is_done)
