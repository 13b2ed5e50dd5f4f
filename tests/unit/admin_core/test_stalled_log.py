"""The audit log stands still for a minute: operators notice nothing, and nothing is missing."""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from statistics import quantiles

import pytest
import trio

from actors.admin_core.messages import (
    AUDIT,
    AUDITED,
    QUERIES,
    AuditEntry,
    AuditRecord,
    ListAudit,
    VerifyAudit,
    audit_event,
)
from actors.admin_core.supervisor import admin_core_children
from actors.core.cipher import Vault
from actors.core.messages import MERCHANTS, Merchant, RegisterMerchant
from actors.core.preparers import PreparersInPlace
from actors.core.supervisor import core_children
from actors.vocabulary import Page
from runtime import INFINITE, ActorSystem, ChildSpec, RestartChild, Supervisor, TerminateChild
from runtime.cache import CacheHandle
from runtime.ownership import Ownership
from runtime.ports import seeded_ports
from runtime.storage import DatabaseHandle
from supervisors.application import MIGRATIONS
from supervisors.cache import cache_child
from supervisors.platform import DatabaseSpec, platform
from tests.trees import MEMORY, START, data_keys
from tests.virtual import run_virtually

pytestmark = [pytest.mark.slow, pytest.mark.trio(run=run_virtually)]

PER_S = 10
BEFORE_S, STALLED_S = 10.0, 60.0
SLOWER_MAX_S = 0.010
CAUGHT_UP_S = 60.0

DOMAIN = "test.admin_core"

Fault = Callable[[ActorSystem], Awaitable[object]]


def tree() -> ChildSpec:
    handle, cache = DatabaseHandle(), CacheHandle()

    def below() -> Supervisor:
        ownership, kept = Ownership(on_loss=handle.retire), cache_child(None, cache)
        heard = {AUDITED: (AUDIT,)}
        return platform(DatabaseSpec(MEMORY), handle, MIGRATIONS, heard, ownership, kept)

    core = core_children(handle, cache, Vault(), data_keys, PreparersInPlace)
    children = (
        ChildSpec("platform", below, shutdown_s=INFINITE),
        ChildSpec("core", lambda: Supervisor(core), shutdown_s=INFINITE),
        ChildSpec("log", lambda: Supervisor(admin_core_children(handle)), name=DOMAIN),
    )
    return ChildSpec("test", lambda: Supervisor(children), name="test", shutdown_s=INFINITE)


numbers = count(1)


async def act(system: ActorSystem, times_s: list[float]) -> None:
    """What an operator does, and how long it takes."""
    name = f"shop-{next(numbers)}"
    record = AuditRecord(subject="ops", role="platform", action="merchant.register", target=name)
    event = audit_event(record, event_id=f"ev-{name}", at=system.clock.now(), merchant_id=name)
    began = trio.current_time()
    done = await system.ref(MERCHANTS).ask(RegisterMerchant(name, name, "EUR", (event,)))
    assert isinstance(done, Merchant), done
    times_s.append(trio.current_time() - began)


async def operate(system: ActorSystem, duration_s: float) -> list[float]:
    """Ten acts a second for so long; what each of them took."""
    times_s: list[float] = []
    async with trio.open_nursery() as nursery:
        for _ in range(int(duration_s * PER_S)):
            nursery.start_soon(act, system, times_s)
            await trio.sleep(1 / PER_S)
    return times_s


async def entries(system: ActorSystem) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    cursor = None
    while True:
        page = await system.ref(QUERIES).ask(ListAudit(cursor, 200))
        assert isinstance(page, Page)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def hold(system: ActorSystem) -> Fault:
    await system.ref(AUDIT).suspend(for_s=2 * STALLED_S)
    return lambda system: system.ref(AUDIT).resume()


async def stop(system: ActorSystem) -> Fault:
    assert await system.ref(DOMAIN).ask(TerminateChild("audit")) is None
    return lambda system: system.ref(DOMAIN).ask(RestartChild("audit"))


@pytest.mark.parametrize("fault", [hold, stop])
async def test_a_log_that_stands_still_for_a_minute_makes_nobody_slower_and_loses_nothing(
    fault: Callable[[ActorSystem], Awaitable[Fault]],
) -> None:
    async with ActorSystem(seeded_ports(1, START)).run(tree()) as system:
        before = await operate(system, BEFORE_S)
        kept = len(await entries(system))
        heal = await fault(system)
        stalled = await operate(system, STALLED_S)
        assert len(await entries(system)) <= kept + PER_S, "what was on its way at most"
        await heal(system)
        acts = len(before) + len(stalled)
        with trio.fail_after(CAUGHT_UP_S):
            while len(await entries(system)) < acts:  # noqa: ASYNC110 - the log tells nobody
                await trio.sleep(0.5)
        p99 = partial(quantiles, n=100)
        assert p99(stalled)[-1] - p99(before)[-1] <= SLOWER_MAX_S
        targets = [entry.target for entry in await entries(system)]
        assert len(targets) == len(set(targets)) == acts
        verification = await system.ref(QUERIES).ask(VerifyAudit())
        assert not verification.broken
