"""What a provider tells of the texts of a campaign: early, late, again, and of texts of others."""

import pytest
import trio

from actors.campaign.delivery_jobs import SWEEP_S
from actors.campaign.delivery_messages import DeliveryState
from actors.campaign.early_news import KEPT_FOR
from actors.campaign.messages import SendChannel
from actors.campaign.silent_texts import ASK_AFTER
from actors.outgoing.ports import FailedForNow, Text, TextState, TextStatus
from actors.referrals.messages import TEXT_STATUS_TOLD
from runtime.outbox import RELAY, GetBacklog, ListDeadEvents
from runtime.policies import DeadlineExceeded
from tests.stores import unhurried
from tests.trees import MERCHANT
from tests.unit.campaign.sending import PUBLIC_URL, World, broadcast, world
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

TEXTS = broadcast(SendChannel.SMS)
KEPT = "SELECT count(*) FROM campaign_text_news WHERE merchant_id = $1"

AGE = "UPDATE campaign_text_news SET told_at = $2 WHERE merchant_id = $1"


async def tell(here: World, sid: str, state: TextState, reason: str | None = None) -> None:
    payload = {"provider_id": sid, "state": state.value, "reason": reason}
    await here.publish(TEXT_STATUS_TOLD, sid, payload)


async def waiting(here: World) -> int:
    relay = here.system.ref(RELAY)
    assert await relay.ask(ListDeadEvents()) == ()
    return await relay.ask(GetBacklog())


async def kept(here: World) -> int:
    """News of texts that are not known yet."""
    with unhurried():
        found: int = await here.real.fetch_value(KEPT, MERCHANT)
    return found


async def fates(here: World) -> list[tuple[DeliveryState, str | None]]:
    found = sorted(await here.deliveries(), key=lambda each: each.customer_id)
    return [(each.state, each.reason) for each in found]


async def test_news_of_a_text_count_once_and_nothing_goes_backwards() -> None:
    async with world() as here, here.process():
        await here.start(await here.customers(3), TEXTS)
        await here.ends()
        ann, bob, cyd = sorted(await here.deliveries(), key=lambda each: each.customer_id)
        [[text], *_] = here.texts.effects.values()
        url = f"{PUBLIC_URL}/v1/webhooks/twilio/status?merchant_id=shop"
        assert isinstance(text, Text)
        assert text.status_url == url
        told = [
            (ann, TextState.DELIVERED, None),
            (ann, TextState.DELIVERED, None),
            (ann, TextState.SENT, None),
            (ann, TextState.FAILED, "30008"),
            (bob, TextState.UNDELIVERED, "30003"),
            (cyd, TextState.SENT, None),
        ]
        for delivery, state, reason in told:
            assert delivery.provider_id is not None
            await tell(here, delivery.provider_id, state, reason)
        await trio.sleep(1)
        assert await waiting(here) == 0
        assert await fates(here) == [
            (DeliveryState.DELIVERED, None),
            (DeliveryState.FAILED, "undelivered: 30003"),
            (DeliveryState.SENT, None),
        ]


async def test_news_that_come_before_the_answer_wait_for_it_however_long_it_takes() -> None:
    async with world() as here, here.process():
        here.texts.takes_s = 50.0
        await here.start(await here.customers(3), TEXTS)
        await trio.sleep(2)
        ann, bob, _ = in_hand = sorted(
            await here.deliveries(state=DeliveryState.LEASED), key=lambda each: each.customer_id
        )
        for each in in_hand:
            await tell(here, f"p-{each.delivery_id}", TextState.SENT)
        for _ in range(2):
            await tell(here, f"p-{ann.delivery_id}", TextState.DELIVERED)
        await tell(here, f"p-{bob.delivery_id}", TextState.UNDELIVERED, "30003")
        await trio.sleep(1)
        assert await waiting(here) == 0
        assert await kept(here) == 2
        await here.ends()
        await trio.sleep(SWEEP_S + 1)
        assert await fates(here) == [
            (DeliveryState.DELIVERED, None),
            (DeliveryState.FAILED, "undelivered: 30003"),
            (DeliveryState.SENT, None),
        ]
        assert await kept(here) == 0


