"""HTTP on Trio for providers: a client that knows its network, and bounds what it reads."""

from collections.abc import AsyncIterator

import attrs
import httpcore
import httpx
import trio

from actors.outgoing.errors import HttpFailed
from runtime.context import current_trace_id
from runtime.policies.deadline import require_deadline
from runtime.tracing import parse_traceparent

CONNECTIONS_MAX = 64
"""More than any bulkhead lets through: a pool may lose places to calls that are cancelled."""

ANSWER_MAX_BYTES = 256 * 1024
KEPT_ALIVE_S = 30.0


@attrs.frozen
class HttpAnswer:
    """`headers` have names in lower case; of a longer body than allowed the rest is cut off."""

    status: int
    headers: httpx.Headers
    body: bytes = attrs.field(repr=False)


class TrioTransport(httpx.AsyncHTTPTransport):
    """A pool whose sockets are Trio's, whatever loop Trio is a guest of."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend | None = None) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEPT_ALIVE_S,
            network_backend=backend if backend is not None else httpcore.TrioBackend(),
        )


class Body(httpx.AsyncByteStream):
    """A request's body, sent once, in one part. Not a generator: one that is cancelled behind its
    part stays unfinished, for the collector of garbage to complain about."""

    def __init__(self, content: bytes) -> None:
        self._left = [content] if content else []

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class HttpClient:
    """Requests of one provider. No redirect is followed, no proxy of the environment asked.

    Opened by its first request. A pool without a free place is replaced: its places are lost.
    """

    def __init__(self, name: str, backend: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._name = name
        self._backend = backend
        self._client: httpx.AsyncClient | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        content: bytes | None = None,
        timeout_s: float = 10.0,
    ) -> HttpAnswer:
        """Raises `HttpFailed`. Cancelled, the request may have been taken. The trace in force goes
        along as `traceparent`."""
        require_deadline(self._name)
        client = self._opened(timeout_s)
        traced = {**_trace_header(), **headers}
        request = client.build_request(method, url, headers=traced, content=content)
        request.stream = Body(content or b"")
        try:
            response = await client.send(request, stream=True)
            try:
                return HttpAnswer(response.status_code, response.headers, await _start(response))
            finally:
                await response.aclose()
        except httpx.PoolTimeout as error:
            self._client = None
            raise HttpFailed("no connection is free", sent=False) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # What httpx says may quote the URL, which has an account in it.
            sent = not isinstance(error, NOT_SENT)
            raise HttpFailed(type(error).__name__, sent=sent) from error

    def _opened(self, timeout_s: float) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=TrioTransport(self._backend),
                timeout=httpx.Timeout(timeout_s),
                trust_env=False,
                follow_redirects=False,
            )
        return self._client

    async def close(self) -> None:
        """Close all connections; the next request opens others."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _trace_header() -> dict[str, str]:
    trace = current_trace_id()
    return {"traceparent": trace} if trace is not None and parse_traceparent(trace) else {}


async def _start(response: httpx.Response) -> bytes:
    """As much as is allowed. What would be read after that is cancelled, which ends all the
    generators that the answer comes through; a `break` would end none of them."""
    body = bytearray()
    with trio.CancelScope() as rest:
        async for part in response.aiter_raw():
            body += part
            if len(body) >= ANSWER_MAX_BYTES:
                rest.cancel()
    return bytes(body[:ANSWER_MAX_BYTES])
