"""PostgreSQL swallowed, stranded, killed and slow: answers in time, nothing left, soon back.

Bounds in time are those promised, plus how late this process's own timers were meanwhile.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest
import trio

from runtime import host
from runtime.context import request_context
from runtime.storage import (
    CommitUnknown,
    DatabaseHandle,
    Statement,
    StorageUnavailable,
    Write,
)
from runtime.storage import postgres as postgres_adapter
from tests.integration.storage.far import (
    CONNECTIONS,
    SESSIONS,
    Far,
    all_at_once,
    far_store,
    late_by,
    unavailable,
)
from tests.noise import noise
from tests.proxy import BOTH_WAYS, Direction
from tests.servers import PostgresServer, running, unhurried_postgres
from tests.stores import patient_pipeline

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

LATE_S = 0.2
"""An answer may come so long after its deadline. A second round, or what waits for a connection,
would take longer."""

LINGER_S = 5.0
"""A query may run on the server so long after its caller was answered. That takes a quarter of a
second; one that is not ended takes a minute."""

AT_ONCE_S = 5.0
"""What is told at once takes no time. What waits has a limit of twenty seconds or more."""

RECOVERY_S = 30.0
CONNECT_LIMIT_S = 1.0
WRITE_LIMIT_S = 3.0

DEADLINE_S = 0.3
READERS = CONNECTIONS - 2
CANCELLATIONS = 1_000

TABLE = "CREATE TABLE things (merchant_id TEXT, id BIGINT, PRIMARY KEY (merchant_id, id))"
INSERT = Statement("things.insert", "INSERT INTO things (merchant_id, id) VALUES ($1, $2)", 10)
SLEEPER = (
    "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_sleep({}); RETURN NULL; END $$"
)
SLOW_COMMIT = (
    "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON things"
    " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slowly()"
)
COUNT = "SELECT count(*) FROM things"

SILENCES = {
    "both ways": BOTH_WAYS,
    "to the server": frozenset({Direction.TO_SERVER}),
    "to the client": frozenset({Direction.TO_CLIENT}),
}


@pytest.fixture(scope="module")
def database_url(postgres: PostgresServer) -> str:
    """One for all tests here: a database is hundreds of files."""
    return postgres.new_database()


@pytest.fixture
async def far(postgres: PostgresServer, database_url: str) -> AsyncIterator[Far]:
    async with far_store(postgres, database_url) as far:
        yield far


@pytest.fixture
async def mortal() -> AsyncIterator[Far]:
    """With a server of its own."""
    with running(PostgresServer) as server:
        async with far_store(server, server.url) as far:
            yield far


def read(far: Far) -> Callable[[], Awaitable[Any]]:
    return partial(far.store.fetch, "SELECT 1")


def append(far: Far, id_: int) -> Callable[[], Awaitable[Any]]:
    return partial(far.store.append, [(Write(INSERT, ("m", id_)),)])


async def warm_up(far: Far) -> None:
    """Open all connections."""
    await all_at_once([partial(far.store.fetch, "SELECT pg_sleep(0.05)")] * READERS)
    assert far.store.statistics().idle == READERS


# Black holes


@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
async def test_a_black_hole_answers_readers_by_their_deadline(
    far: Far, silence: str, warm: bool
) -> None:
    if warm:
        await warm_up(far)
    far.proxy.silence(SILENCES[silence])
    async with noise() as machine:
        late_s = await late_by(trio.current_time() + DEADLINE_S, read(far))
    assert late_s < LATE_S + machine.worst_s
    far.proxy.heal()
    assert await far.until_served() < RECOVERY_S
    assert far.store.statistics().in_use == 0


async def test_more_readers_than_connections_are_all_answered_by_their_deadline(far: Far) -> None:
    await warm_up(far)
    far.proxy.silence()
    deadline = trio.current_time() + DEADLINE_S
    late: list[float] = []

    async def note_lateness() -> None:
        late.append(await late_by(deadline, read(far)))

    async with noise() as machine:
        await all_at_once([note_lateness] * 40)
    assert max(late) < LATE_S + machine.worst_s
    far.proxy.heal()
    assert await far.until_served() < RECOVERY_S


async def test_a_black_hole_in_a_running_query_leaves_nothing_on_the_server(far: Far) -> None:
    await warm_up(far)
    deadline = trio.current_time() + 5.01
    async with noise() as machine:

        async def fall_silent() -> None:
            await far.until_asleep("pg_sleep(60)")
            far.proxy.silence()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fall_silent)
            late_s = await late_by(deadline, partial(far.store.fetch, "SELECT pg_sleep(60)"))
        lingered_s = await far.until_idle()
    assert late_s < LATE_S + machine.worst_s
    assert lingered_s < LINGER_S + machine.worst_s


async def test_a_write_in_a_black_hole_is_unknown_at_its_own_limit(far: Far) -> None:
    """It may even be done after the hole, when what the network held back arrives."""
    await far.store.execute(TABLE)
    await append(far, 1)()
    far.proxy.silence()
    begun = trio.current_time()
    async with noise() as machine:
        with pytest.raises(CommitUnknown):
            await append(far, 2)()
    assert trio.current_time() - begun < WRITE_LIMIT_S + LATE_S + machine.worst_s
    far.proxy.heal()
    assert await far.until_done(append(far, 3)) < RECOVERY_S
    assert await far.look("SELECT id FROM things WHERE id <> 2 ORDER BY id") == [1, 3]


async def test_a_black_hole_while_connecting_holds_nobody_up_after_it(
    postgres: PostgresServer, database_url: str
) -> None:
    """Wherever in the handshake it begins, or soon after: eight stores at the same time."""
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(far_store(postgres, database_url)) for _ in range(8)
        ]
        await stores[0].look(TABLE)
        await all_at_once(
            [
                partial(_swallowed_while_connecting, far, 0.02 + number * 0.04, number)
                for number, far in enumerate(stores)
            ]
        )
        await stores[0].until(SESSIONS, lambda counts: counts[0] == 8 + 7)


async def _swallowed_while_connecting(far: Far, after_s: float, number: int) -> None:
    far.proxy.delay(0.02)

    async def fall_silent() -> None:
        await trio.sleep(after_s)
        far.proxy.silence()

    begun = trio.current_time()

    async def append_again_and_again() -> None:
        nonlocal begun
        for id_ in count(number, step=1_000):
            begun = trio.current_time()
            await append(far, id_)()

    async with noise() as machine, trio.open_nursery() as nursery:
        nursery.start_soon(fall_silent)
        with pytest.raises((StorageUnavailable, CommitUnknown)):
            await append_again_and_again()
    took_s = trio.current_time() - begun
    assert took_s < CONNECT_LIMIT_S + WRITE_LIMIT_S + LATE_S + machine.worst_s
    far.proxy.heal()
    assert await far.until_done(append(far, 100 + number)) < RECOVERY_S


# Cancellation and deadlines


async def test_a_query_that_is_too_slow_is_gone_from_the_server(far: Far) -> None:
    await warm_up(far)
    async with noise() as machine:
        deadline = trio.current_time() + DEADLINE_S
        late_s = await late_by(deadline, partial(far.store.fetch, "SELECT pg_sleep(60)"))
        lingered_s = await far.until_idle()
    assert late_s < LATE_S + machine.worst_s
    assert lingered_s < LINGER_S + machine.worst_s


async def test_a_cancelled_query_is_gone_from_the_server(far: Far) -> None:
    async def query() -> None:
        await far.store.fetch("SELECT pg_sleep(60)")

    async with noise() as machine:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(query)
            await far.until_asleep("pg_sleep(60)")
            cancelled_at = trio.current_time()
            nursery.cancel_scope.cancel()
        took_s = trio.current_time() - cancelled_at
        lingered_s = await far.until_idle()
    assert took_s < LATE_S + machine.worst_s
    assert lingered_s < LINGER_S + machine.worst_s


@pytest.mark.parametrize("delay_s", [0.0, 0.002], ids=["near", "far"])
async def test_after_a_thousand_cancellations_every_answer_belongs_to_its_question(
    far: Far, delay_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection in mid-protocol would answer the question before, or none; a cancel request
    that comes too late would hit the next question."""
    unhurried_postgres(monkeypatch)
    if delay_s:
        far.proxy.delay(delay_s, delay_s / 2)
    random = Random(6)
    begun, cancelled, answered, usual_s = 0, 0, 0, 0.006 + 10 * delay_s

    async def ask_and_cancel() -> None:
        nonlocal begun, cancelled, answered
        while cancelled < CANCELLATIONS:
            begun += 1
            number = begun
            # Where hardly anything is answered in time, the machine is busy.
            patience_s = usual_s if answered * 20 >= cancelled else 10 * usual_s
            with trio.move_on_after(random.expovariate(1 / patience_s)) as scope:
                assert await _ask(far, random, number) == number
                answered += 1
            cancelled += scope.cancelled_caught

    await all_at_once([ask_and_cancel] * (READERS * 2))
    far.proxy.heal()
    assert answered > 0
    for number in range(READERS * 4):
        assert await far.store.fetch_value("SELECT CAST($1 AS BIGINT)", number) == number
    statistics = far.store.statistics()
    assert (statistics.in_use, statistics.waiting) == (0, 0)
    assert 1 <= statistics.idle <= READERS
    await far.until(SESSIONS, lambda counts: counts[0] <= CONNECTIONS)


