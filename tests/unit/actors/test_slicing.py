"""Slices: everything once, in order, and none too heavy."""

from hypothesis import given
from hypothesis import strategies as st

from actors.slicing import in_slices


@given(st.lists(st.integers(0, 12)), st.integers(1, 20))
def test_slices_keep_order_and_weight(weights: list[int], most: int) -> None:
    slices = list(in_slices(weights, lambda weight: weight, most))
    assert [weight for run in slices for weight in run] == weights
    assert all(sum(run) <= most or len(run) == 1 for run in slices)
    assert all(run for run in slices)
