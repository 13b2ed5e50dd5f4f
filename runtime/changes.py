"""What has changed, told to those who wait for it in this process, and forgotten at once.

No more than a hint to look again: a change that nobody waits for, one in another process, or one
whose outcome was unknown, is told to nobody.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

Name = tuple[str, ...]
"""What changes, such as a region and the key of an entity."""


class Watch:
    """Hears of every change since it last waited, as one."""

    __slots__ = ("_changed",)

    def __init__(self) -> None:
        self._changed = trio.Event()

    def tell(self) -> None:
        self._changed.set()

    async def wait(self) -> None:
        """Until something has changed since the last time. Cancelled, it keeps what it heard."""
        await self._changed.wait()
        self._changed = trio.Event()


class Changes:
    """Who waits for what. To tell of something that nobody waits for costs next to nothing."""

    def __init__(self) -> None:
        self._watches: dict[Name, set[Watch]] = {}
        self.pass_on: Callable[[Name], object] | None = None
        """Told of every change, for those in other processes; it neither waits nor raises."""

    def __len__(self) -> int:
        return sum(map(len, self._watches.values()))

    def tell(self, *name: str) -> None:
        """Something has changed. Never waits."""
        self.hear(*name)
        if self.pass_on is not None:
            self.pass_on(name)

    def hear(self, *name: str) -> None:
        """As `tell`, of what others in this process know only: it is not passed on."""
        if self._watches:
            for watch in self._watches.get(name, ()):
                watch.tell()

    @contextmanager
    def watching(self, *name: str) -> Iterator[Watch]:
        """Hear of changes from here on, to the end of the block."""
        watch = Watch()
        self._watches.setdefault(name, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[name].discard(watch)
            if not self._watches[name]:
                del self._watches[name]
