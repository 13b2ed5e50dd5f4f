"""A merchant can neither see nor change, nor count, nor tell from nothing, what another one has.

Every documented operation is tried with every id that it takes, in its path, its query and its
body, all other ids being the intruder's own: once with an id of another merchant, once with one
that nobody has. Both must be answered alike, after the same questions to the database. Two
intruders, twins with one history, send one each, so that neither has learnt from the other.
"""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.auth.messages import Role
from actors.core import merchant_store, profiles, quotas
from actors.core.messages import MERCHANTS, RegisterMerchant
from actors.gamification import enqueueing, rulebook
from actors.points import tiers
from actors.products import cached
from gateway.examples import example
from gateway.rate_limits import RateLimitSettings
from gateway.routes import ApiRequest
from gateway.settings import GatewaySettings
from runtime import host, outbox_store
from runtime.cache import Kind
from runtime.context import current_trace_id
from runtime.jobs import store as jobs_store
from runtime.outbox import RELAY, GetBacklog
from runtime.policies import SheddingMode
from runtime.storage import AcrossMerchants, Database, DatabaseHandle, Row
from runtime.storage.partitions import SELECT_OWNER
from runtime.storage.port import Dialect, Query
from tests.integration.auth.furnishing import (
    TWINS,
    Furnisher,
    Json,
    fields_of,
    is_id,
    kind_of,
)
from tests.integration.gateway.helpers import (
    MERCHANT,
    Api,
    eventually,
    new_key,
    running_tree,
)
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

Told = tuple[int, str, tuple[str, ...]]
"""A status, what the answer says, and what was asked of the database."""

MADE_UP = re.compile(r"\b[a-z]+_[0-9A-HJKMNP-TV-Z]{26}\b")
TIMES = re.compile(r"\d{4}-\d{2}-\d{2}T[0-9:.]+(Z|[+-]\d{2}:\d{2})")
SECRETS = re.compile(r"\b(ln[a-z]_)?[0-9a-f]{64}\b")
CURSORS = re.compile(r'"next_cursor":"[^"]*"')
TRACES = re.compile(r'"trace_id":"[0-9a-f]*"')
CODES = re.compile(r'"code":"[0-9A-Z]+"')
PHONE = re.compile(r"\+41\d+")

NUMBERS = count(1)
LONG_S = 3_600.0

UNTOUCHED_BY = {"outbox", "inbox", "late_deliveries", "jobs", "job_runs", "schedule_runs"}
"""Tables that are changed by what goes on in the background, whoever asks what."""

UNSETTLED = (
    "SELECT COUNT(*) FROM rfm_runs WHERE ended_at IS NULL",
    "SELECT COUNT(*) FROM late_deliveries",
    f"SELECT COUNT(*) FROM jobs WHERE queue = '{enqueueing.QUEUE.name}' AND finished_at IS NULL",
)
AWARDS = "SELECT COUNT(*) FROM gamification_awards"

OF_NO_MERCHANT = {"schema_migrations", "journal_partitions", "event_sources"}

SPARED = {"POST /v1/auth/login", "POST /v1/auth/refresh", "POST /v1/auth/logout"}
"""They take no id of an object, and may be used a few times a minute."""

NEVER_FURNISHED = {
    "deferral_id",  # only while the database is away
    *("account_id", "role_id", "request_id", "job_id", "event_id"),  # of the platform's own routes
}


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
            if f"{method} {path}" in SPARED:
                continue
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


def replaced(value: Any, ids: dict[str, str]) -> Any:
    """The same body with other ids in the fields of these names."""
    if isinstance(value, dict):
        return {key: _put(key, inner, ids) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, ids) for inner in value]
    return value


def _put(key: str, inner: Any, ids: dict[str, str]) -> Any:
    if key not in ids or isinstance(inner, dict) or not inner:
        return replaced(inner, ids)
    if isinstance(inner, list):
        return [ids[key]] if isinstance(inner[0], str) else replaced(inner, ids)
    return ids[key]


def plain(text: str, *ids: str) -> str:
    """What an answer says, whatever its ids, times and secrets are."""
    text = re.sub(r'"instance":"[^"]*"', "", text)
    for id_ in ids:
        text = re.sub(rf"(?<![\w@-]){re.escape(id_)}(?![\w@-])", "ID", text)
    for pattern, name in (
        (MADE_UP, "ID"),
        (TIMES, "TIME"),
        (SECRETS, "SECRET"),
        (CURSORS, '"next_cursor":CURSOR'),
        (CODES, '"code":"CODE"'),
        (TRACES, '"trace_id":"TRACE"'),
    ):
        text = pattern.sub(name, text)
    return text


