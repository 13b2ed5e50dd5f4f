"""What a fault plan does: to the world, and to the processes in it."""

from collections.abc import Mapping

import trio

from runtime.sim.faults import LINK_TROUBLES, Event, FaultPlan, Trouble
from runtime.sim.network import EVERYBODY
from runtime.sim.service import Service
from runtime.sim.world import World


async def suffer(world: World, services: Mapping[str, Service], plan: FaultPlan) -> None:
    """Let happen what is in the plan, then heal what is outside of the processes."""
    begun_at = trio.current_time()
    for luck in world.lucks():
        luck.chances = plan.chances
    async with trio.open_nursery() as nursery:
        for event in plan.events:
            nursery.start_soon(_suffer, world, services, event)
        await trio.sleep_until(begun_at + plan.duration_s)
        nursery.cancel_scope.cancel()
    for service in services.values():
        service.heal()
    world.heal()


async def _suffer(world: World, services: Mapping[str, Service], event: Event) -> None:
    await trio.sleep(event.at_s)
    world.trace.note("trouble", str(event))
    if event.trouble in LINK_TROUBLES:
        await _suffer_on_links(world, event)
        return
    match event.trouble:
        case Trouble.STORE_AWAY:
            world.store.away = True
            await trio.sleep(event.duration_s)
            world.store.away = False
        case Trouble.CACHE_AWAY:
            world.cache.away = True
            await trio.sleep(event.duration_s)
            world.cache.away = False
        case Trouble.DISK_BROKEN:
            world.disk.broken = world.spill.broken = True
            await trio.sleep(event.duration_s)
            world.disk.broken = world.spill.broken = False
        case Trouble.PARTITION:
            world.cut_off = True
            await trio.sleep(event.duration_s)
            world.cut_off = False
        case Trouble.CACHE_LOST:
            world.cache.forget()
        case Trouble.CLOCK_JUMP:
            world.clock.jump(event.amount)
        case _:
            await services[event.shard or next(iter(services))].suffer(event)


async def _suffer_on_links(world: World, event: Event) -> None:
    """Trouble of the links of a shard, with all others."""
    links, shard = world.links, event.shard or EVERYBODY
    match event.trouble:
        case Trouble.LINKS_CUT:
            links.cut(shard)
        case Trouble.LINKS_REFUSED:
            links.refuse(True)
            links.cut(shard)
            await trio.sleep(event.duration_s)
            links.refuse(False)
        case Trouble.SHARD_SILENT:
            links.partition(shard, EVERYBODY)
            await trio.sleep(event.duration_s)
            links.join(shard, EVERYBODY)
        case Trouble.SHARD_MUTE:
            ends = (shard, EVERYBODY) if event.amount >= 0 else (EVERYBODY, shard)
            links.silence(*ends)
            await trio.sleep(event.duration_s)
            links.hear(*ends)
