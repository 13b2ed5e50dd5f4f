"""Virtual time for a whole module: `pytestmark = pytest.mark.trio(run=run_virtually)`."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio.testing import MockClock


def run_virtually(async_fn: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
    """What `trio.run` does, on a clock that jumps while all tasks wait."""
    return trio.run(async_fn, *args, **options | {"clock": MockClock(autojump_threshold=0)})
