"""Values of one kind, read through two layers: copies in this process, then the shared cache."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, NoReturn, TypeVar

import attrs
import msgspec
import trio

from runtime.cache.handle import CacheHandle
from runtime.cache.port import Presence
from runtime.cache.subscriptions import Missed, Notice
from runtime.parking import monotonic

Value = TypeVar("Value")


@attrs.frozen
class Kind:
    """What is cached, and for how long at most.

    A reader sees a value no later than `local_ttl_s + shared_ttl_s` after it was loaded, should
    every notice be lost. While the cache is away, no notices come either: copies then live
    `blind_ttl_s`, which bounds the reads of the source to one per key, process and such time.
    """

    name: str
    shared_ttl_s: float
    local_ttl_s: float
    blind_ttl_s: float
    copies_max: int

    @property
    def channel(self) -> str:
        return f"outdated.{self.name}"


@attrs.frozen
class _Copy(Generic[Value]):
    value: Value
    made_at: float


class Cached(Generic[Value]):
    """Cache-aside for values that msgspec can encode as JSON; None is a value, if in the type."""

    def __init__(self, kind: Kind, type_: type[Value] | object, cache: CacheHandle) -> None:
        self._kind = kind
        self._cache = cache
        self._decoder: msgspec.json.Decoder[Value] = msgspec.json.Decoder(type_)
        self._copies: OrderedDict[str, _Copy[Value]] = OrderedDict()
        self._outdated = 0

    async def get(self, key: str, loader: Callable[[], Awaitable[Value]]) -> Value:
        """The value of `key`, from the nearest place that has it.

        Errors and cancellation as in `CacheHandle.load`.
        """
        copy = self._copies.get(key)
        if copy is not None and monotonic() - copy.made_at < self._copy_ttl_s:
            await trio.lowlevel.checkpoint()
            self._copies.move_to_end(key)
            return copy.value
        outdated = self._outdated
        value = await self._load(key, loader)
        if outdated == self._outdated:
            self._keep(key, value)
        return value

    @property
    def _copy_ttl_s(self) -> float:
        down = self._cache.presence is Presence.DOWN
        return self._kind.blind_ttl_s if down else self._kind.local_ttl_s

    async def _load(self, key: str, loader: Callable[[], Awaitable[Value]]) -> Value:
        async def encoded() -> bytes:
            return msgspec.json.encode(await loader())

        shared_key, ttl_s = self._shared(key), self._kind.shared_ttl_s
        data = await self._cache.load(shared_key, ttl_s, encoded)
        try:
            return self._decoder.decode(data)
        except msgspec.DecodeError:
            # Written by another version of this program, or by somebody else.
            await self._cache.delete(shared_key)
            return self._decoder.decode(await self._cache.load(shared_key, ttl_s, encoded))

    def _keep(self, key: str, value: Value) -> None:
        self._copies[key] = _Copy(value, monotonic())
        self._copies.move_to_end(key)
        while len(self._copies) > self._kind.copies_max:
            self._copies.popitem(last=False)

    def _shared(self, key: str) -> str:
        return f"{self._kind.name}:{key}"

    async def outdate(self, *keys: str) -> None:
        """The source has changed: forget the keys here, in the shared cache, and everywhere.

        Here it has happened even when this is cancelled.
        """
        self._forget(keys)
        await self._cache.delete(*map(self._shared, keys))
        await self._cache.publish(self._kind.channel, msgspec.json.encode(keys))

    def _forget(self, keys: "tuple[str, ...]") -> None:
        self._outdated += 1
        for key in keys:
            self._copies.pop(key, None)
        self._cache.outdate(*map(self._shared, keys))

    async def follow(self) -> NoReturn:
        """Forget what other processes outdate, until cancelled."""
        await self._cache.follow(self._kind.channel, self._react)

    def _react(self, notice: Notice | Missed) -> None:
        match notice:
            case Notice(payload):
                self._forget(msgspec.json.decode(payload, type=tuple[str, ...]))
            case Missed():
                self._outdated += 1
                self._copies.clear()
