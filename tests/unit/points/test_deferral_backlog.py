"""The backlog of deferred earnings: who is next, what may be acknowledged, what is found."""

from datetime import UTC, datetime, timedelta
from math import inf

import attrs
import pytest

from actors.points.deferral_backlog import PER_ACCOUNT, RECENT, ROUND, Backlog, Waiting
from actors.points.deferral_messages import Deferral, DeferralStatus
from actors.points.deferral_receipts import KEPT, Receipts
from actors.points.deferral_records import DeferredRecord, decode_record, encode_record
from actors.points.deferral_replay import as_promised, clock_stepped_back
from actors.points.messages import AccountKey, Balance, Earn, Receipt
from actors.vocabulary import KEY_REUSED, Idempotency, Refusal, RefusalKind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(number: int, customer: str = "ann", **earn: object) -> DeferredRecord:
    idempotency = Idempotency(f"key-{number}", "print")
    return DeferredRecord(
        deferral_id=f"def_{number}",
        merchant_id="shop",
        customer_id=customer,
        deferred_at=NOON + timedelta(seconds=number),
        earn=Earn(idempotency=idempotency, amount=number, reason="test", **earn),  # type: ignore[arg-type]
    )


def receipt_of(kept: DeferredRecord) -> Receipt:
    amount = kept.earn.amount
    nothing = Balance(posted=0, held=0, available=0, pending=0)
    return Receipt(f"txn_{amount}", kept.customer_id, 1, "earn", amount, nothing, NOON)


def end(backlog: Backlog, waiting: Waiting) -> None:
    kept = waiting.record
    status = DeferralStatus.APPLIED
    deferral = Deferral(kept.deferral_id, "ann", status, kept.deferred_at, NOON, receipt_of(kept))
    backlog.finish(waiting, deferral)


def numbers(groups: list[list[Waiting]]) -> list[list[int]]:
    return [[waiting.sequence for waiting in group] for group in groups]


def test_a_record_comes_back_from_the_disk_as_it_was() -> None:
    whole = record(
        7,
        order_id="o-1",
        effective_at=NOON,
        expires_at=NOON + timedelta(days=9),
        pending_until=NOON,
    )
    assert decode_record(encode_record(whole)) == whole


def test_what_is_done_is_acknowledged_up_to_the_first_that_is_not() -> None:
    backlog = Backlog(10)
    for sequence in (11, 12, 13):
        backlog.add(sequence, record(sequence, f"customer-{sequence}"))
    waiting = {group[0].sequence: group[0] for group in backlog.ready(0)}
    end(backlog, waiting[12])
    assert backlog.done_through == 10
    end(backlog, waiting[11])
    assert backlog.done_through == 12
    end(backlog, waiting[13])
    assert (backlog.done_through, len(backlog), backlog.oldest) == (13, 0, None)


def test_what_arrives_out_of_turn_is_not_acknowledged_before_what_is_missing() -> None:
    backlog = Backlog(0)
    backlog.add(2, record(2))
    ((waiting,),) = backlog.ready(0)
    end(backlog, waiting)
    assert backlog.done_through == 0, "the first may be on the disk already"
    backlog.add(1, record(1))
    assert backlog.done_through == 0
    ((waiting,),) = backlog.ready(0)
    end(backlog, waiting)
    assert backlog.done_through == 2


def test_what_could_not_be_read_holds_nothing_up() -> None:
    backlog = Backlog(0)
    backlog.add(3, record(3))
    backlog.recovered(5)
    assert backlog.done_through == 2
    ((waiting,),) = backlog.ready(0)
    end(backlog, waiting)
    assert backlog.done_through == 5


def test_accounts_take_turns_and_each_keeps_its_order() -> None:
    backlog = Backlog(0)
    for sequence in range(1, 2 * ROUND + 1):
        backlog.add(sequence, record(sequence, "busy"))
    backlog.add(2 * ROUND + 1, record(2 * ROUND + 1, "quiet"))
    busy = list(range(1, PER_ACCOUNT + 1))
    assert numbers(backlog.ready(0)) == [busy, [2 * ROUND + 1]]
    assert numbers(backlog.ready(0)) == [busy, [2 * ROUND + 1]]
    many = Backlog(0)
    for sequence in range(1, 2 * ROUND + 1):
        many.add(sequence, record(sequence, f"customer-{sequence}"))
    first, second = many.ready(0), many.ready(0)
    assert len(first) == len(second) == ROUND
    assert {group[0].sequence for group in first + second} == set(range(1, 2 * ROUND + 1))


def test_an_account_that_failed_waits_and_goes_one_by_one_while_others_go_on() -> None:
    backlog = Backlog(0)
    for sequence in range(1, 5):
        backlog.add(sequence, record(sequence, "bad"))
    backlog.add(5, record(5, "good"))
    backlog.hold(AccountKey("shop", "bad"), until=7.0)
    assert numbers(backlog.ready(6.9)) == [[5]]
    assert backlog.next_at() == -inf
    assert sorted(numbers(backlog.ready(7.0))) == [[1], [5]]
    (good,) = [group[0] for group in backlog.ready(7.0) if group[0].sequence == 5]
    end(backlog, good)
    assert backlog.next_at() == 7.0
    for _ in range(4):
        ((waiting,),) = backlog.ready(8.0)
        end(backlog, waiting)
    assert backlog.next_at() == inf


