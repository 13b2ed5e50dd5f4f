"""The program as three shards on PostgreSQL: everything works, and each may be killed."""

import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import trio

from cli.demo import MERCHANT_ID
from cli.http_client import HttpClient
from cli.story.chapters import ACTS
from cli.story.stage import Stage
from tests.certificates import Authority
from tests.integration.cli.program import run
from tests.integration.shards.family import (
    Client,
    Sharded,
    eventually,
    request,
    sharded,
    under_load,
)
from tests.servers import PostgresServer

pytestmark = pytest.mark.slow

READY_S = 60.0
"""Of a shard that was killed, on a machine that does many other things; alone it takes 3 s."""

CLOSED_AGAIN_S = 60.0
"""After that, for a breaker that has opened meanwhile; alone it takes 1 s."""


@pytest.fixture(scope="module")
def program(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sharded]:
    """With TLS between the shards. Somebody edits the file of its plan while it runs, which counts
    from its next start on."""
    directory = tmp_path_factory.mktemp("sharded")
    tls = Authority(directory).issue("shard")
    url = postgres.new_database()
    with sharded(directory, url, MERCHANT_ID, "--demo", tls=tls) as running:
        file = directory / "plan.toml"
        without = file.read_text().replace('"rfm_analytics", ', "")
        moved = without.replace('"points"]', '"points", "rfm_analytics"]')
        file.write_text(moved)
        yield running


def test_the_whole_story_is_told_through_all_shards(program: Sharded) -> None:
    told: dict[str, str] = {}

    async def play() -> None:
        client = HttpClient(f"http://{program.api}")
        document = (await client.get("/v1/openapi.json", program.token)).body
        folder = program.directory / "data" / "outbox"
        stage = Stage(client, program.token, folder, frozenset(document["paths"]))
        for act in ACTS:
            assert stage.has(*act.routes)
            told[act.title] = "\n".join(await act.play(stage))

    trio.run(play)
    whole = "\n".join(told.values())
    assert "Ada got the badge" in whole
    assert "Ada has 668 points, Ben 348" in whole
    assert "Ada moves from “prospect” to “new”" in whole
    assert "2 sent" in whole


def test_shards_speak_with_each_other_by_tls(program: Sharded) -> None:
    authority = ssl.create_default_context(cafile=program.directory / "authority.pem")
    for shard in program.plan["shards"].values():
        host, _, port = shard["link"].rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=READY_S) as plain,
            authority.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            assert encrypted.version() == "TLSv1.3"
    assert program.logged("links_not_encrypted") == []


def test_every_route_that_only_reads_is_answered(program: Sharded) -> None:
    status, document = program.ask("GET", "/v1/openapi.json")
    assert status == 200
    paths = [path for path, item in document["paths"].items() if "get" in item and "{" not in path]
    answers = {path: program.ask("GET", path)[0] for path in paths}
    assert len(answers) > 25
    assert {path: code for path, code in answers.items() if code >= 500 or code == 0} == {}


def test_the_shards_say_who_they_are_in_metrics_and_log(program: Sharded) -> None:
    for name, shard in program.plan["shards"].items():
        text = program.metrics(name)
        assert f'loyalnest_ready{{shard="{name}"}} 1.0' in text
        for domain in shard["domains"]:
            assert f'loyalnest_domain_up{{domain="{domain}",shard="{name}"}} 1.0' in text
    assert {line.get("shard") for line in program.logged("ready")} == set(program.plan["shards"])
    status, text = request(program.plan["health"], "GET", "/metrics")
    assert (status, 'loyalnest_shard_up{shard="money"} 1.0' in text) == (200, True)


def _member(program: Sharded) -> int:
    """Make the customer that the tests are about, if it is not there."""
    return program.ask("POST", "/v1/customers", {"customer_id": "member-1"}, "member-1")[0]


def earn(program: Sharded, key: str) -> tuple[int, Any]:
    body = {"customer_id": "member-1", "amount": 1, "reason": "load"}
    return program.ask("POST", "/v1/points/earn", body, key)


def balance(program: Sharded) -> int:
    status, body = program.ask("GET", "/v1/customers/member-1/balance")
    assert status == 200, body
    posted: int = body["posted"]
    return posted


ROUTES = {"edge": "/v1/auth/me", "money": "/v1/products", "engagement": "/v1/badges"}

