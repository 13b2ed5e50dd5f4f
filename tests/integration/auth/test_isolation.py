"""A merchant can neither see nor change, nor count, nor tell from nothing, what another one has.

Every documented operation is tried with every id that it takes, in its path, its query and its
body: once with an id of another merchant, once with one that nobody has. Both must be answered
alike.
"""

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.auth.messages import Role
from actors.core.messages import MERCHANTS, RegisterMerchant
from gateway.examples import example
from gateway.routes import ApiRequest
from runtime import host
from runtime.outbox import RELAY, GetBacklog
from runtime.storage import AcrossMerchants, DatabaseHandle
from runtime.storage.port import Dialect
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    RIVAL,
    Api,
    eventually,
    minutes_from,
    new_key,
    running_tree,
)

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

Json = dict[str, Any]

MADE_UP = re.compile(r"\b[a-z]+_[0-9A-HJKMNP-TV-Z]{26}\b")
TIMES = re.compile(r"\d{4}-\d{2}-\d{2}T[0-9:.]+(Z|[+-]\d{2}:\d{2})")
SECRETS = re.compile(r"\b(ln[a-z]_)?[0-9a-f]{64}\b")
CURSORS = re.compile(r'"next_cursor":"[^"]*"')

NUMBERS = count(1)

UNTOUCHED_BY = {"outbox", "inbox", "late_deliveries", "jobs", "job_runs", "schedule_runs"}
"""Tables that are changed by what goes on in the background, whoever asks what."""

OF_NO_MERCHANT = {"schema_migrations", "journal_partitions", "event_sources"}

PUBLIC_BY_NAME = {"merchant_id"}
"""Not of one merchant: platform staff names merchants, and a login says where it is."""


@attrs.frozen
class Place:
    """Where an operation takes an id: in its path, its query, or a field of its body."""

    method: str
    path: str
    where: str
    name: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.where} {self.name}"


@attrs.define
class Document:
    """The OpenAPI document, as far as it says what to send."""

    paths: Json
    schemas: Json

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        for path, methods in self.paths.items():
            for method, operation in methods.items():
                yield method.upper(), path, operation

    def places(self) -> Iterator[Place]:
        """Every place for an id."""
        for method, path, operation in self.operations():
            for parameter in operation["parameters"]:
                if parameter["in"] != "header" and is_id(parameter["name"]):
                    yield Place(method, path, parameter["in"], parameter["name"])
            for name in sorted(set(fields_of(self.body(operation)))):
                if is_id(name):
                    yield Place(method, path, "body", name)

    def body(self, operation: Json) -> Any:
        """A body that fits the operation, None where it takes no JSON."""
        content = operation.get("requestBody", {"content": {}})["content"]
        if "application/json" not in content:
            return None
        schema = content["application/json"]["schema"]
        return example(schema, self.schemas, only_required=False)


def is_id(name: str) -> bool:
    ends = name.endswith(("_id", "_ids")) or name in {"sku", "skus"}
    return ends and name not in PUBLIC_BY_NAME


def fields_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from fields_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_of(inner)


