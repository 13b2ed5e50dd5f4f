"""The glance at the first bytes of a request, and the priority that is told from them."""

import pytest

from gateway.application import all_routes
from gateway.priorities import Arrived, Priorities, glance
from gateway.settings import GatewaySettings
from runtime import ActorSystem
from runtime.policies import Priority
from supervisors.health import HealthBoard

BODY = b'{"amount":1}'
POST = b"POST /v1/points/earn?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n"


def post(*headers: bytes, body: bytes = BODY) -> bytes:
    return POST % (len(BODY), b"".join(header + b"\r\n" for header in headers)) + body


def test_a_whole_request_is_recognised_with_its_path() -> None:
    seen = glance(post())
    assert (seen.arrived, seen.method, seen.path) == (Arrived.WHOLE, b"POST", b"/v1/points/earn")
    assert seen.lasting


def test_a_request_without_a_body_ends_with_its_head() -> None:
    assert glance(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").arrived is Arrived.WHOLE


@pytest.mark.parametrize("length", range(1, len(post())))
def test_every_beginning_of_a_request_is_a_part_of_one(length: int) -> None:
    assert glance(post()[:length]).arrived is Arrived.PART


@pytest.mark.parametrize(
    ("header", "lasting"),
    [(b"Connection: close", False), (b"connection: Keep-Alive", True), (b"X: close", True)],
)
def test_a_client_says_whether_the_connection_lasts(header: bytes, lasting: bool) -> None:
    seen = glance(post(header))
    assert seen.arrived is Arrived.WHOLE
    assert seen.lasting is lasting


@pytest.mark.parametrize(
    "data",
    [
        post() + b"GET",
        post(b"Content-Length: 12"),
        post(b"Content-Length: 0"),
        post(b"Transfer-Encoding: chunked"),
        post(b"transfer-encoding : chunked"),
        post(b"Expect: 100-continue"),
        post(b"Upgrade: websocket"),
        post(b"Connection: upgrade"),
        post(b" folded"),
        post(b"\tfolded"),
        post(b"X: a\rContent-Length: 5"),
        post(b"X: a\nContent-Length: 5"),
        post().replace(b"Content-Length: 12", b"Content-Length : 12"),
        post().replace(b"Content-Length: 12", b"Content-Length: +12"),
        post().replace(b"Content-Length: 12", b"Content-Length: 12, 12"),
        post().replace(b"HTTP/1.1", b"HTTP/1.0"),
        post().replace(b"POST /", b"POST http://x/"),
        post().replace(b"POST", b"post"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
        b"",
    ],
)
def test_what_two_readers_could_understand_differently_is_left_to_the_parser(data: bytes) -> None:
    assert glance(data).arrived is Arrived.UNCLEAR


async def test_the_door_knows_the_priority_that_each_route_declares() -> None:
    settings = GatewaySettings()
    routes = all_routes(ActorSystem(), settings, HealthBoard())
    priorities = Priorities(routes)
    for route in routes:
        path = route.path.replace("{", "").replace("}", "-1")
        rank = priorities.of(route.method.encode(), path.encode())
        assert (rank.priority, rank.domain) == (route.priority, route.domain), route.name
    assert {route.priority for route in routes} == set(Priority) - {Priority.WEBHOOKS}


@pytest.mark.parametrize(
    ("method", "path", "priority"),
    [
        (b"GET", b"/health/live", Priority.PROBES),
        (b"HEAD", b"/health/live", Priority.PROBES),
        (b"POST", b"/health/live", Priority.WRITES),
        (b"GET", b"/health/live/", Priority.READS),
        (b"GET", b"/health/liveliness", Priority.READS),
        (b"GET", b"/metrics", Priority.DASHBOARDS),
        (b"GET", b"/docs", Priority.DASHBOARDS),
        (b"POST", b"/v1/points/earn", Priority.WRITES),
        (b"GET", b"/v1/customers/ada/balance", Priority.READS),
        (b"GET", b"/nothing", Priority.READS),
        (b"BREW", b"/nothing", Priority.WRITES),
    ],
)
async def test_nobody_gets_the_priority_of_a_probe_but_a_probe(
    method: bytes, path: bytes, priority: Priority
) -> None:
    priorities = Priorities(all_routes(ActorSystem(), GatewaySettings(), HealthBoard()))
    assert priorities.of(method, path).priority is priority
