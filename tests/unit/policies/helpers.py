"""What the tests of the policies share: dependencies that behave as told, and a tally."""

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import trio

from runtime.policies import BreakerSpec, Pipeline, PipelineSpec, PolicyMetrics
from runtime.telemetry import Metrics


class Down(Exception):
    """What a dependency raises that does not work."""


@attrs.define
class Leaf:
    """A dependency: counts its calls, takes `takes_s`, then raises `error` or answers."""

    takes_s: float = 0.0
    error: Callable[[], Exception] | None = None
    calls: int = 0
    running: int = 0
    most_running: int = 0
    started_at: list[float] = attrs.field(factory=list)

    async def __call__(self) -> str:
        self.calls += 1
        self.started_at.append(trio.current_time())
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await trio.sleep(self.takes_s)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error()
        return "answer"


def dead() -> Leaf:
    return Leaf(error=lambda: Down("dead"))


def pipeline(name: str = "leaf", metrics: PolicyMetrics | None = None, **policies: Any) -> Pipeline:
    """One with the defaults but for `policies`, and a breaker without jitter."""
    policies.setdefault("breaker", BreakerSpec(jitter=0.0))
    return Pipeline(name, PipelineSpec(**policies), Random(1), metrics)


def count(metrics: Metrics, metric: str, **labels: str) -> float:
    """The value of a metric, 0 where it has none."""
    return metrics.registry.get_sample_value(f"loyalnest_{metric}", labels) or 0.0