class ListeningHandle(DatabaseHandle):
    """Notes what is asked of the database, by the trace of the request that it is asked for: not
    what its journal asks when nobody else's entry goes with it."""

    def __init__(self) -> None:
        super().__init__(patient_pipeline())
        self.asked: dict[str, list[str]] = {}

    def attach(self, database: Database) -> None:
        listening: Any = Listening(database, self)
        super().attach(listening)

    def note(self, *queries: str) -> None:
        trace, of_requests = current_trace_id(), [sql for sql in queries if sql != SELECT_OWNER]
        if trace is not None and of_requests:
            self.asked.setdefault(trace, []).extend(map(str, of_requests))


@attrs.frozen(eq=False)
class Listening:
    """Passes on to the store."""

    _database: Database
    _handle: ListeningHandle

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        self._handle.note(sql)
        return await self._database.fetch(sql, *values)

    async def fetch_row(self, sql: str, *values: object) -> Row | None:
        self._handle.note(sql)
        return await self._database.fetch_row(sql, *values)

    async def fetch_value(self, sql: str, *values: object) -> Any:
        self._handle.note(sql)
        return await self._database.fetch_value(sql, *values)

    async def fetch_many(self, queries: Sequence[Query]) -> list[list[Row]]:
        self._handle.note(*(sql for sql, _ in queries))
        return await self._database.fetch_many(queries)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


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
class Intruders:
    """Try the ids of another merchant. `wrong`: what was answered otherwise than for nothing."""

    api: Api
    handle: ListeningHandle
    document: Document
    known: dict[str, list[str]]
    twins: tuple[Furnisher, Furnisher]
    wrong: list[str] = attrs.field(factory=list)
    tried: set[str] = attrs.field(factory=set)
    unknown: set[str] = attrs.field(factory=set)
    statuses: Counter[int] = attrs.field(factory=Counter)
    looked: int = 0

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
        """Of what the one has caused and the other not yet, nothing is left to the next ones."""
        kind = kind_of(place.name)
        if kind not in self.known:
            self.unknown.add(kind)
            return
        first, second = self.twins
        for number, id_ in enumerate(self.known[kind][-2:]):
            self.tried.add(str(place))
            nothing = await self.send(first, place, operation, role, nobodys(kind, id_, number))
            found = await self.send(second, place, operation, role, id_)
            if place.method != "GET" and found[0] < 300:
                await settled(self.api, self.handle)
            self.statuses[found[0]] += 1
            self.looked += bool(found[2])
            if found != nothing:
                pairs = zip(found, nothing, strict=True)
                differ = " | ".join(
                    f"{one} and not {other}" for one, other in pairs if one != other
                )
                self.wrong.append(f"{place} ({id_}, {role.value}): {differ}")

    async def send(
        self, twin: Furnisher, place: Place, operation: Json, role: Role, id_: str
    ) -> Told:
        own = {name: twin.known[kind_of(name)][0] for name in self.names_known_to(twin)}
        path = place.path
        for name in re.findall(r"\{(\w+)\}", path):
            mine = place.where == "path" and name == place.name
            path = path.replace(f"{{{name}}}", id_ if mine else own.get(name, "nowhere"))
        sent = twin.sent.get(f"{place.method} {place.path}")
        body = replaced(self.document.body(operation), own)
        if sent is not None and (place.where != "body" or place.name in set(fields_of(sent))):
            body = sent
        if place.where == "body":
            body = replaced(body, {place.name: id_})
        trace = f"{next(NUMBERS):032x}"
        answer = await self.api.ask(
            place.method,
            path,
            token=self.api.token(role, twin.merchant_id, customer_id=twin.own("ada")),
            key=new_key(),
            params={place.name: id_} if place.where == "query" else None,
            json=body,
            headers={"traceparent": f"00-{trace}-00000000000000ff-01"},
        )
        assert answer.status_code < 500, (str(place), answer.text)
        asked = tuple(sql for of, all_ in self.handle.asked.items() if trace in of for sql in all_)
        self.handle.asked.clear()
        said = plain(answer.text, id_).replace(twin.merchant_id, "TWIN")
        said = said.replace(twin.merchant_id.upper(), "TWIN")
        return answer.status_code, PHONE.sub("PHONE", said), asked

    @staticmethod
    def names_known_to(twin: Furnisher) -> list[str]:
        others = ("from_customer_id", "to_customer_id", "advocate_id", "into", "skus")
        return [name for name in (*twin.known, *others) if kind_of(name) in twin.known]


def nobodys(kind: str, like: str, number: int) -> str:
    """An id of that kind that nobody has, always the same in the place of the same one."""
    match kind:
        case "sku":
            return f"NO-SUCH-{number}"
        case "email":
            return f"nobody-{number}@mail.example"
        case "phone":
            return f"+4179123999{number}"
        case "code":
            return like[:-2] + ("23" if not like.endswith("23") else "32")
    return like[:-4] + "ZZZZ" if MADE_UP.fullmatch(like) else f"nobody-{number}"


