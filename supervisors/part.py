"""A part of the application: the domains of one shard, and its links to those of the others."""

from collections.abc import Mapping
from typing import Any, Final

import attrs
import structlog
import trio

from config.plans import DOMAINS
from runtime import INFINITE, Actor, ActorError, Backoff, ChildSpec, ExitReason, Supervisor
from runtime.journal import JOURNAL, Append
from runtime.links import Links, links_child
from runtime.ownership import MAIN, Ownership
from runtime.storage import StorageError
from supervisors.conditions import domain_conditions
from supervisors.shard_messages import Changed, GetConditions, changes_name, conditions_name

log = structlog.get_logger("loyalnest.shard")

LINKS_WAIT_S: Final = 5.0
"""How long a shard that starts waits for the others. Those that come later are found later."""

CLAIM_WAIT_S: Final = 5.0
"""For the claim of its partition. Without it links are refused where an older process had one."""

GATHER_S: Final = 0.05
GATHERED_MAX: Final = 1_000
"""Changes that are passed on together. What is beyond is not told, and found by looking again."""

INTENSITY, PERIOD_S = 5, 30.0


@attrs.frozen(kw_only=True)
class Part:
    """What one process has of the application; by default all of it.

    `name` is that of the shard, `ownership` its claim to a partition of the journal. `edges` are
    the other shards that serve the API, to which hints of changes are passed on.
    """

    name: str = MAIN
    domains: frozenset[str] = frozenset(DOMAINS)
    relay: bool = True
    ownership: Ownership = attrs.field(factory=Ownership)
    links: Links | None = None
    edges: tuple[str, ...] = ()


class Claimant(Actor):
    """Has the journal claim its partition before there are links: the epoch tells the other shards
    that this process counts, and not one of its name before it."""

    async def started(self) -> None:
        try:
            await self.system.ref(JOURNAL).ask(Append(()), timeout_s=CLAIM_WAIT_S)
        except (ActorError, StorageError) as error:
            log.warning("partition_not_claimed_yet", error=str(error)[:500])


class Gate(Actor):
    """Lets those behind it start when the other shards are there, or have been waited for."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def started(self) -> None:
        with trio.move_on_after(LINKS_WAIT_S):
            await self._links.up()


class Teller(Actor):
    """Tells other shards how the domains of this one are."""

    async def receive(self, message: Any) -> object:
        if not isinstance(message, GetConditions):
            return await super().receive(message)
        found = await domain_conditions(self.system)
        told: Mapping[str, str] = {name: condition.value for name, condition in found.items()}
        return told


class Hearer(Actor):
    """Tells those in this shard of changes that happened in another one."""

    async def receive(self, message: Any) -> object:
        if not isinstance(message, Changed):
            return await super().receive(message)
        for name in message.names:
            self.system.changes.hear(*name)
        return None


class PassingOn(Actor):
    """Passes hints of changes on to the shards that serve the API, many at a time."""

    def __init__(self, edges: tuple[str, ...]) -> None:
        self._edges = edges
        self._gathered: dict[tuple[str, ...], None] = {}
        self._some = trio.Event()

    async def started(self) -> None:
        self.system.changes.pass_on = self._gather
        self.start_task(self._run)

    async def stopped(self, reason: ExitReason) -> None:
        self.system.changes.pass_on = None

    def _gather(self, name: tuple[str, ...]) -> None:
        if len(self._gathered) < GATHERED_MAX:
            self._gathered[name] = None
            self._some.set()

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            await trio.sleep(GATHER_S)
            changed = Changed(tuple(self._gathered))
            self._gathered.clear()
            self._some = trio.Event()
            for edge in self._edges:
                self.system.ref(changes_name(edge)).tell(changed)


def shard_child(part: Part, links: Links) -> ChildSpec:
    """The links of a shard, and who answers for it; before everything that asks others."""

    def start() -> Supervisor:
        return Supervisor(
            (
                ChildSpec("claimant", Claimant),
                ChildSpec("conditions", Teller, name=conditions_name(part.name)),
                ChildSpec("changes", Hearer, name=changes_name(part.name)),
                ChildSpec("passing_on", lambda: PassingOn(part.edges)),
                links_child(links),
                ChildSpec("gate", lambda: Gate(links)),
            ),
            intensity=INTENSITY,
            period_s=PERIOD_S,
            backoff=Backoff(),
        )

    return ChildSpec(
        "shard", start, name="loyalnest.shard", shutdown_s=INFINITE, start_timeout_s=INFINITE
    )
