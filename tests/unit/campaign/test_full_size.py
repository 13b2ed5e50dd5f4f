"""A hundred thousand recipients and a hundred processes that die: all end somewhere, once."""

import itertools
from collections.abc import Iterator

import pytest
import trio
from structlog.testing import capture_logs

from tests.unit.campaign.sending import Boundary, Crash, Side, World, broadcast, world
from tests.virtual import run_virtually

pytestmark = [pytest.mark.long, pytest.mark.trio(run=run_virtually)]

RECIPIENTS = 100_000
KILLS = 100
WRITTEN_AT_ONCE = 500
SENDS_BETWEEN = RECIPIENTS // KILLS
ALIVE_MAX_S = 3_600.0
"""A process that reaches no boundary to die at is a bug of this test."""


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    with capture_logs():
        yield


def boundaries() -> Iterator[Boundary]:
    """Where they die: in turns at a message and at a commit, before it and after it, and each about
    a hundredth of all messages after the one before."""
    sides: Iterator[Side] = itertools.cycle(("before", "after", "after", "before"))
    kinds = itertools.cycle((("send", SENDS_BETWEEN), ("commit", SENDS_BETWEEN // 20)))
    for number, side, (kind, usual) in zip(range(KILLS), sides, kinds, strict=False):
        yield kind, usual - number % 7, side


async def dies(here: World, boundary: Boundary) -> None:
    with trio.fail_after(ALIVE_MAX_S):
        async with here.process(Crash(boundary)):
            await trio.sleep_forever()


@pytest.mark.parametrize("honours_keys", [True, False])
async def test_whoever_dies_everybody_ends_somewhere(honours_keys: bool) -> None:
    async with world() as here:
        here.mail.honours_keys = honours_keys
        async with here.process():
            members = await here.customers(RECIPIENTS, at_once=WRITTEN_AT_ONCE)
            await here.start(members, broadcast())
        for boundary in boundaries():
            await dies(here, boundary)
        async with here.process():
            stats = await here.ends(within_s=100_000)
        done = stats.sent + stats.failed + stats.suppressed + stats.unknown
        assert (stats.recipients, done) == (RECIPIENTS, RECIPIENTS)
        effects = here.mail.effects.values()
        assert {len(all_) for all_ in effects} == {1}
        assert [row for row in await here.real_steps() if row["ended_at"] is None] == []
        if honours_keys:
            assert stats.sent == len(effects) == RECIPIENTS
        else:
            assert stats.sent <= len(effects) <= stats.sent + stats.unknown
            assert stats.unknown
