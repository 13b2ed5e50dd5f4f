"""Looking at actors over HTTP: what operators get, and that actors are let go in any case."""

from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trio

from actors.auth.messages import Role
from gateway.introspection_messages import INTROSPECTION
from runtime.sampling import SAMPLING, TIMED
from runtime.tree import statistics_at
from tests.integration.gateway.helpers import (
    CUSTOMER,
    MERCHANT,
    Api,
    eventually,
    outcome_of,
    running_tree,
)
from tests.integration.gateway.putting_back import wrong_outcomes
from tests.integration.gateway.test_audit import has
from tests.integration.gateway.test_hostile_input import (
    INVALID,
    JSON,
    MALFORMED,
    UNKNOWN_FIELD,
    Case,
    get,
)

pytestmark = pytest.mark.slow

ACTORS = "/v1/admin/actors"
STATE, STATISTICS = f"{ACTORS}/state", f"{ACTORS}/statistics"
SUSPENSION, TRACE = f"{ACTORS}/suspension", f"{ACTORS}/trace"
ACCOUNT = f"points.accounts/{MERCHANT}/{CUSTOMER}"
MERCHANTS = "loyalnest/domains/core/merchants"
WHY = {"reason": "a look"}


async def put(api: Api, path: str, actor: str, **body: Any) -> Any:
    json = WHY | {"actor": actor} | body
    reply = await api.ask("PUT", path, role=Role.PLATFORM, json=json)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def seen(api: Api, path: str, actor: str, **query: Any) -> Any:
    params = {"actor": actor} | query
    reply = await api.ask("GET", path, role=Role.PLATFORM, params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


def asked_for(api: Api) -> int:
    """How many messages the desk has worked on."""
    found = statistics_at(api.system.ref(INTROSPECTION).receiver(None))
    assert found is not None
    return found.handled


async def lift(api: Api, path: str, actor: str) -> Any:
    params = WHY | {"actor": actor}
    reply = await api.ask("DELETE", path, role=Role.PLATFORM, params=params)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def held_up(api: Api) -> list[str]:
    reply = await api.ask("GET", ACTORS, role=Role.PLATFORM)
    return [item["address"] for item in reply.json()["items"]]


async def test_an_entity_is_traced_looked_at_and_made_to_load_itself_again(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        absent = await api.ask("GET", STATE, role=Role.PLATFORM, params={"actor": ACCOUNT})
        assert outcome_of(absent) == (404, "actor_not_found")
        await api.earn(100)
        await put(api, TRACE, ACCOUNT, for_s=30)
        assert (await api.earn(5, reason="call ada@example.com")).status_code == 200
        found = await seen(api, TRACE, ACCOUNT, after=0, wait_s=1)
        kinds = [(event["kind"], event["message"]) for event in found["events"]]
        assert kinds[0] == ("received", "Apply")
        assert ("sent", "Append") in kinds
        assert ("handled", "Apply") in kinds
        assert "ada@example.com" not in str(found)
        assert "e-mail" in str(found)
        behind = await seen(api, TRACE, ACCOUNT, after=found["count"])
        assert (behind["events"], behind["end"]) == ([], None)
        assert (await lift(api, TRACE, ACCOUNT))["end"] == "stopped"
        shown = await seen(api, STATE, ACCOUNT)
        assert (shown["actor"], shown["replaceable"]) == ("Account", ["state"])
        assert shown["state"]["state"]["member"] == 105
        forgotten = await put(api, STATE, ACCOUNT, changes={"state": None})
        assert forgotten["state"]["state"] is None
        assert await api.posted() == 105
        refused = await api.ask(
            "PUT", STATE, role=Role.PLATFORM,
            json=WHY | {"actor": ACCOUNT, "changes": {"state": {"member": 10**9}}},
        )  # fmt: skip
        assert outcome_of(refused) == (422, "state_refused")
        entries = await has(api, 4, "?platform=true")
        assert [entry["action"] for entry in reversed(entries)] == [
            "actor.trace", "actor.end_trace", "actor.replace_state", "actor.replace_state",
        ]  # fmt: skip


async def test_a_suspended_actor_is_seen_to_be_and_goes_on_by_itself(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        found = await put(api, SUSPENSION, "core.merchants", for_s=600)
        assert (found["address"], found["suspended"]) == (MERCHANTS, True)
        assert await held_up(api) == [MERCHANTS]
        tree = (await api.ask("GET", "/health", role=Role.PLATFORM)).json()["tree"]
        assert '"suspended": True' in str(tree).replace("'", '"')
        assert (await lift(api, SUSPENSION, MERCHANTS))["suspended"] is False
        assert await held_up(api) == []
        await put(api, SUSPENSION, MERCHANTS, for_s=0.5)

        async def goes_on() -> bool:
            over = await seen(api, SUSPENSION, MERCHANTS, wait_s=2)
            return over["suspended"] is False

        await eventually(goes_on)
        assert await held_up(api) == []


@pytest.mark.parametrize("path", [SUSPENSION, TRACE])
async def test_an_actor_is_let_go_when_the_connection_of_who_held_it_goes_away(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would: a hold that is not broken off lasts for ten minutes here, and whoever
    waits for news is answered with news only."""
    monkeypatch.setattr("gateway.introspection.HOLD_S", 600.0)
    monkeypatch.setattr("gateway.api_actors._wait", lambda _request, news: news())
    async with running_tree(tmp_path) as api:
        await put(api, path, MERCHANTS, for_s=600, hold=True)
        assert await held_up(api) == [MERCHANTS]
        query = urlencode({"actor": MERCHANTS, "wait_s": 2})
        head = (
            f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {api.token(Role.PLATFORM)}\r\n\r\n"
        )
        stream = await trio.open_tcp_stream(api.address.host, api.address.port)
        before = asked_for(api)
        await stream.send_all(head.encode())

        async def waits() -> bool:
            await trio.lowlevel.checkpoint()
            return asked_for(api) > before

        await eventually(waits)
        assert await held_up(api) == [MERCHANTS]
        await stream.aclose()

        async def let_go() -> bool:
            return await held_up(api) == [] and SAMPLING.every == TIMED

        await eventually(let_go)
        entries = await has(api, 2, "?platform=true")
        assert entries[0]["subject"] == "system"


LOOKS = f"{STATISTICS}?actor=nobody"
ABSENT = (404, "actor_not_found")
FOR_X = WHY | {"actor": "x"}


def case(name: str, expected: tuple[int, str], path: str, body: Any) -> Case:
    return Case(name=name, expected=expected, method="PUT", path=path, template=path,
                json=body, key=None)  # fmt: skip


HOSTILE = [
    get("nobody is there", ABSENT, LOOKS, STATISTICS),
    get("nobody's trace", ABSENT, f"{TRACE}?actor=nobody", TRACE),
    get("SQL for a name", ABSENT, f"{STATE}?actor=a'%20OR%201", STATE),
    get("no actor", INVALID, STATISTICS, STATISTICS),
    get("an actor without a name", INVALID, f"{STATISTICS}?actor=", STATISTICS),
    get("NUL in a name", INVALID, f"{STATISTICS}?actor=a%00", STATISTICS),
    get("a query nobody knows", UNKNOWN_FIELD, f"{LOOKS}&depth=1", STATISTICS),
    get("waits too long", INVALID, f"{TRACE}?actor=x&wait_s=3", TRACE),
    get("before the first event", INVALID, f"{TRACE}?actor=x&after=-1", TRACE),
    case("no changes", INVALID, STATE, FOR_X | {"changes": {}}),
    case("changes as a list", INVALID, STATE, FOR_X | {"changes": [1]}),
    case("replaced in nobody", ABSENT, STATE, FOR_X | {"changes": {"a": [[[[{}]]]]}}),
    case("suspended for ever", INVALID, SUSPENSION, FOR_X | {"for_s": 1e9}),
    case("suspended for no time", INVALID, SUSPENSION, FOR_X | {"for_s": 0}),
    case("nobody suspended", ABSENT, SUSPENSION, FOR_X),
    case("who resumes", (409, "would_lock_out"), SUSPENSION, WHY | {"actor": INTROSPECTION}),
    case("traced without end", INVALID, TRACE, FOR_X | {"events": 10**6}),
    case("no reason", INVALID, TRACE, {"actor": "x"}),
    Case(name="not JSON", expected=MALFORMED, method="PUT", content=b"{", headers=JSON,
         path=STATE, template=STATE, key=None),
    Case(name="resumed without a reason", expected=INVALID, method="DELETE",
         path=f"{SUSPENSION}?actor=x", template=SUSPENSION, key=None),
]  # fmt: skip


async def test_what_is_wrong_is_said_and_only_operators_are_told(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        assert await wrong_outcomes(api, HOSTILE) == {}
        assert await held_up(api) == []
        for role in (role for role in Role if role is not Role.PLATFORM):
            for method, path in (
                ("GET", ACTORS),
                *(("GET", path) for path in (STATISTICS, STATE, SUSPENSION, TRACE)),
                *(("PUT", path) for path in (STATE, SUSPENSION, TRACE)),
                *(("DELETE", path) for path in (SUSPENSION, TRACE)),
            ):
                reply = await api.ask(method, path, role=role, json=WHY)
                assert outcome_of(reply) == (403, "role_not_allowed"), (role, path)
                assert (await api.client.request(method, path)).status_code == 401


def addresses(actors: list[dict[str, Any]]) -> list[str]:
    return [
        address
        for actor in actors
        for address in (actor["address"], *addresses(actor["children"] or []))
    ]


async def test_every_actor_of_the_tree_shows_a_state_and_none_a_secret(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        await api.earn(100, reason="ada@example.com asked at +49 170 1234567")
        tree = (await api.ask("GET", "/health", role=Role.PLATFORM)).json()["tree"]
        everybody = ["loyalnest", *addresses(tree), ACCOUNT]
        assert len(everybody) > 30
        shown = {actor: await seen(api, STATE, actor) for actor in everybody}
        private = api.signing_key.private.private_bytes_raw()
        planted = [
            private.hex(), b64encode(private).decode(), "PRIVATE", "ada@example.com", "1234567",
            api.token(Role.PLATFORM)[:40],
        ]  # fmt: skip
        assert [text for text in planted if text in str(shown)] == []
        assert max(len(str(state)) for state in shown.values()) < 20_000
