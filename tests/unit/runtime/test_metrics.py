"""The runtime's own metrics: waiting apart from working, mailboxes as they are, traces of both."""

from typing import Any

import attrs
import pytest
import trio
from prometheus_client.exposition import generate_latest

from runtime import (
    Actor,
    ActorSystem,
    Call,
    Cast,
    ChildSpec,
    Entities,
    Entity,
    Supervisor,
    Workers,
    ask_all,
)
from runtime.jobs.metrics import JobMetrics
from runtime.ports import seeded_ports
from runtime.registries import in_registry
from runtime.sampling import TIMED
from runtime.telemetry import Metrics
from tests.unit.runtime.helpers import START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

WORK_S = 0.5


@attrs.frozen
class Work(Call[None]):
    seconds: float = WORK_S


@attrs.frozen
class Note(Cast):
    pass


class Plain(Actor):
    async def receive(self, message: Any) -> object:
        await trio.sleep(getattr(message, "seconds", 0))
        return None


class Pool(Workers):
    concurrency = 2

    async def receive(self, message: Any) -> object:
        await trio.sleep(message.seconds)
        return None


class Sleeper(Entity):
    async def receive(self, message: Any) -> object:
        await trio.sleep(message.seconds)
        return None


def system_of(*children: ChildSpec) -> tuple[ActorSystem, ChildSpec]:
    root = ChildSpec("root", lambda: Supervisor(children), name="root")
    return ActorSystem(seeded_ports(1, START)), root


def sample(system: ActorSystem, name: str, **labels: str) -> float | None:
    return system.metrics.registry.get_sample_value(f"loyalnest_{name}", labels)


def timed(system: ActorSystem, what: str, actor: str) -> tuple[float, float]:
    """How many messages of an actor were timed, and the sum of their seconds."""
    count = sample(system, f"actor_{what}_seconds_count", actor=actor)
    total = sample(system, f"actor_{what}_seconds_sum", actor=actor)
    assert count is not None
    assert total is not None
    return count, total


@pytest.mark.parametrize(("actor", "at_once"), [(Plain, 1), (Pool, 2)])
async def test_waiting_is_told_apart_from_working(actor: type[Actor], at_once: int) -> None:
    system, root = system_of(ChildSpec("a", actor, name="a"))
    async with system.run(root):
        await trio.sleep(1)  # at zero it would count as not timed
        asks = [(system.ref("a"), Work()) for _ in range(2 * TIMED)]
        await ask_all(asks, timeout_s=1_000)
    worked, working_s = timed(system, "service", actor.__name__)
    waited, waiting_s = timed(system, "queue_wait", actor.__name__)
    assert worked == waited == 2
    assert working_s == pytest.approx(2 * WORK_S)
    last_wait_s = 2 * TIMED / at_once * WORK_S
    assert 0 < waiting_s < 2 * last_wait_s
    assert waiting_s > TIMED / at_once * WORK_S / 2


async def test_mailboxes_are_told_as_they_are_when_somebody_looks() -> None:
    system, root = system_of(
        ChildSpec("a", Plain, name="a"),
        ChildSpec("shops", lambda: Entities("shops", lambda _key: Sleeper()), name="shops"),
    )
    async with system.run(root):
        for _ in range(5):
            system.ref("a").tell(Note())
        system.ref("nobody").tell(Note())
        for key in range(3):
            for _ in range(4):
                system.entities("shops").ref(key).tell(Work())
        assert sample(system, "actor_mailbox_depth", actor="a") == 5
        assert sample(system, "actor_mailbox_depth", actor="nobody") is None
        await trio.sleep(WORK_S / 2)
        assert sample(system, "actor_mailbox_depth", actor="a") == 0
        text = generate_latest(system.metrics.registry).decode()
        assert text.count('actor_mailbox_depth{actor="shops"} 9.0') == 1
        assert "shops/" not in text


async def test_counters_have_no_lines_about_when_they_were_made() -> None:
    metrics = Metrics()
    metrics.restarted("child")
    metrics.queue_wait("Actor", 0.1)
    assert "_created" not in generate_latest(metrics.registry).decode()


async def test_a_set_of_metrics_is_made_once_in_each_registry() -> None:
    one, other = Metrics().registry, Metrics().registry
    assert in_registry(one, JobMetrics) is in_registry(one, JobMetrics)
    assert in_registry(one, JobMetrics) is not in_registry(other, JobMetrics)


async def test_restarts_are_counted_from_zero_before_the_first_one() -> None:
    system, root = system_of(ChildSpec("a", Plain, name="a"))
    async with system.run(root):
        assert sample(system, "actor_restarts_total", child="a") == 0
        system.ref("a").kill()
        await trio.sleep(1)
        assert sample(system, "actor_restarts_total", child="a") == 1
