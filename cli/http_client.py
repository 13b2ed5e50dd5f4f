"""A small client for a server of ours: JSON in, JSON out, one connection at a time."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio

from cli.errors import CommandFailed
from gateway.signed_tokens import FOREIGN_KEY

TIMEOUT_S = 30.0
USE_ITS_KEY = "; use the server's --data-dir, where its key is"
MAX_ANSWER_BYTES = 16 * 1024 * 1024


@attrs.frozen
class HttpAnswer:
    """`body` is the decoded JSON, or `None`."""

    status: int
    body: Any

    @property
    def problem(self) -> str:
        """What the server said was wrong."""
        if isinstance(self.body, dict) and "detail" in self.body:
            said = f"{self.status} {self.body.get('code')}: {self.body['detail']}"
            return said + USE_ITS_KEY if self.body["detail"] == FOREIGN_KEY else said
        return f"status {self.status}"


class Unreachable(Exception):
    """There was no answer; what was asked may have happened. The text does not name the server."""


class HttpClient:
    """Requests to one server. Raises `Unreachable`.

    A cancelled request is abandoned: its thread ends with its answer or after its timeout.
    """

    def __init__(self, address: str) -> None:
        url = urlsplit(address if "//" in address else f"http://{address}")
        if url.hostname is None:
            raise CommandFailed(f"{address}: not an HTTP address")
        self.address = address
        self._host, self._port = _reachable(url.hostname), url.port or 80

    async def get(self, path: str, token: str, timeout_s: float = TIMEOUT_S) -> HttpAnswer:
        headers = {"authorization": f"Bearer {token}"}
        return await self._request("GET", path, None, headers, timeout_s)

    async def post(self, path: str, value: object, token: str, **headers: str) -> HttpAnswer:
        """`headers` with `_` for `-`."""
        extra = {name.replace("_", "-"): text for name, text in headers.items()}
        extra |= {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self._request("POST", path, json.dumps(value).encode(), extra, TIMEOUT_S)

    async def request(
        self, method: str, path: str, value: object, token: str, timeout_s: float = TIMEOUT_S
    ) -> HttpAnswer:
        """Any request; without a body where `value` is None."""
        headers = {"authorization": f"Bearer {token}"}
        body = None
        if value is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(value).encode()
        return await self._request(method, path, body, headers, timeout_s)

    async def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
    ) -> HttpAnswer:
        return await trio.to_thread.run_sync(
            self._exchange, method, path, body, headers, timeout_s, abandon_on_cancel=True
        )

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
    ) -> HttpAnswer:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            raw = response.read(MAX_ANSWER_BYTES)
            if response.length:
                raise Unreachable("the answer was cut off or is too long")
            return HttpAnswer(response.status, _json(raw))
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error) or type(error).__name__) from error
        finally:
            connection.close()


def _reachable(host: str) -> str:
    """A server that listens everywhere is reached here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