def replaced(value: Any, name: str, id_: str) -> Any:
    """The same body with another id in all fields of a name."""
    if isinstance(value, dict):
        return {
            key: (
                (id_ if not isinstance(inner, list) else [id_])
                if key == name
                else replaced(inner, name, id_)
            )
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [replaced(inner, name, id_) for inner in value]
    return value


def told(status: int, text: str, id_: str) -> tuple[int, str]:
    """What an answer says, whatever its ids, times and secrets are."""
    for pattern, name in (
        (re.compile(rf"(?<![\w@-]){re.escape(id_)}(?![\w@-])"), "ID"),
        (MADE_UP, "ID"),
        (TIMES, "TIME"),
        (SECRETS, "SECRET"),
        (CURSORS, '"next_cursor":CURSOR'),
    ):
        text = pattern.sub(name, text)
    return status, text


async def furnish(api: Api) -> dict[str, list[str]]:
    """Something of everything that a merchant can have; its ids by the names of their fields."""
    known: dict[str, list[str]] = {}

    async def do(method: str, path: str, body: Any = None) -> None:
        answer = await api.ask(method, path, json=body, key=new_key())
        assert answer.status_code < 300, (path, answer.text)
        learn(answer.json(), known)

    now = api.system.clock.now()
    hold = {"customer_id": CUSTOMER, "amount": 5, "expires_at": minutes_from(now, 60)}
    product = {"sku": "FLORA-1", "name": "Rose", "kind": "package", "price_minor": 1}
    order = {"order_id": "flora-order", "customer_id": CUSTOMER, "total_minor": 900}
    await do("POST", "/v1/points/earn", {"customer_id": CUSTOMER, "amount": 50, "reason": "a"})
    await do("POST", "/v1/points/holds", hold)
    await do("PUT", "/v1/products", {"products": [product | {"currency": "EUR"}]})
    known["sku"] = ["FLORA-1"]
    await do("POST", "/v1/orders", order | {"currency": "EUR", "ordered_at": now.isoformat()})
    await do("POST", "/v1/auth/api-keys", {"name": "shop", "scopes": ["orders:read"]})
    campaign = {"name": "Flora", "kind": "multiplier", "multiplier": {"percent": 200}}
    await do("POST", "/v1/campaigns", campaign)

    async def is_delivered() -> bool:
        return not await api.system.ref(RELAY).ask(GetBacklog())

    await eventually(is_delivered)
    return known


def learn(value: Any, known: dict[str, list[str]]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if is_id(name) and name != "trace_id" and isinstance(inner, str):
                known.setdefault(name, []).append(inner)
            learn(inner, known)
    elif isinstance(value, list):
        for inner in value:
            learn(inner, known)


async def everything_of(handle: DatabaseHandle, merchant_id: str) -> dict[str, list[str]]:
    """All rows of a merchant, by table."""
    names = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    if handle.dialect is Dialect.SQLITE:
        names = "SELECT name FROM sqlite_master WHERE type = 'table'"
    found = {}
    for (table,) in await handle.fetch(AcrossMerchants(names)):
        if table in UNTOUCHED_BY or re.fullmatch(r".*_p\d+", table):
            continue
        if table in OF_NO_MERCHANT:
            continue
        query = AcrossMerchants(f"SELECT * FROM {table} WHERE merchant_id = $1")
        rows = await handle.fetch(query, merchant_id)
        found[table] = sorted(repr(list(row)) for row in rows)
    return found


@attrs.define
class Intruder:
    """Tries the ids of another merchant. `wrong`: what was answered otherwise than for nothing."""

    api: Api
    document: Document
    known: dict[str, list[str]]
    wrong: list[str] = attrs.field(factory=list)
    tried: int = 0

    async def try_all(self, below: str = "") -> None:
        """Every place, or those of the paths that begin so."""
        for place in self.document.places():
            if not place.path.startswith(below):
                continue
            operation = self.document.paths[place.path][place.method.lower()]
            if "customer" in operation.get("x-roles", ()):
                await self.compare(place, operation, Role.CUSTOMER)
            await self.compare(place, operation, Role.OWNER)

    async def compare(self, place: Place, operation: Json, role: Role) -> None:
        nothing: dict[str, tuple[int, str]] = {}
        for id_ in self.ids(place.name):
            self.tried += 1
            nobodys = self.nobodys(place.name, id_)
            if nobodys not in nothing:
                nothing[nobodys] = await self.send(place, operation, role, nobodys)
            found = await self.send(place, operation, role, id_)
            if found != nothing[nobodys]:
                self.wrong.append(f"{place} ({id_}): {found} and not {nothing[nobodys]}")

    def ids(self, name: str) -> list[str]:
        """Ids of that kind; of all kinds, where nothing is known of it."""
        own = self.known.get(name.removesuffix("s"), [])
        return list(dict.fromkeys(own))[:3] or [self.known["transaction_id"][0], CUSTOMER]

    @staticmethod
    def nobodys(name: str, like: str) -> str:
        if name.startswith("sku"):
            return "NO-SUCH-SKU"
        return like[:-4] + "ZZZZ" if MADE_UP.fullmatch(like) else "no-such-thing"

    async def send(self, place: Place, operation: Json, role: Role, id_: str) -> tuple[int, str]:
        """Of a merchant of its own each, so that none has done anything before."""
        path, merchant_id = place.path, f"intruder-{next(NUMBERS)}"
        await self.api.system.ref(MERCHANTS).ask(RegisterMerchant(merchant_id, "I", "EUR"))
        token = self.api.token(role, merchant_id, customer_id="intruder")
        for name in re.findall(r"\{(\w+)\}", path):
            mine = place.where == "path" and name == place.name
            path = path.replace(f"{{{name}}}", id_ if mine else "nowhere")
        body = self.document.body(operation)
        if place.where == "body":
            body = replaced(body, place.name, id_)
        answer = await self.api.ask(
            place.method,
            path,
            token=token,
            key=new_key(),
            params={place.name: id_} if place.where == "query" else None,
            json=body,
        )
        assert answer.status_code < 500, (str(place), answer.text)
        text = re.sub(r'"instance":"[^"]*"', "", answer.text).replace(merchant_id, "MERCHANT")
        return told(answer.status_code, text, id_)


async def test_what_another_merchant_has_is_as_if_it_were_not_there(
    store_url: str, tmp_path: Path
) -> None:
    handle = DatabaseHandle()
    async with running_tree(tmp_path, url=store_url, handle=handle) as api:
        known = await furnish(api)
        raw = (await api.client.get("/v1/openapi.json")).json()
        document = Document(raw["paths"], raw["components"]["schemas"])
        before = await everything_of(handle, MERCHANT)
        assert sum(map(len, before.values())) > 10
        lists = {path for method, path, _ in document.operations() if method == "GET"}
        intruder = Intruder(api, document, known)
        await intruder.try_all()
        assert not intruder.wrong, "\n".join(intruder.wrong)
        assert intruder.tried > 50, intruder.tried
        for path in sorted(lists):
            if "{" not in path and not path.startswith(("/health", "/metrics", "/v1/openapi")):
                answer = await api.ask("GET", path, token=api.token(Role.OWNER, RIVAL))
                assert "flora-order" not in answer.text, path
                assert json.dumps(known["transaction_id"][0]) not in answer.text, path
        assert await everything_of(handle, MERCHANT) == before


async def test_a_route_that_forgets_whose_token_it_was_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_tree(tmp_path) as api:
        known = await furnish(api)
        raw = (await api.client.get("/v1/openapi.json")).json()
        intruder = Intruder(api, Document(raw["paths"], raw["components"]["schemas"]), known)
        monkeypatch.setattr(ApiRequest, "merchant_id", MERCHANT)
        await intruder.try_all("/v1/customers")
        assert {line.split(" path")[0] for line in intruder.wrong} >= {
            "GET /v1/customers/{customer_id}",
            "GET /v1/customers/{customer_id}/ledger",
        }
