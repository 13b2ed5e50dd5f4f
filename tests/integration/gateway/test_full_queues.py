"""Requests that would add to a queue of jobs that is full: 503, when to come back, and no trace."""

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.auth.messages import Role
from gateway import api_integrations
from runtime.jobs.depths import Depths
from tests.integration.gateway.helpers import CUSTOMER, MERCHANT, Api, running_tree

pytestmark = pytest.mark.slow

SECRET = "shared with the shop"
SHOP = "flora.example"
ROWS = b"customer_id,name\nzoe,Zoe\n"


async def ok(api: Api, method: str, path: str, json: Any = None, **options: Any) -> Any:
    answer = await api.ask(method, path, json=json, **options)
    assert answer.status_code < 300, (path, answer.text)
    return answer.json()


async def webhook(api: Api, webhook_id: str) -> Any:
    body = b'{"id": 7, "email": null}'
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    headers = {
        "X-Shopify-Hmac-Sha256": base64.b64encode(digest).decode(),
        "X-Shopify-Shop-Domain": SHOP,
        "X-Shopify-Webhook-Id": webhook_id,
        "Content-Type": "application/json",
    }
    path = "/v1/webhooks/shopify/customers-create"
    return await api.client.post(path, content=body, headers=headers)


async def test_what_a_full_queue_has_no_room_for_is_to_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unhurried = tuple(attrs.evolve(route, deadline_s=None) for route in api_integrations.ROUTES)
    monkeypatch.setattr(api_integrations, "ROUTES", unhurried)
    async with running_tree(tmp_path) as api:
        secret = {"account": SHOP, "secret": SECRET}
        await ok(api, "PUT", "/v1/integrations/shopify", secret)
        content = {"channel": "sms", "body": "Peonies are here"}
        news = {"name": "News", "kind": "broadcast", "broadcast": {"content": content}}
        campaign = f"/v1/campaigns/{(await ok(api, 'POST', '/v1/campaigns', news))['campaign_id']}"
        begun = (await ok(api, "POST", "/v1/imports", {"kind": "customers"}))["import_id"]
        csv = {"Content-Type": "text/csv"}
        await ok(api, "PUT", f"/v1/imports/{begun}/parts/0", content=ROWS, headers=csv)
        invitation = {"channel": "sms", "to": "+41791234567", "advocate_id": CUSTOMER}
        erasure = {"merchant_id": MERCHANT, "customer_id": CUSTOMER, "kind": "erase", "reason": "r"}
        asked: tuple[tuple[str, Any, Role], ...] = (
            ("/v1/referrals", invitation, Role.OWNER),
            ("/v1/rfm/runs", {}, Role.OWNER),
            (f"{campaign}/start", None, Role.OWNER),
            (f"/v1/imports/{begun}/start", None, Role.OWNER),
            ("/v1/admin/privacy-requests", erasure, Role.PLATFORM),
        )
        with monkeypatch.context() as patch:
            patch.setattr(Depths, "depth_max", lambda _self, _queue: 0)
            answers = [await api.ask("POST", p, json=body, role=role) for p, body, role in asked]
            answers.append(await webhook(api, "w-1"))
            for answer in answers:
                code = answer.json()["code"]
                assert (answer.status_code, code) == (503, "queue_full"), answer.url
                assert int(answer.headers["retry-after"]) >= 1
            assert (await ok(api, "GET", campaign))["state"] == "draft"
            assert (await ok(api, "GET", "/v1/referrals"))["items"] == []
        for path, body, role in asked:
            await ok(api, "POST", path, body, role=role)
        assert (await webhook(api, "w-1")).json() == {"duplicate": False}
