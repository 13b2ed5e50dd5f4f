"""Logging in needs nobody but the domain for it, and the database."""

from pathlib import Path

import pytest
import trio

from runtime import RestartChild, TerminateChild, WhichChildren, host
from runtime.jobs import JOBS
from supervisors.application import DOMAINS, ROOT
from tests.integration.auth.test_routes import created, refreshed, try_login
from tests.integration.gateway.helpers import Api, running_tree
from tests.servers import RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

QUEUE = ("scheduler", "job_runner", "jobs")
LOGINS = 2


async def everybody_gets_in(api: Api) -> None:
    for _ in range(LOGINS):
        answer = await try_login(api)
        assert answer.status_code == 200, answer.text
        again = await refreshed(api, answer.json()["refresh_token"])
        assert again.status_code == 200, again.text
        mine = await api.ask("GET", "/v1/auth/me", token=again.json()["access_token"])
        assert mine.status_code == 200, mine.text


async def test_people_log_in_while_any_other_domain_is_down_and_at_the_moment_it_goes(
    tmp_path: Path,
) -> None:
    async with running_tree(tmp_path) as api:
        await created(api)
        domains = api.system.ref(DOMAINS)
        others = [child for child in await domains.ask(WhichChildren()) if child.id != "auth"]
        assert len(others) >= 5
        for child in others:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(everybody_gets_in, api)
                await domains.ask(TerminateChild(child.id))
            await everybody_gets_in(api)
            await domains.ask(RestartChild(child.id))


async def test_people_log_in_without_redis_and_without_the_queue(tmp_path: Path) -> None:
    with running(RedisServer) as server:
        async with running_tree(tmp_path, redis_url=server.url) as api:
            await created(api)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(everybody_gets_in, api)
                server.kill()
            await everybody_gets_in(api)
            platform, *_ = await api.system.ref(ROOT).ask(WhichChildren())
            for child in QUEUE:
                assert await platform.ref.ask(TerminateChild(child)) is None
            assert not api.system.ref(JOBS).alive
            await everybody_gets_in(api)
