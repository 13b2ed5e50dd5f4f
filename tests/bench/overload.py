"""Five times the capacity in an open loop: what is served, the probes, and the end of it."""

import statistics
import sys
from collections.abc import Sequence
from math import inf

import attrs
import msgspec
import trio

from gateway.application import gateway_children
from gateway.messages import LISTENER, GetAddress
from runtime import ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import DatabaseHandle
from tests.bench.client import CONNECTIONS
from tests.bench.generator import Order, Report, Second, Stream
from tests.bench.harness import Figure, at_most
from tests.bench.product import Product, with_product
from tests.bench.serving import EARN, LISTENING, ONE_MERCHANT, ROOT, drive, owner_token

BASELINE = 0.5

OVERLOAD = 5.0
PROBES_PER_S = 20.0
WRITE_CONNECTIONS = 800
"""Fewer than the server takes: it hears of the end of one a moment later than the client."""

PROBE_CONNECTIONS = 100
"""Who probes is an orchestrator, whose connections are not those of the clients."""

FRESH = 0.1
"""Share of the writes that come by new connections."""

RECOVERED_FACTOR = 1.5
RECOVERED_MARGIN_MS = 20.0
SERVED_SHARE = 0.999
MOSTLY_SERVED_SHARE = 0.9


@attrs.frozen
class Durations:
    """Seconds of the three phases, and how long a client waits for an answer. `baseline` is what is
    offered before and after, as a share of the capacity."""

    before_s: float = 15.0
    overload_s: float = 60.0
    after_s: float = 60.0
    patience_s: float = 5.0
    baseline: float = BASELINE

    @property
    def phases_s(self) -> tuple[float, float, float]:
        return self.before_s, self.overload_s, self.after_s


@attrs.frozen
class Outcome:
    """What became of a run. Rates are per second, and times are inf for what never was.

    `served_again_s` is from the end of the overload until nearly everything is served again,
    `recovered_s` until all of it is, and as quickly as before. `unanswered` counts the writes and
    probes that were neither served nor refused while there was a connection for them.
    """

    capacity: float
    goodput: float
    refused: float
    probes_answered: float
    probe_p50_ms: float
    probe_p99_ms: float
    probe_max_ms: float
    unanswered: int
    write_p99_ms: float
    baseline_p99_ms: float
    served_again_s: float
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
    """Find the capacity, then offer less than that, five times as much, and less again."""

    async def measure(product: Product) -> Outcome:
        address = await product.system.ref(LISTENER).ask(GetAddress())
        token = owner_token(product.system, product.directory)
        capacity = (await drive("earns", address.port, EARN, token))[0]
        report = await generate(order(address.port, token, capacity, durations))
        return judged(capacity, report, durations)

    return with_product(measure, customers=CONNECTIONS, edge=overload_edge)


def order(port: int, token: str, capacity: float, durations: Durations) -> Order:
    low, high = durations.baseline * capacity, OVERLOAD * capacity
    return Order(
        port,
        (
            Stream("writes", earn_request(token), (low, high, low), FRESH, WRITE_CONNECTIONS),
            Stream("probes", LIVE_REQUEST, (PROBES_PER_S,) * 3, 1.0, PROBE_CONNECTIONS),
        ),
        durations.phases_s,
        durations.patience_s,
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
        probe_p50_ms=probes.p50_ms,
        probe_p99_ms=probes.p99_ms,
        probe_max_ms=probes.answer_max_ms,
        unanswered=sum(each.failed + each.timed_out for each in (during, probes)),
        write_p99_ms=during.p99_ms,
        baseline_p99_ms=before.p99_ms,
        served_again_s=served_again_s(report.seconds["writes"][ended:]),
        recovered_s=recovered_s(report.seconds["writes"], int(durations.before_s), ended),
        late_ms=report.late_ms,
    )


def served_again_s(seconds: Sequence[Second]) -> float:
    """Seconds until there is one in which nearly all that was asked for is served."""
    served = (number for number, each in enumerate(seconds) if _serves(each, MOSTLY_SERVED_SHARE))
    return float(next(served, inf))


def _serves(second: Second, share: float) -> bool:
    return second.offered > 0 and second.served >= share * second.offered


def recovered_s(seconds: Sequence[Second], began: int, ended: int) -> float:
    """Seconds from the end of the overload until everything is served as quickly as before."""
    usual_ms = statistics.median(second.p99_ms for second in seconds[1:began])
    limit_ms = max(RECOVERED_FACTOR * usual_ms, usual_ms + RECOVERED_MARGIN_MS)
    for number, second in enumerate(seconds[ended:]):
        if _serves(second, SERVED_SHARE) and second.p99_ms <= limit_ms:
            return float(number)
    return inf


def overload_edge(handle: DatabaseHandle) -> Sequence[ChildSpec]:
    """The generator stands for many clients, although all of them have its address."""
    listening = attrs.evolve(LISTENING, connections_per_address_max=LISTENING.connections_max)
    return gateway_children(listening, ONE_MERCHANT, handle, CacheHandle())
