"""Redis dies, hangs or drags under load: platform staff is out at once, all others stay in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median

import attrs
import httpx
import pytest
import trio

import gateway.dispatch
from actors.auth.messages import Role
from actors.core.messages import MERCHANTS, GetMerchant
from gateway.revoked import RevokedTokens
from runtime import RestartChild, TerminateChild, WhichChildren, host
from supervisors.application import ROOT
from tests.integration.auth.test_routes import created, logged_in, refreshed, try_login
from tests.integration.gateway.helpers import CUSTOMER, Api, outcome_of, running_tree
from tests.proxy import Proxy, proxied
from tests.servers import RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

PAUSE_S = 0.02
REFUSED_MIN = 30
PATIENCE_S = 60.0

SOON_S = 0.3
"""Beside what others wait for at the same time, on a machine that does other things as well."""

BALANCE = f"/v1/customers/{CUSTOMER}/balance"


@attrs.frozen
class Asked:
    """A request that was sent at a time, and how it ended."""

    path: str
    sent_at: float
    took_s: float
    status: int
    code: str | None


@attrs.define
class Load:
    """Fifty requests a second: staff on each admin route in turn, bad tokens, and a merchant."""

    api: Api
    paths: list[str]
    staff: str
    owner: str
    answers: dict[str, list[Asked]] = attrs.field(
        factory=lambda: {"staff": [], "bad": [], "owner": []}
    )
    back: trio.Event = attrs.field(factory=trio.Event)
    enough: trio.Event = attrs.field(factory=trio.Event)
    to_refuse: int = 0

    async def run(self) -> None:
        tokens = {"staff": self.staff, "bad": self.staff[:-4] + "AAAA", "owner": self.owner}
        paths = cycle(self.paths)
        turns = ("staff", "staff", "bad", "staff", "owner")
        async with trio.open_nursery() as nursery:
            for number in range(100_000):
                who = turns[number % len(turns)]
                path = BALANCE if who == "owner" else next(paths)
                nursery.start_soon(self._ask, who, path, tokens[who])
                await trio.sleep(PAUSE_S)

    async def refused(self, count: int) -> None:
        """Wait until so many requests of staff have been answered otherwise than with 200."""
        self.to_refuse, self.enough = count, trio.Event()
        await self.enough.wait()

    async def staff_comes_back(self) -> None:
        self.back = trio.Event()
        await self.back.wait()

    async def _ask(self, who: str, path: str, token: str) -> None:
        sent_at = trio.current_time()
        answer = await self.api.ask("GET", path, token=token)
        took_s = trio.current_time() - sent_at
        self.answers[who].append(Asked(path, sent_at, took_s, *outcome_of(answer)))
        if who == "staff" and answer.status_code == 200:
            self.back.set()
        elif who == "staff":
            self.to_refuse -= 1
            if self.to_refuse == 0:
                self.enough.set()

    def between(self, who: str, begin: float, end: float) -> list[Asked]:
        """Requests that began and ended in a time."""
        return [
            each
            for each in self.answers[who]
            if begin <= each.sent_at and each.sent_at + each.took_s <= end
        ]


@contextmanager
def redis_behind_a_proxy() -> Iterator[tuple[RedisServer, Proxy, str]]:
    with running(RedisServer) as server, proxied(str(server._socket)) as proxy:
        yield server, proxy, f"redis://127.0.0.1:{proxy.port}/0"


async def admin_paths(api: Api) -> list[str]:
    """Every admin route that reads and needs to be told nothing."""
    document = (await api.client.get("/v1/openapi.json")).json()
    return [
        path
        for path, methods in document["paths"].items()
        if path.startswith("/v1/admin/")
        and "get" in methods
        and not any(parameter["required"] for parameter in methods["get"]["parameters"])
    ]


def kill(server: RedisServer, _proxy: Proxy) -> Callable[[], None]:
    server.kill()
    return server.start


def hang(_server: RedisServer, proxy: Proxy) -> Callable[[], None]:
    proxy.silence()
    return proxy.heal


def drag(_server: RedisServer, proxy: Proxy) -> Callable[[], None]:
    proxy.delay(5.0)
    return proxy.heal


@pytest.mark.parametrize("fault", [kill, hang, drag], ids=lambda fault: fault.__name__)
async def test_nobody_is_authorised_from_the_moment_redis_is_gone(
    fault: Callable[[RedisServer, Proxy], Callable[[], None]], tmp_path: Path
) -> None:
    with redis_behind_a_proxy() as (server, proxy, url):
        async with running_tree(tmp_path, redis_url=url) as api, trio.open_nursery() as nursery:
            paths = await admin_paths(api)
            assert len(paths) >= 10
            load = Load(api, paths, api.token(Role.PLATFORM), api.token())
            nursery.start_soon(load.run)
            with trio.fail_after(PATIENCE_S):
                await load.staff_comes_back()
            heal = await trio.to_thread.run_sync(fault, server, proxy)
            gone_at = trio.current_time()
            with trio.fail_after(PATIENCE_S):
                await load.refused(REFUSED_MIN)
            back_at = trio.current_time()
            await trio.to_thread.run_sync(heal)
            with trio.fail_after(PATIENCE_S):
                await load.staff_comes_back()
            nursery.cancel_scope.cancel()
        assert 200 in {each.status for each in load.between("staff", 0, gone_at)}
        refused = load.between("staff", gone_at, back_at)
        assert {(each.status, each.code) for each in refused} == {
            (503, "authorisation_unavailable")
        }
        assert len({each.path for each in refused}) > len(paths) // 2
        others = median(each.took_s for each in load.between("owner", 0, back_at))
        assert median(each.took_s for each in refused) <= SOON_S + others
        assert {each.status for each in load.answers["bad"]} == {401}
        assert {each.status for each in load.answers["owner"]} == {200}


async def test_without_redis_people_log_in_stay_in_and_are_out_when_they_log_out(
    tmp_path: Path,
) -> None:
    with running(RedisServer) as server:
        async with running_tree(tmp_path, redis_url=server.url) as api:
            await created(api)
            before = await logged_in(api)
            server.kill()
            after = await logged_in(api, device_token=before["device_token"])
            for tokens in (before, after):
                mine = await api.ask("GET", "/v1/orders", token=tokens["access_token"])
                assert mine.status_code == 200
            assert (await refreshed(api, before["refresh_token"])).status_code == 200
            assert (await try_login(api, password="wrong")).status_code == 401
            out = await api.ask("POST", "/v1/auth/logout", token=after["access_token"])
            assert out.status_code == 200
            revoked = await api.ask("GET", "/v1/orders", token=after["access_token"])
            assert outcome_of(revoked) == (401, "token_revoked")


async def test_without_a_redis_the_cache_of_the_process_closes_it_as_well(tmp_path: Path) -> None:
    """The same roles are played by an actor; while that is down, the same is refused."""
    async with running_tree(tmp_path) as api:
        staff, bad = api.token(Role.PLATFORM), f"{api.token(Role.PLATFORM)[:-4]}AAAA"
        paths = await admin_paths(api)

        async def outcomes(token: str) -> set[tuple[int, str | None]]:
            return {outcome_of(await api.ask("GET", path, token=token)) for path in paths}

        assert await outcomes(staff) == {(200, None)}
        platform, *_ = await api.system.ref(ROOT).ask(WhichChildren())
        assert await platform.ref.ask(TerminateChild("cache")) is None
        assert await outcomes(staff) == {(503, "authorisation_unavailable")}
        assert {status for status, _ in await outcomes(bad)} == {401}
        assert (await api.ask("GET", BALANCE)).status_code == 200
        await platform.ref.ask(RestartChild("cache"))
        with trio.fail_after(PATIENCE_S):
            while await outcomes(staff) != {(200, None)}:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(PAUSE_S)


def broken(*_arguments: object) -> None:
    raise KeyError("a mistake in the code that decides")


@pytest.mark.parametrize("where", ["standing", "revocations"])
async def test_a_mistake_in_the_code_that_decides_lets_nobody_in(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_tree(tmp_path) as api:
        token = api.token(Role.PLATFORM)
        if where == "standing":
            monkeypatch.setattr(gateway.dispatch, "check_standing", broken)
        else:
            monkeypatch.setattr(RevokedTokens, "check", broken)
        body = {"merchant_id": "smuggled", "name": "Smuggled", "currency": "EUR"}
        answer: httpx.Response = await api.ask(
            "POST", "/v1/admin/merchants", token=token, json=body
        )
        assert outcome_of(answer) == (500, "internal_error")
        assert await api.system.ref(MERCHANTS).ask(GetMerchant("smuggled")) is None
