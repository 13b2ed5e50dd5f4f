"""A supervisor that is killed, or whose tree is cancelled, in the middle of what it does."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from runtime import (
    ActorDown,
    ActorRef,
    ActorSystem,
    Backoff,
    ChildSpec,
    Entities,
    Entity,
    ExitReason,
    Reconfigure,
    Restart,
    StartChild,
    Strategy,
    Supervisor,
    TerminateChild,
    WhichChildren,
)
from runtime.ports import seeded_ports
from tests.unit.runtime.helpers import (
    START,
    Add,
    Note,
    Probe,
    began,
    end,
    probe,
    running,
    settle,
    supervisor,
)


class Slow(Probe):
    """Takes its time to start and to stop, and says when it was cut off."""

    async def started(self) -> None:
        await self._dawdle("start")

    async def stopped(self, reason: ExitReason) -> None:
        await self._dawdle("stop")

    async def _dawdle(self, what: str) -> None:
        try:
            await trio.sleep(1)
        except trio.Cancelled:
            self.diary.append(f"{what} {self.name} cut off")
            raise
        self.diary.append(f"{what} {self.name}")


def slow(id_: str, diary: list[str], **options: Any) -> ChildSpec:
    return ChildSpec(id_, lambda: Slow(diary, id_), name=id_, **options)


async def killed_during(
    diary: list[str], message: Any, specs: list[ChildSpec], after_s: float
) -> None:
    """Terminate `sup` without mercy while it works on `message`."""
    sup = ChildSpec(
        "sup", lambda: Supervisor(specs, intensity=9), Restart.TEMPORARY, name="sup", shutdown_s=0
    )
    async with running([sup]) as system, trio.open_nursery() as nursery:
        diary.clear()
        nursery.start_soon(_asked_in_vain, system.ref("sup"), message)
        await trio.sleep(after_s)
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        assert not system.ref("sup").alive
        assert not any(system.ref(spec.id).alive for spec in specs)


async def _asked_in_vain(ref: ActorRef, message: Any) -> None:
    with pytest.raises(ActorDown):
        await ref.ask(message)


async def test_killed_while_a_child_starts_takes_the_child_with_it(
    autojump_clock: MockClock,
) -> None:
    """Clause L4."""
    diary: list[str] = []
    await killed_during(diary, StartChild(slow("b", diary)), [probe("a")], 0.5)
    assert diary == ["start b cut off"]


async def test_killed_while_a_child_stops_takes_the_child_with_it(
    autojump_clock: MockClock,
) -> None:
    """Clause L4."""
    diary: list[str] = []
    await killed_during(diary, TerminateChild("a"), [slow("a", diary)], 0.5)
    assert diary == ["stop a cut off"]


async def test_killed_while_a_group_restarts_leaves_nobody_behind(
    autojump_clock: MockClock,
) -> None:
    """Clause L4."""
    diary: list[str] = []
    specs = [slow("a", diary), slow("b", diary)]
    sup = ChildSpec(
        "sup",
        lambda: Supervisor(specs, strategy=Strategy.ONE_FOR_ALL),
        Restart.TEMPORARY,
        name="sup",
        shutdown_s=0,
    )
    async with running([sup]) as system, trio.open_nursery() as nursery:
        nursery.start_soon(end, system.ref("a"))
        await trio.sleep(2.5)
        diary.clear()
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        assert diary == ["start a cut off"]
        assert not system.ref("a").alive
        assert not system.ref("b").alive


async def test_killed_while_it_waits_for_a_backoff(autojump_clock: MockClock) -> None:
    """Clauses L4, L6: its timers end with it."""
    inner = supervisor("sup", [probe("a")], intensity=9, backoff=Backoff(jitter=0))
    async with running([inner]) as system:
        for _ in range(2):
            await end(system.ref("a"))
        assert await system.ref("root").ask(TerminateChild("sup")) is None
        await trio.sleep(60)
        assert not system.ref("a").alive


async def test_start_of_a_tree_that_is_killed_for_taking_too_long(
    autojump_clock: MockClock,
) -> None:
    """Clauses L4, S11: those that had started are gone as well."""
    diary: list[str] = []
    specs = [probe("a", diary), slow("b", diary)]
    spec = ChildSpec("sup", lambda: Supervisor(specs), start_timeout_s=0.5)
    async with running([]) as system:
        await system.ref("root").ask(StartChild(spec))
        assert diary == ["start a", "start b cut off"]
        assert not system.ref("a").alive


async def test_cancelled_tree_that_is_restarting_is_stopped_in_order(
    autojump_clock: MockClock,
) -> None:
    """Clause S1."""
    diary: list[str] = []
    with trio.move_on_after(2.5) as scope:
        async with running([slow("a", diary)]) as system:
            await end(system.ref("a"))
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert diary == ["start a", "stop a", "start a", "stop a"]


@pytest.mark.parametrize("message", [WhichChildren(), Reconfigure(), StartChild(probe("b"))])
async def test_question_whose_asker_goes_is_withdrawn_or_finished(
    message: Any, autojump_clock: MockClock
) -> None:
    """Clauses D6, S9."""
    async with running([slow("a", [])]) as system:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.ref("root").ask, TerminateChild("a"))
            await settle()
            with trio.move_on_after(0.5) as scope:
                await system.ref("root").ask(message)
            assert scope.cancelled_caught
        assert began(await system.ref("root").ask(StartChild(probe("c")))).alive
        assert not system.ref("b").alive


# Entities


class Account(Entity):
    """Adds up, and waits on request."""

    def __init__(self) -> None:
        self.total = 0

    async def receive(self, message: Any) -> object:
        if isinstance(message, Note):
            await trio.sleep(60)
        self.total += message.amount if isinstance(message, Add) else 0
        return self.total


@pytest.mark.parametrize("name", ["send", "ask"])
async def test_entity_call_in_a_cancelled_scope_ends_at_once(name: str) -> None:
    """Clauses M4, D6."""
    root = ChildSpec("root", lambda: Entities("accounts", lambda _: Account()), name="root")
    async with ActorSystem(seeded_ports(1, START)).run(root) as system:
        ref = system.entities("accounts").ref(1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await getattr(ref, name)(Add(5))
        assert scope.cancelled_caught
        await settle()
        assert await ref.ask(Add(0)) in (0, 5)


async def test_entity_that_works_for_an_asker_who_goes_is_free_again(
    autojump_clock: MockClock,
) -> None:
    """Clauses D3, D6."""
    root = ChildSpec("root", lambda: Entities("accounts", lambda _: Account()), name="root")
    async with ActorSystem(seeded_ports(1, START)).run(root) as system:
        ref = system.entities("accounts").ref(1)
        with trio.move_on_after(1) as scope:
            await ref.ask(Note("wait"))  # type: ignore[arg-type]
        assert scope.cancelled_caught
        begun = trio.current_time()
        assert await ref.ask(Add(2)) == 2
        assert trio.current_time() == pytest.approx(begun)
