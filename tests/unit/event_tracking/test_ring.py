"""The buffer in memory: order, bounds, and who gives way to whom."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from actors.event_tracking.messages import Importance, Parcel
from actors.event_tracking.ring import PARCEL_COST, Ring

LOW, NORMAL, HIGH = Importance.LOW, Importance.NORMAL, Importance.HIGH


def parcel(name: str, importance: Importance = NORMAL, size: int = 100) -> Parcel:
    return Parcel(name, importance, 1, b"x" * size)


SIZE = PARCEL_COST + 100


def test_parcels_are_taken_in_the_order_in_which_they_came_whatever_their_importance() -> None:
    ring = Ring(10 * SIZE)
    came = [parcel("a", HIGH), parcel("b", LOW), parcel("c"), parcel("d", HIGH), parcel("e", LOW)]
    assert [ring.offer(each) for each in came] == [()] * 5
    assert ring.take(2 * SIZE) == came[:2]
    ring.finish()
    assert ring.take(10 * SIZE, HIGH) == [came[3]]
    ring.put_back()
    assert ring.take(10 * SIZE) == came[2:]


def test_the_least_important_give_way_the_latest_first_and_equals_do_not() -> None:
    ring = Ring(3 * SIZE)
    old, late = parcel("old", LOW), parcel("late", LOW)
    for each in (old, late, parcel("normal")):
        ring.offer(each)
    assert ring.offer(parcel("another", LOW)) == (parcel("another", LOW),)
    assert ring.offer(parcel("more")) == [late]
    assert ring.offer(parcel("high", HIGH, 300)) == [old, parcel("more")]
    assert ring.offer(parcel("too much", HIGH, 10_000)) == (parcel("too much", HIGH, 10_000),)
    assert [each.merchant_id for each in ring.take(10 * SIZE)] == ["normal", "high"]


def test_what_was_taken_counts_until_it_is_done_with() -> None:
    ring = Ring(2 * SIZE)
    ring.offer(parcel("a"))
    ring.offer(parcel("b"))
    ring.take(SIZE)
    assert ring.offer(parcel("c")) == (parcel("c"),)
    ring.finish()
    assert ring.offer(parcel("c")) == ()


steps = st.lists(
    st.tuples(st.sampled_from(["offer", "take", "finish", "put back"]), st.sampled_from(Importance),
              st.integers(1, 400)),
    max_size=60,
)  # fmt: skip


@given(steps)
def test_no_parcel_is_lost_doubled_or_beyond_the_bound(
    plan: list[tuple[str, Importance, int]],
) -> None:
    ring, bound = Ring(5 * SIZE), 5 * SIZE
    inside: deque[str] = deque()
    gone: list[str] = []
    for number, (step, importance, size) in enumerate(plan):
        if step == "offer":
            inside.append(str(number))
            for each in ring.offer(parcel(str(number), importance, size)):
                inside.remove(each.merchant_id)
                gone.append(each.merchant_id)
        elif step == "take":
            taken = ring.take(size)
            assert [each.merchant_id for each in taken] == sorted(
                (each.merchant_id for each in taken), key=int
            )
        elif step == "finish":
            for each in ring.take(0):
                inside.remove(each.merchant_id)
            ring.finish()
        else:
            ring.put_back()
        assert 0 <= ring.bytes <= bound
    ring.put_back()
    assert [each.merchant_id for each in ring.take(bound)] == list(inside)
