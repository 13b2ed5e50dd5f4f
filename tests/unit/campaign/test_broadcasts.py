"""Broadcasts: everybody gets one message, or is told apart by what became of it."""

from datetime import time, timedelta

import pytest
import trio

from actors.campaign import delivery_model
from actors.campaign.delivery_messages import BROADCASTS, BroadcastState, DeliveryState
from actors.campaign.delivery_model import DELAYS
from actors.campaign.messages import Budget, CampaignState, Move, QuietHours, Schedule, SendChannel
from actors.core.messages import CUSTOMERS, ChangeCustomer, Channel, SetConsent
from actors.outgoing.ports import Accepted, FailedForGood, FailedForNow, Sent
from runtime.jobs import Delays
from runtime.policies import BreakerOpen, DeadlineExceeded
from tests.trees import MERCHANT
from tests.unit.campaign.sending import CAMPAIGN, broadcast, world
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)


async def test_everybody_gets_one_message_and_the_campaign_is_completed() -> None:
    async with world() as here, here.process():
        members = await here.customers(45)
        with here.system.changes.watching(BROADCASTS, MERCHANT, CAMPAIGN) as progress:
            await here.start(members, broadcast())
            await progress.wait()
            stats = await here.ends()
            await progress.wait()
        assert (stats.state, stats.recipients, stats.sent) == (BroadcastState.COMPLETED, 45, 45)
        assert min(each.to for [each] in here.mail.effects.values()) == "c0@example.com"
        [mail] = next(iter(here.mail.effects.values()))
        assert (mail.subject, mail.text[:14]) == ("News of Shop", "Hello Customer")
        headers = dict(mail.headers)
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        await trio.sleep(5)
        assert [move.move for move in here.moves] == [Move.COMPLETE]


async def test_consent_and_address_are_looked_up_when_it_is_sent() -> None:
    async with world() as here, here.process():
        here.mail.takes_s = 2.0
        members = await here.customers(45)
        await here.start(members, broadcast())
        await trio.sleep(2)
        customers = here.system.ref(CUSTOMERS)
        last, other = members[-1], members[-2]
        await customers.ask(SetConsent(MERCHANT, last, Channel.EMAIL, False, "test"))
        await customers.ask(ChangeCustomer(merchant_id=MERCHANT, customer_id=other, email=None))
        stats = await here.ends()
        assert (stats.sent, stats.suppressed) == (43, 2)
        silent = await here.deliveries(state=DeliveryState.SUPPRESSED)
        assert {each.customer_id: each.reason for each in silent} == {
            last: "no_consent",
            other: "no_address",
        }


async def test_a_customer_that_there_is_not_gets_nothing() -> None:
    async with world() as here, here.process():
        await here.customers(1)
        await here.start(["c-0000", "nobody"], broadcast())
        stats = await here.ends()
        assert (stats.sent, stats.suppressed) == (1, 1)


async def test_what_the_provider_refuses_for_good_fails_at_once_and_is_told_once(
    logs: list[dict[str, object]],
) -> None:
    def answer(_key: str, _nth: int) -> Sent:
        return FailedForGood("550", "no such user")

    async with world() as here, here.process():
        here.mail.answering = answer
        await here.start(await here.customers(3), broadcast())
        stats = await here.ends()
        assert (stats.failed, set(here.mail.asked.values())) == (3, {1})
        dead = await here.dead_letters()
        failed = {each.delivery_id for each in await here.deliveries()}
        assert {job.payload["delivery_id"] for job in dead} == failed
        told = [entry["delivery"] for entry in logs if entry["event"] == "delivery_failed"]
        assert sorted(map(str, told)) == sorted(failed)


async def test_a_dead_letter_that_is_put_back_is_sent_anew() -> None:
    async with world() as here, here.process():
        here.mail.answering = lambda key, nth: (
            FailedForGood("550", "full") if nth == 1 else Accepted(key)
        )
        await here.start(await here.customers(1), broadcast())
        assert (await here.ends()).failed == 1
        [dead] = await here.dead_letters()
        await here.put_back(dead)
        await trio.sleep(5)
        stats = await here.ends()
        assert (stats.sent, stats.failed) == (1, 0)


