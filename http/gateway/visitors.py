"""Visitors: connections as the door sees them, with or without anybody who serves them."""

import socket as sockets
from enum import Enum
from typing import Final, Protocol

import trio

from gateway.priorities import Arrived, Glance, glance
from gateway.refusals import overcrowded
from gateway.turned_away import turned_away
from runtime.parking import park, wake
from runtime.policies import Shed
from runtime.policies.shedding import Permit

VISITOR: Final = "visitor"
"""Where a request finds the connection that it came by, in the state of its ASGI scope."""

RECEIVE_BYTES: Final = 65_536

HELD_BYTES: Final = 32_768
"""What the door keeps of a request that is not whole yet. More is let in unseen."""


class Place(Enum):
    """Where a visitor is: OUTSIDE between two requests, WAITING for room or for a refusal, INSIDE
    during a request, GONE after the end."""

    OUTSIDE = "outside"
    WAITING = "waiting"
    INSIDE = "inside"
    GONE = "gone"


class Doorkeeper(Protocol):
    """What visitors need of the door."""

    def watch(self, visitor: "Visitor") -> None: ...

    def ignore(self, visitor: "Visitor") -> None: ...

    def knock(self, visitor: "Visitor", seen: Glance) -> None: ...

    def withdraw(self, visitor: "Visitor") -> None: ...

    def expect_more(self, visitor: "Visitor") -> None: ...

    def welcome(self, visitor: "Visitor") -> None: ...

    def left(self, visitor: "Visitor") -> None: ...

    def refuse_soon(self, visitor: "Visitor", error: Shed) -> None: ...