async def test_news_of_texts_of_others_are_kept_while_texts_are_in_hand_and_then_forgotten() -> (
    None
):
    async with world() as here, here.process():
        here.texts.takes_s = 40.0
        members = await here.customers(1)
        await tell(here, "SMnobody", TextState.DELIVERED)
        await trio.sleep(1)
        assert await kept(here) == 0
        await here.start(members, TEXTS)
        await trio.sleep(2)
        await tell(here, "SMnobody", TextState.FAILED, "30003")
        assert (await here.ends()).sent == 1
        assert (await waiting(here), await kept(here)) == (0, 1)
        with unhurried():
            await here.real.execute(AGE, MERCHANT, here.ports.clock.now() - KEPT_FOR)
        await trio.sleep(SWEEP_S + 1)
        assert await kept(here) == 0


async def test_what_nobody_tells_is_asked_for_once_after_ten_minutes() -> None:
    """Unless it was told of. A provider that is in trouble is asked again."""
    async with world() as here, here.process():
        await here.start(await here.customers(5), TEXTS)
        await here.ends()
        sids = [
            str(each.provider_id)
            for each in sorted(await here.deliveries(), key=lambda each: each.customer_id)
        ]
        told, brought, lost, on_its_way, forgotten = sids
        await tell(here, told, TextState.DELIVERED)
        words = {brought: TextState.DELIVERED, lost: TextState.UNDELIVERED}
        for sid, state in {**words, on_its_way: TextState.SENT}.items():
            code = "30003" if state is TextState.UNDELIVERED else None
            here.texts.knows[sid] = TextStatus(sid, state.value, state, code)
        here.texts.knows[forgotten] = FailedForNow("503", "out of order")
        await trio.sleep(ASK_AFTER.total_seconds() - 30)
        assert here.texts.asked_about == []
        await trio.sleep(60)
        del here.texts.knows[forgotten]
        await trio.sleep(60)
        assert await fates(here) == [
            (DeliveryState.DELIVERED, None),
            (DeliveryState.DELIVERED, None),
            (DeliveryState.FAILED, "undelivered: 30003"),
            (DeliveryState.SENT, None),
            (DeliveryState.UNKNOWN, "20404: nothing is known of it"),
        ]
        assert told not in here.texts.asked_about
        asked = len(here.texts.asked_about)
        await trio.sleep(ASK_AFTER.total_seconds())
        assert len(here.texts.asked_about) == asked


async def test_a_text_of_unknown_fate_is_looked_for_and_never_sent_again() -> None:
    """Of two whose answers are lost the provider lists one."""
    for lost in (DeadlineExceeded("sms", "attempt"), FailedForNow("x", "lost", uncertain=True)):
        async with world() as here, here.process():
            here.texts.honours_keys = False
            here.texts.answering = lambda _key, _nth, lost=lost: lost
            here.texts.lists = {"+41790000000": "SM1"}
            await here.start(await here.customers(2), TEXTS)
            stats = await here.ends()
            assert (stats.sent, stats.unknown) == (1, 1)
            assert set(here.texts.asked.values()) == {1}
            assert len(here.texts.looked_for) == 2
            await tell(here, "SM1", TextState.DELIVERED)
            await trio.sleep(1)
            assert [state for state, _ in await fates(here)] == [
                DeliveryState.DELIVERED,
                DeliveryState.UNKNOWN,
            ]


async def test_who_looks_for_a_text_does_not_wait_for_ever() -> None:
    async with world() as here, here.process():
        here.texts.honours_keys = False
        here.texts.answering = lambda _key, _nth: FailedForNow("x", "lost", uncertain=True)
        here.texts.lists = {"+41790000000": "SM1"}
        here.texts.takes_s = 5.0
        await here.start(await here.customers(1), TEXTS)
        stats = await here.ends()
        assert (stats.unknown, here.texts.looked_for) == (1, [])
