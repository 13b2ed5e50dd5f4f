"""Batches of one account: each mutation sees those before, and each key happens once."""

import attrs

from actors.points.messages import EarnForOrder, Receipt, Redeem, Reverse
from actors.points.plan import NO_FACTS, Plan
from actors.points.posting import Moment
from actors.vocabulary import Idempotency, Refusal
from tests.unit.points.account import Account, at


def redeem(key: str, amount: int = 3, fingerprint: str = "a") -> Redeem:
    return Redeem(idempotency=Idempotency(key, fingerprint), amount=amount, reason="reward")


def test_a_mutation_sees_what_the_batch_did_before() -> None:
    account = Account()
    account.earn(5)
    account.redeem(3)
    assert account.refused(account.redeeming(3)) == "insufficient_points"
    assert account.redeem(2).balance.posted == 0


def test_a_refusal_does_not_stop_the_batch() -> None:
    account = Account()
    account.refused(account.redeeming(3))
    assert account.earn(5).sequence == 1


def test_a_key_is_answered_the_same_within_a_batch_and_after_it() -> None:
    account = Account()
    account.earn(10)
    first = account.done(redeem("key"))
    within = account.done(redeem("key"))
    account.wait(1)
    after = account.done(redeem("key"))
    assert within == after == attrs.evolve(first, replayed=True)
    assert account.state.posted == 7


def test_a_key_with_another_request_is_refused_within_a_batch_and_after_it() -> None:
    account = Account()
    account.earn(10)
    account.done(redeem("key"))
    assert account.refused(redeem("key", 4, "b")) == "idempotency_key_reused"
    account.wait(1)
    assert account.refused(redeem("key", 4, "b")) == "idempotency_key_reused"


def test_a_refused_key_is_not_spent() -> None:
    account = Account()
    assert account.refused(redeem("key")) == "insufficient_points"
    account.earn(10)
    assert account.done(redeem("key", 4, "b")).replayed is False


def test_a_client_s_key_never_meets_the_key_of_an_order() -> None:
    account = Account()
    account.earn_for_order(1_000, order_id="7")
    assert account.done(redeem("order:7:earn:0")).replayed is False


def test_a_key_is_answered_again_although_time_has_passed() -> None:
    """The receipt is that of the first time; what came due meanwhile waits."""
    account = Account()
    account.earn(10, expires=5)
    first = account.done(redeem("key"))
    account.wait(9)
    assert account.done(redeem("key")).balance == first.balance
    assert account.settle() == 1


def test_what_is_due_is_posted_before_the_first_mutation_and_only_then() -> None:
    account = Account()
    account.earn(10, expires=5)
    account.earn(10)
    account.wait(6)
    account.redeem(1)
    account.redeem(1)
    kinds = [entry.kind for entry in account.transactions]
    assert kinds == ["earn", "earn", "expiry", "redeem", "redeem"]


def test_a_refusal_posts_nothing_although_something_is_due() -> None:
    account = Account()
    account.earn(10, expires=5)
    account.wait(6)
    before = account.state
    assert isinstance(account.apply(account.redeeming(1)), Refusal)
    assert account.state is before


def test_a_hold_that_ends_as_the_batch_begins_needs_no_look_up() -> None:
    account = Account()
    account.earn(10)
    hold = account.hold(5, expires=1)
    plan = Plan(account.state, Moment(at(2), str), NO_FACTS)
    reply = plan.apply(account.voiding(hold))
    assert isinstance(reply, Refusal)
    assert reply.code == "hold_ended"


def test_an_account_without_history_knows_no_transaction() -> None:
    account = Account()
    reverse = Reverse(idempotency=account.once(), transaction_id="tx-00001")
    assert account.refused(reverse) == "transaction_unknown"


def test_the_same_order_twice_in_a_batch_earns_once() -> None:
    account = Account()
    order = EarnForOrder(order_id="7", total_minor=500, currency="EUR", ordered_at=at(0))
    replies = [account.apply(order) for _ in range(3)]
    assert [isinstance(reply, Receipt) and reply.replayed for reply in replies] == [
        False,
        True,
        True,
    ]
    assert account.state.posted == 5
