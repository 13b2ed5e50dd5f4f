"""Webhooks: signed calls of servers that merchants name, and that must be no servers of ours."""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, Final

import attrs
import httpcore
import httpx
import trio

from actors.outgoing.errors import HttpFailed, ProviderFailing
from actors.outgoing.http import HttpAnswer, HttpClient
from actors.outgoing.ports import Accepted, FailedForGood, FailedForNow, Hook, Sent
from actors.outgoing.reachable import Reachable, Unreachable
from runtime.parking import monotonic
from runtime.policies import (
    Breaker,
    BreakerOpen,
    BreakerSpec,
    DeadlineExceeded,
    Pipeline,
)
from runtime.ports import Clock

DEPENDENCY: Final = "webhooks"

ADDRESSES_MAX: Final = 16
RETRY_AFTER_MAX_S: Final = 3_600.0
UNTOLD_RETRY_AFTER_S: Final = 30.0
SECRETS_MAX: Final = 3

TOO_MANY: Final = 429
GOOD: Final = range(200, 300)
ELSEWHERE: Final = range(300, 400)
TRANSIENT: Final = frozenset({408, 425})
"""Of the 4xx, those that say nothing against the message."""

SIGNATURE: Final = "LoyalNest-Signature"


HOSTS_MAX: Final = 1_000
"""Servers whose failures are remembered."""

OF_HOST: Final = BreakerSpec(calls_min=5, open_s=5.0, open_max_s=60.0)

REFUSED_ADDRESS: Final = "refused: no address on the internet"


