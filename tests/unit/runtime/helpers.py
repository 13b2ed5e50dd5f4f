"""Actors that the runtime's tests share, and a way to run them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import trio

from runtime import Actor, ActorSystem, Call, Cast, ChildSpec, Supervisor
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
            case Wait():
                await trio.sleep(message.delay_s)
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
