"""How fast messages are: `tell` against a memory channel, `ask` against pykka."""

import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import pykka
import trio

from runtime import Actor, ActorRef, ActorSystem, Call, Cast, ChildSpec, MailboxSpec
from tests.bench.harness import Figure, compare

TELLS = 200_000
CAPACITY = 1_000
ASKERS = 100
ASKS_EACH = 400
PYKKA_ASKS_EACH = 200


@attrs.frozen
class Note(Cast):
    number: int


@attrs.frozen
class Add(Call[int]):
    number: int


class Counter(Actor):
    """Adds up what it is told, and answers with the sum."""

    def __init__(self) -> None:
        self.total = 0

    async def receive(self, message: Note | Add) -> object:
        self.total += message.number
        return self.total


def messaging() -> list[Figure]:
    return [
        compare(
            "tell, against sending through a Trio memory channel",
            partial(_with_counter, _tell),
            partial(trio.run, _channel),
            unit="messages/s",
            goal=8,
        ),
        compare(
            "ask, 100 concurrent, against pykka's ask from 100 threads",
            partial(_with_counter, _ask),
            _pykka,
            unit="round trips/s",
            goal=10,
        ),
    ]


def _with_counter(measure: Callable[[ActorRef], Awaitable[float]]) -> float:
    async def main() -> float:
        spec = ChildSpec("counter", Counter, name="counter", mailbox=MailboxSpec(CAPACITY))
        async with ActorSystem().run(spec) as system:
            return await measure(system.ref("counter"))

    return trio.run(main)


async def _tell(ref: ActorRef) -> float:
    start = time.perf_counter()
    note = Note(1)
    for _ in range(TELLS // CAPACITY):
        for _ in range(CAPACITY - 1):
            ref.tell(note)
        await ref.ask(Add(0))
    return TELLS / (time.perf_counter() - start)


async def _channel() -> float:
    send, receive = trio.open_memory_channel[Note](CAPACITY)
    total, note = 0, Note(1)

    async def consume() -> None:
        nonlocal total
        async for received in receive:
            total += received.number

    start = time.perf_counter()
    async with trio.open_nursery() as nursery, send:
        nursery.start_soon(consume)
        for _ in range(TELLS // 10):
            await send.send(note)
    return TELLS / 10 / (time.perf_counter() - start)


async def _ask(ref: ActorRef) -> float:
    add = Add(1)

    async def asker() -> None:
        for _ in range(ASKS_EACH):
            await ref.ask(add)

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(ASKERS):
            nursery.start_soon(asker)
    return ASKERS * ASKS_EACH / (time.perf_counter() - start)


class PykkaCounter(pykka.ThreadingActor):
    """The same actor, with pykka."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def on_receive(self, message: int) -> int:
        self.total += message
        return self.total


def _pykka() -> float:
    ref = PykkaCounter.start()

    together = threading.Barrier(ASKERS + 1)

    def asker() -> None:
        together.wait()
        for _ in range(PYKKA_ASKS_EACH):
            ref.ask(1)

    threads = [threading.Thread(target=asker) for _ in range(ASKERS)]
    for thread in threads:
        thread.start()
    together.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    rate = ASKERS * PYKKA_ASKS_EACH / (time.perf_counter() - start)
    ref.stop()
    return rate