class AddressRefused(httpcore.ConnectError):
    """The name leads to an address that is none of the internet's."""

    def __init__(self) -> None:
        super().__init__(REFUSED_ADDRESS)


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to no names: what a name resolves to is looked
    up once, checked, and connected to, so that no later answer of a name server matters."""

    def __init__(
        self, reachable: Reachable, backend: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._reachable = reachable
        self._backend = backend if backend is not None else httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises `httpcore.ConnectError`, of which `AddressRefused` is one."""
        addresses = await self._resolved(host, port, timeout)
        error: Exception = httpcore.ConnectError("no address")
        for address in addresses[:ADDRESSES_MAX]:
            try:
                return await self._backend.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error

    async def _resolved(self, host: str, port: int, limit_s: float | None) -> Sequence[str]:
        try:
            with trio.fail_after(limit_s if limit_s is not None else 5.0):
                found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
            return self._reachable.check(dict.fromkeys(str(each[4][0]) for each in found))
        except trio.TooSlowError as error:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be resolved") from error
        except Unreachable as error:
            raise AddressRefused from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never: a merchant has no socket here."""
        await trio.lowlevel.checkpoint()
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


@attrs.define(eq=False)
class _Host:
    """What is known about one server."""

    breaker: Breaker
    leave_alone_until: float = 0.0


@attrs.define(eq=False)
class WebhookCaller:
    """Calls a server with the key in a header, so that it can tell a repetition: that is part of
    what a merchant agrees to. Redirects are not followed: where they lead, nobody has checked."""

    client: HttpClient
    pipeline: Pipeline
    clock: Clock
    random: Random
    honours_keys: bool = True
    _hosts: OrderedDict[str, _Host] = attrs.field(factory=OrderedDict, init=False)

    async def send(self, hook: Hook, idempotency_key: str) -> Sent:
        """See `HookCaller`. A server that asked to be left alone is, and so is one that fails."""
        name = server_of(hook.url)
        if name is None:
            return FailedForGood("invalid_url", "no http or https URL")
        host = self._host(name)
        wait_s = host.leave_alone_until - monotonic()
        if wait_s > 0:
            return FailedForNow("429", "the server asked to be left alone", retry_after_s=wait_s)
        try:
            permit = host.breaker.admit()
        except BreakerOpen as error:
            detail = "the server failed too often"
            return FailedForNow("breaker", detail, retry_after_s=error.retry_after_s)
        sent: Sent | None = None
        try:
            sent = await self._sent(name, host, hook, idempotency_key)
        finally:
            if sent is None:
                permit.abandoned()
            elif isinstance(sent, FailedForNow) and sent.retry_after_s is None:
                permit.failed(slow=False)
            else:
                permit.succeeded(slow=False)
        return sent

    def _host(self, name: str) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(Breaker("webhook server", OF_HOST, self.random))
            if len(self._hosts) > HOSTS_MAX:
                self._hosts.popitem(last=False)
        self._hosts.move_to_end(name)
        return host

    async def _sent(self, name: str, host: _Host, hook: Hook, key: str) -> Sent:
        try:
            answer = await self.pipeline.call(lambda: self._call(hook, key), share=name)
        except ProviderFailing as error:
            return FailedForNow(str(error.status), f"the server answers {error.status}")
        except HttpFailed as error:
            if isinstance(innermost(error), AddressRefused):
                return FailedForGood("address_refused", REFUSED_ADDRESS)
            return FailedForNow("no_answer", str(error), uncertain=error.sent)
        except DeadlineExceeded as error:
            return FailedForNow("no_answer", "too slow", uncertain=error.stage == "attempt")
        return self._judged(host, answer, key)

    async def _call(self, hook: Hook, key: str) -> HttpAnswer:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "LoyalNest",
            "Idempotency-Key": key,
            "LoyalNest-Topic": hook.topic,
            SIGNATURE: signature(hook.body, hook.secrets, self.clock.now()),
        }
        answer = await self.client.request("POST", hook.url, headers=headers, content=hook.body)
        if answer.status >= 500 or answer.status in TRANSIENT:
            raise ProviderFailing(answer.status)
        return answer

    def _judged(self, host: _Host, answer: HttpAnswer, key: str) -> Sent:
        if answer.status in GOOD:
            return Accepted(key)
        if answer.status == TOO_MANY:
            wait_s = retry_after_s(answer.headers.get("retry-after"), self.clock.now())
            host.leave_alone_until = monotonic() + wait_s
            return FailedForNow("429", "too many calls", retry_after_s=wait_s)
        if answer.status in ELSEWHERE:
            return FailedForGood(str(answer.status), "redirects are not followed")
        return FailedForGood(str(answer.status), f"the server answers {answer.status}")


def server_of(url: str) -> str | None:
    """Host and port of a URL that can be called; None for any other."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return None
    named = parts.scheme in {"http", "https"} and parts.host and not parts.userinfo
    return parts.netloc.decode() if named else None


def innermost(error: BaseException) -> BaseException:
    """What an error came of in the end."""
    seen = 0
    while error.__cause__ is not None and seen < ADDRESSES_MAX:
        error, seen = error.__cause__, seen + 1
    return error


def retry_after_s(told: str | None, now: datetime) -> float:
    """Seconds, from seconds or a date, at most an hour."""
    wait_s = UNTOLD_RETRY_AFTER_S
    if told is not None and told.strip().isdigit():
        wait_s = float(told.strip()[:9])
    elif told is not None:
        try:
            wait_s = (parsedate_to_datetime(told) - now).total_seconds()
        except (ValueError, TypeError):
            wait_s = UNTOLD_RETRY_AFTER_S
    return min(max(wait_s, 1.0), RETRY_AFTER_MAX_S)


def signature(body: bytes, secrets: Sequence[str], now: datetime) -> str:
    """`t=SECONDS,v1=HEX[,v1=HEX]`: the HMAC-SHA256 of time, a dot and the body, under each secret
    that counts. Whoever checks one of them, and that the time is not long ago, knows who calls."""
    moment = int(now.timestamp())
    message = f"{moment}.".encode() + body
    marks = [
        hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        for secret in secrets[:SECRETS_MAX]
    ]
    return ",".join([f"t={moment}", *(f"v1={mark}" for mark in marks)])
