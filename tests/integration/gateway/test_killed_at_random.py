"""Actors and whole domains are killed in random order: each is back soon, others notice nothing."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

import attrs
import pytest
import trio

from runtime import ActorRef, ChildState, WhichChildren, host
from supervisors.application import DOMAINS
from tests.integration.gateway.helpers import PATIENCE_S, Api, eventually, running_tree
from tests.noise import noise

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=host.run)]

KILLS = 20
BACK_S = 0.1
"""Most of them are back within this time, and all of them long before `LATE_S`: a disk that stalls
holds up whoever reads it then."""

LATE_S = 5.0
POLL_S = 0.002
SEEDS = (1, 2)


@attrs.frozen
class Victim:
    domain: str
    supervisor: ActorRef
    id: str
    ref: ActorRef

    async def restarts(self) -> int | None:
        """None while it does not run."""
        try:
            children = await self.supervisor.ask(WhichChildren())
        except Exception:
            return None
        [status] = [child for child in children if child.id == self.id]
        return status.restarts if status.state is ChildState.RUNNING else None


async def victims(api: Api, random: Random) -> Sequence[Victim]:
    """Every domain, and actors from different ones."""
    domains = api.system.ref(DOMAINS)
    whole, actors = [], []
    for domain in await domains.ask(WhichChildren()):
        whole.append(Victim(domain.id, domains, domain.id, domain.ref))
        child = random.choice(await domain.ref.ask(WhichChildren()))
        actors.append(Victim(domain.id, domain.ref, child.id, child.ref))
    chosen = whole + random.sample(actors, KILLS - len(whole))
    random.shuffle(chosen)
    return chosen


async def others_are_served(api: Api, victim: Victim) -> None:
    if victim.domain in {"points", "core"}:
        answer = await api.ask("GET", "/v1/products")
    else:
        answer = await api.earn()
    assert answer.status_code in {200, 201}, (victim, answer.text)


async def back_after_s(victim: Victim) -> float:
    """Kill it; the time until it runs again, without what the machine took."""
    before: int | None = None

    async def runs() -> bool:
        """The one that was killed last may have taken it along."""
        nonlocal before
        before = await victim.restarts()
        return before is not None

    await eventually(runs)
    async with noise() as machine:
        began = trio.current_time()
        assert victim.ref.kill()
        with trio.fail_after(PATIENCE_S):
            while (await victim.restarts()) in {None, before}:  # noqa: ASYNC110
                await trio.sleep(POLL_S)
        return trio.current_time() - began - machine.lost_s


@pytest.mark.parametrize("seed", SEEDS)
async def test_twenty_kills_in_random_order(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    async with running_tree(tmp_path) as api:
        chosen = await victims(api, random)
        assert len(chosen) == KILLS
        took_s = {}
        for victim in chosen:
            took_s[victim.domain, victim.id] = await back_after_s(victim)
            await others_are_served(api, victim)
        assert median(took_s.values()) <= BACK_S, took_s
        assert max(took_s.values()) <= LATE_S, took_s
