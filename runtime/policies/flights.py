"""Single flight: whoever wants the same thing at the same time waits for one and the same load."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

import attrs
import trio

Value = TypeVar("Value")


@attrs.define(eq=False)
class Flight(Generic[Value]):
    """One load in progress. `outdated` once what it loads may have changed meanwhile."""

    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    done: trio.Event = attrs.field(factory=trio.Event)
    waiters: int = 0
    values: tuple[Value, ...] = ()
    error: Exception | None = None
    traceback: TracebackType | None = None
    outdated: bool = False

    def result(self) -> Value:
        if self.error is not None:
            raise self.error.with_traceback(self.traceback)
        if not self.values:
            raise RuntimeError("the load was cancelled although somebody waits for it")
        return self.values[0]


class Flights(Generic[Value]):
    """Loads in progress by key. They belong to no waiter: each runs in a task of its own."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight[Value]] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        """What is being loaded."""
        return tuple(self._flights)

    async def load(self, key: str, load: Callable[[Flight[Value]], Awaitable[Value]]) -> Value:
        """The value or the error of the load of `key`; of the one in progress, if there is one.

        `load` sees neither the deadline nor the context of who asked first. Cancelling a waiter
        does not disturb the others; with the last one the load is cancelled.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
            trio.lowlevel.spawn_system_task(self._run, key, flight, load)
        flight.waiters += 1
        try:
            await flight.done.wait()
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.done.is_set():
                self._remove(key, flight)
                flight.scope.cancel()
        return flight.result()

    def outdate(self, key: str) -> None:
        """What is being loaded for `key` may be old: whoever comes from now on loads again."""
        flight = self._flights.get(key)
        if flight is not None:
            flight.outdated = True
            self._remove(key, flight)

    async def _run(
        self,
        key: str,
        flight: Flight[Value],
        load: Callable[[Flight[Value]], Awaitable[Value]],
    ) -> None:
        with flight.scope:
            try:
                flight.values = (await load(flight),)
            except Exception as error:
                flight.error, flight.traceback = error, error.__traceback__
            finally:
                self._remove(key, flight)
                flight.done.set()

    def _remove(self, key: str, flight: Flight[Value]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
