"""Text messages through a provider that speaks Twilio's API."""

import base64
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec

from actors.outgoing.errors import HttpFailed, ProviderFailing
from actors.outgoing.http import HttpAnswer, HttpClient
from actors.outgoing.ports import (
    Accepted,
    FailedForGood,
    FailedForNow,
    Sent,
    Text,
    TextStatus,
)
from actors.outgoing.twilio import OPTED_OUT, is_signed, status_of
from runtime.parking import monotonic
from runtime.policies import Pipeline
from runtime.rotation import RotatingSecret

LISTED = 50
"""Messages to one number that are looked through for one of unknown fate."""

UNTOLD_RETRY_AFTER_S = 30.0
"""After a 429 that does not say when to come back."""

RETRY_AFTER_MAX_S = 3_600.0
CODE_MAX = 32


class _Known(msgspec.Struct):
    """What is read of a message or an error. The rest of an answer is left alone: what it says of
    an error may quote the number."""

    sid: str | None = None
    status: str | int | None = None
    body: str | None = None
    date_created: str | None = None
    error_code: int | str | None = None
    code: int | str | None = None


class _Listed(msgspec.Struct):
    messages: tuple[_Known, ...] = ()


@attrs.frozen(kw_only=True)
class SmsAccount:
    """`sender` is a number, or the id of a service that has several. `token` holds one token, or
    two with a space between them while one replaces the other: the first is tried first."""

    url: str
    account: str
    sender: str
    token: RotatingSecret = attrs.field(repr=False)

    @property
    def tokens(self) -> tuple[str, ...]:
        return tuple(self.token.newest.split())

    @property
    def messages_url(self) -> str:
        return f"{self.url.rstrip('/')}/2010-04-01/Accounts/{quote(self.account, '')}/Messages"

    def signed(self, signature: str, url: str, form: Sequence[tuple[str, str]]) -> bool:
        """Whether the provider has sent this form to this URL of ours."""
        return is_signed(signature, url, form, self.tokens)


class SmsTexter:
    """Sends, looks for and asks about texts of all merchants, by the account of the installation.

    Twilio knows no idempotency keys: `honours_keys` is false, although the key is sent along.
    After a 429 nobody asks again before the time that it names.
    """

    honours_keys = False

    def __init__(self, account: SmsAccount, pipeline: Pipeline, client: HttpClient) -> None:
        self._account = account
        self._pipeline = pipeline
        self._client = client
        self._resumes_at = 0.0

    async def send(self, merchant_id: str, text: Text, idempotency_key: str) -> Sent:
        form = {"To": text.to, "Body": text.body, self._sender_field: self._account.sender}
        if text.status_url is not None:
            form["StatusCallback"] = text.status_url
        content = urlencode(form).encode()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "idempotency-key": idempotency_key,
        }
        url = f"{self._account.messages_url}.json"
        answer = await self._asked(merchant_id, "POST", url, headers, content)
        if isinstance(answer, FailedForNow):
            return answer
        known = _decoded(answer.body, _Known)
        if answer.status in {200, 201}:
            if known is None or not known.sid:
                return FailedForNow("no_sid", "the answer names no message", uncertain=True)
            return Accepted(known.sid)
        return _refused(answer.status, known)

    @property
    def _sender_field(self) -> str:
        return "MessagingServiceSid" if self._account.sender.startswith("MG") else "From"

    async def find(
        self, merchant_id: str, text: Text, since: datetime
    ) -> Accepted | FailedForNow | None:
        query = urlencode({"To": text.to, "PageSize": LISTED})
        url = f"{self._account.messages_url}.json?{query}"
        answer = await self._asked(merchant_id, "GET", url, {}, None)
        if isinstance(answer, FailedForNow):
            return answer
        listed = _decoded(answer.body, _Listed) if answer.status == 200 else None
        if listed is None:
            return FailedForNow("not_listed", f"the list was answered with {answer.status}")
        for known in listed.messages:
            if known.sid and known.body == text.body and not _before(known.date_created, since):
                return Accepted(known.sid)
        return None

    async def status(
        self, merchant_id: str, provider_id: str
    ) -> TextStatus | FailedForGood | FailedForNow:
        url = f"{self._account.messages_url}/{quote(provider_id, '')}.json"
        answer = await self._asked(merchant_id, "GET", url, {}, None)
        if isinstance(answer, FailedForNow):
            return answer
        known = _decoded(answer.body, _Known)
        if answer.status != 200 or known is None:
            return _refused(answer.status, known)
        found = status_of(provider_id, known.status, known.error_code)
        return found or FailedForGood("unknown_status", f"{known.status!s:.32}")

    async def _asked(
        self,
        merchant_id: str,
        method: str,
        url: str,
        headers: dict[str, str],
        content: bytes | None,
    ) -> HttpAnswer | FailedForNow:
        """An answer below 500 that is no 429. Raises `PolicyError`."""
        pause_s = self._resumes_at - monotonic()
        if pause_s > 0:
            return FailedForNow("rate_limited", "the provider wants a pause", pause_s)

        async def ask() -> HttpAnswer:
            return await self._with_either_token(method, url, headers, content)

        try:
            answer = await self._pipeline.call(ask, share=merchant_id)
        except HttpFailed as error:
            return FailedForNow("unreachable", str(error), uncertain=error.sent)
        except ProviderFailing as error:
            return FailedForNow(str(error.status), str(error), uncertain=True)
        if answer.status == 429:
            pause_s = _retry_after_s(answer)
            self._resumes_at = monotonic() + pause_s
            return FailedForNow("rate_limited", "the provider wants a pause", pause_s)
        return answer

    async def _with_either_token(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None
    ) -> HttpAnswer:
        answer: HttpAnswer | None = None
        for token in self._account.tokens:
            lets_in = {**headers, "authorization": _basic(self._account.account, token)}
            answer = await self._client.request(method, url, headers=lets_in, content=content)
            if answer.status != 401:
                break
        if answer is None or answer.status >= 500:
            raise ProviderFailing(answer.status if answer is not None else 401)
        if answer.status == 401:
            self._account.token.refused()
        return answer


def _basic(account: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{account}:{token}".encode()).decode()


Known = TypeVar("Known", bound=msgspec.Struct)


def _decoded(body: bytes, type_: type[Known]) -> Known | None:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _refused(status: int, known: _Known | None) -> FailedForGood | FailedForNow:
    """A 4xx. Who is not let in may be let in later, when the token has been replaced."""
    code = str(known.code)[:CODE_MAX] if known is not None and known.code is not None else ""
    if status in {401, 403} and code != OPTED_OUT:
        return FailedForNow(code or str(status), "the provider does not let us in")
    if 400 <= status < 500:
        return FailedForGood(code or str(status), "the provider refused it")
    return FailedForNow(str(status), "an answer of no use", uncertain=True)


def _retry_after_s(answer: HttpAnswer) -> float:
    told = answer.headers.get("retry-after", "").strip()
    if not told.isdigit():
        return UNTOLD_RETRY_AFTER_S
    return min(max(float(told[:9]), 1.0), RETRY_AFTER_MAX_S)


def _before(date: str | None, since: datetime) -> bool:
    """Whether a time as in mail is earlier; one that cannot be read is not."""
    try:
        told = parsedate_to_datetime(date) if date else None
    except ValueError:
        return False
    return told is not None and told.tzinfo is not None and told < since
