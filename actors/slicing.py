"""Taking a lot of work in slices that leave room for others."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def in_slices(
    items: Iterable[Item], weight: Callable[[Item], int], most: int
) -> Iterator[list[Item]]:
    """Runs of items that weigh at most `most` together; an item that alone weighs more is a run
    of its own."""
    run: list[Item] = []
    total = 0
    for item in items:
        if run and total + weight(item) > most:
            yield run
            run, total = [], 0
        run.append(item)
        total += weight(item)
    if run:
        yield run
