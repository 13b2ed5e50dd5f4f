"""The adaptive limit, with the defects that such limits are known for."""

from random import Random

import pytest
import trio

from runtime.policies.gradient import KINDS_MAX, GradientLimit, GradientSpec
from runtime.policies.priority import Priority
from runtime.policies.shedding import LoadShedder, SheddingSpec
from tests.unit.policies.queueing import Service
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

SPEC = GradientSpec(limit_min=5, limit_start=20, limit_max=500, probe_every_s=1e6)


async def feed(
    limit: GradientLimit, latency_s: float, in_flight: int, *, windows: int = 1, kind: str = "work"
) -> None:
    """As many windows of equal samples."""
    for _ in range(windows):
        await trio.sleep(SPEC.window_s)
        for _ in range(SPEC.samples_min):
            limit.observe(latency_s, in_flight, kind)


async def test_it_grows_while_it_is_used_and_latency_is_as_expected() -> None:
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.1, in_flight=20, windows=10)
    assert limit.current > 25


async def test_it_does_not_grow_to_where_nothing_is_used() -> None:
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.1, in_flight=9, windows=10_000)
    assert limit.current == SPEC.limit_start


async def test_it_shrinks_when_latency_leaves_the_tolerance() -> None:
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.1, in_flight=1)
    await feed(limit, 0.4, in_flight=20, windows=50)
    assert SPEC.limit_min <= limit.current <= 8
    assert limit.statistics().gradient == 0.5


async def test_latency_within_the_tolerance_is_no_reason_to_shrink() -> None:
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.1, in_flight=1)
    await feed(limit, 0.149, in_flight=20, windows=50)
    assert limit.current > SPEC.limit_start


async def test_it_stays_within_its_bounds() -> None:
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.1, in_flight=1)
    await feed(limit, 0.1, in_flight=10_000, windows=1_000)
    assert limit.current == SPEC.limit_max
    await feed(limit, 100.0, in_flight=10_000, windows=1_000)
    assert limit.current == SPEC.limit_min


async def test_one_stall_is_no_trend() -> None:
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.1, in_flight=20, windows=20)
    before = limit.current
    limit.observe(3_000.0, 20, "work")
    await feed(limit, 0.1, in_flight=20)
    assert limit.current >= before * 0.9


async def test_work_of_another_kind_is_measured_by_its_own_past() -> None:
    """A change of the mix, from lookups to reports, is no slowness."""
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.01, in_flight=1, kind="lookup")
    await feed(limit, 1.0, in_flight=1, kind="report")
    await feed(limit, 1.0, in_flight=20, windows=10, kind="report")
    assert limit.current > SPEC.limit_start
    assert limit.statistics().kinds == 2


async def test_where_only_one_of_several_kinds_is_slow_the_limit_stays() -> None:
    """A domain that hangs is no reason to serve the others less."""
    limit = GradientLimit(SPEC, Random(1))
    for kind in ("points", "products", "login"):
        await feed(limit, 0.1, in_flight=1, windows=3, kind=kind)
    for _ in range(100):
        await trio.sleep(SPEC.window_s)
        for kind, latency_s in (("points", 3.0), ("products", 0.1), ("login", 0.1)):
            for _ in range(4):
                limit.observe(latency_s, 20, kind)
    assert limit.current > SPEC.limit_start


async def test_where_all_kinds_are_slow_the_limit_shrinks() -> None:
    limit = GradientLimit(SPEC, Random(1))
    for kind in ("points", "products", "login"):
        await feed(limit, 0.1, in_flight=1, windows=3, kind=kind)
    for _ in range(100):
        await trio.sleep(SPEC.window_s)
        for kind in ("points", "products", "login"):
            for _ in range(4):
                limit.observe(0.5, 20, kind)
    assert limit.current < SPEC.limit_start


async def test_the_kinds_it_remembers_are_bounded() -> None:
    limit = GradientLimit(SPEC, Random(1))
    for number in range(10 * KINDS_MAX):
        limit.observe(0.1, 1, f"kind-{number}")
    assert limit.statistics().kinds <= KINDS_MAX + 1


async def test_lasting_load_does_not_teach_it_to_expect_the_queue() -> None:
    """A long-term average would: then the limit creeps to its maximum."""
    limit = GradientLimit(SPEC, Random(1))
    await feed(limit, 0.1, in_flight=1)
    for _ in range(5_000):
        await feed(limit, 0.02 * limit.current, in_flight=limit.current)
    assert limit.current <= 15


async def test_a_probe_finds_out_that_the_work_itself_became_slower() -> None:
    spec = GradientSpec(limit_min=5, limit_start=20, limit_max=500, probe_every_s=10.0)
    limit = GradientLimit(spec, Random(1))
    await feed(limit, 0.1, in_flight=1)
    for _ in range(1_000):
        await feed(limit, 0.5, in_flight=limit.current)
    found = limit.statistics()
    assert found.probes >= 2
    assert limit.current > 50


async def test_nothing_is_probed_while_little_runs() -> None:
    spec = GradientSpec(limit_min=5, limit_start=20, limit_max=500, probe_every_s=1.0)
    limit = GradientLimit(spec, Random(1))
    await feed(limit, 0.1, in_flight=3, windows=1_000)
    assert limit.statistics().probes == 0


async def settled(processors: int, overload: float, *, seed: int) -> tuple[int, float]:
    """The limit and the share of time that the processors were used, once it has settled.

    A piece of work takes 50 ms of a processor.
    """
    capacity = processors / 0.05
    spec = SheddingSpec(gradient=GradientSpec(limit_min=4, limit_start=20, limit_max=1_000))
    shedder = LoadShedder("service", spec, Random(seed))
    service = Service(seed, shedder, 0.05, processors)
    await service.run({Priority.WEBHOOKS: overload * capacity}, 4.0)
    service.forget()
    await service.run({Priority.WEBHOOKS: overload * capacity}, 4.0)
    served = service.tallies[Priority.WEBHOOKS].served
    return shedder.statistics().gradient.limit, served / 4.0 / capacity


@pytest.mark.slow
@pytest.mark.parametrize(("processors", "limit_max"), [(1, 15), (10, 30), (30, 75)])
async def test_overloaded_twofold_it_settles_where_the_processors_are_busy(
    processors: int, limit_max: int
) -> None:
    limit, used = await settled(processors, 2.0, seed=1)
    assert processors <= limit <= limit_max
    assert used >= 0.9


@pytest.mark.parametrize(
    "wrong",
    [{"limit_min": 0}, {"limit_min": 200}, {"limit_start": 2_000}, {"tolerance": 0.9}],
)
async def test_bounds_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"limit_min <= limit_start|tolerance"):
        GradientSpec(**wrong)  # type: ignore[arg-type]
