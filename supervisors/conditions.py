"""How the domains of a process are: serving, coming back, or given up."""

from enum import Enum
from typing import Final

import trio

from runtime import ActorError, ActorSystem, ChildState, ChildStatus, WhichChildren
from supervisors.placement import DOMAINS

CHECK_TIMEOUT_S: Final = 1.0


class Condition(Enum):
    """Of a domain: serving, coming back, or given up."""

    UP = "up"
    RESTARTING = "restarting"
    DOWN = "down"


async def domain_conditions(system: ActorSystem) -> dict[str, Condition]:
    """The condition of every domain by name; empty while the domains restart."""
    try:
        domains = await _children(system, DOMAINS)
    except ActorError:
        return {}
    found: dict[str, Condition] = {}

    async def look(domain: ChildStatus) -> None:
        found[domain.id] = await _condition(system, domain)

    async with trio.open_nursery() as nursery:
        for domain in domains:
            nursery.start_soon(look, domain)
    return {domain.id: found[domain.id] for domain in domains}


async def _condition(system: ActorSystem, domain: ChildStatus) -> Condition:
    if domain.state is ChildState.DOWN:
        return Condition.DOWN
    if domain.state is ChildState.RESTARTING:
        return Condition.RESTARTING
    try:
        members = await _children(system, f"domain.{domain.id}")
    except ActorError:
        return Condition.RESTARTING
    running = all(member.state is ChildState.RUNNING for member in members)
    return Condition.UP if running else Condition.RESTARTING


async def _children(system: ActorSystem, name: str) -> tuple[ChildStatus, ...]:
    return await system.ref(name).ask(WhichChildren(), timeout_s=CHECK_TIMEOUT_S)
