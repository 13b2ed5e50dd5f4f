"""What the tests of the cache's faults share."""

from collections.abc import Callable

import attrs
import trio

from runtime.cache.redis import RedisCache
from runtime.telemetry import Metrics
from tests.servers import RedisServer

POLL_S = 0.01
TIMEOUT_S = 60.0


@attrs.frozen
class Faulty:
    """A cache whose server the test may freeze, kill and restart."""

    server: RedisServer
    cache: RedisCache
    metrics: Metrics

    def sample(self, metric: str, /, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"loyalnest_{metric}", labels) or 0.0


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds. Fails when it never does."""
    end = trio.current_time() + TIMEOUT_S
    while not condition():
        assert trio.current_time() < end, f"{condition} never held"
        await trio.sleep(POLL_S)
