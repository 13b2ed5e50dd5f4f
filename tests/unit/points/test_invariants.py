"""The eleven invariants of the ledger, each over random sequences of mutations.

Every one is checked against the entries alone (`reference`), not the model's own bookkeeping.
"""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby, pairwise

import msgspec
from hypothesis import Phase, given, settings

from actors.points.evolve import evolve
from actors.points.ledger import GENESIS, Posted, Transaction
from actors.points.messages import (
    Balance,
    CaptureHold,
    Earn,
    EarnForOrder,
    PlaceHold,
    Receipt,
    Redeem,
    Reverse,
    VoidHold,
)
from actors.points.plan import fingerprint_of
from actors.points.state import empty
from actors.vocabulary import Refusal
from tests.unit.points.account import KEY, replay
from tests.unit.points.reference import Books, books, points_of, walk
from tests.unit.points.sequences import Done, Run, Step, WaitStep, key, run, sequences

CURRENCY_STEPS = {"EUR": 100, "JPY": 1, "BHD": 1000}
HOLD_ENDS = {"capture", "void", "hold_expiry"}
DEBITS = {"redeem", "reward", "capture", "expiry"}

THOROUGHLY = settings(
    max_examples=100,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
"""Of a failure the shortest sequence that was found."""


@THOROUGHLY
@given(sequences())
def test_invariant_01_postings_sum_to_zero(steps: list[Step]) -> None:
    """Per asset: an account has one, and every transaction of it names it."""
    for entry in run(steps).account.transactions:
        assert entry.asset == "points"
        assert len(entry.postings) >= 2
        assert sum(points for _, points in entry.postings) == 0
        accounts = [account for account, _ in entry.postings]
        assert accounts == sorted(set(accounts)), "one posting for each account, sorted"
        assert all(points for _, points in entry.postings), "no empty postings"


@THOROUGHLY
@given(sequences())
def test_invariant_02_entries_never_change(steps: list[Step]) -> None:
    """What was written stays, byte for byte, and is sealed into a chain without gaps."""
    carried = Run()
    written: list[bytes] = []
    for step in steps:
        carried.take(step)
        now = [_encoded(posted) for posted in carried.account.ledger]
        assert now[: len(written)] == written
        written = now
    _assert_chained(carried.account.ledger)


def _assert_chained(ledger: list[Posted]) -> None:
    head = GENESIS
    for count, (transaction, previous_hash, hash_) in enumerate(ledger, start=1):
        assert transaction.sequence == count
        assert previous_hash == head
        head = sha256(head + msgspec.json.encode(transaction)).digest()
        assert hash_ == head


def _encoded(posted: Posted) -> bytes:
    return msgspec.json.encode(posted.transaction) + posted.previous_hash + posted.hash


@THOROUGHLY
@given(sequences())
def test_invariant_03_one_result_per_key(steps: list[Step]) -> None:
    """The first answer is the answer; a key with another request is refused."""
    carried = run(steps)
    first: dict[str, Done] = {}
    for done in carried.done:
        name = key(done.mutation)
        if name not in first:
            if done.receipt is not None and done.entries:
                first[name] = done
            continue
        assert done.entries == ()
        _assert_answered_again(first[name], done)
    entries = carried.account.transactions
    keys = Counter(entry.idempotency_key or entry.business_key for entry in entries)
    assert {name: count for name, count in keys.items() if name is not None} == dict.fromkeys(
        first, 1
    )


def _assert_answered_again(first: Done, again: Done) -> None:
    if fingerprint_of(first.mutation) != fingerprint_of(again.mutation):
        assert isinstance(again.reply, Refusal)
        assert again.reply.code == "idempotency_key_reused"
        return
    assert isinstance(first.reply, Receipt)
    assert isinstance(again.reply, Receipt)
    assert again.reply.replayed
    for field in ("transaction_id", "sequence", "kind", "amount", "balance", "recorded_at"):
        assert getattr(again.reply, field) == getattr(first.reply, field)


@THOROUGHLY
@given(sequences(overdrafts=False))
def test_invariant_04_available_is_posted_less_held(steps: list[Step]) -> None:
    """Debits and holds succeed exactly when so much is available, and nothing goes below zero."""
    carried = run(steps, settle_first=True)
    entries = carried.account.transactions
    for done in carried.done:
        before = books(entries[: done.before])
        if done.receipt is not None and not done.receipt.replayed:
            after = books(entries[: done.before + len(done.entries)])
            assert done.receipt.balance == _balance(after)
            assert min(after.balances["member"], after.balances["hold"]) >= 0
        if isinstance(done.mutation, Redeem | PlaceHold) and _was_decided(done):
            enough = done.mutation.amount <= _balance(before).available
            assert (done.receipt is not None) == enough
    for _, entry in walk(entries):
        assert entry.member >= 0
        assert entry.hold >= 0


def _was_decided(done: Done) -> bool:
    """Whether it came to what the account has: it was not recognised, nor out of date."""
    if isinstance(done.reply, Receipt):
        return not done.reply.replayed
    return done.reply.code not in {"idempotency_key_reused", "time_too_early"}


def _balance(told: Books) -> Balance:
    posted, held = told.posted, told.balances["hold"]
    return Balance(posted, held, posted - held, told.balances["pending"])


@THOROUGHLY
@given(sequences())
def test_invariant_05_a_hold_ends_once(steps: list[Step]) -> None:
    """Captured (the rest returns, more is refused), voided, or expired when it was due."""
    carried = run(steps, settle_first=True)
    carried.account.settle()
    entries = carried.account.transactions
    stories: dict[str, list[Transaction]] = defaultdict(list)
    for entry in entries:
        if entry.hold_id is not None:
            stories[entry.hold_id].append(entry)
    for story in stories.values():
        _assert_hold_story(story, carried.account.now)
    active = {name for name, story in stories.items() if len(story) == 1}
    assert set(carried.account.state.holds) == active
    for done in carried.done:
        if isinstance(done.mutation, CaptureHold | VoidHold) and _was_decided(done):
            _assert_hold_answer(done, entries[: done.before])


def _assert_hold_story(story: list[Transaction], now: datetime) -> None:
    placed, *ends = story
    assert placed.kind == "hold"
    assert placed.expires_at is not None
    assert points_of(placed, "hold") == placed.amount == -points_of(placed, "member")
    assert len(ends) <= 1
    if not ends:
        assert placed.expires_at > now
        return
    (end,) = ends
    assert end.kind in HOLD_ENDS
    assert points_of(end, "hold") == -placed.amount
    captured = points_of(end, "redemption")
    assert captured == (end.amount if end.kind == "capture" else 0)
    assert captured + points_of(end, "member") == placed.amount
    if end.kind == "hold_expiry":
        assert end.effective_at == placed.expires_at <= end.recorded_at
    else:
        assert end.recorded_at < placed.expires_at


def _assert_hold_answer(done: Done, earlier: list[Transaction]) -> None:
    assert isinstance(done.mutation, CaptureHold | VoidHold)
    told = books(earlier)
    hold_id = done.mutation.hold_id
    held = told.holds.get(hold_id)
    asked = done.mutation.amount if isinstance(done.mutation, CaptureHold) else None
    expected = None
    if held is None:
        expected = "hold_unknown"
    elif held == 0:
        expected = "hold_ended"
    elif asked is not None and asked > held:
        expected = "exceeds_hold"
    assert (done.reply.code if isinstance(done.reply, Refusal) else None) == expected


@THOROUGHLY
@given(sequences())
def test_invariant_06_lots_hold_what_is_posted(steps: list[Step]) -> None:
    """Remainders sum to max(0, posted), and every debit names the lots it takes from."""
    for told, entry in walk(run(steps).account.transactions):
        assert told.outstanding() == max(0, told.posted)
        assert all(lot.left >= 0 for lot in told.lots.values())
        change = points_of(entry, "member", "hold")
        if change < 0:
            assert _moved(entry) == -min(-change, max(0, told.posted))
            assert entry.lot_id is None
        if entry.lot_id is not None:
            assert (entry.lot_amount or 0) + _moved(entry) == change - _filled(told, change)


def _moved(entry: Transaction) -> int:
    return sum(movement.points for movement in entry.movements)


def _filled(told: Books, credit: int) -> int:
    """What of a credit goes into an overdraft."""
    return min(credit, max(0, -told.posted))


@THOROUGHLY
@given(sequences())
def test_invariant_07_earliest_expiry_first(steps: list[Step]) -> None:
    """Then first in first out. What ends is posted as breakage, and nothing ended stays."""
    carried = run(steps)
    carried.account.settle()
    entries = carried.account.transactions
    for told, entry in walk(entries):
        taken = [(movement.lot_id, movement.points) for movement in entry.movements]
        spends = entry.kind in DEBITS or (entry.kind == "adjust" and entry.amount < 0)
        if spends:
            points = -points_of(entry, "member", "hold")
            assert taken == told.greedy(points)
        elif points_of(entry, "member") < 0 and entry.kind == "reversal":
            assert taken == _own_lot_first(told, entry)
        if entry.kind == "expiry":
            _assert_expiry(told, entry)
        elif spends and told.balances["member"] > 0:
            assert not _ended(told, entry.recorded_at), "ended points are not spent"
    for done in carried.done:
        _assert_nothing_ended_is_available(books(entries[: done.before + len(done.entries)]), done)
    final = books(entries)
    assert final.balances["member"] <= 0 or not _ended(final, _time(carried))


def _assert_nothing_ended_is_available(after: Books, done: Done) -> None:
    if done.entries and after.balances["member"] > 0:
        assert not _ended(after, done.entries[-1].recorded_at)


def _own_lot_first(told: Books, entry: Transaction) -> list[tuple[str, int]]:
    """What taking an earning back must take: what is left of it, then what is next."""
    own, points = entry.reverses or "", -points_of(entry, "member")
    from_own = min(points, told.lots[own].left)
    return [(own, -from_own)] * bool(from_own) + told.greedy(points - from_own, without=own)


def _assert_expiry(told: Books, entry: Transaction) -> None:
    first = told.lots[told.due_first()[0]]
    assert first.expires_at is not None
    assert first.expires_at <= entry.effective_at <= entry.recorded_at
    expired = min(first.left, told.balances["member"])
    assert entry.amount == -expired
    assert dict(entry.postings) == {"breakage": expired, "member": -expired}


def _ended(told: Books, now: datetime) -> list[str]:
    dated = [(name, told.lots[name].expires_at) for name in told.due_first()]
    return [name for name, expires_at in dated if expires_at is not None and expires_at <= now]


def _time(carried: Run) -> datetime:
    """The clock, where it did not step back behind the last entry."""
    recorded = [entry.recorded_at for entry in carried.account.transactions]
    return max([carried.account.now, *recorded])


@THOROUGHLY
@given(sequences())
def test_invariant_08_reversals_never_exceed_the_original(steps: list[Step]) -> None:
    """Partial ones add up without drift, and points return to their lots with their dates."""
    carried = run(steps)
    entries = carried.account.transactions
    for done in carried.done:
        if isinstance(done.mutation, Reverse) and _was_decided(done):
            _assert_as_much_as_is_left(done, entries[: done.before])
    by_id = {entry.transaction_id: entry for entry in entries}
    families: dict[str, list[Transaction]] = defaultdict(list)
    for entry in entries:
        if entry.reverses is not None:
            families[entry.reverses].append(entry)
    opened = {entry.lot_id: entry for entry in entries if entry.lot_id is not None}
    for name, reversals in families.items():
        original = by_id[name]
        assert original.kind not in {"reversal", "mature", "expiry", "hold", "void"}
        assert sum(abs(entry.amount) for entry in reversals) <= abs(original.amount)
        _assert_undoes(original, reversals)
        _assert_returned_to_lots(original, reversals, opened)


def _assert_as_much_as_is_left(done: Done, earlier: list[Transaction]) -> None:
    """It takes what was asked for, or the rest; more than the rest is refused."""
    assert isinstance(done.mutation, Reverse)
    named = next((e for e in earlier if e.transaction_id == done.mutation.transaction_id), None)
    if isinstance(done.reply, Refusal):
        assert (done.reply.code == "transaction_unknown") == (named is None)
    if named is None:
        return
    root = named.lot_id if named.kind == "mature" else named.transaction_id
    left = sum(abs(entry.amount) for entry in earlier if entry.transaction_id == root)
    left -= sum(abs(entry.amount) for entry in earlier if entry.reverses == root)
    asked = left if done.mutation.amount is None else done.mutation.amount
    if isinstance(done.reply, Receipt):
        assert abs(done.reply.amount) == asked <= left
    elif done.reply.code in {"already_reversed", "exceeds_original"}:
        assert asked > left or left == 0


def _assert_undoes(original: Transaction, reversals: list[Transaction]) -> None:
    """The outside account gets back what it gave, the member's side gives what it got."""
    ours = {"member", "hold", "pending"}
    (outside,) = {account for account, _ in original.postings} - ours
    was = points_of(original, outside)
    for entry in reversals:
        undone = points_of(entry, outside)
        assert abs(undone) == abs(entry.amount)
        assert undone * was < 0, "the other way round"
        assert points_of(entry, *ours) == -undone
    assert abs(sum(points_of(entry, outside) for entry in reversals)) <= abs(was)


def _assert_returned_to_lots(
    original: Transaction, reversals: list[Transaction], opened: dict[str, Transaction]
) -> None:
    if original.kind not in DEBITS and original.amount > 0:
        return
    taken = {movement.lot_id: -movement.points for movement in original.movements}
    for entry in reversals:
        into = [movement.lot_id for movement in entry.movements]
        open_again = [name for name, left in reversed(taken.items()) if left]
        assert into == open_again[: len(into)], "what was taken last comes back first"
        for movement in entry.movements:
            assert movement.points > 0
            assert movement.expires_at == opened[movement.lot_id].expires_at
            assert movement.sequence == opened[movement.lot_id].sequence
            taken[movement.lot_id] -= movement.points
        if entry.lot_id is not None:
            assert not any(taken.values()), "a new lot only for what came from none"
    assert all(left >= 0 for left in taken.values())


@THOROUGHLY
@given(sequences())
def test_invariant_09_the_balance_is_a_projection(steps: list[Step]) -> None:
    """Replay from zero gives the state at any point, and the entries give its figures."""
    carried = run(steps)
    carried.account.settle()
    ledger = carried.account.ledger
    states = [empty(KEY)]
    for posted in ledger:
        states.append(evolve(states[-1], posted))
    for told, entry in walk([posted.transaction for posted in ledger]):
        _assert_same_figures(told, states[entry.sequence - 1].balance)
        state = states[entry.sequence - 1]
        assert [(lot.lot_id, lot.remaining) for lot in state.lots] == [
            (name, told.lots[name].left) for name in told.due_first()
        ]
        promised = sum(promise.amount for promise in state.promises.values())
        assert promised == told.balances["pending"]
        held = sum(hold.amount for hold in state.holds.values())
        assert held == told.balances["hold"]
    for entry, state in zip(carried.account.transactions, states[1:], strict=True):
        assert (entry.member, entry.hold, entry.pending) == (
            state.member,
            state.hold,
            state.pending,
        )
    for done in carried.done:
        assert done.state == states[done.before + len(done.entries)]
    assert carried.account.state == replay(empty(KEY), ledger)


def _assert_same_figures(told: Books, balance: Balance) -> None:
    assert balance == _balance(told)


@THOROUGHLY
@given(sequences())
def test_invariant_10_integers_and_a_rule_to_compute_again(steps: list[Step]) -> None:
    """Points are whole, and an order's entry keeps the rule, its version and its inputs."""
    carried = run(steps)
    for entry in carried.account.transactions:
        numbers = [entry.amount, entry.member, entry.hold, entry.pending]
        numbers += [points for _, points in entry.postings]
        numbers += [movement.points for movement in entry.movements]
        assert {type(number) for number in numbers} == {int}
        by_rule = (entry.business_key or "").startswith("order:")
        assert (entry.rule is not None) == by_rule
    orders = [done for done in carried.done if isinstance(done.mutation, EarnForOrder)]
    for done in orders:
        _assert_explained(done)


def _assert_explained(done: Done) -> None:
    order, receipt = done.mutation, done.receipt
    assert isinstance(order, EarnForOrder)
    assert receipt is not None
    steps, points = (CURRENCY_STEPS[order.currency], 1)
    if order.rule is not None:
        steps, points = order.rule.per_amount_minor, order.rule.points
    if receipt.replayed:
        return
    expected = (order.total_minor - order.total_minor % steps) // steps * points
    assert receipt.amount == expected
    assert (receipt.kind == "nothing") == (expected == 0)
    if not expected:
        assert done.entries == ()
        return
    (entry,) = [entry for entry in done.entries if entry.business_key is not None]
    assert entry.rule is not None
    assert entry.rule.version == (order.rule.version if order.rule is not None else 0)
    assert (entry.rule.total_minor, entry.rule.per_amount_minor) == (order.total_minor, steps)
    assert (entry.rule.points, entry.rule.rounding) == (points, "down_per_order")


@THOROUGHLY
@given(sequences())
def test_invariant_11_effective_and_recorded_time_are_separate(steps: list[Step]) -> None:
    """Recorded time is the clock and never goes back; effective time is when it counts."""
    carried = run(steps)
    carried.account.settle()
    entries = carried.account.transactions
    for before, after in pairwise(entries):
        assert before.recorded_at <= after.recorded_at
    promised = {entry.transaction_id: entry for entry in entries}
    for entry in entries:
        assert entry.effective_at <= entry.recorded_at
        if entry.kind == "mature":
            assert entry.lot_id is not None
            assert entry.effective_at == promised[entry.lot_id].matures_at
            assert entry.expires_at == promised[entry.lot_id].expires_at
    for done in carried.done:
        if isinstance(done.mutation, Earn) and done.receipt and done.mutation.effective_at:
            (entry,) = [e for e in entries if e.transaction_id == done.receipt.transaction_id]
            assert entry.effective_at == done.mutation.effective_at
    end = _time(carried) + timedelta(seconds=1)
    assert books(e for e in entries if e.effective_at < end) == books(entries)


@THOROUGHLY
@given(sequences(overdrafts=False))
def test_by_effective_time_available_points_were_never_below_zero(steps: list[Step]) -> None:
    """Nothing is dated to when a hold still kept it back, or before it was there."""
    carried = run(steps)
    carried.account.settle()
    entries = sorted(carried.account.transactions, key=lambda entry: entry.effective_at)
    available = 0
    for _, instant in groupby(entries, key=lambda entry: entry.effective_at):
        available += sum(points_of(entry, "member") for entry in instant)
        assert available >= 0


@THOROUGHLY
@given(sequences(overdrafts=False, oddities=False))
def test_settling_late_leads_where_settling_in_time_does(steps: list[Step]) -> None:
    """An account that nobody touched for a while has the same entries, only recorded later."""
    late, in_time = run(steps), Run()
    for step in steps:
        _take_hour_by_hour(in_time, step)
    late.account.settle()
    in_time.account.settle()
    assert _told(in_time.account.transactions) == _told(late.account.transactions)
    assert in_time.account.state.balance == late.account.state.balance


def _take_hour_by_hour(carried: Run, step: Step) -> None:
    """Posting what is due whenever an hour has passed."""
    if not isinstance(step, WaitStep):
        carried.take(step)
        return
    for _ in range(step.hours):
        carried.take(WaitStep(hours=1))
        carried.account.settle()
    carried.account.commit()


def _told(entries: list[Transaction]) -> list[tuple[str, int, datetime]]:
    return [(entry.kind, entry.amount, entry.effective_at) for entry in entries]
