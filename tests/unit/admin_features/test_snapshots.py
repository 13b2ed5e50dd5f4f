"""Snapshots of flags as text: what cannot be read is told apart from what can."""

from hypothesis import given
from hypothesis import strategies as st

from actors.admin_features.records import decoded
from tests.unit.points.test_invariants import THOROUGHLY


@THOROUGHLY
@given(st.binary(max_size=200))
def test_any_bytes_are_a_snapshot_or_a_value_error(data: bytes) -> None:
    try:
        decoded(data)
    except ValueError:
        return
    raise AssertionError("random bytes are no snapshot")
