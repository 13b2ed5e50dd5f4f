"""An open-loop HTTP load generator in a process of its own: arrivals come when they are due.

`python -m tests.bench.generator` reads an `Order` as JSON from its input and writes a `Report`. A
latency counts from when the arrival was due to the last byte of its answer, whoever was late.
One thread and one selector, because what the generator uses of the machine the server lacks.
"""

import heapq
import selectors
import socket
import sys
import time
from collections import deque
from itertools import count

import attrs
import msgspec

READ_BYTES = 65_536
SPREAD = 37
"""So that new connections do not come in a row."""


class Stream(msgspec.Struct, frozen=True):
    """Arrivals of one kind, as requests with `{n}` in the place of a running number, and `{k}` in
    that of a number of two digits, of which there are `KINDS`.

    `rates` are per second, one for each phase. The `fresh` share comes by new connections, which
    close after the answer; the rest by connections that are kept, as long as no fresh one needs
    their place. A stream has `connections_max` of its own, so that one whose answers are slow
    leaves the others alone.
    """

    name: str
    request: str
    rates: tuple[float, ...]
    fresh: float = 0.0
    connections_max: int = 900


class Order(msgspec.Struct, frozen=True):
    """What to do: `phases_s` are durations. `timeout_s` is how patient the clients are."""

    port: int
    streams: tuple[Stream, ...]
    phases_s: tuple[float, ...]
    timeout_s: float = 5.0


class Tally(msgspec.Struct):
    """Of one stream in one phase, by when the arrival was due. `unsent` found no connection.

    `others` are failures: by status, and 0 for connections that ended. Latencies are those of the
    answers with success; `answer_max_ms` is the longest of any answer at all.
    """

    offered: int = 0
    served: int = 0
    refused: int = 0
    failed: int = 0
    timed_out: int = 0
    unsent: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    answer_max_ms: float = 0.0
    others: dict[int, int] = msgspec.field(default_factory=dict)

    def failed_with(self, status: int) -> None:
        self.failed += 1
        self.others[status] = self.others.get(status, 0) + 1


class Second(msgspec.Struct):
    """What was due in one second of a stream, and became of it."""

    offered: int = 0
    served: int = 0
    p99_ms: float = 0.0


class Report(msgspec.Struct, frozen=True):
    """`tallies` by stream, one for each phase; `seconds` by stream, from the start.

    `late_ms` is by how much the generator itself was late at most.
    """

    tallies: dict[str, list[Tally]]
    seconds: dict[str, list[Second]]
    late_ms: float


KINDS = 22
FIRST_KIND = 10


@attrs.define(eq=False)
class Connection:
    """Carries one request of `stream` at a time, due at `due`, until `busy` is over."""

    socket: socket.socket
    fresh: bool
    stream: int
    due: float = 0.0
    busy: bool = False
    unsent: bytes = b""
    received: bytes = b""


def request_of(stream: Stream, serial: int) -> bytes:
    kind = FIRST_KIND + serial % KINDS
    return stream.request.replace("{n}", str(serial)).replace("{k}", str(kind)).encode()


