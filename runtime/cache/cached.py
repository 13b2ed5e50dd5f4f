"""Values of one kind, read through two layers: copies in this process, then the shared cache."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, NoReturn, TypeVar

import attrs
import msgspec
import trio

from runtime.cache.handle import CacheHandle
from runtime.cache.port import KEYS_MAX, Presence
from runtime.cache.subscriptions import Missed, Notice
from runtime.parking import monotonic
from runtime.policies.flights import Flight, Flights

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


@attrs.frozen
class _Outdated:
    """The notice that the source of `keys` has changed."""

    sender: str
    keys: tuple[str, ...]


class Cached(Generic[Value]):
    """Cache-aside for values that msgspec can encode as JSON; None is a value, if in the type."""

    def __init__(self, kind: Kind, type_: type[Value] | object, cache: CacheHandle) -> None:
        self._kind = kind
        self._cache = cache
        self._decoder: msgspec.json.Decoder[Value] = msgspec.json.Decoder(type_)
        self._copies: OrderedDict[str, _Copy[Value]] = OrderedDict()
        self._flights: Flights[Value] = Flights()
        self._sender = cache.token()

    async def get(self, key: str, loader: Callable[[], Awaitable[Value]]) -> Value:
        """The value of `key`, from the nearest place that has it.

        Errors and cancellation as in `CacheHandle.load`.
        """
        at_hand = self.peek(key)
        if at_hand is not None:
            await trio.lowlevel.checkpoint()
            return at_hand[0]

        async def load(flight: Flight[Value]) -> Value:
            value = await self._load(key, loader)
            if not flight.outdated:
                # Here, so that nobody comes between the end of the load and the copy.
                self._keep(key, value)
            return value

        return await self._flights.load(key, load)

    def peek(self, key: str) -> tuple[Value] | None:
        """The value of `key` in a tuple of one, if a copy of it is here that may still be read."""
        copy = self._copies.get(key)
        if copy is None or monotonic() - copy.made_at >= self._copy_ttl_s:
            return None
        self._copies.move_to_end(key)
        return (copy.value,)

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
        if not keys:
            await trio.lowlevel.checkpoint()
        for start in range(0, len(keys), KEYS_MAX):
            some = keys[start : start + KEYS_MAX]
            try:
                await self._cache.delete(*map(self._shared, some))
            finally:
                # Until it is deleted there, whoever reads makes a copy of it here once more.
                self._forget(some)
            notice = msgspec.json.encode(_Outdated(self._sender, some))
            await self._cache.publish(self._kind.channel, notice)

    def _forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._copies.pop(key, None)
            self._flights.outdate(key)
        self._cache.outdate(*map(self._shared, keys))

    async def follow(self) -> NoReturn:
        """Forget what other processes outdate, until cancelled."""
        await self._cache.follow(self._kind.channel, self._react)

    def _react(self, notice: Notice | Missed) -> None:
        match notice:
            case Notice(payload):
                try:
                    outdated = msgspec.json.decode(payload, type=_Outdated)
                except msgspec.DecodeError:
                    # Of another version of this program: what it says is not known.
                    outdated = _Outdated("", (*self._copies, *self._flights.keys))
                if outdated.sender != self._sender:
                    self._forget(outdated.keys)
            case Missed():
                self._forget([*self._copies, *self._flights.keys])
