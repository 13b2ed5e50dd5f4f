"""Anomalies planted into clean histories, each as a store with that one fault would leave them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from random import Random

import attrs

from tests.history.values import (
    Acknowledged,
    Balance,
    Deferred,
    Entry,
    FinalState,
    History,
    Kind,
    Operation,
    Outcome,
    Read,
    Refused,
    Rule,
    Unknown,
    amount_of,
    change_of,
)

Planted = tuple[History, FinalState]

Plant = Callable[[Random, History, FinalState], Planted]
"""Raises `IndexError` where the history has no place for it."""

AFTER_ALL_S = 1000.0


def consistent(entries: Iterable[Entry]) -> FinalState:
    """A final state that is in itself without fault: numbered, with balances and keys."""
    balances: dict[str, Balance] = defaultdict(Balance)
    sequences: dict[str, int] = defaultdict(int)
    made = []
    for entry in entries:
        balances[entry.account] += entry.change
        sequences[entry.account] += 1
        balance, sequence = balances[entry.account], sequences[entry.account]
        made.append(attrs.evolve(entry, sequence=sequence, balance=balance))
    keys = {entry.key: entry.transaction_id for entry in made if entry.key is not None}
    return FinalState(tuple(made), dict(balances), keys)


def told_as_kept(history: History, final: FinalState) -> History:
    """The history whose acknowledgements say what the entries say."""
    kept = {entry.key: entry for entry in final.entries}

    def retold(operation: Operation) -> Operation:
        entry, outcome = kept.get(operation.key), operation.outcome
        if entry is None or not isinstance(outcome, Acknowledged):
            return operation
        answer = attrs.evolve(outcome, sequence=entry.sequence, balance=entry.balance)
        return attrs.evolve(operation, outcome=answer)

    return attrs.evolve(history, operations=tuple(map(retold, history.operations)))


def answered(random: Random, history: History, kind: type[Outcome]) -> Operation:
    """One operation with that outcome, of a key that has no other."""
    keys = [operation.key for operation in history.operations]
    return random.choice(
        [
            operation
            for operation in history.operations
            if isinstance(operation.outcome, kind) and keys.count(operation.key) == 1
        ]
    )


def entry_for(operation: Operation, transaction_id: str) -> Entry:
    """An entry that does what was asked for; it has no place in the sequence yet."""
    return Entry(
        account=operation.account,
        sequence=0,
        transaction_id=transaction_id,
        key=operation.key,
        kind=operation.kind.value,
        amount=amount_of(operation.kind, operation.points),
        change=change_of(operation.kind, operation.points),
        balance=Balance(),
    )


def _without(final: FinalState, key: str) -> list[Entry]:
    return [entry for entry in final.entries if entry.key != key]


def _changed(final: FinalState, old: Entry, new: Entry) -> FinalState:
    entries = tuple(new if entry is old else entry for entry in final.entries)
    return attrs.evolve(final, entries=entries)


def _with(history: History, *operations: Operation) -> History:
    return attrs.evolve(history, operations=(*history.operations, *operations))


def lost_acknowledged(random: Random, history: History, final: FinalState) -> Planted:
    """Gone without a trace, as after a restore from an old copy."""
    lost = answered(random, history, Acknowledged)
    left = consistent(_without(final, lost.key))
    return told_as_kept(history, left), left


def lost_deferred(random: Random, history: History, final: FinalState) -> Planted:
    lost = answered(random, history, Deferred)
    left = consistent(_without(final, lost.key))
    return told_as_kept(history, left), left


def done_twice(random: Random, history: History, final: FinalState) -> Planted:
    twice = answered(random, history, Acknowledged)
    return history, consistent((*final.entries, entry_for(twice, "txn-again")))


def unknown_twice(random: Random, history: History, final: FinalState) -> Planted:
    unknown = answered(random, history, Unknown)
    both = (entry_for(unknown, "txn-x"), entry_for(unknown, "txn-y"))
    return history, consistent((*_without(final, unknown.key), *both))


def one_id_twice(random: Random, history: History, final: FinalState) -> Planted:
    first, second = random.sample(final.entries, 2)
    return history, _changed(
        final, second, attrs.evolve(second, transaction_id=first.transaction_id)
    )


def refused_and_done(random: Random, history: History, final: FinalState) -> Planted:
    refused = answered(random, history, Refused)
    return history, consistent((*final.entries, entry_for(refused, "txn-phantom")))


def refused_and_replayed(random: Random, history: History, final: FinalState) -> Planted:
    """Asked again, it turns out to have been done by the request that was refused."""
    refused = answered(random, history, Refused)
    done = consistent((*final.entries, entry_for(refused, "txn-phantom")))
    entry = done.entries[-1]
    told = Acknowledged(
        entry.transaction_id, entry.sequence, entry.amount, entry.balance, replayed=True
    )
    again = attrs.evolve(
        refused, invoked_at=AFTER_ALL_S, completed_at=AFTER_ALL_S + 1, outcome=told
    )
    return _with(history, again), done


def asked_by_nobody(_random: Random, history: History, final: FinalState) -> Planted:
    foreign = attrs.evolve(
        final.entries[0], transaction_id="txn-foreign", key="foreign", change=Balance(posted=1)
    )
    return history, consistent((*final.entries, foreign))


def another_amount(random: Random, history: History, final: FinalState) -> Planted:
    """Consistent with everything but the request."""
    chosen = random.choice(final.entries)
    more = Balance(chosen.change.posted + 1, chosen.change.held)
    altered = consistent(
        attrs.evolve(entry, amount=entry.amount + 1, change=more) if entry is chosen else entry
        for entry in final.entries
    )
    return told_as_kept(history, altered), altered


def another_id(random: Random, history: History, final: FinalState) -> Planted:
    told = answered(random, history, Acknowledged)
    (entry,) = (entry for entry in final.entries if entry.key == told.key)
    return history, consistent(
        attrs.evolve(each, transaction_id="txn-other") if each is entry else each
        for each in final.entries
    )


def two_results(random: Random, history: History, final: FinalState) -> Planted:
    told = answered(random, history, Acknowledged)
    assert isinstance(told.outcome, Acknowledged)
    other = attrs.evolve(told.outcome, transaction_id="txn-other")
    return _with(history, attrs.evolve(told, outcome=other)), final


def key_forgotten(random: Random, history: History, final: FinalState) -> Planted:
    forgotten = random.choice(sorted(final.keys))
    keys = {key: value for key, value in final.keys.items() if key != forgotten}
    return history, attrs.evolve(final, keys=keys)


def key_without_transaction(_random: Random, history: History, final: FinalState) -> Planted:
    return history, attrs.evolve(final, keys={**final.keys, "key-alone": "txn-nowhere"})


def gap(random: Random, history: History, final: FinalState) -> Planted:
    """A number was skipped: all entries from some place on are one too high."""
    chosen = random.choice(final.entries)
    entries = tuple(
        attrs.evolve(entry, sequence=entry.sequence + 1)
        if entry.account == chosen.account and entry.sequence >= chosen.sequence
        else entry
        for entry in final.entries
    )
    gapped = attrs.evolve(final, entries=entries)
    return told_as_kept(history, gapped), gapped


def one_sequence_twice(random: Random, history: History, final: FinalState) -> Planted:
    chosen = random.choice([entry for entry in final.entries if entry.sequence > 1])
    return history, _changed(final, chosen, attrs.evolve(chosen, sequence=chosen.sequence - 1))


def wrong_balance_of_an_entry(random: Random, history: History, final: FinalState) -> Planted:
    chosen = random.choice(final.entries)
    wrong = attrs.evolve(chosen, balance=chosen.balance + Balance(posted=1))
    return history, _changed(final, chosen, wrong)


def wrong_balance_in_the_end(random: Random, history: History, final: FinalState) -> Planted:
    account = random.choice(sorted(final.balances))
    wrong = final.balances[account] + Balance(held=1)
    return history, attrs.evolve(final, balances={**final.balances, account: wrong})


def spent_twice(random: Random, history: History, final: FinalState) -> Planted:
    """Two spenders of the last points, as two owners of one account would leave them."""
    account = random.choice([name for name, each in final.balances.items() if each.available > 0])
    spends = [
        Operation(
            client=number,
            key=f"spend-{number}",
            account=account,
            kind=Kind.REDEEM,
            points=final.balances[account].available,
            invoked_at=AFTER_ALL_S,
            completed_at=AFTER_ALL_S + 1,
            outcome=Unknown("no answer"),
        )
        for number in range(2)
    ]
    entries = [entry_for(spend, f"txn-{spend.key}") for spend in spends]
    return _with(history, *spends), consistent((*final.entries, *entries))


def stale_answer(random: Random, history: History, final: FinalState) -> Planted:
    """The answer tells the balance before its own change."""
    told = answered(random, history, Acknowledged)
    assert isinstance(told.outcome, Acknowledged)
    change = change_of(told.kind, told.points)
    before = told.outcome.balance + Balance(-change.posted, -change.held)
    stale = attrs.evolve(told, outcome=attrs.evolve(told.outcome, balance=before))
    operations = tuple(stale if each is told else each for each in history.operations)
    return attrs.evolve(history, operations=operations), final


def stale_read(random: Random, history: History, final: FinalState) -> Planted:
    """Long after everything, a balance of before an acknowledged change is read."""
    told = {each.key for each in history.operations if isinstance(each.outcome, Acknowledged)}
    last = {entry.account: entry for entry in final.entries}
    entry = random.choice([entry for entry in last.values() if entry.key in told])
    before = entry.balance + Balance(-entry.change.posted, -entry.change.held)
    read = Read(
        client=0,
        account=entry.account,
        invoked_at=AFTER_ALL_S,
        completed_at=AFTER_ALL_S + 1,
        balance=before,
    )
    return attrs.evolve(history, reads=(*history.reads, read)), final


def reordered(random: Random, history: History, final: FinalState) -> Planted:
    """Two operations, one after the other, in the wrong order; all the rest says the same."""
    once = {each.key: each for each in history.operations}
    pairs = [
        (first, second)
        for first, second in zip(final.entries, final.entries[1:], strict=False)
        for before, after in [(once[first.key or ""], once[second.key or ""])]
        if first.account == second.account
        if isinstance(before.outcome, Acknowledged)
        if before.completed_at < min(_invocations(history, after.key))
    ]
    first, second = random.choice(pairs)
    swap = {first.key: second, second.key: first}
    swapped = consistent(swap.get(entry.key, entry) for entry in final.entries)
    return told_as_kept(history, swapped), swapped


def _invocations(history: History, key: str) -> list[float]:
    return [each.invoked_at for each in history.operations if each.key == key]


PLANTS: dict[Plant, Rule] = {
    lost_acknowledged: Rule.LOST,
    lost_deferred: Rule.LOST,
    done_twice: Rule.DUPLICATE,
    unknown_twice: Rule.DUPLICATE,
    one_id_twice: Rule.DUPLICATE,
    refused_and_done: Rule.PHANTOM,
    refused_and_replayed: Rule.PHANTOM,
    asked_by_nobody: Rule.UNASKED,
    another_amount: Rule.ALTERED,
    another_id: Rule.ALTERED,
    two_results: Rule.TWO_ANSWERS,
    key_forgotten: Rule.KEYS,
    key_without_transaction: Rule.KEYS,
    gap: Rule.GAP,
    one_sequence_twice: Rule.GAP,
    wrong_balance_of_an_entry: Rule.UNBALANCED,
    wrong_balance_in_the_end: Rule.UNBALANCED,
    spent_twice: Rule.OVERDRAWN,
    stale_answer: Rule.STALE_ANSWER,
    stale_read: Rule.STALE_READ,
    reordered: Rule.REORDERED,
}