class Visitor:
    """One connection. The door reads from it, and passes on what it lets in.

    `served` says that a task serves it; before its first request there is none, and a refusal
    costs no more than a few system calls. What comes while a request that was seen whole is
    answered belongs to the next one, and is judged at the door in its turn. `permit` is that of
    the request in hand, until somebody takes it. A `surplus` one came over the bound on
    connections, and with the answer to its `last` request a connection ends. `method` is that of
    the last request that was seen whole; `address` is what the client's counts as. `working` is
    the scope of the work on the request in hand, where that is to end when the client leaves.
    """

    __slots__ = (
        "_door",
        "_ended",
        "_followed",
        "_held",
        "_lasting",
        "_reader",
        "_taken",
        "_waited",
        "_watched",
        "_whole",
        "address",
        "last",
        "method",
        "permit",
        "place",
        "served",
        "socket",
        "surplus",
        "working",
    )

    def __init__(self, door: Doorkeeper, socket: sockets.socket, address: str) -> None:
        self._door = door
        self._held = b""
        self._ended = False
        self._followed = False
        self._lasting = True
        self._reader: trio.lowlevel.Task | None = None
        self._taken = False
        self._waited = True
        self._watched = True
        self._whole = False
        self.address = address
        self.method = b""
        self.permit: Permit | None = None
        self.place = Place.OUTSIDE
        self.served = False
        self.socket = socket
        self.surplus = False
        self.last = False
        self.working: trio.CancelScope | None = None

    @property
    def came_whole(self) -> bool:
        """Whether what was passed on last is exactly one request."""
        return self._whole and self._taken

    def _is_next(self) -> bool:
        """Whether what is held follows the request in hand."""
        return self.came_whole and self._followed

    def ready(self) -> None:
        """There may be something to read, or the end."""
        if not self._watched:
            return
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self._ended = not data
        match self.place:
            case Place.INSIDE:
                self._pass_on(data)
            case Place.OUTSIDE if data:
                self._held = self._held + data if self._held else data
                self._look()
            case Place.OUTSIDE:
                self._leave_or_pass_on()
            case Place.WAITING:
                self._changed_while_waiting(data)

    def _look(self) -> None:
        seen = glance(self._held)
        if seen.arrived is Arrived.WHOLE:
            self._lasting, self.method = seen.lasting, seen.method
            self._whole, self._followed = True, seen.lasting and not self.last
            self._door.knock(self, seen)
            return
        self._whole = False
        if seen.arrived is Arrived.PART and len(self._held) < HELD_BYTES:
            self._door.expect_more(self)
        elif self.surplus:
            self.refuse(overcrowded())
        else:
            self.come_in()

    def _leave_or_pass_on(self) -> None:
        """The client has closed."""
        if self.served:
            self.come_in()
        else:
            self.close()

    def _changed_while_waiting(self, data: bytes) -> None:
        """The client has gone, or says more than can be judged here."""
        self._door.withdraw(self)
        self._held += data
        if data:
            self._whole = False
            self.come_in()
        else:
            self.place = Place.OUTSIDE
            self._leave_or_pass_on()

    def admitted(self, permit: Permit) -> None:
        """There is room for the request."""
        self.permit = permit
        self.come_in()

    def come_in(self) -> None:
        """Pass on what has come, and what will come until the request is answered."""
        self.place = Place.INSIDE
        self._taken = False
        if self.served:
            self._wake()
        else:
            self.served = True
            self._door.welcome(self)

    def come_in_parts(self) -> None:
        """The rest of a request does not come. Whoever serves it has a time for that."""
        if self.surplus:
            self.refuse(overcrowded())
        else:
            self.come_in()

    def shed(self, error: Shed) -> None:
        """There is no room. The client is told when there is time for it."""
        self._door.refuse_soon(self, error)

    def turn_away(self, retry_after_s: int) -> None:
        """Say so, and wait for the next request if there may be one."""
        self.place = Place.OUTSIDE
        self._held = b""
        answer = turned_away(retry_after_s, lasting=self._lasting)
        if not (self._say(answer) and self._lasting) or self.last or self._ended:
            self._end()

    def leave_if_silent(self) -> None:
        """The door closes: who has said nothing leaves, and the others after the next answer."""
        self.last = True
        self.close_if_silent()

    def close_if_silent(self) -> None:
        """Unless a request has come, or a part of one."""
        if self.place is Place.OUTSIDE and not self._held:
            self.close()

    def refuse(self, answer: bytes) -> None:
        """Say no, and that was all."""
        self._say(answer)
        self._end()

    def _say(self, answer: bytes) -> bool:
        """Whether it was sent, which it is unless the client reads nothing."""
        try:
            return self.socket.send(answer) == len(answer)
        except OSError:
            return False

    def say(self, answer: bytes) -> bytes:
        """Send without waiting; what the client does not take now. To one that has left, nothing:
        whoever reads hears of that."""
        try:
            return answer[self.socket.send(answer) :]
        except (BlockingIOError, InterruptedError):
            return answer
        except OSError:
            return b""

    def _end(self) -> None:
        """After the last answer. Who serves it sees the end of what the client says."""
        if self.served:
            self._ended = True
            self.come_in()
        else:
            self.close()

    def answered(self, *, between_requests: bool) -> None:
        """A request is over. The next one is met outside, unless a part of it has come in.

        After the `last` one the connection ends.
        """
        self.abandon()
        if self.last:
            self._end()
        elif self.place is not Place.INSIDE:
            return
        elif not between_requests:
            self._whole = False
            if self._held:
                self._wake()
        elif self._held and self._is_next():
            self.place = Place.OUTSIDE
            self._go_on_reading()
            self._look()
        elif not self._held and not self._ended:
            self.place = Place.OUTSIDE

    def take_permit(self) -> Permit | None:
        permit, self.permit = self.permit, None
        return permit

    def abandon(self) -> None:
        """Give back a permit that nobody took: no request came of it."""
        permit = self.take_permit()
        if permit is not None:
            permit.abandon()

    async def receive(self) -> bytes:
        """What the client sent; empty at the end. Raises `trio.ClosedResourceError` once closed.

        Where nothing had to be waited for, a checkpoint all the same, but for the first time.
        Cancelled, nothing is lost.
        """
        if not self._waited and self._held and not self._is_next():
            await trio.lowlevel.checkpoint()
        while not self._held or self._is_next():
            if self.place is Place.GONE:
                raise trio.ClosedResourceError("this connection was closed here")
            if self._ended and not self._held:
                return b""
            await self._wait()
        return self._take()

    def _go_on_reading(self) -> None:
        if not self._watched and not self._ended:
            self._watched = True
            self._door.watch(self)

    async def _wait(self) -> None:
        if not self._held:
            self._go_on_reading()
        self._waited = True
        task = self._reader = trio.lowlevel.current_task()
        task.custom_sleep_data = self
        try:
            await park()
        finally:
            self._reader = None

    def _take(self) -> bytes:
        data, self._held = self._held, b""
        self._taken, self._waited = True, False
        return data

    def _pass_on(self, data: bytes) -> None:
        self._held += data
        if self._reader is not None and not (self._held and self._is_next()):
            self._wake()
        elif len(self._held) >= RECEIVE_BYTES or not data:
            self._pause()
            self._stop_work()

    def _stop_work(self) -> None:
        """Nobody is there to be answered any more. What was sent before the end is answered."""
        if self.working is not None and self._ended and not self._held:
            self.working.cancel()

    def _pause(self) -> None:
        """Nobody reads: leave the rest to the kernel, which then slows the client down."""
        if self._watched:
            self._watched = False
            self._door.ignore(self)

    def _wake(self) -> None:
        if self._ended:
            self._pause()
        reader = self._reader
        if reader is not None:
            wake(reader, self)

    def close(self) -> None:
        """Close now. Who reads gets `trio.ClosedResourceError`. Does nothing once closed."""
        if self.place is Place.GONE:
            return
        if self.place is Place.WAITING:
            self._door.withdraw(self)
        self.place, self._ended = Place.GONE, True
        self._held = b""
        self._pause()
        self._stop_work()
        self.abandon()
        trio.lowlevel.notify_closing(self.socket)
        self.socket.close()
        self._wake()
        self._door.left(self)
