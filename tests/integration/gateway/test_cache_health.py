"""What the health check says of the cache, which is never required."""

from pathlib import Path

import pytest

from actors.auth.messages import Role
from runtime import host
from tests.integration.gateway.helpers import Api, eventually, running_tree
from tests.servers import RedisServer, running

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]


async def dependencies(api: Api) -> dict[str, str]:
    """Their conditions, as an operator sees them."""
    health = (await api.ask("GET", "/health", role=Role.PLATFORM)).json()
    return {part["name"]: part["condition"] for part in health["dependencies"]}


async def test_without_a_redis_the_cache_is_in_the_process(tmp_path: Path) -> None:
    async with running_tree(tmp_path) as api:
        assert set(await dependencies(api)) == {"database"}


async def test_a_redis_that_goes_is_shown_and_leaves_the_process_ready(tmp_path: Path) -> None:
    with running(RedisServer) as server:
        async with running_tree(tmp_path, redis_url=server.url) as api:

            async def is_up() -> bool:
                return (await dependencies(api)).get("redis") == "up"

            async def is_down() -> bool:
                return (await dependencies(api)).get("redis") == "down"

            await eventually(is_up)
            server.kill()
            await eventually(is_down)
            ready = await api.client.get("/health/ready")
            assert (ready.status_code, ready.json()) == (200, {"status": "degraded"})
            metrics = (await api.client.get("/metrics")).text
            assert 'loyalnest_dependency_up{dependency="redis"} 0.0' in metrics
