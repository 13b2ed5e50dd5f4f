"""Actors at rest: which of the idle ones keep a task, and which give theirs up.

A task with its coroutine, scopes and nursery is most of what an idle actor takes. An actor that
rests has none; its next message starts one.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Final, Protocol

HELD_MAX: Final = 10_000
"""Actors that keep their tasks whether they are idle or not."""

LOOKS: Final = 4
"""Actors that are looked at whenever there is one more than may keep their tasks."""


class Retired(BaseException):
    """Ends the wait of an idle actor for messages: it is to give up its task.

    No `Exception`, so that no actor's `passes_on` takes it for a failure.
    """


class Holder(Protocol):
    """An actor's life, as far as this is about its task."""

    @property
    def handled(self) -> int:
        """Messages that it has handled."""

    def retire(self) -> bool:
        """Have it give up its task if it is idle; false when it is not."""


class TaskHolders:
    """The actors of one system that have a task which they could do without.

    Up to `limit` of them nothing happens. Beyond, who has nothing to do after its start rests at
    once; and with each one that has, a few are looked at, those that were not for longest first:
    who is idle and has handled nothing since the last look gives up its task. No timer, nothing
    in the way of a message, and always the same order.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: OrderedDict[Holder, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, holder: Holder) -> None:
        """It has a task now."""
        self._seen[holder] = -1

    def discard(self, holder: Holder) -> None:
        """It has none any more."""
        self._seen.pop(holder, None)

    def crowded_by(self, holder: Holder) -> bool:
        """Whether there are enough of them without this one."""
        return len(self._seen) > self._limit and holder in self._seen

    def make_room(self) -> None:
        """Have others give up their tasks where there are too many."""
        if len(self._seen) <= self._limit:
            return
        for holder in list(islice(self._seen, LOOKS)):
            if self._seen[holder] == holder.handled and holder.retire():
                del self._seen[holder]
            else:
                self._seen[holder] = holder.handled
                self._seen.move_to_end(holder)
