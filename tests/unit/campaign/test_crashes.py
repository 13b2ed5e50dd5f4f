"""A process that is killed at any boundary of any step: each of them, and none left out.

A boundary is before and after every commit that writes something of a broadcast, and before and
after the provider does what it is asked. How many there are, a run without a crash tells.
"""

from collections import Counter

import pytest
import trio

from actors.campaign import pump
from actors.campaign.delivery_messages import DeliveryState, DeliveryStats
from tests.unit.campaign.sending import Boundary, Crash, World, broadcast, world
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

MEMBERS = 5
AT_ONCE = 3
RESUMED_S = 10.0
"""How soon after the crash the broadcast has to go on."""

START_AGAIN_S = 1.0


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are several, of few recipients."""
    monkeypatch.setattr(pump, "AT_ONCE", AT_ONCE)
    monkeypatch.setattr(pump, "PAGE", AT_ONCE)
    monkeypatch.setattr(pump, "PAGE_BESIDE", AT_ONCE)


async def run_to_the_end(here: World, crash: Crash) -> DeliveryStats:
    """A broadcast whose process ends at `crash`, and is started again until it is through."""
    async with here.process():
        members = await here.customers(MEMBERS)
    undisturbed: list[DeliveryStats] = []
    async with here.process(crash):
        await here.start(members, broadcast())
        undisturbed.append(await here.ends())
    if undisturbed:
        return undisturbed[0]
    crashed_at, asked = trio.current_time(), len(here.mail.moments)
    await trio.sleep(START_AGAIN_S)
    async with here.process():
        stats = await here.ends()
    resumed_at = here.mail.moments[asked:][:1] or [trio.current_time()]
    assert resumed_at[0] - crashed_at <= RESUMED_S
    return stats


async def boundaries(*, honours_keys: bool) -> list[Boundary]:
    crash = Crash()
    async with world() as here:
        here.mail.honours_keys = honours_keys
        stats = await run_to_the_end(here, crash)
        assert stats.sent == MEMBERS
    return crash.boundaries()


@pytest.mark.slow
@pytest.mark.parametrize("honours_keys", [True, False])
async def test_at_every_boundary_everybody_ends_somewhere_and_gets_no_second_message(
    honours_keys: bool,
) -> None:
    found = await boundaries(honours_keys=honours_keys)
    kinds = Counter(kind for kind, _, _ in found)
    assert kinds["send"] == 2 * MEMBERS
    assert kinds["commit"] >= 2 * 8
    unknown = 0
    for number, boundary in enumerate(found):
        async with world(seed=number) as here:
            here.mail.honours_keys = honours_keys
            stats = await run_to_the_end(here, Crash(boundary))
            parts = stats.sent + stats.failed + stats.suppressed + stats.unknown
            assert (stats.recipients, parts) == (MEMBERS, MEMBERS), boundary
            effects = Counter({key: len(all_) for key, all_ in here.mail.effects.items()})
            assert set(effects.values()) == {1}, boundary
            if honours_keys:
                assert len(effects) == stats.sent == MEMBERS, boundary
            else:
                assert stats.sent <= len(effects) <= stats.sent + stats.unknown, boundary
            unknown += stats.unknown
            open_steps = [row for row in await here.real_steps() if row["ended_at"] is None]
            assert open_steps == [], boundary
    assert bool(unknown) is not honours_keys


@pytest.mark.long
async def test_a_hundred_kills_leave_nobody_behind() -> None:
    async with world() as here:
        async with here.process():
            members = await here.customers(40)
            await here.start(members, broadcast())
        for kill in range(100):
            kinds = ("commit", "send")
            crash = Crash((kinds[kill % 2], 1 + kill % 3, "after" if kill % 4 < 2 else "before"))
            with trio.move_on_after(12):
                async with here.process(crash):
                    await trio.sleep_forever()
        async with here.process():
            stats = await here.ends(within_s=10_000)
            failed = await here.deliveries(state=DeliveryState.FAILED)
        assert stats.sent + stats.failed == stats.recipients == 40
        assert {len(all_) for all_ in here.mail.effects.values()} == {1}
        assert {each.reason for each in failed} <= {"attempts_exhausted: worker_lost"}
