"""The flow of an import against a sink of our own, in virtual time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.core.messages import Order, OrderStatus, RowError
from actors.points.messages import EarnRule
from actors.vocabulary import Refusal, RefusalKind
from cli.errors import CommandFailed
from cli.importing.checkpoint import Checkpoint, CheckpointFile
from cli.importing.pipeline import ATTEMPTS, BACKLOG_STALLED_S, IN_FLIGHT, Pipeline, StaleCheckpoint
from cli.importing.reader import Batch
from cli.importing.report import ErrorReport
from cli.importing.tally import Outcome, Tally
from runtime import MailboxFull

RULE = EarnRule(1, "USD", 2, 100, None)


@attrs.define
class Shop:
    """A sink that takes `delay_s` a batch, the later the faster, and fails `failures` times."""

    delay_s: float = 1.0
    failures: int = 0
    refuse: str = ""
    backlogs: list[int] = attrs.field(factory=list)
    recorded: dict[str, Order] = attrs.field(factory=dict)
    sends: int = 0
    under_way: int = 0
    most_under_way: int = 0

    async def prepare(self, currency: str) -> str | None:
        return None

    async def send(self, orders: Sequence[Order]) -> list[Outcome]:
        self.sends += 1
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        await trio.sleep(self.delay_s / self.sends)
        self.under_way -= 1
        if self.sends <= self.failures:
            raise MailboxFull("orders", None, "no room")
        return [self._record(order) for order in orders]

    def _record(self, order: Order) -> Outcome:
        if order.order_id == self.refuse:
            return Refusal(RefusalKind.CONFLICT, "order_conflict", "not like before")
        if order.order_id in self.recorded:
            return OrderStatus.DUPLICATE
        self.recorded[order.order_id] = order
        return OrderStatus.RECORDED

    async def backlog(self) -> int | None:
        await trio.lowlevel.checkpoint()
        return self.backlogs.pop(0) if len(self.backlogs) > 1 else self.backlogs[0]

    async def earn_rule(self, currency: str) -> EarnRule | None:
        return None


class Blind:
    """A view that shows nothing."""

    def reading(self, position: int, size: int, tally: Tally) -> None:
        pass

    def crediting(self, backlog: int) -> None:
        pass


def batch(number: int, *, errors: tuple[RowError, ...] = ()) -> Batch:
    """Two orders of 1.50 on lines 10n and 10n+1."""
    orders = tuple(
        Order(f"o-{number}-{n}", f"c{number}", datetime(2024, 1, 1, tzinfo=UTC), "USD", 150, 1)
        for n in range(2)
    )
    return Batch(number, orders, (10 * number, 10 * number + 1), errors, number)


BATCHES = [batch(number) for number in range(10)]


def pipeline(tmp_path: Path, shop: Shop) -> Pipeline:
    return Pipeline(
        shop,
        ErrorReport(tmp_path / "orders.errors.csv"),
        CheckpointFile(tmp_path, "0" * 64, "m", "USD"),
        Blind(),
        10,
        RULE,
    )


async def test_batches_are_sent_a_few_at_a_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    shop = Shop()
    flow = pipeline(tmp_path, shop)
    await flow.run(BATCHES, None)
    assert shop.most_under_way == IN_FLIGHT
    assert (flow.tally.rows, flow.tally.recorded, flow.tally.points) == (20, 20, 40)
    assert flow.tally.total_minor == {"USD": 3000}
    assert len(flow.customers) == 10


async def test_a_busy_other_side_is_asked_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    flow = pipeline(tmp_path, Shop(failures=ATTEMPTS - 1))
    await flow.run(BATCHES, None)
    assert flow.tally.recorded == 20


async def test_an_other_side_that_stays_away_ends_the_import(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    flow = pipeline(tmp_path, Shop(failures=10_000))
    with pytest.RaisesGroup(pytest.RaisesExc(CommandFailed, match="run the same command to go on")):
        await flow.run(BATCHES, None)


async def test_the_report_follows_the_file_though_answers_come_out_of_order(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    bad = RowError(25, "total", "x", "not a number")
    batches = [batch(1), batch(2, errors=(bad,)), batch(3)]
    flow = pipeline(tmp_path, Shop(refuse="o-1-1"))
    await flow.run(batches, None)
    assert (tmp_path / "orders.errors.csv").read_text().splitlines() == [
        "line,column,value,reason",
        "11,order_id,o-1-1,not like before",
        "25,total,x,not a number",
    ]
    assert (flow.tally.rows, flow.tally.errors) == (7, 2)


async def test_what_a_checkpoint_covers_is_not_sent_but_for_its_last_batch(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    shop = Shop()
    await pipeline(tmp_path, shop).run(BATCHES[:4], None)
    shop.sends = 0
    flow = pipeline(tmp_path, shop)
    await flow.run(BATCHES, Checkpoint(4, Tally(rows=8, recorded=8), 0))
    assert shop.sends == 1 + 6
    assert (flow.tally.rows, flow.tally.recorded, flow.tally.duplicates) == (20, 20, 0)


async def test_a_checkpoint_of_another_store_is_found_out_and_nothing_is_counted_twice(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    flow = pipeline(tmp_path, Shop())
    with pytest.RaisesGroup(StaleCheckpoint):
        await flow.run(BATCHES, Checkpoint(4, Tally(rows=8, recorded=8), 0))
    flow.start_over()
    await flow.run(BATCHES, None)
    assert (flow.tally.recorded, flow.tally.duplicates) == (20, 0)


async def test_a_checkpoint_is_kept_while_the_import_runs(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    flow = pipeline(tmp_path, Shop())
    await flow.run(BATCHES[:3], None)
    saved = flow.checkpoints.load()
    assert saved is not None
    assert 1 <= saved.batches <= 3
    assert saved.tally.recorded == 2 * saved.batches


async def test_a_damaged_checkpoint_counts_as_none(tmp_path: Path) -> None:
    checkpoints = CheckpointFile(tmp_path, "0" * 64, "m", "USD")
    checkpoints.save(Checkpoint(1, Tally(), 0))
    (saved,) = (tmp_path / "imports").iterdir()
    saved.write_bytes(saved.read_bytes()[:-5])
    assert checkpoints.load() is None


async def test_the_wait_for_points_ends_when_all_are_there(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    backlogs = [3, 2, 1, 0]
    shop = Shop(backlogs=backlogs)
    await pipeline(tmp_path, shop).wait_for_points()
    assert backlogs == [0]


async def test_the_wait_for_points_gives_up_when_nothing_moves(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    with pytest.raises(CommandFailed, match="7 orders still wait"):
        await pipeline(tmp_path, Shop(backlogs=[9, 7])).wait_for_points()
    assert trio.current_time() >= BACKLOG_STALLED_S


async def test_a_cancelled_import_leaves_a_checkpoint_of_what_was_settled(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    shop = Shop(delay_s=4.0)
    flow = pipeline(tmp_path, shop)
    with trio.move_on_after(4.1) as scope:
        await flow.run([batch(number) for number in range(10_000)], None)
    assert scope.cancelled_caught
    saved = flow.checkpoints.load()
    assert saved is not None
    assert saved.tally.recorded <= len(shop.recorded)
