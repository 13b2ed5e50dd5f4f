"""Notices between those who use one store: who listens to which channel in this process."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

BUFFERED = 64
"""Notices kept for a slow listener; what comes then is dropped."""


class Notices:
    """Hands notices to the listeners of this process."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[trio.MemorySendChannel[str]]] = defaultdict(set)

    @property
    def channels(self) -> frozenset[str]:
        """Those somebody listens to."""
        return frozenset(self._listeners)

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[trio.MemoryReceiveChannel[str]]:
        send, receive = trio.open_memory_channel[str](BUFFERED)
        self._listeners[channel].add(send)
        try:
            async with receive:
                yield receive
        finally:
            send.close()
            self._listeners[channel].discard(send)
            if not self._listeners[channel]:
                del self._listeners[channel]

    def publish(self, channel: str, payload: str) -> None:
        for listener in tuple(self._listeners.get(channel, ())):
            with suppress(trio.WouldBlock, trio.BrokenResourceError):
                listener.send_nowait(payload)

    def publish_everywhere(self) -> None:
        """Tell all listeners to look themselves."""
        for channel in self.channels:
            self.publish(channel, "")
