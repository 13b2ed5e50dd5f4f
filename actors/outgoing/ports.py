"""Sending something to the outside: what a provider offers, and what it answers.

Every send has a key. A provider with `honours_keys` does once what it is asked under one key; to
any other a message of unknown fate must not be sent again.
"""

from datetime import datetime
from enum import Enum
from typing import Protocol, TypeAlias

import attrs


@attrs.frozen
class Accepted:
    """The provider took it. `provider_id` is its name for it, by which it tells of it later."""

    provider_id: str


@attrs.frozen
class FailedForGood:
    """No further attempt would help: a 4xx, an address that there is not. `code` is stable."""

    code: str
    detail: str


@attrs.frozen
class FailedForNow:
    """Worth another attempt. With `retry_after_s` the provider said when to come back, and the
    attempt does not count; `uncertain` says that it may have taken the message all the same."""

    code: str
    detail: str
    retry_after_s: float | None = None
    uncertain: bool = False


Sent: TypeAlias = Accepted | FailedForGood | FailedForNow


@attrs.frozen(kw_only=True)
class Mail:
    """`headers` are further ones, such as List-Unsubscribe. No value has a line break in it."""

    to: str = attrs.field(repr=False)
    subject: str
    text: str = attrs.field(repr=False)
    html: str | None = attrs.field(default=None, repr=False)
    sender_name: str | None = None
    reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@attrs.frozen(kw_only=True)
class Text:
    """A short message to a number as in E.164. `status_url` is where the provider tells of it."""

    to: str = attrs.field(repr=False)
    body: str = attrs.field(repr=False)
    status_url: str | None = None


class TextState(Enum):
    """What became of a message, in the order in which later news replace earlier ones."""

    SENT = "sent"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    OPTED_OUT = "opted_out"
    DELIVERED = "delivered"


@attrs.frozen
class TextStatus:
    """`status` is the provider's word for it, `detail` its code of what went wrong."""

    provider_id: str
    status: str
    state: TextState
    detail: str | None = None


@attrs.frozen(kw_only=True)
class Hook:
    """A JSON body for a merchant's own server, signed with `secrets` (the newest first)."""

    url: str
    body: bytes = attrs.field(repr=False)
    topic: str
    secrets: tuple[str, ...] = attrs.field(repr=False)


class Mailer(Protocol):
    """Brings mail. Raises `PolicyError` where its pipeline steps in: then nothing was sent, or,
    with the outcome unknown, something may have been. Cancelled, it may have been sent."""

    @property
    def honours_keys(self) -> bool: ...

    async def send(self, mail: Mail, idempotency_key: str) -> Sent: ...


class Texter(Protocol):
    """Brings short messages of one merchant. Raises, and is cancelled, as a `Mailer`."""

    @property
    def honours_keys(self) -> bool: ...

    async def send(self, merchant_id: str, text: Text, idempotency_key: str) -> Sent: ...

    async def find(
        self, merchant_id: str, text: Text, since: datetime
    ) -> Accepted | FailedForNow | None:
        """Whether a message of unknown fate was taken after all: one of this body, to this number,
        since then. None: it was not, so that it may be sent again."""

    async def status(
        self, merchant_id: str, provider_id: str
    ) -> TextStatus | FailedForGood | FailedForNow:
        """What the provider knows of a message; `FailedForGood` where it does not know it."""


class HookCaller(Protocol):
    """Calls the servers of merchants. Raises, and is cancelled, as a `Mailer`."""

    @property
    def honours_keys(self) -> bool: ...

    async def send(self, hook: Hook, idempotency_key: str) -> Sent: ...
