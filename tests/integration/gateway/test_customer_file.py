"""What a customer gets who asks for everything that is kept, on both stores."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actors.auth.messages import Role
from runtime import TerminateChild, host
from tests.integration.gateway.helpers import CUSTOMER, MERCHANT, Api, eventually, running_tree

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

PATH = "/v1/admin/privacy-requests"
LISTS = ("ledger", "redemptions", "tier_changes", "badges", "referrals", "messages", "events")


async def ok(api: Api, method: str, path: str, json: Any = None, **options: Any) -> Any:
    answer = await api.ask(method, path, json=json, **options)
    assert answer.status_code < 300, (path, answer.text)
    return answer.json()


async def live(api: Api) -> None:
    """A little of everything that a program knows of a customer."""
    await ok(api, "PUT", "/v1/badges/first", {"name": "First bouquet"})
    rule = {"name": "First", "badge_id": "first", "metric": "orders", "target": 1}
    await ok(api, "PUT", "/v1/achievements/first", rule)
    now = datetime.now(UTC).isoformat()
    order = {"order_id": "o1", "customer_id": CUSTOMER, "total_minor": 8400, "currency": "EUR"}
    await ok(api, "POST", "/v1/orders", order | {"ordered_at": now})
    event = {"message_id": "m1", "type": "viewed", "customer_id": CUSTOMER, "occurred_at": now}
    await ok(api, "POST", "/v1/events", event | {"properties": {"sku": "ROSES"}})
    invitation = {"channel": "email", "to": "ben@example.com", "advocate_id": CUSTOMER}
    await ok(api, "POST", "/v1/referrals", invitation)
    await ok(api, "PUT", f"/v1/customers/{CUSTOMER}/birthday", {"month": 2, "day": 29})
    content = {"channel": "sms", "body": "Peonies are here"}
    news = {"name": "News", "kind": "broadcast", "broadcast": {"content": content}}
    campaign = await ok(api, "POST", "/v1/campaigns", news)
    await ok(api, "POST", f"/v1/campaigns/{campaign['campaign_id']}/start")
    await ok(api, "POST", "/v1/rfm/runs", {})


async def test_an_export_has_what_every_domain_keeps(lasting_url: str, tmp_path: Path) -> None:
    async with running_tree(tmp_path, url=lasting_url) as api:
        await live(api)
        body = {"merchant_id": MERCHANT, "customer_id": CUSTOMER, "kind": "export", "reason": "r"}
        wanted = await ok(api, "POST", PATH, body, role=Role.PLATFORM)
        export = f"{PATH}/{wanted['request_id']}/export"
        file: dict[str, Any] = {}

        async def whole() -> bool:
            file.update(await ok(api, "GET", export, role=Role.PLATFORM))
            settled = file["messages"] and file["messages"][0]["state"] == "suppressed"
            awarded = [badge["state"] for badge in file["badges"]] == ["awarded"]
            others = ("ledger", "events", "rfm", "on_leaderboards")
            engaged = file["engagement"] and file["engagement"]["score"] > 0
            return bool(settled and awarded and engaged and all(file[name] for name in others))

        await eventually(whole)
        assert {name: len(file[name]) for name in LISTS} == {
            "ledger": 1, "redemptions": 0, "tier_changes": 0, "badges": 1, "referrals": 1,
            "messages": 1, "events": 1,
        }  # fmt: skip
        assert (file["badges"][0]["badge_id"], file["badges"][0]["state"]) == ("first", "awarded")
        assert file["events"][0]["properties"] == {"sku": "ROSES"}
        assert (file["messages"][0]["channel"], file["messages"][0]["reason"]) == (
            "sms", "no_consent",
        )  # fmt: skip
        assert file["birthday"] == {"month": 2, "day": 29}
        assert (file["rfm"]["scores"]["segment"], file["on_leaderboards"]) == ("hibernating", True)
        assert file["engagement"]["score"] > 0
        assert (file["referrals"][0]["advocate_id"], file["cut_off"]) == (CUSTOMER, [])
        assert "ben@example.com" not in str(file)
        await api.system.ref("loyalnest.domains").ask(TerminateChild("gamification"))
        answer = await api.ask("GET", export, role=Role.PLATFORM)
        assert answer.status_code == 503
