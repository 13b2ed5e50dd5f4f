"""PostgreSQL killed, frozen and cut off under 64 clients: every answer has kept its promise."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import attrs
import pytest
import trio

from tests.history import Balance, check
from tests.integration.jepsen.http import Answer, HttpConnection, NoAnswer
from tests.integration.jepsen.nemesis import Nemesis, Step, at_random, once_each
from tests.integration.jepsen.outcomes import balance_of
from tests.integration.jepsen.program import Program
from tests.integration.jepsen.readback import final_state
from tests.integration.jepsen.workload import ACCOUNTS, PAUSE_S, Client, Record, clients, settle
from tests.proxy import proxied
from tests.servers import PostgresServer, running

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("CHAOS_SEED", "2026"))
LONG_S = 120.0
SERVED = 32
"""Acknowledgements that show that clients are served again."""

SETTLE_S = 240.0
ANOMALIES_SHOWN = 20


def test_every_answer_keeps_its_promise_through_one_fault_of_each_kind(tmp_path: Path) -> None:
    steps = once_each(Random(SEED), calm_s=0.1, lasts_s=0.3)
    record = _torment(tmp_path, steps)
    assert record.outcomes()["Acknowledged"] > 200
    assert _commits_in_doubt(tmp_path) > 0


@pytest.mark.long
def test_every_answer_keeps_its_promise_through_two_minutes_of_faults(tmp_path: Path) -> None:
    steps = at_random(Random(SEED), LONG_S)
    record = _torment(tmp_path, steps)
    assert record.outcomes()["Acknowledged"] > 2_000
    assert _commits_in_doubt(tmp_path) > 5


def _torment(folder: Path, steps: Sequence[Step]) -> Record:
    """Run the clients and the nemesis, heal, read everything back, and check."""
    with (
        running(PostgresServer, with_schema=True) as server,
        proxied(server.socket_path, SEED) as proxy,
    ):
        database = urlsplit(server.migrated_database()).path[1:]
        with Program(folder, server.url_through(proxy.port, database)) as program:
            record = Record()
            served = partial(record.acknowledged, SERVED)
            trial = Trial(program, Nemesis(server, proxy, program.restart, served), record)
            try:
                balances = trio.run(trial.run, steps)
                anomalies = check(record.history(), final_state(server, database, balances))
                assert list(map(str, anomalies[:ANOMALIES_SHOWN])) == []
                assert record.surprises == []
            except BaseException as error:
                error.add_note(trial.report())
                raise
    return record


async def _answered(connection: HttpConnection, path: str) -> Answer:
    """What a path answers, once it does: the machine may be what is slow now."""
    with trio.fail_after(SETTLE_S):
        while True:
            with suppress(NoAnswer):
                answer = await connection.get(path)
                if answer.status == 200:
                    return answer
            await trio.sleep(PAUSE_S)


def _commits_in_doubt(folder: Path) -> int:
    """How often the connection was lost during a commit, by the logs of the program."""
    return sum(log.read_text().count("commit_in_doubt") for log in folder.glob("stderr-*.log"))


@attrs.define(eq=False)
class Trial:
    """One run."""

    program: Program
    nemesis: Nemesis
    record: Record

    async def run(self, steps: Sequence[Step]) -> dict[str, Balance]:
        """The balances in the end."""
        await self.program.register()
        workers = clients(self.record, Random(SEED), self.program.connection)
        await self._work(workers, steps)
        await settle(self.record, workers, SETTLE_S)
        for worker in workers:
            worker.close()
        return await self._read_back()

    async def _work(self, workers: Sequence[Client], steps: Sequence[Step]) -> None:
        """Until the nemesis has done everything."""
        async with trio.open_nursery() as nursery:
            for worker in workers:
                nursery.start_soon(worker.work)
            await self.nemesis.served()
            await self.nemesis.run(steps)
            nursery.cancel_scope.cancel()

    async def _read_back(self) -> dict[str, Balance]:
        connection = self.program.connection()
        balances = {}
        for number in range(ACCOUNTS):
            answer = await _answered(connection, f"/v1/customers/customer-{number}/balance")
            balances[f"customer-{number}"] = balance_of(answer.body)
        verified = await _answered(connection, "/v1/points/verify")
        connection.close()
        assert verified.body["clean"], verified.body
        return balances

    def report(self) -> str:
        """What is needed to understand a failure, and to repeat the schedule."""
        steps = "\n".join(f"  {step}" for step in self.nemesis.done)
        return (
            f"CHAOS_SEED={SEED}; done, the last one perhaps in part:\n{steps}\n"
            f"seconds to recover: {[round(each, 1) for each in self.nemesis.recoveries_s]}\n"
            f"outcomes: {dict(self.record.outcomes())}\n"
            f"log of the program: …{self.program.log_tail()}"
        )
