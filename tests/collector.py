"""A collector of traces: takes spans by OTLP over HTTP, and keeps them for a test to look at."""

import gzip
import http.server
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

TIMEOUT_S = 60.0
SILENT_S = 120.0
LOOK_S = 0.05


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans by OTLP over HTTP; while it is `closed`, it never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans: queue.Queue[Any] = queue.Queue()
        self.closed = threading.Event()
        self.asked = threading.Event()
        self.paths: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def by_name(self) -> dict[str, Any]:
        return {span.name: span for span in list(self.spans.queue)}


class Taking(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.paths.add(self.path)
        self.server.asked.set()
        if self.server.closed.is_set():
            threading.Event().wait(SILENT_S)
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.server.spans.put(span)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_details: Any) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(LOOK_S,), daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join(TIMEOUT_S)
