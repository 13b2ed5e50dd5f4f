"""A bare HTTP/1.1 client: 32 connections post as fast as they are answered, for some seconds."""

import asyncio
import sys
import time

CONNECTIONS = 32
WARM_UP_S = 0.5
MEASURED_S = 3.0


async def connection(number: int, port: int, path: str, token: str, until: float) -> int:
    """The number of requests answered 2xx after the warm-up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"customer_id":"customer-%d","amount":1,"reason":"bench"}' % number
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: "
    ).encode()
    counted, sent = 0, 0
    while time.perf_counter() < until:
        sent += 1
        writer.write(head + b"%d-%d\r\n\r\n" % (number, sent) + body)
        status = await answer(reader)
        if not 200 <= status < 300:
            raise SystemExit(f"unexpected status {status}")
        counted += time.perf_counter() > until - MEASURED_S
    writer.close()
    return counted


async def answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return int(head.split(b" ", 2)[1])


async def main(port: int, path: str, token: str) -> None:
    until = time.perf_counter() + WARM_UP_S + MEASURED_S
    counts = await asyncio.gather(
        *(connection(number, port, path, token, until) for number in range(CONNECTIONS))
    )
    print(sum(counts) / MEASURED_S)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
