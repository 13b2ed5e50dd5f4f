"""A real process from the outside: one trace from request to job, and a log without secrets."""

import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.collector import SILENT_S, collecting
from tests.integration.cli.program import TIMEOUT_S, Running, run, started

pytestmark = pytest.mark.slow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
LOOK_S = 0.05

CANARIES = {
    "password in a URL": "canary-redis-password",
    "password": "canary-hunter2",
    "token": "eyJjYW5hcnkiOjF9.eyJjYW5hcnkiOjJ9.Y2FuYXJ5",
    "API key": "canary-api-key-0123456789",
    "e-mail": "canary.ada@example.com",
    "telephone": "+49 171 5550199",
    "national telephone": "(555) 010-4477",
    "telephone in a row": "00491715550188",
}

PLANTED = (
    f"password={CANARIES['password']} for {CANARIES['e-mail']}, call {CANARIES['telephone']} or"
    f" {CANARIES['national telephone']} or {CANARIES['telephone in a row']};"
    f" Authorization: Bearer {CANARIES['token']}; api_key: {CANARIES['API key']}"
)
FORGED = 'x\n{"event": "forged", "level": "info"}\r\n\x1b[31mred\x1b[0m\x9b1m\u2028end'


@attrs.frozen
class Shop:
    """The running program and a way to ask it."""

    process: Running
    url: str
    token: str

    def ask(self, path: str, note: str | None = None, **headers: str) -> tuple[int, Any]:
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        body = json.dumps({"note": note}).encode() if note is not None else None
        request = urllib.request.Request(self.url + path, body, sent)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as found:
                return found.status, json.load(found)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def lines(self) -> list[dict[str, Any]]:
        """Those that are written to their end."""
        whole, _, _ = self.process.err.rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line]

    def line(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for the line of an event."""
        found: list[dict[str, Any]] = []

        def is_there() -> bool:
            found[:] = [
                line
                for line in self.lines()
                if line["event"] == event and fields.items() <= line.items()
            ]
            return bool(found)

        until(is_there)
        return found[0]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(LOOK_S)


@contextmanager
def shop(folder: Path, *more: str) -> Iterator[Shop]:
    token = run(
        "token", "--merchant", "shop", "--role", "owner", "--data-dir", folder, cwd=folder
    ).out.strip()
    with started(folder, *more, cwd=folder, module="tests.integration.watch.shipping") as running:
        yield Shop(running, running.url(), token)
        running.send(signal.SIGTERM)
        assert running.wait() == 0


def test_one_trace_leads_from_the_request_to_the_actor_to_the_job(tmp_path: Path) -> None:
    with shop(tmp_path) as it:
        status, found = it.ask("/v1/test/ship", "a parcel", traceparent=TRACEPARENT)
        assert status == 200
        job_id = found["job_id"]
        assert it.line("shipping")["trace_id"] == TRACE
        assert it.line("shipped", job=job_id)["trace_id"] == TRACE
        assert it.line("request", route="/v1/test/ship")["trace_id"] == TRACE
        _, named = it.ask("/v1/test/ship", "another", X_Request_Id="shop-17")
        assert it.line("shipped", job=named["job_id"])["trace_id"] == "shop-17"
        it.ask("/v1/test/ship", "this will fail", traceparent=TRACEPARENT)
        assert it.line("job_failed")["trace_id"] == TRACE
        assert it.line("job_dead")["trace_id"] == TRACE


def test_every_line_is_complete_and_none_tells_a_secret_or_is_forged(tmp_path: Path) -> None:
    with shop(tmp_path) as it:
        it.ask("/v1/test/ship", f"crash {PLANTED}")
        it.ask("/v1/test/ship", f"fail {PLANTED}")
        it.ask("/v1/test/ship", f"crash {FORGED}")
        it.ask("/v1/test/ship", PLANTED, X_Request_Id="00491715550188")
        it.ask(f"/v1/customers/{CANARIES['e-mail']}/balance")
        it.ask(f"/v1/customers?cursor={CANARIES['token']}")
        it.ask("/v1/products", Authorization=f"Bearer {CANARIES['token']}")
        it.ask("/v1/products", Cookie=f"session={CANARIES['API key']}")
        it.line("job_dead")
    lines, raw = it.lines(), it.process.err
    assert len(lines) > 10
    for line in lines:
        assert {"timestamp", "level", "service", "trace_id", "event"} <= line.keys(), line
        assert line["timestamp"].endswith("Z")
        assert line["service"] == "loyalnest"
    assert "***" in raw
    told = {
        name for name, secret in CANARIES.items() if secret in raw or plain(secret) in plain(raw)
    }
    assert told == set()
    assert "forged" not in {line["event"] for line in lines}
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", raw)


def plain(text: str) -> str:
    """Without what may stand between the digits of a telephone number."""
    return re.sub(r"(?<=\d)[ ().-]+(?=\d)", "", text)


SHIP = "POST /v1/test/ship"


def test_spans_of_request_handlers_job_and_database_belong_together(tmp_path: Path) -> None:
    with collecting() as collector, shop(tmp_path, collector.url) as it:
        it.ask("/v1/test/ship", f"a parcel for {PLANTED}", traceparent=TRACEPARENT)
        until(lambda: {SHIP, "job ship", "Journal Append"} <= collector.by_name().keys())
        spans = [span for span in list(collector.spans.queue) if span.trace_id.hex() == TRACE]
    by_id = {span.span_id: span for span in spans}
    by_name = {span.name: span for span in spans}
    assert collector.paths == {"/v1/traces"}
    assert by_name[SHIP].parent_span_id.hex() == CALLER

    def above(name: str) -> list[str]:
        names, span = [], by_name[name]
        while span.parent_span_id in by_id:
            span = by_id[span.parent_span_id]
            names.append(span.name)
        return names

    assert above("Shipper Ship") == [SHIP]
    assert above("JobDesk Enqueue") == ["Shipper Ship", SHIP]
    assert above("database append")[-1] == SHIP
    assert above("job ship")[-1] == SHIP
    attributes = {item.key: item.value for item in by_name[SHIP].attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert all(secret not in str(spans) for secret in CANARIES.values())


def test_a_trace_that_its_caller_does_not_record_is_not_recorded_here(tmp_path: Path) -> None:
    with collecting() as collector, shop(tmp_path, collector.url) as it:
        it.ask("/v1/test/ship", "quiet", traceparent=f"00-{TRACE}-{CALLER}-00")
        it.line("shipped")
        it.ask("/v1/test/ship", "loud")
        until(lambda: SHIP in collector.by_name())
        assert TRACE not in {span.trace_id.hex() for span in list(collector.spans.queue)}
        assert it.line("shipped")["trace_id"] == TRACE


def test_a_collector_that_never_answers_slows_nobody_and_delays_the_end_little(
    tmp_path: Path,
) -> None:
    with collecting() as collector:
        collector.closed.set()
        with shop(tmp_path, collector.url) as it:
            it.ask("/v1/test/ship", "first")
            assert collector.asked.wait(TIMEOUT_S)
            began = time.monotonic()
            for _ in range(50):
                assert it.ask("/v1/test/ship", "a parcel")[0] == 200
            assert time.monotonic() - began < SILENT_S / 3
            ended_at = time.monotonic()
        assert time.monotonic() - ended_at < SILENT_S / 3
