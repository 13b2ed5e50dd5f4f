"""The checker accepts clean histories and catches every anomaly planted into one."""

from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.history import (
    Acknowledged,
    Anomaly,
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
    check,
)
from tests.history.generated import clean
from tests.history.planted import PLANTS, Plant

ANSWER = Acknowledged("txn-1", 1, 10, Balance(posted=10))
ENTRY = Entry(
    account="ann",
    sequence=1,
    transaction_id="txn-1",
    key="key",
    kind="earn",
    amount=10,
    change=Balance(posted=10),
    balance=Balance(posted=10),
)
DONE = FinalState((ENTRY,), {"ann": Balance(posted=10)}, {"key": "txn-1"})
NOTHING_DONE = FinalState((), {"ann": Balance()}, {})


def earn(outcome: Outcome, invoked_at: float = 0.0) -> Operation:
    return Operation(
        client=0,
        key="key",
        account="ann",
        kind=Kind.EARN,
        points=10,
        invoked_at=invoked_at,
        completed_at=invoked_at + 1,
        outcome=outcome,
    )


def read(posted: int, invoked_at: float) -> Read:
    return Read(
        client=0,
        account="ann",
        invoked_at=invoked_at,
        completed_at=invoked_at + 1,
        balance=Balance(posted=posted),
    )


def rules(history: History, final: FinalState) -> set[Rule]:
    return {anomaly.rule for anomaly in check(history, final)}


@given(st.integers(0, 2**32))
def test_clean_histories_pass(seed: int) -> None:
    assert check(*clean(Random(seed))) == []


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_a_planted_anomaly_is_caught(plant: Plant, seed: int) -> None:
    random = Random(seed)
    try:
        planted = plant(random, *clean(random))
    except (IndexError, ValueError):
        assume(False)
    assert PLANTS[plant] in rules(*planted)


def test_every_rule_has_a_planted_anomaly() -> None:
    assert set(PLANTS.values()) == set(Rule)


def test_generated_histories_have_every_outcome_and_both_fates_of_the_unknown() -> None:
    history, final = clean(Random(1), mutations=200)
    outcomes = {type(operation.outcome) for operation in history.operations}
    assert outcomes == {Acknowledged, Refused, Unknown, Deferred}
    unknown = {op.key for op in history.operations if isinstance(op.outcome, Unknown)}
    assert unknown & final.keys.keys()
    assert unknown - final.keys.keys()


@pytest.mark.parametrize(
    ("outcome", "if_done", "if_not"),
    [
        (ANSWER, set(), {Rule.LOST}),
        (Deferred(), set(), {Rule.LOST}),
        (Unknown("no answer"), set(), set()),
        (Refused("overloaded"), {Rule.PHANTOM}, set()),
    ],
)
def test_an_outcome_says_what_must_be_there(
    outcome: Outcome, if_done: set[Rule], if_not: set[Rule]
) -> None:
    history = History((earn(outcome),))
    assert (rules(history, DONE), rules(history, NOTHING_DONE)) == (if_done, if_not)


def test_a_refusal_and_a_later_success_are_two_things() -> None:
    assert rules(History((earn(Refused("full")), earn(ANSWER, 2))), DONE) == set()


def test_what_the_refused_one_seems_to_have_done_is_a_phantom() -> None:
    again = earn(Acknowledged("txn-1", 1, 10, Balance(posted=10), replayed=True), 2)
    assert rules(History((earn(Refused("full")), again)), DONE) == {Rule.PHANTOM}
    assert rules(History((earn(Unknown("no answer")), again)), DONE) == set()


@pytest.mark.parametrize(
    ("posted", "invoked_at", "allowed"),
    [(0, -2.0, True), (10, -2.0, False), (0, 0.5, True), (10, 0.5, True), (0, 3.0, False)],
)
def test_a_reading_tells_a_balance_of_its_own_time(
    posted: int, invoked_at: float, allowed: bool
) -> None:
    history = History((earn(ANSWER),), (read(posted, invoked_at),))
    assert rules(history, DONE) == (set() if allowed else {Rule.STALE_READ})


def test_an_anomaly_says_what_is_wrong_and_where() -> None:
    assert str(Anomaly(Rule.LOST, "key", "gone")) == (
        "LOST key: an acknowledged or deferred mutation is not there (gone)"
    )
