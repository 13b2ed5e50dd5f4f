"""Subscriptions to channels: what has been published, and the word that some of it may be lost."""

from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

BUFFERED = 256
"""Notices kept for a slow subscriber; one more, and all of them become `Missed`."""


@attrs.frozen
class Notice:
    """Something published."""

    payload: bytes


@attrs.frozen
class Missed:
    """Notices may have been lost before this one: the subscriber must look for itself."""


class Subscription:
    """The notices of one channel, for one reader.

    Without a connection it is silent; when the connection is there again, `Missed` comes before
    anything else. The same happens to a reader that falls behind by more than `BUFFERED`.
    """

    def __init__(self) -> None:
        self._waiting: deque[Notice | Missed] = deque()
        self._arrived = trio.Event()
        self._closed = False

    async def receive(self) -> Notice | Missed:
        """Wait for the next notice. Cancelled, it has taken none.

        Raises `trio.EndOfChannel` when the cache was closed and everything has been read.
        """
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self._closed:
                raise trio.EndOfChannel
            await self._arrived.wait()
        notice = self._waiting.popleft()
        if not self._waiting and not self._closed:
            self._arrived = trio.Event()
        return notice

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Notice | Missed:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def put(self, notice: Notice | Missed) -> None:
        if notice == Missed() or len(self._waiting) == BUFFERED:
            self._waiting.clear()
            notice = Missed()
        self._waiting.append(notice)
        self._arrived.set()

    def close(self) -> None:
        self._closed = True
        self._arrived.set()


class Subscriptions:
    """All subscriptions of one process to one cache."""

    def __init__(self) -> None:
        self._by_channel: dict[str, set[Subscription]] = defaultdict(set)
        self._closed = False

    @property
    def channels(self) -> frozenset[str]:
        return frozenset(self._by_channel)

    @contextmanager
    def added(self, channel: str) -> Iterator[Subscription]:
        subscription = Subscription()
        if self._closed:
            subscription.close()
        self._by_channel[channel].add(subscription)
        try:
            yield subscription
        finally:
            self._by_channel[channel].discard(subscription)
            if not self._by_channel[channel]:
                del self._by_channel[channel]

    def publish(self, channel: str, payload: bytes) -> None:
        for subscription in self._by_channel.get(channel, ()):
            subscription.put(Notice(payload))

    def missed(self) -> None:
        """Tell everybody that notices may have been lost."""
        for subscriptions in self._by_channel.values():
            for subscription in subscriptions:
                subscription.put(Missed())

    def close(self) -> None:
        self._closed = True
        for subscriptions in self._by_channel.values():
            for subscription in subscriptions:
                subscription.close()
