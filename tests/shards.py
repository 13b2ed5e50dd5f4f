"""Shards for tests: small trees with links between them, over sockets or a virtual network."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from random import Random
from typing import Any, ClassVar

import attrs
import trio

from runtime import (
    Actor,
    ActorRef,
    ActorSystem,
    AskCycle,
    Call,
    Cast,
    ChildSpec,
    Entities,
    Entity,
    EntityRef,
    MailboxSpec,
    Overflow,
    Supervisor,
    Workers,
)
from runtime.links import (
    LinkLimits,
    LinkNetwork,
    Links,
    LinksSpec,
    Offers,
    PeerSpec,
    WireTypes,
    links_child,
)
from runtime.ports import Ports
from runtime.sim.chance import Luck
from runtime.sim.network import VirtualNetwork
from runtime.sim.trace import Trace

SECRET = b"a secret that two shards share"

QUICK = LinkLimits(backoff_base_s=0.01, backoff_cap_s=0.05, handshake_s=1.0, drain_s=0.5)
"""Nobody waits for long."""

PATIENT = attrs.evolve(QUICK, handshake_s=30.0, silence_max_s=60.0, send_s=60.0)
"""A machine that stands still for seconds loses no link."""


class Colour(Enum):
    RED = "red"


@attrs.frozen
class Echo(Call[Any]):
    """Answered with its value."""

    value: Any


@attrs.frozen
class Hold(Call[str]):
    """Answered when the actor is let go."""

    name: str = ""


@attrs.frozen
class Fail(Call[None]):
    """Ends the actor, or is answered with an error that it passes on."""

    passed_on: bool = False


@attrs.frozen
class Pass(Call[Any]):
    """Ask `to` for it, an actor or, with a key, an entity."""

    to: str
    message: Any
    key: str | None = None


@attrs.frozen
class Note(Cast):
    number: int


@attrs.frozen
class Notes(Call[tuple[int, ...]]):
    """The notes so far."""


@attrs.frozen
class Unregistered(Call[None]):
    pass


class Sad(Exception):
    """Registered for links."""


class Silly(Exception):
    """Not registered."""


TYPES = WireTypes(classes=(Colour, Echo, Hold, Fail, Pass, Note, Notes), errors=(Sad,))


class Clerk(Actor):
    """Does all of that, one message at a time."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (Sad, AskCycle)

    def __init__(self) -> None:
        self.notes: list[int] = []
        self.go = trio.Event()
        self.holding: list[str] = []
        self.cancelled: list[str] = []

    async def receive(self, message: Any) -> object:
        match message:
            case Echo(value):
                return value
            case Hold(name):
                await self._hold(name)
                return name
            case Fail(passed_on):
                raise Sad("as it is") if passed_on else ValueError("boom")
            case Pass(to, inner, key):
                there: ActorRef | EntityRef = self.system.ref(to)
                if key is not None:
                    there = self.system.entities(to).ref(key)
                return await there.ask(inner)
            case Note(number):
                self.notes.append(number)
            case Notes():
                return tuple(self.notes)
        return None

    async def _hold(self, name: str) -> None:
        self.holding.append(name)
        try:
            await self.go.wait()
        except trio.Cancelled:
            self.cancelled.append(name)
            raise
        finally:
            self.holding.remove(name)


class Pool(Workers):
    """Holds many at the same time."""

    concurrency: ClassVar[int] = 512

    def __init__(self) -> None:
        super().__init__()
        self.go = trio.Event()
        self.holding = 0

    async def receive(self, message: Any) -> object:
        if isinstance(message, Echo):
            return message.value
        self.holding += 1
        try:
            await self.go.wait()
        finally:
            self.holding -= 1
        return message.name


class Resident(Entity):
    """Says its key, and passes questions on."""

    async def receive(self, message: Any) -> object:
        if isinstance(message, Pass):
            return await self.system.ref(message.to).ask(message.message)
        return (self.key, message.value)


@attrs.define(eq=False)
class Shard:
    """A running one, with the actors that it has for others."""

    name: str
    system: ActorSystem
    links: Links
    clerk: Clerk
    pool: Pool
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    def ref(self, name: str) -> ActorRef:
        return self.system.ref(name)


def peer_of(name: str, address: str | None = None) -> PeerSpec:
    """A shard whose actors and regions are named after it."""
    actors = (f"{name}.clerk", f"{name}.pool", f"{name}.small", f"{name}.absent")
    return PeerSpec(name=name, address=address, actors=actors, regions=(f"{name}.residents",))


@asynccontextmanager
async def running_shard(
    name: str,
    network: LinkNetwork,
    peers: Sequence[PeerSpec],
    *,
    listen: str | None = None,
    limits: LinkLimits = QUICK,
    secrets: Callable[[], Sequence[bytes]] = lambda: (SECRET,),
    offers: Offers | None = None,
    generation: Callable[[], int] = lambda: 0,
    ports: Ports | None = None,
) -> AsyncIterator[Shard]:
    """A shard for the duration of the block."""
    spec = LinksSpec(
        shard=name,
        peers=tuple(peers),
        types=TYPES,
        network=network,
        secrets=secrets,
        listen=listen,
        offers=offers or Offers(),
        generation=generation,
        limits=limits,
    )
    system = ActorSystem(ports)
    links = Links(spec, system.metrics.registry)
    clerk, pool = Clerk(), Pool()
    small = MailboxSpec(1, Overflow.REJECT)
    children = (
        links_child(links),
        ChildSpec("clerk", _once(clerk, Clerk), name=f"{name}.clerk"),
        ChildSpec("pool", lambda: pool, name=f"{name}.pool"),
        ChildSpec("small", Clerk, name=f"{name}.small", mailbox=small),
        ChildSpec("residents", lambda: Entities(f"{name}.residents", lambda _key: Resident())),
    )
    root = ChildSpec("root", lambda: Supervisor(children, intensity=20), name="root")
    async with system.run(root):
        yield Shard(name, system, links, clerk, pool)


def _once(first: Actor, then: Callable[[], Actor]) -> Callable[[], Actor]:
    """The first incarnation is the one that the test knows."""
    waiting = [first]
    return lambda: waiting.pop() if waiting else then()


@asynccontextmanager
async def pair(
    networks: Callable[[str], LinkNetwork], listen: str, **options: Any
) -> AsyncIterator[tuple[Shard, Shard]]:
    """Two shards with a link; the second one dials the first."""
    one, two = peer_of("one"), peer_of("two")
    async with running_shard("one", networks("one"), (two,), listen=listen, **options) as first:
        one = attrs.evolve(one, address=await first.links.listens())
        async with running_shard("two", networks("two"), (one,), **options) as second:
            with trio.fail_after(60):
                await second.links.up()
                await first.links.up()
            yield first, second


def virtual_network(seed: int = 0) -> VirtualNetwork:
    return VirtualNetwork(Luck(Random(seed), Trace()))