async def _ask(far: Far, random: Random, number: int) -> object:
    """One question in one of the ways of asking; its answer is its number."""
    slow = "SELECT CAST($1 AS BIGINT) FROM pg_sleep(CAST($2 AS FLOAT))"
    seconds = random.choice((0, 0, 0.002, 0.02))
    store = far.store
    match random.randrange(4):
        case 0:
            return await store.fetch_value("SELECT CAST($1 AS BIGINT)", number)
        case 1:
            return await store.fetch_value(slow, number, seconds)
        case 2:
            first, second = await store.fetch_many(
                [(slow, (number, seconds)), ("SELECT CAST($1 AS BIGINT)", (number,))]
            )
            assert first[0][0] == second[0][0]
            return first[0][0]
        case _:
            return (await store.execute(slow, number, seconds))[0][0]


# Connections that are lost


async def test_a_killed_server_is_told_at_once_and_found_again(mortal: Far) -> None:
    await mortal.store.execute(TABLE)
    await warm_up(mortal)
    await trio.to_thread.run_sync(mortal.server.kill)
    for _ in range(50):
        for work in (read(mortal), append(mortal, 1)):
            async with noise() as machine:
                begun = trio.current_time()
                with unavailable():
                    await work()
                took_s = trio.current_time() - begun
            assert took_s < AT_ONCE_S + machine.worst_s
    await trio.to_thread.run_sync(mortal.server.start)
    assert await mortal.until_served() < RECOVERY_S
    await append(mortal, 2)()
    assert await mortal.look(COUNT) == [1]


