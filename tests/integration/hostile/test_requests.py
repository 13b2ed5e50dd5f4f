"""Requests that are too large, ambiguous or no requests at all: 4xx, and nothing reaches a domain.

What a single request with a valid head may contain is in `tests/integration/gateway`.
"""

import gzip
from random import Random

import attrs
import pytest

from tests.integration.hostile.server import Attacked, everything, statuses

pytestmark = pytest.mark.slow

PIPELINED = 1_000
RANDOM_BLOBS = 300
KIB = 1_024

SMUGGLED = b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"Connection: close\r\n\r\n"


@attrs.frozen
class Bad:
    """Bytes, and the statuses they may be answered with; none where a hang-up will do."""

    name: str
    data: bytes
    allowed: tuple[int, ...] = (400,)
    code: bytes = b""


def live(name: str, headers: bytes, *allowed: int, code: bytes = b"") -> Bad:
    return Bad(name, LIVE + headers + CLOSE, allowed or (400,), code)


def body(name: str, framing: bytes, rest: bytes, *allowed: int) -> Bad:
    head = b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return Bad(name, head + framing + b"\r\n\r\n" + rest, allowed or (400,))


OVERSIZED = [
    Bad("a path of 9 KiB", b"GET /" + b"a" * 9 * KIB + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE, (414,)),
    Bad("a query of 9 KiB", b"GET /docs?" + b"a" * 9 * KIB + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE,
        (414,)),
    Bad("a path of 10,000 slashes", b"GET " + b"/" * 8_000 + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE,
        (404,)),
    Bad("a path of 60 KiB", b"GET /" + b"a" * 60 * KIB + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE,
        (431,), b"head_too_large"),
    Bad("a line that never ends", b"G" * 60 * KIB, (431, 400)),
    Bad("a header that never ends", LIVE + b"X-Long: " + b"a" * 60 * KIB, (431,)),
    Bad("a method of 1,000 letters", b"A" * 1_000 + b" / HTTP/1.1\r\nHost: x\r\n" + CLOSE,
        (404, 405)),
    live("101 headers", b"".join(b"X-%d: 1\r\n" % n for n in range(99)), 431,
         code=b"too_many_headers"),
    live("10,000 headers", b"a:b\r\n" * 10_000, 431, code=b"head_too_large"),
    live("a header of 40 KiB", b"X-Long: " + b"a" * 40 * KIB + b"\r\n", 431),
    live("a name of 40 KiB", b"X" * 40 * KIB + b": 1\r\n", 431),
    body("a chunk longer than any", b"Transfer-Encoding: chunked", b"F" * 40 + b"\r\n", 400, 401,
         413),
    body("a chunk extension of 60 KiB", b"Transfer-Encoding: chunked",
         b"1;" + b"a" * 60 * KIB + b"\r\nx", 400, 401, 431),
    body("trailers without end", b"Transfer-Encoding: chunked",
         b"0\r\n" + b"X: 1\r\n" * 20_000, 400, 401, 431),
    body("a length of 40 digits", b"Content-Length: " + b"9" * 40, b"", 400, 401, 413),
]  # fmt: skip

