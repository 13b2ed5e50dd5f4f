"""Something of everything that a merchant can have, made through the routes, and its ids."""

from collections.abc import Iterator
from typing import Any

import attrs

from tests.integration.gateway.helpers import MERCHANT, Api, minutes_from, new_key

Json = dict[str, Any]

TWINS = ("intruder-a", "intruder-b")

PUBLIC_BY_NAME = {"merchant_id"}
"""Not of one merchant: platform staff names merchants, and a login says where it is."""

IDS_BY_OTHER_NAMES = {"sku", "skus", "into", "code", "email", "phone"}


def is_id(name: str) -> bool:
    ends = name.endswith(("_id", "_ids")) or name in IDS_BY_OTHER_NAMES
    return ends and name not in PUBLIC_BY_NAME


def kind_of(name: str) -> str:
    """What ids of that name are ids of."""
    if name.endswith("customer_id") or name in {"into", "advocate_id"}:
        return "customer_id"
    return name.removesuffix("s")


def fields_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from fields_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_of(inner)


@attrs.define
class Furnisher:
    """Gives a merchant something of everything. `known`: its ids by kind; `sent`: what was sent, by
    operation."""

    api: Api
    merchant_id: str
    known: dict[str, list[str]] = attrs.field(factory=dict)
    sent: dict[str, Any] = attrs.field(factory=dict)

    def own(self, thing: str) -> str:
        """An id that nobody else uses."""
        return f"{self.merchant_id}-{thing}"

    async def do(self, method: str, path: str, body: Any = None, **ids: str) -> None:
        filled = path.format(**ids)
        token = self.api.token(merchant_id=self.merchant_id)
        answer = await self.api.ask(method, filled, json=body, token=token, key=new_key())
        assert answer.status_code < 300, (filled, answer.text)
        self.sent[f"{method} {path}"] = body
        learn([ids, body, answer.json()], self.known)

    def newest(self, kind: str) -> str:
        return self.known[kind][-1]

    async def furnish(self) -> None:
        await self.members()
        await self.points()
        await self.play()
        await self.shop()
        await self.rest()

    async def members(self) -> None:
        for name in ("ada", "bob"):
            contact = {"email": f"{self.own(name)}@mail.example", "phone": PHONES[name](self)}
            outside = {"external_ids": [{"source": "shop", "external_id": self.own(f"x-{name}")}]}
            member = {"customer_id": self.own(name), "display_name": name.title()}
            await self.do("POST", "/v1/customers", member | contact | outside)

    async def points(self) -> None:
        ada, bob = self.own("ada"), self.own("bob")
        soon = minutes_from(self.api.system.clock.now(), 60)
        given = {"customer_id": ada, "amount": 500, "reason": "a"}
        await self.do("POST", "/v1/points/earn", given | {"order_id": self.own("first")})
        await self.do("POST", "/v1/points/redeem", given | {"amount": 5})
        await self.do("POST", "/v1/points/adjust", given | {"amount": 5})
        pass_on = {"from_customer_id": ada, "to_customer_id": bob, "amount": 5, "reason": "a"}
        await self.do("POST", "/v1/points/transfer", pass_on)
        item = given | {"kind": "earn", "idempotency_key": new_key()}
        await self.do("POST", "/v1/points/batch", {"items": [item]})
        for _ in range(2):
            hold = {"customer_id": ada, "amount": 5, "expires_at": soon}
            await self.do("POST", "/v1/points/holds", hold)
        mug = {"name": "Mug", "cost_points": 10, "stock": 9}
        await self.do("PUT", "/v1/rewards/{reward_id}", mug, reward_id=self.own("mug"))
        wanted: Json = {"customer_id": ada, "reward_id": self.own("mug"), "quantity": 1}
        await self.do("POST", "/v1/redemptions", wanted)
        tier = {"tier_id": self.own("gold"), "name": "Gold", "threshold": 50}
        tiers = {"metric": "points", "window": {"rolling_days": 365}, "downgrade": "period_end"}
        await self.do("PUT", "/v1/tiers", tiers | {"tiers": [tier]})

    async def shop(self) -> None:
        sku, box = self.own("rose").upper(), self.own("box").upper()
        money = {"price_minor": 100, "currency": "EUR"}
        rose = {"sku": sku, "name": "Rose", "kind": "package"} | money
        boxed = {"sku": box, "name": "Box", "kind": "subscription"} | money
        await self.do("PUT", "/v1/products", {"products": [rose, boxed]})
        plan = {"plan_id": self.own("monthly"), "sku": box, "name": "M", "interval": "month"}
        await self.do("PUT", "/v1/plans", {"plans": [plan]})
        when = minutes_from(self.api.system.clock.now(), -60)
        line = {"sku": sku, "quantity": 1, "unit_price_minor": 900}
        order: Json = {
            "order_id": self.own("order"),
            "customer_id": self.own("ada"),
            "ordered_at": when,
        }
        order |= {"currency": "EUR", "total_minor": 900, "lines": [line]}
        await self.do("POST", "/v1/orders", order)
        more = order | {"order_id": self.own("more")}
        await self.do("POST", "/v1/orders/batch", {"orders": [more]})
        refund = {"refund_id": self.own("refund"), "amount_minor": 1, "refunded_at": when}
        path = "/v1/orders/{order_id}/refunds"
        await self.do("POST", path, refund | {"reason": "a"}, order_id=self.own("order"))
        account = {"account": f"{self.merchant_id}.myshopify.com", "secret": "a secret of the shop"}
        await self.do("PUT", "/v1/integrations/{provider}", account, provider="shopify")

    async def play(self) -> None:
        badge = self.own("regular")
        await self.do("PUT", "/v1/badges/{badge_id}", {"name": "Regular"}, badge_id=badge)
        ten = {"name": "Ten", "badge_id": badge, "metric": "orders", "target": 1}
        path = "/v1/achievements/{achievement_id}"
        await self.do("PUT", path, ten, achievement_id=self.own("ten"))
        board = {"name": "Spenders", "metric": "spend", "currency": "EUR", "cycle": "month"}
        await self.do("PUT", "/v1/leaderboards/{board_id}", board, board_id=self.own("spenders"))
        campaign = {"name": "Double", "kind": "multiplier", "multiplier": {"percent": 200}}
        await self.do("POST", "/v1/campaigns", campaign)
        await self.do("PUT", "/v1/referrals/program", {"enabled": True})
        invited: Json = {"channel": "email", "to": f"{self.own('friend')}@mail.example"}
        await self.do("POST", "/v1/referrals", invited | {"advocate_id": self.own("ada")})

    async def rest(self) -> None:
        await self.do("POST", "/v1/auth/api-keys", {"name": "shop", "scopes": ["orders:read"]})
        await self.do("POST", "/v1/imports", {"kind": "customers"})
        await self.do("POST", "/v1/rfm/runs", {})
        seen: Json = {
            "message_id": self.own("seen"),
            "type": "seen",
            "customer_id": self.own("ada"),
        }
        seen |= {"occurred_at": minutes_from(self.api.system.clock.now(), 0), "properties": {}}
        await self.do("POST", "/v1/events", seen)
        await self.do("POST", "/v1/events/batch", {"events": [seen]})
        named = {"email": f"{self.own('ada')}@mail.example"}
        await self.do("POST", "/v1/customers/search", named)


def _number(furnisher: Furnisher, offset: int) -> str:
    digits = [MERCHANT, *TWINS].index(furnisher.merchant_id) * 10 + offset
    return f"+4179123{digits:04}"


PHONES: dict[str, Any] = {"ada": lambda f: _number(f, 1), "bob": lambda f: _number(f, 2)}


def learn(value: Any, known: dict[str, list[str]]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if is_id(name) and name != "trace_id" and isinstance(inner, str):
                ids = known.setdefault(kind_of(name), [])
                if inner not in ids:
                    ids.append(inner)
            learn(inner, known)
    elif isinstance(value, list):
        for inner in value:
            learn(inner, known)
