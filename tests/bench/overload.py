"""Five times the capacity in an open loop: what is served, the probes, and the end of it."""

import statistics
import sys
from collections.abc import Sequence

import attrs
import msgspec
import trio

from gateway.application import gateway_children
from gateway.messages import LISTENER, GetAddress
from gateway.settings import GatewaySettings
from runtime import ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import DatabaseHandle
from tests.bench.client import CONNECTIONS
from tests.bench.generator import Order, Report, Second, Stream
from tests.bench.harness import Figure, at_most
from tests.bench.product import Product, with_product
from tests.bench.serving import EARN, LISTENING, ROOT, drive, owner_token

BASELINE = 0.5
"""Of the capacity, before and after the overload."""

OVERLOAD = 5.0
PROBES_PER_S = 20.0
FRESH = 0.1
"""Share of the writes that come by new connections."""

RECOVERED_FACTOR = 1.5
RECOVERED_MARGIN_MS = 20.0
SERVED_SHARE = 0.999


@attrs.frozen
class Durations:
    """Seconds of the three phases."""

    before_s: float = 15.0
    overload_s: float = 60.0
    after_s: float = 60.0

    @property
    def phases_s(self) -> tuple[float, float, float]:
        return self.before_s, self.overload_s, self.after_s


@attrs.frozen
class Outcome:
    """What became of a run. Rates are per second; `recovered_s` is inf if it never was.

    `usual_probe_ms` is the longest answer to a probe before the overload. `unanswered` counts the
    writes and probes that were neither served nor refused while there was a connection for them.
    """

    capacity: float
    goodput: float
    refused: float
    probes_answered: float
    probe_p99_ms: float
    probe_max_ms: float
    usual_probe_ms: float
    unanswered: int
    write_p99_ms: float
    baseline_p99_ms: float
    recovered_s: float
    late_ms: float

    @property
    def ratio(self) -> float:
        return self.goodput / self.capacity


def overload() -> list[Figure]:
    outcome = overloaded(Durations())
    return [
        Figure(
            f"POST {EARN} served at {OVERLOAD:g} times the capacity, against the capacity",
            outcome.goodput,
            "requests/s",
            outcome.capacity,
            outcome.ratio,
            "ratio at least 0.8",
            outcome.ratio >= 0.8,
        ),
        at_most("longest answer to a probe meanwhile", outcome.probe_max_ms, "ms", 1_000),
        at_most("p99 of the answers to probes meanwhile", outcome.probe_p99_ms, "ms", None),
        at_most("p99 of the writes that were served", outcome.write_p99_ms, "ms", None),
        at_most("as before again after the overload", outcome.recovered_s, "s", 60),
    ]


def overloaded(durations: Durations) -> Outcome:
    """Find the capacity, then offer half of it, five times as much, and half of it again."""

    async def measure(product: Product) -> Outcome:
        address = await product.system.ref(LISTENER).ask(GetAddress())
        token = owner_token(product.system, product.directory)
        capacity = (await drive("earns", address.port, EARN, token))[0]
        report = await generate(order(address.port, token, capacity, durations))
        return judged(capacity, report, durations)

    return with_product(measure, customers=CONNECTIONS, edge=overload_edge)


def order(port: int, token: str, capacity: float, durations: Durations) -> Order:
    low, high = BASELINE * capacity, OVERLOAD * capacity
    return Order(
        port,
        (
            Stream("writes", earn_request(token), (low, high, low), FRESH),
            Stream("probes", LIVE_REQUEST, (PROBES_PER_S,) * 3, fresh=1.0),
        ),
        durations.phases_s,
    )


LIVE_REQUEST = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def earn_request(token: str, run: int = 0) -> str:
    """One key for each running number of a run: another run says another number, or its requests
    are answered as repetitions."""
    body = '{"customer_id":"customer-{k}","amount":1,"reason":"bench"}'
    length = len(body.replace("{k}", "10"))
    return (
        f"POST {EARN} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n"
        f"Idempotency-Key: load-{run}-{{n}}\r\n\r\n{body}"
    )


async def generate(order: Order) -> Report:
    """What the generator, in a process of its own, reports."""
    done = await trio.run_process(
        [sys.executable, "-m", "tests.bench.generator"],
        stdin=msgspec.json.encode(order),
        capture_stdout=True,
        cwd=ROOT,
    )
    return msgspec.json.decode(done.stdout, type=Report)


def judged(capacity: float, report: Report, durations: Durations) -> Outcome:
    before, during, _ = report.tallies["writes"]
    probes = report.tallies["probes"][1]
    ended = int(durations.before_s + durations.overload_s)
    return Outcome(
        capacity=capacity,
        goodput=during.served / durations.overload_s,
        refused=during.refused / durations.overload_s,
        probes_answered=probes.served / probes.offered,
        probe_p99_ms=probes.p99_ms,
        probe_max_ms=probes.answer_max_ms,
        usual_probe_ms=report.tallies["probes"][0].answer_max_ms,
        unanswered=sum(each.failed + each.timed_out for each in (during, probes)),
        write_p99_ms=during.p99_ms,
        baseline_p99_ms=before.p99_ms,
        recovered_s=recovered_s(report.seconds["writes"], int(durations.before_s), ended),
        late_ms=report.late_ms,
    )


def recovered_s(seconds: Sequence[Second], began: int, ended: int) -> float:
    """Seconds from the end of the overload until everything is served as quickly as before."""
    usual_ms = statistics.median(second.p99_ms for second in seconds[1:began])
    limit_ms = max(RECOVERED_FACTOR * usual_ms, usual_ms + RECOVERED_MARGIN_MS)
    for number, second in enumerate(seconds[ended:]):
        if second.served >= SERVED_SHARE * second.offered and second.p99_ms <= limit_ms:
            return float(number)
    return float("inf")


def overload_edge(handle: DatabaseHandle) -> Sequence[ChildSpec]:
    """The generator stands for many clients, although all of them have its address."""
    listening = attrs.evolve(LISTENING, connections_per_address_max=LISTENING.connections_max)
    return gateway_children(listening, GatewaySettings(), handle, CacheHandle())
