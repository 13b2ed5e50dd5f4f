"""The order in which workers import the test modules."""

from pathlib import Path

from tests.turns import in_turn

PATHS = [Path(f"test_{letter}.py") for letter in "abcdefg"]


def test_every_worker_imports_all_and_begins_at_another_one() -> None:
    orders = [in_turn(PATHS, worker, 4) for worker in range(4)]
    assert all(sorted(order) == PATHS for order in orders)
    assert [order[0].stem for order in orders] == ["test_a", "test_b", "test_d", "test_f"]