def percentile(ordered: list[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


class Generator:
    """Follows one order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._selector = selectors.DefaultSelector()
        self._idle: list[list[Connection]] = [[] for _ in order.streams]
        self._open = [0] * len(order.streams)
        self._waiting: deque[tuple[float, Connection, float]] = deque()
        self._numbers = count()
        self._start = 0.0
        self._late_s = 0.0
        phases, streams = len(order.phases_s), len(order.streams)
        self._tallies = [[Tally() for _ in range(phases)] for _ in range(streams)]
        self._latencies: list[list[list[float]]] = [
            [[] for _ in range(phases)] for _ in range(streams)
        ]
        self._seconds: list[list[list[float]]] = [
            [[] for _ in range(int(sum(order.phases_s)) + 1)] for _ in range(streams)
        ]
        self._offered = [[0] * len(seconds) for seconds in self._seconds]
        self._ends = [sum(order.phases_s[: number + 1]) for number in range(phases)]

    def run(self) -> Report:
        """All arrivals, and then their answers, as long as the clients are patient."""
        self._start = time.perf_counter()
        agenda = [(0.0, number) for number in range(len(self._order.streams))]
        heapq.heapify(agenda)
        while agenda or self._waiting:
            now = self._now()
            while agenda and agenda[0][0] <= now:
                due, number = heapq.heappop(agenda)
                following = self._arrive(due, number, now)
                if following < self._ends[-1]:
                    heapq.heappush(agenda, (following, number))
            self._give_up(self._now())
            self._answers(agenda[0][0] if agenda else None)
        for idle in self._idle:
            while idle:
                self._close(idle.pop())
        self._selector.close()
        return self._report()

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _phase(self, due: float) -> int:
        return next(number for number, end in enumerate(self._ends) if due < end)

    def _arrive(self, due: float, number: int, now: float) -> float:
        """One arrival; when the next of its stream is due."""
        stream, phase = self._order.streams[number], self._phase(due)
        rate = stream.rates[phase]
        if not rate:
            return self._ends[phase]
        self._late_s = max(self._late_s, now - due)
        tally = self._tallies[number][phase]
        tally.offered += 1
        self._offered[number][int(due)] += 1
        serial = next(self._numbers)
        fresh = serial * SPREAD % 100 < stream.fresh * 100
        connection = self._connection(number, fresh=fresh)
        if connection is None:
            tally.unsent += 1
        else:
            connection.due, connection.busy = due, True
            connection.unsent = request_of(stream, serial)
            self._waiting.append((now + self._order.timeout_s, connection, due))
            self._send(connection)
        return due + 1 / rate

    def _connection(self, number: int, *, fresh: bool) -> Connection | None:
        idle = self._idle[number]
        if not fresh and idle:
            return idle.pop()
        if self._open[number] >= self._order.streams[number].connections_max:
            if not idle:
                return None
            self._close(idle.pop(0))
        made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.connect_ex(("127.0.0.1", self._order.port))
        connection = Connection(made, fresh, number)
        self._open[number] += 1
        self._selector.register(made, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
        return connection

    def _send(self, connection: Connection) -> None:
        try:
            sent = connection.socket.send(connection.unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._fail(connection)
            return
        connection.unsent = connection.unsent[sent:]
        if not connection.unsent:
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)

    def _answers(self, next_due: float | None) -> None:
        until = next_due if next_due is not None else self._now() + 0.05
        for key, events in self._selector.select(max(0.0, min(until - self._now(), 0.05))):
            connection = key.data
            if events & selectors.EVENT_WRITE and connection.unsent:
                self._send(connection)
            if events & selectors.EVENT_READ and connection.socket.fileno() >= 0:
                self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._fail(connection)
            return
        connection.received += data
        head_end = connection.received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = connection.received[:head_end].lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        if len(connection.received) >= head_end + 4 + length:
            self._answered(connection, int(head[9:12]), closes=b"connection: close" in head)

    def _answered(self, connection: Connection, status: int, *, closes: bool) -> None:
        number, due, now = connection.stream, connection.due, self._now()
        phase = self._phase(due)
        tally, latency_ms = self._tallies[number][phase], (now - due) * 1000
        tally.answer_max_ms = max(tally.answer_max_ms, latency_ms)
        if 200 <= status < 300:
            tally.served += 1
            self._latencies[number][phase].append(latency_ms)
            self._seconds[number][int(due)].append(latency_ms)
        elif status in (429, 503):
            tally.refused += 1
        else:
            tally.failed_with(status)
        connection.busy, connection.received = False, b""
        if closes or connection.fresh:
            self._close(connection)
        else:
            self._idle[number].append(connection)

    def _fail(self, connection: Connection) -> None:
        """The connection ended, in the middle of a request or between two."""
        if connection.busy:
            self._tallies[connection.stream][self._phase(connection.due)].failed_with(0)
        elif connection in self._idle[connection.stream]:
            self._idle[connection.stream].remove(connection)
        self._close(connection)

    def _give_up(self, now: float) -> None:
        while self._waiting:
            until, connection, due = self._waiting[0]
            if connection.busy and connection.due == due:
                if until > now:
                    return
                self._tallies[connection.stream][self._phase(due)].timed_out += 1
                self._close(connection)
            self._waiting.popleft()

    def _close(self, connection: Connection) -> None:
        connection.busy = False
        self._open[connection.stream] -= 1
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _report(self) -> Report:
        names = [stream.name for stream in self._order.streams]
        for tallies, latencies in zip(self._tallies, self._latencies, strict=True):
            for tally, unordered in zip(tallies, latencies, strict=True):
                ordered = sorted(unordered)
                tally.p50_ms, tally.p99_ms = percentile(ordered, 50), percentile(ordered, 99)
                tally.max_ms = ordered[-1] if ordered else 0.0
        seconds = [
            [
                Second(offered, len(latencies), percentile(sorted(latencies), 99))
                for offered, latencies in zip(offers, bins, strict=True)
            ]
            for offers, bins in zip(self._offered, self._seconds, strict=True)
        ]
        return Report(
            dict(zip(names, self._tallies, strict=True)),
            dict(zip(names, seconds, strict=True)),
            self._late_s * 1000,
        )


if __name__ == "__main__":
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.buffer.write(msgspec.json.encode(Generator(order).run()))
