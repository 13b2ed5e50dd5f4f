"""A dependency that fails every time: by how much retries add to what it has to bear."""

from contextlib import suppress
from random import Random

import attrs
import trio

from runtime.policies import PipelineSpec, Policies, PolicyError
from tests.bench.harness import Figure
from tests.bench.openloop import open_loop

CALLS_PER_S = 200.0
DURATION_S = 30.0
LIMIT = 1.2


@attrs.define
class Dead:
    """Counts what reaches it."""

    attempts: int = 0

    async def call(self) -> None:
        self.attempts += 1
        await trio.sleep(0.001)
        raise ConnectionError("dead")


def failing() -> list[Figure]:
    with_breaker = trio.run(offered, PipelineSpec(), DURATION_S)
    without = trio.run(offered, PipelineSpec(breaker=None), DURATION_S)
    return [
        _figure("with a breaker", with_breaker),
        _figure("with the retry budget alone", without),
    ]


def _figure(how: str, ratio: float) -> Figure:
    name = f"attempts on a dead dependency at {CALLS_PER_S:g} calls/s, {how}, against the calls"
    calls = CALLS_PER_S * DURATION_S
    return Figure(
        name, calls * ratio, "attempts", calls, ratio, f"ratio at most {LIMIT}", ratio <= LIMIT
    )


async def offered(spec: PipelineSpec, duration_s: float) -> float:
    """Attempts on the dependency for each call of its clients."""
    dead = Dead()
    pipeline = Policies(Random(1)).declare("dead", spec)

    async def act(_number: int) -> None:
        with suppress(ConnectionError, PolicyError):
            await pipeline.call(dead.call, repeatable=True)

    await open_loop(act, rate=CALLS_PER_S, duration_s=duration_s, warm_up_s=0.0)
    return dead.attempts / (CALLS_PER_S * duration_s)
