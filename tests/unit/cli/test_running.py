"""What runs Trio: itself, unless a driver needs a loop of asyncio."""

import pytest
import trio

from cli.running import runner_for
from config.loading import load_settings
from runtime import host


@pytest.mark.parametrize(
    ("flags", "alone"),
    [
        pytest.param({}, True, id="by default"),
        pytest.param({"database_url": "sqlite:////var/lib/points.db"}, True, id="SQLite"),
        pytest.param({"database_url": "postgresql://points@db/points"}, False, id="PostgreSQL"),
        pytest.param({"redis_url": "redis://cache"}, False, id="Redis"),
    ],
)
def test_trio_is_a_guest_only_where_a_driver_needs_it(flags: dict[str, str], alone: bool) -> None:
    runner = runner_for(load_settings(flags, {}))
    assert runner is (trio.run if alone else host.run)