async def test_a_provider_that_fails_is_tried_eight_times_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred times as fast as in real life."""
    shorter = Delays(initial_s=0.3, max_s=DELAYS.max_s / 100)
    monkeypatch.setattr(delivery_model, "DELAYS", shorter)
    async with world() as here, here.process():
        here.mail.answering = lambda _key, _nth: FailedForNow("503", "busy")
        await here.start(await here.customers(1), broadcast())
        stats = await here.ends(within_s=500)
        assert (stats.failed, set(here.mail.asked.values())) == (1, {8})
        pauses = [b - a for a, b in zip(here.mail.moments, here.mail.moments[1:], strict=False)]
        assert all(pause <= 0.3 * 2**n + 2 for n, pause in enumerate(pauses))
        [failed] = await here.deliveries()
        assert failed.reason == "attempts_exhausted: 503: busy"


@pytest.mark.slow
async def test_retry_after_is_obeyed_and_costs_no_attempt() -> None:
    async with world() as here, here.process():
        here.mail.answering = lambda key, nth: (
            FailedForNow("429", "slow down", retry_after_s=30.0) if nth <= 5 else Accepted(key)
        )
        await here.start(await here.customers(1), broadcast())
        stats = await here.ends(within_s=2_000)
        [sent] = await here.deliveries()
        assert (stats.sent, sent.attempt, set(here.mail.asked.values())) == (1, 1, {6})
        pauses = [b - a for a, b in zip(here.mail.moments, here.mail.moments[1:], strict=False)]
        assert min(pauses) >= 30.0


@pytest.mark.slow
async def test_an_open_breaker_costs_no_attempt_and_the_other_channel_goes_on() -> None:
    def closed(_key: str, _nth: int) -> Exception:
        return BreakerOpen("smtp", "it failed too often", retry_after_s=5.0)

    async with world() as here, here.process():
        here.mail.answering = closed
        members = await here.customers(45)
        await here.start(members, broadcast(), "mail")
        await here.start(members, broadcast(SendChannel.SMS), "texts")
        texts = await here.ends("texts", within_s=10)
        assert texts.sent == 45
        await trio.sleep(120)
        waiting = await here.stats("mail")
        assert waiting is not None
        assert (waiting.pending + waiting.leased, waiting.failed) == (45, 0)
        assert len(here.mail.moments) <= 20 * 121 / 5
        here.mail.answering = None
        assert (await here.ends("mail")).sent == 45
        assert {each.attempt for each in await here.deliveries("mail")} == {1}


async def test_what_may_have_been_sent_is_not_sent_again_without_keys() -> None:
    lost = DeadlineExceeded("smtp", "attempt")
    async with world() as here, here.process():
        here.mail.honours_keys = False
        here.mail.answering = lambda key, nth: lost if nth == 1 else Accepted(key)
        here.texts.answering = lambda key, nth: lost if nth == 1 else Accepted(key)
        members = await here.customers(2)
        await here.start(members, broadcast(), "mail")
        await here.start(members, broadcast(SendChannel.SMS), "texts")
        mail, texts = await here.ends("mail"), await here.ends("texts")
        assert (mail.unknown, mail.sent) == (2, 0)
        assert (texts.unknown, texts.sent) == (0, 2)


@pytest.mark.slow
async def test_paused_resumed_and_cancelled() -> None:
    async with world() as here, here.process():
        here.mail.takes_s = 1.0
        await here.start(await here.customers(100), broadcast())
        await trio.sleep(2.5)
        running = CampaignState.RUNNING
        await here.change(CampaignState.PAUSED, from_state=running)
        await trio.sleep(10)
        paused = await here.stats()
        await trio.sleep(100)
        assert paused == await here.stats()
        assert paused is not None
        assert 0 < paused.sent < 100
        await here.change(running, from_state=CampaignState.PAUSED)
        await trio.sleep(2.5)
        await here.change(CampaignState.CANCELLED, from_state=running)
        stats = await here.ends()
        assert stats.state is BroadcastState.CANCELLED
        assert stats.sent + stats.suppressed == stats.recipients == 100
        assert paused.sent < stats.sent < 100
        assert len(here.mail.effects) == stats.sent
        reasons = {e.reason for e in await here.deliveries(state=DeliveryState.SUPPRESSED)}
        assert reasons == {"campaign_cancelled"}


@pytest.mark.slow
async def test_nothing_is_sent_in_quiet_hours() -> None:
    """It is noon in UTC, and one o'clock in Zurich."""
    async with world() as here, here.process():
        now = here.ports.clock.now()
        quiet = QuietHours(begins=time(12), ends=time(13, 2))
        schedule = Schedule(zone="Europe/Zurich", quiet=quiet)
        await here.start(await here.customers(2), broadcast(schedule=schedule))
        await trio.sleep(110)
        assert here.mail.moments == []
        await here.ends(within_s=30)
        assert here.ports.clock.now() - now > timedelta(minutes=2)
        assert len(here.mail.effects) == 2


async def test_no_more_is_sent_than_the_budget_has_and_who_gets_nothing_costs_nothing() -> None:
    async with world() as here, here.process():
        members = await here.customers(40)
        for silent in members[:5]:
            await here.system.ref(CUSTOMERS).ask(
                SetConsent(MERCHANT, silent, Channel.EMAIL, False, "test")
            )
        await here.start(members, broadcast(budget=Budget(count=30)))
        stats = await here.ends()
        assert (stats.sent, stats.suppressed) == (30, 10)
        reasons = [e.reason for e in await here.deliveries(state=DeliveryState.SUPPRESSED)]
        assert sorted(map(str, reasons)) == ["budget_exhausted"] * 5 + ["no_consent"] * 5
