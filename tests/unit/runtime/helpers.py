"""Actors that the runtime's tests share, and a way to run them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import attrs
import trio

from runtime import (
    Actor,
    ActorDown,
    ActorRef,
    ActorSystem,
    AdminError,
    Call,
    Cast,
    ChildSpec,
    ChildState,
    ChildStatus,
    Refused,
    Started,
    Supervisor,
    WhichChildren,
)
from runtime.exits import SHUTDOWN
from runtime.ports import seeded_ports
from runtime.system_messages import Down

START = datetime(2026, 1, 1, tzinfo=UTC)


@attrs.frozen
class Add(Call[int]):
    amount: int


@attrs.frozen
class Note(Cast):
    text: str


@attrs.frozen
class Crash(Call[None]):
    text: str = "boom"


@attrs.frozen
class Wait(Call[str]):
    """Wait for the test's go-ahead, or `delay_s`."""

    delay_s: float | None = None


@attrs.frozen
class Quit(Call[None]):
    pass


@attrs.frozen
class Run(Call[Any]):
    """Run a coroutine function inside the actor, with the actor as its argument."""

    function: Callable[[Any], Any]


class Probe(Actor):
    """Counts, waits, crashes and does what it is told, and keeps a diary outside itself."""

    def __init__(self, diary: list[str] | None = None, name: str = "") -> None:
        self.total = 0
        self.diary = diary if diary is not None else []
        self.name = name
        self.go = trio.Event()

    async def started(self) -> None:
        self.diary.append(f"start {self.name}".strip())

    async def stopped(self, reason: Any) -> None:
        self.diary.append(f"stop {self.name} {reason.kind.value}".replace("  ", " "))

    async def receive(self, message: Any) -> object:
        match message:
            case Add():
                self.total += message.amount
                return self.total
            case Note():
                self.diary.append(message.text)
                return None
            case Crash():
                raise RuntimeError(message.text)
            case Wait(delay_s=None):
                await self.go.wait()
                return "went"
            case Wait(delay_s=float() | int() as delay_s):
                await trio.sleep(delay_s)
                return "waited"
            case Quit():
                self.stop()
                return None
            case Run():
                return await message.function(self)
            case Down():
                self.diary.append(f"down {message.address} {message.reason.kind.value}")
                return None
        return await super().receive(message)


@asynccontextmanager
async def running(children: Sequence[ChildSpec], **options: Any) -> AsyncIterator[ActorSystem]:
    """A tree with one supervisor, registered as `root`, and these children."""
    options.setdefault("intensity", 10)
    root = ChildSpec(
        "root", lambda: Supervisor(children, **options), name="root", shutdown_s=float("inf")
    )
    async with ActorSystem(seeded_ports(7, START)).run(root) as system:
        yield system


def probe(id_: str = "probe", diary: list[str] | None = None, **options: Any) -> ChildSpec:
    """The specification of a `Probe` registered under its id."""
    return ChildSpec(id_, lambda: Probe(diary, id_), name=id_, **options)


async def settle(rounds: int = 20) -> None:
    """Let every task that can run do so, without letting time pass."""
    for _ in range(rounds):
        await trio.lowlevel.checkpoint()


class Reluctant(Probe):
    """Fails to start as long as `failures` says so; the list is shared by its incarnations."""

    def __init__(self, failures: list[str], diary: list[str] | None = None, name: str = "") -> None:
        super().__init__(diary, name)
        self.failures = failures

    async def started(self) -> None:
        if self.failures:
            reason = self.failures.pop()
            self.diary.append(f"fail {self.name}")
            raise RuntimeError(reason)
        await super().started()


async def crash(actor: Probe) -> None:
    raise RuntimeError("boom")


async def kill(actor: Probe) -> None:
    actor.ref.kill()
    await trio.sleep_forever()


async def end_normally(actor: Probe) -> None:
    actor.stop()


async def end_with_shutdown(actor: Probe) -> None:
    actor.stop(SHUTDOWN)


async def end(ref: ActorRef, how: Callable[[Probe], Any] = crash) -> None:
    """End the actor at `ref` in the way given, and let its supervisor act on it."""
    with suppress(ActorDown):
        await ref.ask(Run(how))
    await settle()


async def children(system: ActorSystem, supervisor: str = "root") -> dict[str, ChildStatus]:
    statuses = await system.ref(supervisor).ask(WhichChildren())
    return {status.id: status for status in statuses}


async def states(system: ActorSystem, supervisor: str = "root") -> dict[str, ChildState]:
    return {id_: status.state for id_, status in (await children(system, supervisor)).items()}


def supervisor(id_: str, specs: Sequence[ChildSpec] = (), **options: Any) -> ChildSpec:
    """The specification of a supervisor registered under its id."""
    return ChildSpec(id_, lambda: Supervisor(specs, **options), name=id_, shutdown_s=float("inf"))


def why(answer: object) -> AdminError:
    """Why a supervisor refused."""
    assert isinstance(answer, Refused), answer
    return answer.why


def began(answer: object) -> ActorRef:
    """The child that a supervisor started."""
    assert isinstance(answer, Started), answer
    assert answer.ref is not None
    return answer.ref
