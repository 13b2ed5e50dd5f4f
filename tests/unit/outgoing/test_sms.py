"""Texts through a real HTTP server that plays Twilio, whatever it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import attrs
import pytest
import trio

from actors.outgoing.http import HttpClient
from actors.outgoing.ports import (
    Accepted,
    FailedForGood,
    FailedForNow,
    Text,
    TextState,
    TextStatus,
)
from actors.outgoing.sms import SmsAccount, SmsTexter
from config.policies import SMS, PolicySettings
from config.policy_loading import default_policies
from runtime import host
from runtime.policies import BreakerOpen, DeadlineExceeded, PolicyMetrics, RateLimited
from runtime.rotation import RotatingSecret
from supervisors.policies import declared
from tests.twilio import ACCOUNT, NEXT_TOKEN, TOKEN, Twilio, playing_twilio

pytestmark = pytest.mark.trio(run=host.run)
"""As the program runs: Trio is a guest, and the sockets are its own all the same."""

TEXT = Text(
    to="+41791234567", body="Shop: a friend invites you. ABCDEFGHJK", status_url="https://x/y"
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def texting(twilio: Twilio, token: str = TOKEN, **knobs: Any) -> AsyncIterator[SmsTexter]:
    """The texter as the program makes it, with other figures where a test has no time."""
    settings: PolicySettings = attrs.evolve(default_policies()[SMS], **knobs)
    policies = declared({SMS: settings}, Random(1), PolicyMetrics())
    secret = RotatingSecret(token)
    account = SmsAccount(url=twilio.url, account=ACCOUNT, sender="+15550001111", token=secret)
    client = HttpClient(SMS)
    try:
        yield SmsTexter(account, policies[SMS], client)
    finally:
        await client.close()


async def test_a_text_is_sent_found_and_asked_about() -> None:
    async with playing_twilio() as twilio, texting(twilio) as texter:
        sent = await texter.send("shop", TEXT, "msg_1")
        assert isinstance(sent, Accepted)
        (message,) = twilio.messages
        assert (message["to"], message["body"]) == (TEXT.to, TEXT.body)
        assert message["callback"] == TEXT.status_url
        assert twilio.keys == ["msg_1"]
        assert await texter.find("shop", TEXT, LONG_AGO) == sent
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        assert await texter.find("shop", TEXT, tomorrow) is None
        other = attrs.evolve(TEXT, body="something else")
        assert await texter.find("shop", other, LONG_AGO) is None
        message |= {"status": "undelivered", "error_code": 30003}
        told = await texter.status("shop", sent.provider_id)
        assert told == TextStatus(sent.provider_id, "undelivered", TextState.UNDELIVERED, "30003")
        assert await texter.status("shop", "SM404") == FailedForGood(
            "20404", "the provider refused it"
        )


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 21211, FailedForGood),
        (400, 21610, FailedForGood),
        (403, 21610, FailedForGood),
        (401, 20003, FailedForNow),
        (500, None, FailedForNow),
        (503, None, FailedForNow),
    ],
)
async def test_answers_are_told_apart(status: int, code: int | None, kind: type[object]) -> None:
    def fault(_method: str, _target: str) -> tuple[int, dict[str, str], object]:
        return status, {}, {"code": code, "message": f"The 'To' number {TEXT.to} is not valid"}

    async with playing_twilio() as twilio, texting(twilio) as texter:
        twilio.fault = fault
        answer = await texter.send("shop", TEXT, "msg_1")
        assert isinstance(answer, kind)
        assert TEXT.to not in repr(answer)
        if isinstance(answer, FailedForGood):
            assert answer.code == str(code)


async def test_after_a_429_nobody_asks_before_the_time_it_names() -> None:
    def fault(_method: str, _target: str) -> tuple[int, dict[str, str], object]:
        return 429, {"retry-after": "30"}, {"code": 20429}

    async with playing_twilio() as twilio, texting(twilio) as texter:
        twilio.fault = fault
        for _ in range(5):
            answer = await texter.send("shop", TEXT, "msg_1")
            assert isinstance(answer, FailedForNow)
            assert answer.retry_after_s == pytest.approx(30, abs=2)
            assert not answer.uncertain
        assert len(twilio.requests) == 1


async def test_both_tokens_work_while_one_replaces_the_other() -> None:
    async with playing_twilio() as twilio, texting(twilio, f"{NEXT_TOKEN} {TOKEN}") as texter:
        assert isinstance(await texter.send("shop", TEXT, "a"), Accepted)
        twilio.tokens = {NEXT_TOKEN}
        assert isinstance(await texter.send("shop", TEXT, "b"), Accepted)


async def test_a_provider_that_hangs_ends_with_the_attempt_and_opens_the_breaker() -> None:
    """What may have been sent is told as such; what the breaker turns away was not."""
    async with playing_twilio() as twilio, texting(twilio, attempt_s=0.15) as texter:
        twilio.takes_and_hangs = True
        for number in range(5):
            with pytest.raises(DeadlineExceeded) as caught:
                await texter.send("shop", TEXT, f"msg_{number}")
            assert caught.value.outcome.value == "unknown"
        before = len(twilio.requests)
        with pytest.raises(BreakerOpen):
            await texter.send("shop", TEXT, "msg_9")
        assert len(twilio.requests) == before


async def test_nobody_at_the_other_end_is_known_not_to_have_got_it() -> None:
    async with playing_twilio() as twilio:
        pass
    async with texting(twilio) as texter:
        answer = await texter.send("shop", TEXT, "msg_1")
        assert isinstance(answer, FailedForNow)
        assert answer.code == "unreachable"
        assert not answer.uncertain


async def test_the_rate_is_kept_on_this_side() -> None:
    async with playing_twilio() as twilio, texting(twilio, rate_per_minute=1) as texter:
        assert isinstance(await texter.send("shop", TEXT, "a"), Accepted)
        with pytest.raises(RateLimited) as caught:
            await texter.send("shop", TEXT, "b")
        assert caught.value.retry_after_s == pytest.approx(60, abs=30)
        assert len(twilio.messages) == 1


async def test_a_cancelled_send_ends_at_once_and_the_client_goes_on() -> None:
    async with playing_twilio() as twilio, texting(twilio) as texter:
        twilio.hangs = True
        with trio.move_on_after(0.05) as scope:
            await texter.send("shop", TEXT, "a")
        assert scope.cancelled_caught
        twilio.hangs = False
        assert isinstance(await texter.send("shop", TEXT, "b"), Accepted)
