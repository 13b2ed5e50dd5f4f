"""Each mutation against its outcomes: done, not done, or done at most once; and as it was told."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.history.values import (
    Acknowledged,
    Anomaly,
    Deferred,
    Entry,
    FinalState,
    History,
    Operation,
    Refused,
    Rule,
    amount_of,
    change_of,
)


def check_outcomes(history: History, final: FinalState) -> Iterator[Anomaly]:
    """What is there against what was answered, key by key."""
    attempts: dict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        attempts[operation.key].append(operation)
    entries: dict[str | None, list[Entry]] = defaultdict(list)
    for entry in final.entries:
        entries[entry.key].append(entry)
    for key, operations in attempts.items():
        there = entries.get(key, [])
        yield from _existence(key, operations, there)
        yield from _answers(key, operations)
        for entry in there:
            yield from _faithful(operations, entry)
    for entry in final.entries:
        if entry.key not in attempts:
            yield Anomaly(Rule.UNASKED, entry.transaction_id, f"its key is {entry.key}")
    yield from _keys(final)
    yield from _transaction_ids(final)


def _existence(
    key: str, attempts: Sequence[Operation], there: Sequence[Entry]
) -> Iterator[Anomaly]:
    outcomes = [operation.outcome for operation in attempts]
    if len(there) > 1:
        yield Anomaly(Rule.DUPLICATE, key, f"sequences {[entry.sequence for entry in there]}")
    if not there and any(isinstance(outcome, Acknowledged | Deferred) for outcome in outcomes):
        yield Anomaly(Rule.LOST, key, f"answered {outcomes}")
    if there and all(isinstance(outcome, Refused) for outcome in outcomes):
        yield Anomaly(Rule.PHANTOM, key, f"answered {outcomes}, is {there[0].transaction_id}")


def _answers(key: str, attempts: Sequence[Operation]) -> Iterator[Anomaly]:
    """All answers are the same; one that repeats an earlier one needs an earlier one that may
    have done it."""
    answers = [each for each in attempts if isinstance(each.outcome, Acknowledged)]
    if any(answer.outcome != answers[0].outcome for answer in answers):
        yield Anomaly(Rule.TWO_ANSWERS, key, f"{[answer.outcome for answer in answers]}")
    for answer in answers:
        others = [each for each in attempts if each is not answer]
        others = [each for each in others if each.invoked_at < answer.completed_at]
        refused = bool(others) and all(isinstance(each.outcome, Refused) for each in others)
        if refused and isinstance(answer.outcome, Acknowledged) and answer.outcome.replayed:
            yield Anomaly(Rule.PHANTOM, key, "replayed, though all before it was refused")


def _faithful(attempts: Sequence[Operation], entry: Entry) -> Iterator[Anomaly]:
    asked = attempts[0]
    wanted = (
        asked.account,
        asked.kind.value,
        amount_of(asked.kind, asked.points),
        change_of(asked.kind, asked.points),
    )
    made = (entry.account, entry.kind, entry.amount, entry.change)
    if made != wanted:
        yield Anomaly(Rule.ALTERED, asked.key, f"asked for {wanted}, made {made}")
    kept = (entry.transaction_id, entry.sequence, entry.amount)
    for outcome in (operation.outcome for operation in attempts):
        if isinstance(outcome, Acknowledged):
            told = (outcome.transaction_id, outcome.sequence, outcome.amount)
            if told != kept:
                yield Anomaly(Rule.ALTERED, asked.key, f"told {told}, kept {kept}")


def _keys(final: FinalState) -> Iterator[Anomaly]:
    """An idempotency key is kept exactly for the transactions that have one."""
    made = {entry.key: entry.transaction_id for entry in final.entries if entry.key is not None}
    for key in made.keys() | final.keys.keys():
        if made.get(key) != final.keys.get(key):
            detail = f"the entry is {made.get(key)}, the key says {final.keys.get(key)}"
            yield Anomaly(Rule.KEYS, key, detail)


def _transaction_ids(final: FinalState) -> Iterator[Anomaly]:
    counts = Counter(entry.transaction_id for entry in final.entries)
    for transaction_id, count in counts.items():
        if count > 1:
            yield Anomaly(Rule.DUPLICATE, transaction_id, f"{count} entries")