HARMED = {"edge": ("edge", 0), "money": ("earn", 503), "engagement": ("engagement", 503)}
"""Which client notices the end of a shard, and as what."""


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("victim", ["engagement", "money", "edge"])
def test_a_shard_that_is_killed_is_back_soon_the_others_do_not_notice_and_nothing_is_lost(
    program: Sharded, victim: str
) -> None:
    assert _member(program) in {200, 201, 409}
    before, pids = balance(program), {name: program.pid(name) for name in ROUTES}

    def reading(path: str) -> Any:
        return lambda _number: program.ask("GET", path)

    with under_load(
        earn=lambda number: earn(program, f"{victim}-{number}"),
        **{name: reading(path) for name, path in ROUTES.items()},
    ) as clients:
        eventually(lambda: all(len(client.answers) > 5 for client in clients.values()))
        killed_at = time.monotonic()
        os.kill(pids[victim], signal.SIGKILL)
        eventually(lambda: program.health()[victim]["pid"] not in {None, pids[victim]})
        assert program.health()[victim]["last_end"] == "exited, SIGKILL"
        with standing_still(program.pid(victim)):
            name, status = HARMED[victim]
            eventually(lambda: status in clients[name].statuses(killed_at))
        eventually(program.all_ready, READY_S)
        ready_at = time.monotonic()
        eventually(
            lambda: all(client.well_since(ready_at) for client in clients.values()),
            CLOSED_AGAIN_S,
        )
    assert {name: program.pid(name) for name in ROUTES if name != victim} == {
        name: pid for name, pid in pids.items() if name != victim
    }
    unharmed = {name: client for name, client in clients.items() if name in ROUTES}
    if victim == "edge":
        unharmed = {}
    unharmed.pop(victim, None)
    for name, client in unharmed.items():
        assert set(client.statuses()) == {200}, name
    if victim != "edge":
        assert set(clients[HARMED[victim][0]].statuses()) <= {200, 201, 503, 504}
    _nothing_lost(program, clients["earn"], victim, before)


def _nothing_lost(program: Sharded, earning: Client, victim: str, before: int) -> None:
    """What was acknowledged is there, under the same key with the same answer, and once."""
    acknowledged = {
        number: body["transaction_id"]
        for number, (_, status, body) in enumerate(earning.answers)
        if status in {200, 201}
    }
    assert len(acknowledged) > 5
    for number, transaction in list(acknowledged.items())[-20:]:
        status, body = earn(program, f"{victim}-{number}")
        assert (status in {200, 201}, body["transaction_id"]) == (True, transaction)
    for number in range(len(earning.answers)):
        if number not in acknowledged:
            assert earn(program, f"{victim}-{number}")[0] in {200, 201}
    assert balance(program) - before == len(earning.answers)
    assert _clean(program)


def _clean(program: Sharded) -> bool:
    status, body = program.ask("GET", "/v1/points/verify")
    return status == 200 and body["clean"] is True


def test_a_shard_that_stands_still_is_ended_and_the_others_turn_as_before(
    program: Sharded,
) -> None:
    pid = program.pid("engagement")
    with standing_still(pid):
        for _ in range(20):
            assert program.ask("GET", "/v1/auth/me")[0] == 200
            assert program.ask("GET", "/v1/products")[0] == 200
        eventually(lambda: program.health()["engagement"]["pid"] not in {None, pid})
    assert program.health()["engagement"]["last_end"] == "silence, SIGKILL"
    eventually(program.all_ready, READY_S)


def test_a_shard_that_ends_again_and_again_is_declared_down_and_its_routes_say_so(
    program: Sharded,
) -> None:
    def kill_it() -> bool:
        pid = program.health()["engagement"]["pid"]
        if pid is not None:
            with suppress(ProcessLookupError):  # the one that was killed last time may be shown yet
                os.kill(pid, signal.SIGKILL)
        return bool(program.health()["engagement"]["state"] == "down")

    eventually(kill_it)
    eventually(lambda: bool(program.logged("shard_declared_down")))
    assert [line["shard"] for line in program.logged("shard_declared_down")] == ["engagement"]
    assert program.ask("GET", "/v1/badges")[0] == 503
    assert _member(program) in {200, 201, 409}
    assert earn(program, "after-the-end")[0] in {200, 201}
    assert program.ask("GET", "/v1/auth/me")[0] == 200


def test_it_stops_in_order_and_does_not_run_where_shards_cannot_share_the_data(
    program: Sharded,
) -> None:
    program.running.send(signal.SIGTERM)
    assert program.running.wait() == 0
    (drained,) = program.logged("listener_stopped")
    stopping = {line.get("shard"): line["timestamp"] for line in program.logged("stopping")}
    assert stopping["edge"] < drained["timestamp"] < stopping["money"]
    (line,) = run("serve", "--plan", "plan.toml", cwd=program.directory).err_lines
    assert line == (
        "loyalnest: a plan with 3 shards needs PostgreSQL, and database_url (from default) is"
        " SQLite"
    )
