"""Links in virtual time: deadlines, silence, credit, incarnations; clauses N of the semantics."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import attrs
import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from runtime import (
    ActorDown,
    AskTimeout,
    Expired,
    Outcome,
    TerminateChild,
    ask_all,
    request_context,
)
from runtime.context import Context, current
from runtime.deadletters import DeadReason
from runtime.links import (
    LinkDown,
    LinkLimits,
    LinkLost,
    Offers,
)
from runtime.links.session import SILENT
from runtime.policies.retry import RetryLayer, standing
from runtime.ports import seeded_ports
from runtime.sim.network import VirtualNetwork
from tests.shards import (
    Echo,
    Hold,
    Note,
    Notes,
    Shard,
    pair,
    peer_of,
    running_shard,
    virtual_network,
)
from tests.unit.runtime.helpers import START
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

LIMITS = LinkLimits(window=4, mailbox=6, backoff_cap_s=1.0)


@asynccontextmanager
async def linked(
    network: VirtualNetwork | None = None, **options: Any
) -> AsyncIterator[tuple[Shard, Shard, VirtualNetwork]]:
    """Two shards; the second one dials the first."""
    network = network if network is not None else virtual_network()
    ports = seeded_ports(1, START)
    options = {"limits": LIMITS, "ports": ports} | options
    async with pair(network.node, "one:1", **options) as (one, two):
        yield one, two, network


async def outcome_of(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, or the error in its place."""
    try:
        return await ask()
    except Exception as error:
        return error


