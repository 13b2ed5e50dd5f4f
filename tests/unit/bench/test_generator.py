"""The open-loop generator, against servers that are quick, slow, full and rude."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.bench.generator import Generator, Order, Report, Stream

pytestmark = pytest.mark.slow

REQUEST = "GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
IDLE_S = 60.0


@contextmanager
def served(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server with a thread for each connection, which ends with its client."""
    threads: list[threading.Thread] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def converse(connection: socket.socket) -> None:
        connection.settimeout(IDLE_S)
        with connection:
            while connection.recv(65_536):
                behave(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=converse, args=(connection,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        acceptor.join()
        for thread in threads:
            thread.join()


def run(port: int, *, fresh: float = 0.0, timeout_s: float = 30.0) -> Report:
    """Twenty arrivals within 0.2 s, and ten more in the second phase."""
    stream = Stream("reads", REQUEST, (100.0, 50.0), fresh)
    return Generator(Order(port, (stream,), (0.2, 0.2), timeout_s)).run()


def test_arrivals_are_counted_by_phase_and_by_what_became_of_them() -> None:
    answers = iter([OK, FULL] * 100)
    with served(lambda connection: connection.sendall(next(answers))) as port:
        first, second = run(port).tallies["reads"]
    assert (first.offered, second.offered) == (20, 10)
    assert first.served + first.refused == 20
    assert second.served + second.refused == 10
    assert first.served > 0 < first.refused


@pytest.mark.parametrize("fresh", [0.0, 1.0])
def test_connections_are_kept_or_closed_as_ordered(fresh: float) -> None:
    connections: set[int] = set()

    def answer(connection: socket.socket) -> None:
        connections.add(connection.getpeername()[1])
        connection.sendall(OK)

    with served(answer) as port:
        first, _ = run(port, fresh=fresh).tallies["reads"]
    assert first.served == 20
    assert (len(connections) == 30) is (fresh == 1.0)


def test_a_server_that_closes_after_its_answer_is_connected_to_anew() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(LAST)
        connection.shutdown(socket.SHUT_RDWR)

    with served(answer) as port:
        first, second = run(port).tallies["reads"]
    assert (first.served, second.served) == (20, 10)


def test_who_is_not_answered_gives_up_and_the_arrivals_go_on() -> None:
    with served(lambda _connection: None) as port:
        first, second = run(port, timeout_s=0.1).tallies["reads"]
    assert (first.offered, first.timed_out) == (20, 20)
    assert (second.offered, second.timed_out) == (10, 10)


def test_a_connection_that_ends_without_an_answer_is_a_failure() -> None:
    def answer(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_RDWR)

    with served(answer) as port:
        first, _ = run(port).tallies["reads"]
    assert first.others == {0: 20}
    assert first.failed == 20


def test_a_stream_without_answers_leaves_the_connections_of_others_alone() -> None:
    """The first connection that asks is never answered, whosever it is."""
    first: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        if connection not in (first or [connection]):
            connection.sendall(OK)
        elif not first:
            first.append(connection)

    streams = tuple(Stream(name, REQUEST, (100.0,), connections_max=1) for name in "ab")
    with served(answer) as port:
        report = Generator(Order(port, streams, (0.2,), 3.0)).run()
    stuck, quick = sorted((report.tallies["a"][0], report.tallies["b"][0]), key=lambda t: t.served)
    assert (stuck.timed_out, stuck.unsent) == (1, stuck.offered - 1)
    assert quick.served >= 1
    assert quick.timed_out == 0