@pytest.fixture(autouse=True)
def _lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one twin has in a cache the other one has as well: nothing goes from it by itself.
    Nor do members of tiers move meanwhile."""
    for module, name in (
        (cached, "PRODUCTS"),
        (profiles, "CUSTOMER_KIND"),
        (merchant_store, "MERCHANT_KIND"),
    ):
        kind: Kind = getattr(module, name)
        lasting = attrs.evolve(kind, shared_ttl_s=LONG_S, local_ttl_s=LONG_S, blind_ttl_s=LONG_S)
        monkeypatch.setattr(module, name, lasting)
    monkeypatch.setattr(rulebook, "KEPT_S", LONG_S)
    monkeypatch.setattr(quotas, "COUNTED_S", LONG_S)
    monkeypatch.setattr(tiers, "SWEEP_S", LONG_S)


@pytest.fixture(autouse=True)
def _background_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows from a request by an event or a job is not of its trace: it may be done before
    the answer is here, or after."""
    for module, name in ((outbox_store, "_event_of"), (jobs_store, "_claimed")):
        monkeypatch.setattr(module, name, without_trace(getattr(module, name)))


def without_trace(read: Callable[[Row], Any]) -> Callable[[Row], Any]:
    return lambda row: attrs.evolve(read(row), trace_id=None)


@asynccontextmanager
async def furnished(
    tmp_path: Path, url: str | None = None
) -> AsyncIterator[tuple[Api, Furnisher, Intruders]]:
    """A merchant that has something of everything, and two that would like to see it."""
    handle = ListeningHandle()
    unlimited = GatewaySettings(
        deadline_s=60.0,
        keys_timeout_s=60.0,
        shedding_mode=SheddingMode.DISABLED,
        rate_limits=RateLimitSettings(merchant_per_minute=0, customer_per_minute=0),
    )
    async with running_tree(tmp_path, unlimited, url=url, handle=handle) as api:
        raw = (await api.client.get("/v1/openapi.json")).json()
        document = Document(raw["paths"], raw["components"]["schemas"])
        owner, *twins = [Furnisher(api, name) for name in (MERCHANT, *TWINS)]
        for each in (owner, *twins):
            if each is not owner:
                register = RegisterMerchant(each.merchant_id, "I", "EUR")
                await api.system.ref(MERCHANTS).ask(register)
            await each.furnish()

        async def is_awarded() -> bool:
            awards: int = await handle.fetch_value(AcrossMerchants(AWARDS))
            return awards == len(TWINS) + 1

        await eventually(is_awarded)
        await settled(api, handle)
        handle.asked.clear()
        pair = (twins[0], twins[1])
        yield api, owner, Intruders(api, handle, document, owner.known, pair)


async def settled(api: Api, handle: DatabaseHandle) -> None:
    """Waits until what was done has had all of its effects."""

    async def is_settled() -> bool:
        counts = [await handle.fetch_value(AcrossMerchants(sql)) for sql in UNSETTLED]
        return not any(counts) and not await api.system.ref(RELAY).ask(GetBacklog())

    await eventually(is_settled)


async def test_what_another_merchant_has_is_as_if_it_were_not_there(
    lasting_url: str, tmp_path: Path
) -> None:
    async with furnished(tmp_path, lasting_url) as (api, owner, intruders):
        before = await everything_of(intruders.handle, MERCHANT)
        assert sum(map(len, before.values())) > 50
        await intruders.try_all()
        assert not intruders.wrong, "\n".join(intruders.wrong)
        assert len(intruders.tried) > 100, sorted(intruders.tried)
        assert intruders.unknown <= NEVER_FURNISHED, intruders.unknown
        # Most get as far as the database, and are not turned away for something else before.
        assert intruders.looked > 100, intruders.looked
        assert intruders.statuses[422] < intruders.statuses[404] / 5, intruders.statuses
        for method, path, _ in intruders.document.operations():
            if method == "GET" and "{" not in path and path.startswith("/v1/"):
                token = api.token(Role.OWNER, TWINS[0])
                answer = await api.ask("GET", path, token=token)
                assert owner.own("") not in answer.text, path
                for ids in owner.known.values():
                    assert not [id_ for id_ in ids if json.dumps(id_) in answer.text], path
        await settled(api, intruders.handle)
        assert await everything_of(intruders.handle, MERCHANT) == before


async def test_a_route_that_forgets_whose_token_it_was_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with furnished(tmp_path) as (_, _, intruders):
        monkeypatch.setattr(ApiRequest, "merchant_id", MERCHANT)
        await intruders.try_all("/v1/customers")
        assert {line.split(" path")[0] for line in intruders.wrong} >= {
            "GET /v1/customers/{customer_id}",
            "GET /v1/customers/{customer_id}/ledger",
        }