AMBIGUOUS = [
    body("length and chunks", b"Content-Length: 5\r\nTransfer-Encoding: chunked",
         b"0\r\n\r\n" + SMUGGLED),
    body("chunks and length", b"Transfer-Encoding: chunked\r\nContent-Length: 5",
         b"0\r\n\r\n" + SMUGGLED),
    body("names in any case", b"CONTENT-LENGTH: 5\r\ntRANSFER-eNCODING: chunked",
         b"0\r\n\r\n" + SMUGGLED),
    body("the same length twice", b"Content-Length: 2\r\nContent-Length: 2", b"{}"),
    body("two lengths in one header", b"Content-Length: 2, 2", b"{}"),
    body("two lengths that differ", b"Content-Length: 2, 44", b"{}"),
    body("chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
         b"0\r\n\r\n"),
    body("chunked and identity", b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n", 400, 501),
    body("something like chunked", b"Transfer-Encoding: xchunked", b"0\r\n\r\n", 400, 501),
    body("chunked in quotes", b'Transfer-Encoding: "chunked"', b"0\r\n\r\n", 400, 501),
    body("a tab in chunked", b"Transfer-Encoding: chun\tked", b"0\r\n\r\n", 400, 501),
    body("a vertical tab before chunked", b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n", 400,
         501),
    body("a blank before the colon", b"Transfer-Encoding : chunked", b"0\r\n\r\n"),
    body("a folded coding", b"Transfer-Encoding:\r\n chunked", b"0\r\n\r\n"),
    body("a coding behind a fold", b"X-Fold: a\r\n Transfer-Encoding: chunked", b"0\r\n\r\n"),
    body("a coding behind a bare line feed", b"X-Bare: a\nTransfer-Encoding: chunked",
         b"0\r\n\r\n"),
    body("a coding behind a bare carriage return", b"X-Bare: a\rTransfer-Encoding: chunked",
         b"0\r\n\r\n"),
    body("a negative length", b"Content-Length: -1", b""),
    body("a length in hexadecimal", b"Content-Length: 0x2", b"{}"),
    body("a length with a point", b"Content-Length: 2.0", b"{}"),
    body("a length of nothing", b"Content-Length:", b""),
    body("a chunk with a sign", b"Transfer-Encoding: chunked", b"-1\r\n\r\n", 400, 401),
    body("a chunk in a word", b"Transfer-Encoding: chunked", b"0x2\r\n{}\r\n0\r\n\r\n", 400, 401),
    body("a chunk that ends in a bare line feed", b"Transfer-Encoding: chunked",
         b"2\n{}\n0\n\n", 400, 401),
    Bad("bare line feeds only", b"GET /health/live HTTP/1.1\nHost: x\n\n"),
    Bad("a head that begins with a fold", b"GET /health/live HTTP/1.1\r\n X: 1\r\nHost: x\r\n\r\n"),
    live("two hosts", b"Host: y\r\n"),
    live("two content types", b"Content-Type: a/b\r\nContent-Type: application/json\r\n"),
    live("NUL in a value", b"X-Nul: a\0b\r\n"),
    live("NUL in a name", b"X-N\0ul: a\r\n"),
    live("a header without a name", b": a\r\n"),
    live("a header without a colon", b"Accept\r\n"),
    Bad("NUL in the method", b"G\0T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    Bad("NUL in the path", b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"),
    Bad("a path that is not ASCII", b"GET /caf\xe9 HTTP/1.1\r\nHost: x\r\n\r\n"),
    Bad("two blanks in the first line", b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n"),
    Bad("a version nobody speaks", b"GET / HTTP/3.7\r\nHost: x\r\n\r\n"),
    Bad("a version in small letters", b"GET / http/1.1\r\nHost: x\r\n\r\n"),
    Bad("no version", b"GET /\r\n\r\n"),
    Bad("no host", b"GET / HTTP/1.1\r\n\r\n"),
    Bad("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x42\n" * 256),
    Bad("an SSH greeting", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
]  # fmt: skip

TARGETS = [
    Bad("another host's URL", b"GET http://evil.example/health/live HTTP/1.1\r\nHost: x\r\n"
        + CLOSE, (200,)),
    Bad("no target", b"GET ?a=1 HTTP/1.1\r\nHost: x\r\n" + CLOSE, (404,)),
    Bad("a host in the path", b"GET //x/health/live HTTP/1.1\r\nHost: x\r\n" + CLOSE, (404,)),
    Bad("a proxy's tunnel", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n" + CLOSE,
        (404, 405)),
    Bad("everything", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + CLOSE, (404, 405)),
    Bad("no slash", b"GET health/live HTTP/1.1\r\nHost: x\r\n" + CLOSE, (404,)),
    Bad("a fragment", b"GET /health/live#x HTTP/1.1\r\nHost: x\r\n" + CLOSE, (404,)),
    Bad("percent signs that mean nothing", b"GET /%zz%%% HTTP/1.1\r\nHost: x\r\n" + CLOSE,
        (404,)),
    Bad("an overlong slash", b"GET /v1%c0%afmerchant HTTP/1.1\r\nHost: x\r\n" + CLOSE, (404,)),
    Bad("a surrogate", b"GET /v1/%ed%a0%80 HTTP/1.1\r\nHost: x\r\n" + CLOSE, (404,)),
    live("a token that is not ASCII", b"Authorization: Bearer \xff\xfe\r\n", 200),
    Bad("a token that is not ASCII where one is needed",
        b"GET /v1/merchant HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n" + CLOSE,
        (401,)),
    Bad("a way to HTTP/2", LIVE + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: ////\r\n\r\n" + LIVE + CLOSE, (200,)),
    Bad("a WebSocket without a key", b"GET /v1/live HTTP/1.1\r\nHost: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", (400, 404)),
    Bad("a WebSocket with bytes at once", b"GET /v1/live HTTP/1.1\r\nHost: x\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + b"\x81\xff" * 30_000,
        (400, 404)),
]  # fmt: skip

TABLES = {"oversized": OVERSIZED, "ambiguous": AMBIGUOUS, "targets": TARGETS}


@pytest.mark.parametrize("table", TABLES)
async def test_each_is_answered_as_it_deserves_and_the_connection_ends(
    server: Attacked, table: str
) -> None:
    wrong = {}
    async with server.unharmed():
        for bad in TABLES[table]:
            answer = await server.say(bad.data)
            found = statuses(answer)
            if not found or not set(found) <= set(bad.allowed) or bad.code not in answer:
                wrong[bad.name] = found, answer[:300]
    assert wrong == {}


async def test_every_refusal_is_a_problem_document(server: Attacked) -> None:
    for bad in (*OVERSIZED, *AMBIGUOUS):
        answer = await server.say(bad.data)
        assert b"content-type: application/problem+json" in answer, bad.name
        assert b"Traceback" not in answer


async def test_what_is_hidden_behind_an_ambiguous_length_is_never_read(server: Attacked) -> None:
    head = b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    hidden = b"GET /v1/merchant HTTP/1.1\r\nHost: x\r\n" + server.authorised() + b"\r\n"
    async with server.unharmed():
        for framing in (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\r\nContent-Length: %d" % len(hidden),
            b"Content-Length: 0\r\nContent-Length: %d" % len(hidden),
        ):
            answer = await server.say(head + framing + b"\r\n\r\n0\r\n\r\n" + hidden)
            assert statuses(answer) == [400]


async def test_hundreds_of_requests_at_once_on_one_connection_are_answered_in_turn(
    server: Attacked,
) -> None:
    async with server.unharmed():
        answer = await server.say((LIVE + b"\r\n") * PIPELINED + LIVE + CLOSE)
        assert statuses(answer) == [200] * (PIPELINED + 1)


async def test_pipelining_with_heads_that_differ_does_not_mix_them_up(server: Attacked) -> None:
    async with server.unharmed():
        good, bad = LIVE + b"\r\n", b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        worst = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n"
        answer = await server.say((good + bad) * 50 + worst + good * 50)
        assert statuses(answer) == [200, 404] * 50 + [400]


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"gzip, gzip", b"x"])
async def test_a_compressed_body_is_never_unpacked(server: Attacked, coding: bytes) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    async with server.unharmed():
        answer = await server.say(
            b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nIdempotency-Key: k\r\nContent-Encoding: "
            + coding + b"\r\n" + server.authorised()
            + b"Content-Length: %d\r\n\r\n" % len(bomb) + bomb
        )  # fmt: skip
        assert statuses(answer) == [415]


async def test_an_upload_that_is_refused_early_still_reads_its_answer(server: Attacked) -> None:
    async with server.unharmed():
        stream = await server.connect()
        async with stream:
            await stream.send_all(
                b"POST /v1/points/earn HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
            )
            await stream.send_all(b"x" * 3_000_000)
            assert statuses(await everything(stream)) == [401]


async def test_an_admin_body_has_at_most_64_kib(server: Attacked) -> None:
    async with server.unharmed():
        answer = await server.say(
            b"POST /v1/admin/merchants HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\n" + server.authorised()
            + b"Content-Length: 65537\r\n\r\n" + b" " * 65_537
        )  # fmt: skip
        assert statuses(answer) == [403]
        platform = await server.say(
            b"POST /v1/admin/merchants HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\n" + server.authorised_as_platform()
            + b"Content-Length: 65537\r\n\r\n" + b" " * 65_537
        )  # fmt: skip
        assert statuses(platform) == [413]


async def test_bytes_without_any_meaning_are_no_danger(server: Attacked) -> None:
    random = Random(2_026)
    async with server.unharmed():
        for _ in range(RANDOM_BLOBS):
            blob = random.randbytes(random.randint(1, 300))
            if random.random() < 0.5:
                at = random.randint(0, len(LIVE))
                blob = LIVE[:at] + blob + LIVE[at:]
            answer = await server.say(blob + b"\r\n\r\n")
            assert all(status < 500 or status == 501 for status in statuses(answer)), blob