class Asks:
    """Asks in tasks of their own, with what came of them by their names."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.outcomes: dict[str, Any] = {}
        self.ended_at: dict[str, float] = {}

    def start(self, name: str, ref: Any, message: Any, timeout_s: float = 5.0) -> None:
        async def run() -> None:
            ask = partial(ref.ask, message, timeout_s=timeout_s)
            self.outcomes[name] = await outcome_of(ask)
            self.ended_at[name] = trio.current_time()

        self._nursery.start_soon(run)


async def test_n3_what_has_not_been_sent_by_its_deadline_has_expired_and_is_never_sent() -> None:
    """Clause N3."""
    async with linked() as (one, two, _), trio.open_nursery() as nursery:
        asks, pool = Asks(nursery), two.ref("one.pool")
        for number in range(4):
            asks.start(str(number), pool, Hold())
        await trio.sleep(0.1)
        asks.start("behind", pool, Hold(), timeout_s=1.0)
        await trio.sleep(2.0)
        assert isinstance(asks.outcomes["behind"], Expired)
        assert one.pool.holding == 4
        one.pool.go.set()
    assert [asks.outcomes[str(number)] for number in range(4)] == [""] * 4


async def test_n3_the_mailbox_of_a_proxy_is_bounded_while_there_is_no_credit() -> None:
    """Clause N3."""
    async with linked() as (one, two, _), trio.open_nursery() as nursery:
        asks, pool = Asks(nursery), two.ref("one.pool")
        for number in range(20):
            asks.start(str(number), pool, Hold())
        await trio.sleep(0.5)
        mailbox = pool.mailbox()
        assert (mailbox.depth, mailbox.waiting_senders) == (6, 9)
        assert not pool.tell(Note(1))
        assert two.system.dead_letters.counts[DeadReason.MAILBOX_FULL] == 1
        one.pool.go.set()
    assert set(asks.outcomes.values()) == {""}


async def test_n4_the_other_side_knows_how_much_time_is_left_and_no_clock() -> None:
    """Clause N4."""
    async with linked() as (one, two, network), trio.open_nursery() as nursery:
        asks = Asks(nursery)
        network.silence("two", "one")
        asks.start("late", two.ref("one.clerk"), Hold("late"), timeout_s=1.0)
        await trio.sleep(2.0)
        assert isinstance(asks.outcomes["late"], AskTimeout)
        network.heal()
        await trio.sleep(0.5)
        assert (one.clerk.holding, one.clerk.cancelled) == ([], ["late"])


async def test_n4_work_ends_over_there_although_nobody_can_say_that_it_should() -> None:
    """Clause N4."""
    patient = attrs.evolve(LIMITS, silence_max_s=60.0)
    async with linked(limits=patient) as (one, two, network), trio.open_nursery() as nursery:
        Asks(nursery).start("mine", two.ref("one.clerk"), Hold("mine"), timeout_s=2.0)
        await trio.sleep(0.5)
        network.silence("two", "one")
        await trio.sleep(1.4)
        assert one.clerk.holding == ["mine"]
        await trio.sleep(0.2)
        assert one.clerk.cancelled == ["mine"]


@pytest.mark.parametrize("way", [("one", "two"), ("two", "one")])
async def test_n6_silence_in_one_direction_is_noticed_by_both_sides(way: tuple[str, str]) -> None:
    async with linked() as (one, two, network):
        await trio.sleep(5)
        network.silence(*way)
        began = trio.current_time()
        while one.links.is_up("two") or two.links.is_up("one"):  # noqa: ASYNC110 - virtual
            await trio.sleep(0.1)
        assert trio.current_time() - began < 5.5
        silent = [
            shard.system.metrics.registry.get_sample_value(
                "loyalnest_link_failures_total", {"peer": peer, "reason": SILENT}
            )
            for shard, peer in ((one, "two"), (two, "one"))
        ]
        assert 1.0 in silent
        network.heal()
        with trio.fail_after(10):
            await one.links.up()
            await two.links.up()
        assert await two.ref("one.clerk").ask(Echo(1)) == 1


async def test_n6_a_partition_leaves_each_side_to_itself_and_heals() -> None:
    """Clause N6."""
    async with linked() as (one, two, network), trio.open_nursery() as nursery:
        asks = Asks(nursery)
        asks.start("cut off", two.ref("one.clerk"), Hold("cut off"), timeout_s=60.0)
        await trio.sleep(1.0)
        network.partition("one", "two")
        await trio.sleep(10.0)
        assert isinstance(asks.outcomes["cut off"], LinkLost)
        assert asks.ended_at["cut off"] < 7.0
        assert one.clerk.cancelled == ["cut off"]
        assert isinstance(await outcome_of(lambda: two.ref("one.clerk").ask(Echo(1))), LinkDown)
        assert await two.ref("two.clerk").ask(Echo("at home")) == "at home"
        network.heal()
        await trio.sleep(10.0)
        assert await two.ref("one.clerk").ask(Echo(1)) == 1


async def test_n7_a_new_process_makes_what_the_old_one_was_asked_unknown_at_once() -> None:
    """Clause N7."""
    network = virtual_network()
    async with running_shard("one", network.node("one"), (peer_of("two"),), listen="a") as one:
        dialing = (peer_of("one", "a"),)
        node, later = network.node("two"), network.node("two later", "two")
        async with running_shard("two", node, dialing, generation=lambda: 1) as old:
            await one.links.up()
            async with trio.open_nursery() as nursery:
                asks = Asks(nursery)
                asks.start("to the old one", one.ref("two.clerk"), Hold("old"), timeout_s=30.0)
                await trio.sleep(1.0)
                async with running_shard("two", later, dialing, generation=lambda: 2) as new:
                    await new.links.up()
                    await trio.sleep(0.1)
                    assert isinstance(asks.outcomes["to the old one"], LinkLost)
                    assert old.clerk.cancelled == ["old"]
                    await trio.sleep(5.0)
                    assert [each.sessions for each in old.links.statistics()] == [1]
                    refused = {"peer": "", "reason": "superseded"}
                    await one.ref("two.clerk").send(Note(7))
                    assert await one.ref("two.clerk").ask(Notes()) == (7,)
                    assert (old.clerk.notes, new.clerk.notes) == ([], [7])
                    assert _failures(one, refused) > 0


def _failures(shard: Shard, labels: dict[str, str]) -> float:
    registry = shard.system.metrics.registry
    return sum(
        registry.get_sample_value("loyalnest_link_failures_total", labels | {"peer": peer}) or 0.0
        for peer in ("", "one", "two")
    )


async def test_n5_a_link_is_made_again_after_waits_that_grow_with_jitter() -> None:
    """Clause N5."""
    network = virtual_network()
    tried: list[float] = []
    refused = network.connected

    async def connected(*arguments: Any) -> Any:
        tried.append(trio.current_time())
        return await refused(*arguments)

    network.connected = connected  # type: ignore[method-assign,assignment]
    ports, limits = seeded_ports(3, START), LinkLimits(backoff_base_s=0.1, backoff_cap_s=5.0)
    dialing = (peer_of("one", "nowhere"),)
    async with running_shard("two", network.node("two"), dialing, limits=limits, ports=ports):
        await trio.sleep(120)
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert max(waits) < 5.1
    assert max(waits[:3]) < 0.9
    assert 24 < len(tried) < 100


async def test_n2_what_is_not_offered_cannot_be_reached() -> None:
    """Clause N2."""
    offers = Offers(actors=frozenset({"one.clerk"}), regions=frozenset())
    async with linked(offers=offers) as (_one, two, _):
        assert await two.ref("one.clerk").ask(Echo(1)) == 1
        for ask in (
            two.ref("one.pool").ask,
            two.system.entities("one.residents").ref("k").ask,
        ):
            error = await outcome_of(partial(ask, Echo(1)))
            assert isinstance(error, ActorDown)
            assert error.outcome is Outcome.NOT_DELIVERED


async def test_n1_what_is_inherited_travels_with_the_message() -> None:
    """Clause N1."""
    async with linked() as (one, two, _):
        seen: list[Any] = []
        receive = one.clerk.receive

        async def look(message: Any) -> object:
            seen.append(current.get())
            return await receive(message)

        one.clerk._incarnation.handle_with(look)
        with request_context(deadline=trio.current_time() + 2.0, trace_id="trace-1"):
            await two.ref("one.clerk").ask(Echo(1))
        (there,) = seen
        assert there.trace_id == "trace-1"
        assert 1.9 < there.deadline - trio.current_time() <= 2.0


@pytest.mark.parametrize(("turn", "retried_there"), [(False, True), (True, False)])
async def test_n1_only_one_layer_retries_also_across_shards(
    turn: bool, retried_there: bool
) -> None:
    async with linked() as (one, two, _):
        may: list[bool] = []

        async def receive(message: Any) -> object:
            ambient = current.get()
            assert ambient is not None
            layer = RetryLayer(ambient.retries)
            may.append(layer.may_retry)
            if layer.may_retry:
                layer.retries()
            return message.value

        one.clerk._incarnation.handle_with(receive)
        outer = RetryLayer(None)
        if turn:
            RetryLayer(outer).retries()
        token = current.set(Context(trio.current_time() + 2.0, retries=outer))
        try:
            await two.ref("one.clerk").ask(Echo(1))
        finally:
            current.reset(token)
        assert may == [retried_there]
        assert standing(outer) == 2


async def test_n3_a_proxy_that_is_stopped_has_not_delivered_what_it_holds() -> None:
    """Clause N3."""
    async with linked() as (one, two, _), trio.open_nursery() as nursery:
        asks, pool = Asks(nursery), two.ref("one.pool")
        for number in range(6):
            asks.start(str(number), pool, Hold())
        await trio.sleep(0.1)
        links = two.system.ref("links")
        await links.ask(TerminateChild("one:one.pool"), timeout_s=30)
        undelivered = [each for each in asks.outcomes.values() if isinstance(each, ActorDown)]
        assert [each.outcome for each in undelivered] == [Outcome.NOT_DELIVERED] * 2
        one.pool.go.set()
    assert list(asks.outcomes.values()).count("") == 4


async def test_n3_a_proxy_that_is_restarted_keeps_what_was_sent() -> None:
    """Clause N3."""
    async with linked() as (one, two, _), trio.open_nursery() as nursery:
        asks, clerk = Asks(nursery), two.ref("one.clerk")
        asks.start("mine", clerk, Hold("mine"))
        await trio.sleep(0.1)
        clerk.kill()
        await trio.sleep(0.1)
        one.clerk.go.set()
    assert asks.outcomes == {"mine": "mine"}


async def test_n4_casts_that_cannot_be_delivered_are_dead_letters_where_that_is_known() -> None:
    """Clause N4."""
    async with linked() as (one, two, network):
        assert two.ref("one.absent").tell(Note(1))
        await trio.sleep(0.1)
        assert one.system.dead_letters.counts[DeadReason.NOT_RUNNING] == 1
        network.cut()
        await wait_all_tasks_blocked()
        assert two.ref("one.clerk").tell(Note(2))
        await wait_all_tasks_blocked()
        assert two.system.dead_letters.counts[DeadReason.NOT_RUNNING] == 1


async def test_n8_a_full_mailbox_that_waits_holds_up_only_what_is_meant_for_it() -> None:
    """Clause N8."""
    wide = attrs.evolve(LIMITS, window=2000, mailbox=2000)
    async with linked(limits=wide) as (one, two, _), trio.open_nursery() as nursery:
        clerk = two.ref("one.clerk")
        nursery.start_soon(clerk.ask, Hold("first"))
        await trio.sleep(0.1)
        for number in range(1100):
            assert clerk.tell(Note(number))
        await trio.sleep(0.1)
        assert one.ref("one.clerk").mailbox().depth == 1024
        assert await two.ref("one.pool").ask(Echo(1)) == 1
        one.clerk.go.set()
        assert await clerk.ask(Notes()) == tuple(range(1100))


async def test_n9_statistics_and_state_tell_how_the_links_are() -> None:
    """Clause N9."""
    async with linked() as (one, two, _), trio.open_nursery() as nursery:
        Asks(nursery).start("mine", two.ref("one.clerk"), Hold("mine"))
        await trio.sleep(2.5)
        (of_two,), (of_one,) = two.links.statistics(), one.links.statistics()
        assert (of_two.up, of_two.outstanding, of_two.credit) == (True, 1, 3)
        assert (of_one.serving, of_one.outstanding) == (1, 0)
        assert of_two.round_trip_s is not None
        assert 0 < of_two.round_trip_s < 0.01
        state = await two.ref("one.clerk").get_state()
        assert "one.clerk" in str(state)
        up = two.system.metrics.registry.get_sample_value("loyalnest_link_up", {"peer": "one"})
        assert up == 1.0
        one.clerk.go.set()


# Coroutines


async def _session(two: Shard) -> Any:
    session = two.links.peer("one").session
    assert session is not None
    return session


CALLS: dict[str, Callable[[Shard], Awaitable[Any]]] = {
    "Links.up": lambda two: two.links.up(),
    "Links.listens": lambda two: two.links.listens(),
    "Peer.change": lambda two: two.links.peer("one").change(),
    "Session.drain": lambda two: two.links.peer("one").session.drain(),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("name", CALLS)
async def test_each_can_be_cancelled_at_any_checkpoint_and_harms_nobody(name: str) -> None:
    async with linked() as (_one, two, _):
        for moment in range(4):
            with trio.move_on_after(moment * 0.001):
                await CALLS[name](two)
        with trio.fail_after(10):
            await two.links.up()
        assert await two.ref("one.clerk").ask(Echo(1)) == 1


async def test_each_is_a_checkpoint() -> None:
    async with linked() as (one, two, _):
        with assert_checkpoints():
            await two.links.up()
        with assert_checkpoints():
            await one.links.listens()
        session = await _session(two)
        with assert_checkpoints():
            await session.drain()
        with assert_checkpoints():
            await session.drain()


async def test_entities_asked_together_keep_to_the_bound_of_their_proxy() -> None:
    async with linked() as (_one, two, _):
        region = two.system.entities("one.residents")
        answers = await ask_all((region.ref(str(key)), Echo(key)) for key in range(50))
        assert answers == [(str(key), key) for key in range(50)]


async def test_without_a_link_entities_are_down() -> None:
    async with linked() as (_one, two, network):
        network.refuse(True)
        network.cut()
        await wait_all_tasks_blocked()
        error = await outcome_of(lambda: two.system.entities("one.residents").ref("k").ask(Echo(1)))
        assert isinstance(error, LinkDown)
        assert error.address == "one.residents/k"
