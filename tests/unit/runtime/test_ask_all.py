"""Asking many actors at once from one task."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    ActorDown,
    AskCycle,
    AskTimeout,
    ChildSpec,
    Entities,
    Entity,
    Expired,
    MailboxFull,
    MailboxSpec,
    Overflow,
    ask_all,
    request_context,
)
from runtime.context import current_trace_id, under_trace
from runtime.deadletters import DeadReason
from tests.unit.runtime.helpers import Add, Crash, Note, Run, Wait, probe, running, settle


async def test_answers_come_in_the_order_of_the_asks() -> None:
    """Clause A7."""
    async with running([probe(name) for name in "abc"]) as system:
        asks = [(system.ref("abc"[number % 3]), Add(number)) for number in range(9)]
        assert await ask_all(asks) == [0, 1, 2, 3, 5, 7, 9, 12, 15]


async def test_no_asks_give_no_answers() -> None:
    """Clause A7."""
    assert await ask_all([]) == []


async def test_asks_to_one_actor_keep_their_order() -> None:
    """Clauses A7, M1."""
    async with running([probe()]) as system:
        answers = await ask_all((system.ref("probe"), Add(1)) for _ in range(100))
        assert answers == list(range(1, 101))


async def test_each_ask_may_belong_to_a_trace_of_its_own() -> None:
    """Clause A7."""

    async def seen(_actor: Any) -> str | None:
        return current_trace_id()

    async with running([probe()]) as system:
        with request_context(trace_id="in force"):
            asks = [(system.ref("probe"), Run(seen)) for _ in range(3)]
            assert await ask_all(asks, traces=["a", None, "b"]) == ["a", "in force", "b"]
            with under_trace("c"), under_trace(None):
                assert await ask_all(asks[:1]) == ["c"]
            assert current_trace_id() == "in force"


async def test_slow_answers_are_waited_for_in_any_order(autojump_clock: MockClock) -> None:
    """Clause A7."""
    async with running([probe(name) for name in "abc"]) as system:
        asks = [
            (system.ref(name), Wait(delay_s))
            for name, delay_s in zip("abc", (3, 1, 2), strict=True)
        ]
        assert await ask_all(asks) == ["waited"] * 3
        assert trio.current_time() == pytest.approx(3)


async def test_failed_ask_has_its_error_in_place_of_the_answer(autojump_clock: MockClock) -> None:
    """Clause A7."""
    full = MailboxSpec(capacity=1, overflow=Overflow.REJECT)
    async with running([probe("a"), probe("b"), probe("full", mailbox=full)]) as system:
        system.ref("full").tell(Wait(60))
        await settle()
        system.ref("full").tell(Note("no more room"))
        results = await ask_all(
            [
                (system.ref("a"), Add(1)),
                (system.ref("a"), Crash()),
                (system.ref("a"), Add(1)),
                (system.ref("b"), Wait(60)),
                (system.ref("b"), Add(1)),
                (system.ref("full"), Add(1)),
                (system.ref("nobody"), Add(1)),
            ],
            timeout_s=2,
        )
        assert results[0] == 1
        expected = [ActorDown, ActorDown, AskTimeout, Expired, MailboxFull, ActorDown]
        assert [type(error) for error in results[1:]] == expected
        assert trio.current_time() == pytest.approx(2, abs=0.01)


async def test_mailbox_smaller_than_the_asks_is_waited_for() -> None:
    """Clauses A7, M4."""
    async with running([probe(mailbox=MailboxSpec(capacity=2))]) as system:
        answers = await ask_all((system.ref("probe"), Add(1)) for _ in range(20))
        assert answers == list(range(1, 21))


async def test_deadline_in_force_counts(autojump_clock: MockClock) -> None:
    """Clauses A7, D1, D4."""
    async with running([probe("a"), probe("b")]) as system:
        with request_context(deadline=trio.current_time() + 1):
            results = await ask_all([(system.ref(name), Wait(60)) for name in "ab"])
        assert [type(error) for error in results] == [AskTimeout] * 2
        assert trio.current_time() == pytest.approx(1, abs=0.01)


async def test_cancelled_it_withdraws_the_unread_and_cancels_the_work(
    autojump_clock: MockClock,
) -> None:
    """Clauses A7, D6."""
    async with running([probe("a"), probe("b")]) as system:
        asks: list[Any] = [(system.ref("a"), Add(1)), (system.ref("a"), Wait(60))]
        asks += [(system.ref("a"), Add(1)), (system.ref("b"), Add(1))]
        with trio.move_on_after(1) as scope:
            await ask_all(asks)
        assert scope.cancelled_caught
        assert await system.ref("a").ask(Add(1)) == 2
        assert await system.ref("b").ask(Add(1)) == 2
        assert system.dead_letters.counts[DeadReason.WITHDRAWN] == 1


async def test_cycle_is_an_error_among_the_answers() -> None:
    """Clauses A7, D5."""
    async with running([probe("a"), probe("b")]) as system:

        async def ask_both(_: Any) -> list[Any]:
            return await ask_all([(system.ref("a"), Add(1)), (system.ref("b"), Add(1))])

        cycle, answer = await system.ref("a").ask(Run(ask_both))
        assert (type(cycle), answer) == (AskCycle, 1)


async def test_entities_are_activated() -> None:
    """Clauses A7, E1."""

    class Echo(Entity):
        async def receive(self, message: Any) -> object:
            return f"{self.key} {message.amount}"

    spec = ChildSpec("echo", lambda: Entities("echo", lambda _: Echo()))
    async with running([spec]) as system:
        region = system.entities("echo")
        answers = await ask_all((region.ref(key), Add(number)) for number, key in enumerate("xyx"))
        assert answers == ["x 0", "y 1", "x 2"]