def test_keys_are_found_while_they_wait_and_only_by_their_own_request() -> None:
    backlog = Backlog(0)
    backlog.add(1, record(1))
    found = backlog.find("shop", Idempotency("key-1", "print"))
    assert isinstance(found, Deferral)
    assert (found.deferral_id, found.status) == ("def_1", DeferralStatus.QUEUED)
    assert backlog.find("shop", Idempotency("key-1", "another")) == KEY_REUSED
    assert backlog.find("rival", Idempotency("key-1", "print")) is None
    assert backlog.get("rival", "def_1") is None
    ((waiting,),) = backlog.ready(0)
    end(backlog, waiting)
    assert backlog.find("shop", Idempotency("key-1", "print")) is None
    receipt = attrs.evolve(receipt_of(record(1)), replayed=True)
    assert backlog.receipts.find("shop", Idempotency("key-1", "print")) == receipt
    assert backlog.receipts.find("shop", Idempotency("key-1", "another")) == KEY_REUSED
    assert backlog.receipts.find("rival", Idempotency("key-1", "print")) is None
    ended = backlog.get("shop", "def_1")
    assert ended is not None
    assert ended.status is DeferralStatus.APPLIED


def test_outcomes_in_memory_are_bounded() -> None:
    backlog = Backlog(0)
    for sequence in range(1, RECENT + 2):
        backlog.add(sequence, record(sequence))
        ((waiting,),) = backlog.ready(0)
        end(backlog, waiting)
    assert backlog.get("shop", "def_1") is None
    assert backlog.get("shop", "def_2") is not None


def test_receipts_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.points.deferral_receipts.RECEIPTS_MAX", 3)
    receipts, kept = Receipts(), [record(number) for number in range(5)]
    for each in (*kept[:3], kept[0], kept[3]):
        receipts.keep("shop", each.earn.idempotency, receipt_of(each), NOON)
    assert len(receipts) == 3
    found = [receipts.find("shop", each.earn.idempotency) is not None for each in kept]
    assert found == [True, False, True, True, False]


def test_receipts_are_forgotten_in_time() -> None:
    receipts = Receipts()
    for number in range(4):
        kept = record(number)
        at = NOON + timedelta(minutes=number)
        receipts.keep("shop", kept.earn.idempotency, receipt_of(kept), at)
    receipts.forget(NOON + timedelta(minutes=2))
    found = [receipts.find("shop", Idempotency(f"key-{n}", "print")) for n in range(4)]
    assert [each is not None for each in found] == [False, False, True, True]
    receipts.forget(NOON + KEPT)
    assert len(receipts) == 0


def test_what_was_refused_leaves_no_receipt_and_what_is_applied_then_does() -> None:
    backlog = Backlog(0)
    key = record(1).earn.idempotency
    refusal = Refusal(RefusalKind.NOT_FOUND, "customer_unknown", "nobody")
    for sequence, result in ((1, refusal), (2, receipt_of(record(1)))):
        assert backlog.receipts.find("shop", key) is None
        backlog.add(sequence, attrs.evolve(record(1), deferral_id=f"def_{sequence}"))
        ((waiting,),) = backlog.ready(0)
        status = DeferralStatus.APPLIED if sequence == 2 else DeferralStatus.REFUSED
        ended = Deferral(f"def_{sequence}", "ann", status, NOON, NOON, result)
        backlog.finish(waiting, ended)
    assert backlog.receipts.find("shop", key) is not None


def test_points_count_from_when_they_were_promised() -> None:
    kept = record(30)
    later = NOON + timedelta(minutes=5)
    assert as_promised(kept, later).effective_at == kept.deferred_at
    assert as_promised(kept, NOON).effective_at == NOON, "the clock was set back"
    dated = record(31, effective_at=NOON - timedelta(days=1))
    assert as_promised(dated, later).effective_at == NOON - timedelta(days=1)


def test_a_pending_time_that_has_passed_meanwhile_is_over() -> None:
    kept = record(1, pending_until=NOON + timedelta(minutes=1))
    assert as_promised(kept, NOON + timedelta(minutes=2)).pending_until is None
    assert as_promised(kept, NOON).pending_until == NOON + timedelta(minutes=1)


def test_a_time_of_ours_that_the_account_refuses_is_asked_for_again() -> None:
    """A simulation found it: the clock was set back between the replayer's look and the account's,
    and what had been promised with 202 was refused for good."""
    future = Refusal(
        RefusalKind.INVALID, "time_in_future", "effective_at must not be in the future"
    )
    other = Refusal(RefusalKind.NOT_FOUND, "customer_unknown", "there is no customer")
    assert clock_stepped_back(record(1), future)
    assert not clock_stepped_back(record(1), other)
    assert not clock_stepped_back(record(1, effective_at=NOON), future)