async def test_readers_that_wait_when_the_server_is_killed_are_told_at_once(mortal: Far) -> None:
    async def wait() -> None:
        with request_context(deadline=trio.current_time() + 20), unavailable():
            await mortal.store.fetch("SELECT pg_sleep(60)")

    async with noise() as machine:
        async with trio.open_nursery() as nursery:
            for _ in range(READERS * 3):
                nursery.start_soon(wait)
            await mortal.until_asleep("pg_sleep(60)")
            await trio.to_thread.run_sync(mortal.server.kill)
            killed_at = trio.current_time()
        took_s = trio.current_time() - killed_at
    assert took_s < AT_ONCE_S + machine.worst_s


async def test_a_frozen_server_answers_by_the_deadline_and_is_found_again(mortal: Far) -> None:
    await warm_up(mortal)
    await trio.to_thread.run_sync(mortal.server.freeze_all)
    async with noise() as machine:
        late = [
            await late_by(trio.current_time() + DEADLINE_S, read(mortal)) for _ in range(READERS)
        ]
    assert max(late) < LATE_S + machine.worst_s
    await trio.to_thread.run_sync(mortal.server.resume_all)
    assert await mortal.until_served() < RECOVERY_S


async def test_half_open_connections_cost_one_deadline_and_are_all_thrown_away(far: Far) -> None:
    await warm_up(far)
    far.proxy.strand()
    async with noise() as machine:
        late_s = await late_by(trio.current_time() + DEADLINE_S, read(far))
    assert late_s < LATE_S + machine.worst_s
    with trio.fail_after(AT_ONCE_S):
        assert await far.store.fetch_value("SELECT 1") == 1
    assert far.store.statistics().discarded == READERS
    await warm_up(far)


