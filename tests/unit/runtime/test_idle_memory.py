"""What idle actors take, in a process of their own."""

import pytest

from tests.bench.idle_process import measure

COUNT, TASKS_MAX = 10_000, 200
AT_REST_MAX_BYTES = 2_000
"""Measured: 1,400 of a child of a pool, the bytes of its own actor included."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["children", "entities"])
def test_actor_at_rest_takes_less_than_two_kilobytes(kind: str) -> None:
    """Clause L11: a hundred thousand take less than 300 MB, with ten thousand tasks among them."""
    measured = measure(kind, COUNT, TASKS_MAX, timeout_s=60.0)
    assert measured.per_actor_bytes <= AT_REST_MAX_BYTES
    assert measured.peak_mb <= measured.resident_mb + 20
