"""A bare HTTP/1.1 client in a process of its own: single earns, batches, or a constant rate.

`python -m tests.bench.client earns|batches|events PORT PATH TOKEN` prints mutations per second, as
many as are answered; `python -m tests.bench.client RATE PORT PATH TOKEN` the p99 and the p50 of the
latency in milliseconds of earns that arrive at that rate.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs

CONNECTIONS = 32
BATCH_CONNECTIONS = 4
OPEN_CONNECTIONS = 128
BATCH_ITEMS = 1_000
BATCH_CUSTOMERS = 250
EVENT_CONNECTIONS = 4
EVENTS_IN_BATCH = 1_500
EVENTS_S = 8.0
WARM_UP_S = 0.5
MEASURED_S = 3.0
OPEN_MEASURED_S = 6.0


@attrs.frozen
class Target:
    port: int
    path: str
    token: str

    def head(self, length: int, key: str = "") -> bytes:
        keyed = f"Idempotency-Key: {key}\r\n" if key else ""
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n{keyed}\r\n"
        ).encode()


@attrs.define
class Connection:
    """Sends one request after the other. Any answer but success ends the program."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, target: Target) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", target.port))

    async def post(self, request: bytes) -> bytes:
        """The body of the answer."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        body = await self.reader.readexactly(length)
        if not 200 <= status < 300:
            raise SystemExit(f"unexpected status {status}: {body!r}")
        return body


def earn(target: Target, customer: int, key: str) -> bytes:
    body = b'{"customer_id":"customer-%d","amount":1,"reason":"bench"}' % customer
    return target.head(len(body), key) + body


def get(target: Target, _customer: int, _key: str) -> bytes:
    return target.head(0).replace(b"POST ", b"GET ", 1)


def batch(target: Target, number: int, key: str) -> bytes:
    """Earns of as many customers as `BATCH_CUSTOMERS`, a different share for each connection."""
    items = [
        {
            "kind": "earn",
            "idempotency_key": f"{key}-{position}",
            "customer_id": f"customer-{number * BATCH_CUSTOMERS + position % BATCH_CUSTOMERS}",
            "amount": 1,
            "reason": "bench",
        }
        for position in range(BATCH_ITEMS)
    ]
    body = json.dumps({"items": items}).encode()
    return target.head(len(body)) + body


def done_by_batch(answer: bytes) -> int:
    statuses = [item["status"] for item in json.loads(answer)["items"]]
    if statuses != [200] * BATCH_ITEMS:
        raise SystemExit(f"unexpected statuses {set(statuses)}")
    return BATCH_ITEMS


def events(target: Target, _number: int, key: str) -> bytes:
    """A batch of events that only their ids tell from those of other batches."""
    body = EVENTS.replace(b"BATCH", key.encode())
    return target.head(len(body)) + body


def _event(position: int) -> dict[str, object]:
    return {
        "message_id": f"BATCH-{position}",
        "type": EVENT_TYPES[position % len(EVENT_TYPES)],
        "customer_id": f"customer-{position % CUSTOMERS_SEEN}",
        "occurred_at": (NOW - position * APART).isoformat(),
        "properties": {
            "sku": "ROSES-12",
            "price_minor": 2_599,
            "currency": "EUR",
            "page": "/roses/twelve",
            "referrer": "newsletter",
            "position": position,
        },
    }


EVENT_TYPES = ("page_viewed", "product_viewed", "cart_updated", "search_done")
CUSTOMERS_SEEN = 500
NOW, APART = datetime.now(UTC), timedelta(milliseconds=20)
"""Events occur shortly before they are sent."""

EVENTS = json.dumps({"events": [_event(at) for at in range(EVENTS_IN_BATCH)]}).encode()


def done_by_events(answer: bytes) -> int:
    told = json.loads(answer)
    if told != {"accepted": EVENTS_IN_BATCH, "dropped": 0}:
        raise SystemExit(f"unexpected answer {told}")
    return EVENTS_IN_BATCH


async def closed_loop(
    target: Target,
    connections: int,
    make: Callable[[Target, int, str], bytes],
    done: Callable[[bytes], int],
    measured_s: float = MEASURED_S,
) -> float:
    """Mutations per second when every connection asks again once it is answered."""
    start = time.perf_counter() + WARM_UP_S
    until = start + measured_s

    async def ask(number: int) -> float:
        connection = await Connection.to(target)
        counted, sent = 0.0, 0
        while (asked := time.perf_counter()) < until:
            sent += 1
            count = done(await connection.post(make(target, number, f"{number}-{sent}")))
            counted += count * _share(asked, time.perf_counter(), start, until)
        connection.writer.close()
        return counted

    return sum(await asyncio.gather(*map(ask, range(connections)))) / measured_s


def _share(begin: float, end: float, start: float, until: float) -> float:
    """How much of the time from `begin` to `end` lies between `start` and `until`."""
    return max(0.0, min(end, until) - max(begin, start)) / (end - begin)


async def open_loop(target: Target, rate: float) -> list[float]:
    """Latencies from when each request was due, ascending, in milliseconds."""
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for number in range(OPEN_CONNECTIONS):
        connection = await Connection.to(target)
        await connection.post(earn(target, number % CONNECTIONS, f"warm-up-{number}"))
        idle.put_nowait(connection)
    start = time.perf_counter()
    latencies_ms: list[float] = []

    async def arrival(number: int, due: float) -> None:
        connection = await idle.get()
        await connection.post(earn(target, number % CONNECTIONS, f"open-{number}"))
        idle.put_nowait(connection)
        if due >= start + WARM_UP_S:
            latencies_ms.append((time.perf_counter() - due) * 1000)

    async with asyncio.TaskGroup() as arrivals:
        for number in range(int(rate * (WARM_UP_S + OPEN_MEASURED_S))):
            due = start + number / rate
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            arrivals.create_task(arrival(number, due))
    return sorted(latencies_ms)


async def main(mode: str, target: Target) -> None:
    if mode == "earns":
        print(await closed_loop(target, CONNECTIONS, earn, lambda _answer: 1))
    elif mode == "gets":
        print(await closed_loop(target, CONNECTIONS, get, lambda _answer: 1))
    elif mode == "events":
        print(await closed_loop(target, EVENT_CONNECTIONS, events, done_by_events, EVENTS_S))
    elif mode == "batches":
        print(await closed_loop(target, BATCH_CONNECTIONS, batch, done_by_batch))
    else:
        latencies = await open_loop(target, float(mode))
        print(*(latencies[int(len(latencies) * share)] for share in (0.99, 0.5)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Target(int(sys.argv[2]), sys.argv[3], sys.argv[4])))
