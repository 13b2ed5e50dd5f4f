"""Properties of whole histories: random operations and crashes in one run of virtual time."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from runtime import (
    Actor,
    ActorError,
    ActorSystem,
    Call,
    Cast,
    ChildSpec,
    ChildState,
    Entities,
    Entity,
    Envelope,
    MailboxSpec,
    Outcome,
    Overflow,
    Restart,
    Strategy,
    WhichChildren,
    Workers,
)
from tests.unit.runtime.helpers import running

QUICK = settings(max_examples=40)

# What is sent, and who receives it


@attrs.frozen
class Work(Call[int]):
    """Take `takes_s`, then answer with the number or crash."""

    number: int
    takes_s: float = 0.0
    crashes: bool = False


@attrs.frozen
class Item(Cast):
    sender: int
    number: int


@attrs.define
class History:
    """Everything that happened: answers by ask, and what each receiver read in its order."""

    taken: Counter[int] = attrs.field(factory=Counter)
    read: list[Item] = attrs.field(factory=list)
    answers: dict[int, list[object]] = attrs.field(factory=dict)
    starts: Counter[str] = attrs.field(factory=Counter)


class Doer:
    """The work itself, for every kind of actor."""

    history: History

    async def do(self, message: Any) -> object:
        match message:
            case Item():
                self.history.read.append(message)
                return None
            case Work():
                self.history.taken[message.number] += 1
                await trio.sleep(message.takes_s)
                if message.crashes:
                    raise RuntimeError(f"crash {message.number}")
                return message.number
        raise TypeError(message)


class One(Actor, Doer):
    def __init__(self, history: History, name: str = "") -> None:
        self.history = history
        self.name = name

    async def started(self) -> None:
        self.history.starts[self.name] += 1

    async def receive(self, message: Any) -> object:
        return await self.do(message)


class Batch(One):
    batch_max = 3

    async def receive_batch(self, batch: Any) -> None:
        envelope: Envelope
        for envelope in batch:
            envelope.reply(await self.do(envelope.message))


class Pool(Workers, Doer):
    concurrency = 2

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history

    async def receive(self, message: Any) -> object:
        return await self.do(message)


class Keyed(Entity, Doer):
    def __init__(self, history: History) -> None:
        self.history = history

    async def receive(self, message: Any) -> object:
        return await self.do(message)


TARGETS = ("one", "batch", "pool", "keyed")


def target(system: ActorSystem, name: str) -> Any:
    return system.entities("keyed").ref("k") if name == "keyed" else system.ref(name)


def tree(history: History, mailbox: MailboxSpec) -> list[ChildSpec]:
    return [
        ChildSpec("one", lambda: One(history), mailbox=mailbox, name="one"),
        ChildSpec("batch", lambda: Batch(history), mailbox=mailbox, name="batch"),
        ChildSpec("pool", lambda: Pool(history), mailbox=mailbox, name="pool"),
        ChildSpec(
            "keyed",
            lambda: Entities(
                "keyed", lambda _: Keyed(history), idle_s=0.5, max_active=2, mailbox=mailbox
            ),
            name="keyed",
        ),
    ]


def simulate(function: Callable[[], Any]) -> None:
    """Run in virtual time; whatever has not come to an end after an hour of it hangs."""

    async def bounded() -> None:
        with trio.fail_after(3600):
            await function()

    trio.run(bounded, clock=MockClock(autojump_threshold=0))


# Every ask gets exactly one answer or error

QUARTERS = st.integers(0, 12).map(lambda quarters: quarters / 4)


@attrs.frozen
class Ask:
    after_s: float
    target: str
    takes_s: float
    crashes: bool
    timeout_s: float | None
    cancel_after_s: float | None


ASKS = st.builds(
    Ask,
    after_s=QUARTERS,
    target=st.sampled_from(TARGETS),
    takes_s=QUARTERS,
    crashes=st.sampled_from([False, False, False, True]),
    timeout_s=st.none() | QUARTERS.map(lambda seconds: seconds + 0.1),
    cancel_after_s=st.none() | st.none() | QUARTERS.map(lambda seconds: seconds + 0.13),
)
MAILBOXES = st.builds(
    MailboxSpec,
    capacity=st.sampled_from([1, 2, 100]),
    overflow=st.sampled_from([Overflow.WAIT, Overflow.REJECT, Overflow.DROP_OLDEST]),
)


@pytest.mark.slow
@QUICK
@given(asks=st.lists(ASKS, min_size=1, max_size=25), mailbox=MAILBOXES)
def test_every_ask_ends_exactly_once_and_errors_tell_the_truth(
    asks: list[Ask], mailbox: MailboxSpec
) -> None:
    """Clauses A1, A2, D1, M2."""
    history = History()

    async def ask(system: ActorSystem, number: int, plan: Ask) -> None:
        results = history.answers[number] = []
        await trio.sleep(plan.after_s)
        start = trio.current_time()
        work = Work(number, plan.takes_s, plan.crashes)
        cancel_after_s = plan.cancel_after_s if plan.cancel_after_s is not None else float("inf")
        with trio.move_on_after(cancel_after_s) as scope:
            try:
                answer = await target(system, plan.target).ask(work, timeout_s=plan.timeout_s)
                results.append(answer)
            except ActorError as error:
                results.append(error)
        if scope.cancelled_caught:
            results.append("cancelled")
        limit_s = min(cancel_after_s, plan.timeout_s if plan.timeout_s is not None else 5.0)
        assert trio.current_time() - start <= limit_s + 0.006

    async def run() -> None:
        async with running(tree(history, mailbox), intensity=10_000) as system:
            async with trio.open_nursery() as nursery:
                for number, plan in enumerate(asks):
                    nursery.start_soon(ask, system, number, plan)
            await trio.sleep(100)

    simulate(run)
    for number, plan in enumerate(asks):
        [result] = history.answers[number]
        assert history.taken[number] <= 1
        if isinstance(result, ActorError):
            if result.outcome is Outcome.NOT_DELIVERED:
                assert not history.taken[number], f"{result!r} happened all the same"
        elif result != "cancelled":
            assert (result, plan.crashes, history.taken[number]) == (number, False, 1)


# Per-sender order


@attrs.frozen
class Send:
    sender: int
    how: str
    pause_s: float


SENDS = st.builds(
    Send,
    sender=st.integers(0, 2),
    how=st.sampled_from(["tell", "send", "work", "crash"]),
    pause_s=st.sampled_from([0.0, 0.0, 0.25, 1.0]),
)


@pytest.mark.slow
@QUICK
@given(
    sends=st.lists(SENDS, min_size=1, max_size=40),
    receiver=st.sampled_from(TARGETS),
    capacity=st.sampled_from([1, 3, 100]),
)
def test_messages_of_one_sender_are_read_in_order_and_at_most_once(
    sends: list[Send], receiver: str, capacity: int
) -> None:
    """Clauses M1, M2, also across crashes, passivations and waits for room."""
    history = History()

    async def sender(system: ActorSystem, id_: int) -> None:
        ref = target(system, receiver)
        for number, plan in enumerate(sends):
            if plan.sender != id_:
                continue
            await trio.sleep(plan.pause_s)
            item = Item(id_, number)
            try:
                match plan.how:
                    case "tell":
                        ref.tell(item)
                    case "send":
                        await ref.send(item)
                    case _:
                        ref.tell(Work(-1, 0.5, plan.how == "crash"))
            except ActorError:
                continue

    async def run() -> None:
        async with running(tree(history, MailboxSpec(capacity)), intensity=10_000) as system:
            async with trio.open_nursery() as nursery:
                for id_ in range(3):
                    nursery.start_soon(sender, system, id_)
            await trio.sleep(100)

    simulate(run)
    for id_ in range(3):
        numbers = [item.number for item in history.read if item.sender == id_]
        assert numbers == sorted(set(numbers))


# Restart counts

CRASHES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.1, 1.0, 4.0])), max_size=15)


@QUICK
@given(crashes=CRASHES, strategy=st.sampled_from(list(Strategy)[:3]))
def test_restart_counts_follow_from_strategy_and_crashes(
    crashes: list[tuple[int, float]], strategy: Strategy
) -> None:
    """Clauses S3, S4: counted by an independent model."""
    history = History()
    rules = [Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY, Restart.PERMANENT]
    expected = Counter({str(index): 1 for index in range(4)})
    present = set(range(4))

    def crash_in_model(index: int) -> None:
        if index not in present:
            return
        if rules[index] is Restart.TEMPORARY:
            present.discard(index)
            return
        sharers = {
            Strategy.ONE_FOR_ONE: {index},
            Strategy.ONE_FOR_ALL: set(present),
            Strategy.REST_FOR_ONE: {other for other in present if other >= index},
        }[strategy]
        for other in sharers:
            if rules[other] is Restart.TEMPORARY:
                present.discard(other)
            else:
                expected[str(other)] += 1

    def spec(index: int) -> ChildSpec:
        return ChildSpec(
            str(index), lambda: One(history, str(index)), rules[index], name=str(index)
        )

    async def run() -> None:
        children = [spec(index) for index in range(4)]
        async with running(children, strategy=strategy, intensity=10_000) as system:
            for index, pause_s in crashes:
                await trio.sleep(pause_s)
                crash_in_model(index)
                system.ref(str(index)).tell(Work(0, crashes=True))
                await trio.testing.wait_all_tasks_blocked()
            statuses = await system.ref("root").ask(WhichChildren())
            assert {int(status.id) for status in statuses} == present
            assert all(status.state is ChildState.RUNNING for status in statuses)
            for status in statuses:
                assert status.restarts == expected[status.id] - 1

    simulate(run)
    assert history.starts == expected


@QUICK
@given(
    times=st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, 7.0, 10.0]), max_size=15),
    intensity=st.integers(0, 4),
)
def test_supervisor_gives_up_exactly_when_a_window_holds_too_many(
    times: list[float], intensity: int
) -> None:
    """Clause S5: counted by an independent model, over all windows and not only the last."""
    period_s = 10.0
    moments: list[float] = []
    given_up = [False]
    history = History()

    async def run() -> None:
        children = [ChildSpec("a", lambda: One(history, "a"), name="a")]
        async with running(children, intensity=intensity, period_s=period_s) as system:
            for pause_s in times:
                await trio.sleep(pause_s)
                moments.append(trio.current_time())
                system.ref("a").tell(Work(0, crashes=True))
                await trio.testing.wait_all_tasks_blocked()

    def too_many() -> int | None:
        """The number of crashes at which a window of the model overflows."""
        now, crashes = 0.0, list[float]()
        for count, pause_s in enumerate(times, 1):
            now += pause_s
            crashes.append(now)
            if sum(moment >= now - period_s for moment in crashes) > intensity:
                return count
        return None

    limit = too_many()
    try:
        simulate(run)
    except Exception as error:
        given_up[0] = "reached_max_restart_intensity" in str(error)
    assert given_up[0] == (limit is not None)
    assert len(moments) == (limit if limit is not None else len(times))