async def test_after_a_write_on_a_half_open_connection_readers_have_new_ones(far: Far) -> None:
    await far.store.execute(TABLE)
    await append(far, 1)()
    await warm_up(far)
    far.proxy.strand()
    with trio.fail_after(WRITE_LIMIT_S + AT_ONCE_S), pytest.raises(CommitUnknown):
        await append(far, 2)()
    with trio.fail_after(AT_ONCE_S):
        assert await far.store.fetch_value("SELECT 1") == 1
    assert far.store.statistics().discarded == READERS


async def test_listeners_notice_a_half_open_connection_and_hear_again(far: Far) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(far.store.attend)
        async with far.store.listen("news") as heard:
            far.proxy.strand()
            with trio.fail_after(RECOVERY_S):
                assert await heard.receive() == ""
            await far.until_served()
            await far.store.notify("news", "flour is back")
            with trio.fail_after(RECOVERY_S):
                while not (told := await heard.receive()):  # lost again, where we stood still
                    await far.store.notify("news", "flour is back")
                assert told == "flour is back"
        nursery.cancel_scope.cancel()


# Commits


@pytest.mark.parametrize("killed", [False, True], ids=["reset", "killed"])
async def test_a_connection_lost_in_a_commit_leaves_its_outcome_unknown(
    mortal: Far, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_adapter, "WRITE_TIMEOUT_S", 60.0)
    await mortal.store.execute(TABLE)
    for statement in (SLEEPER.format(4), SLOW_COMMIT):
        await mortal.store.execute(statement)

    async def lose() -> None:
        await mortal.until_asleep("things")
        if killed:
            await trio.to_thread.run_sync(mortal.server.kill)
        else:
            mortal.proxy.reset()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lose)
        with pytest.raises(CommitUnknown):
            await append(mortal, 1)()
    if killed:
        await trio.to_thread.run_sync(mortal.server.start)
        assert await mortal.look(COUNT) == [0]
    else:
        await mortal.until(COUNT, lambda counts: counts == [1])
    await mortal.until_served()
    await append(mortal, 2)()


async def test_a_commit_whose_answer_is_swallowed_is_unknown_at_the_writers_limit(
    far: Far,
) -> None:
    await far.store.execute(TABLE)
    await append(far, 1)()
    for statement in (SLEEPER.format(2), SLOW_COMMIT):
        await far.store.execute(statement)

    async def fall_silent() -> None:
        await far.until_asleep("things")
        far.proxy.silence()

    begun = trio.current_time()
    async with noise() as machine, trio.open_nursery() as nursery:
        nursery.start_soon(fall_silent)
        with pytest.raises(CommitUnknown):
            await append(far, 2)()
    assert trio.current_time() - begun < WRITE_LIMIT_S + LATE_S + machine.worst_s
    await far.until(COUNT, lambda counts: counts == [2])


# Shares


async def test_a_domain_that_hangs_leaves_the_others_their_connections(
    far: Far, monkeypatch: pytest.MonkeyPatch
) -> None:
    unhurried_postgres(monkeypatch)
    handle = DatabaseHandle(patient_pipeline())
    handle.attach(far.store)
    hanging, other = handle.share("campaign"), handle.share("points")
    await far.store.execute(TABLE)

    async def hang() -> None:
        await hanging.fetch("SELECT pg_sleep(60)")

    with request_context(deadline=trio.current_time() + 300):
        async with trio.open_nursery() as nursery:
            for _ in range(READERS * 5):
                nursery.start_soon(hang)
            await far.until_asleep("pg_sleep(60)")
            assert hanging.statistics().waiting > 0
            for number in range(50):
                with trio.fail_after(15):
                    assert await other.fetch_value("SELECT CAST($1 AS BIGINT)", number) == number
                    await other.append([(Write(INSERT, ("m", number)),)])
            nursery.cancel_scope.cancel()
    assert await far.look(COUNT) == [50]
