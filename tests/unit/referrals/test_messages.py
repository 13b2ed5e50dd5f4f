"""What becomes of texts: sent, told of in any order, lost, refused, and never taken back."""

from datetime import timedelta
from itertools import permutations

import pytest
import trio

from actors.outgoing.ports import FailedForGood, FailedForNow, Sent, Text, TextState
from actors.referrals.messages import (
    TEXT_STATUS_TOLD,
    Invitation,
    InvitationChannel,
    MessageState,
    ReferralState,
)
from actors.referrals.model import RANKS
from actors.vocabulary import Refusal
from tests.unit.referrals.world import FakeMailer, FakeTexter, running_world, status
from tests.virtual import run_virtually

pytestmark = [pytest.mark.trio(run=run_virtually), pytest.mark.slow]

INVITATIONS = 60

ATTEMPTS = "SELECT max(attempt) FROM jobs WHERE queue LIKE 'referrals.%'"


async def test_a_provider_that_refuses_everything_is_nobodys_business() -> None:
    """Every invitation is answered as if nothing were wrong, and every failure counted once."""

    def refuse(_text: Text, _key: str) -> Sent:
        return FailedForGood("21211", "no such number")

    texter = FakeTexter(refuse)
    async with running_world(texter) as world:
        await world.program(invitations_per_advocate=1_000)
        for number in range(INVITATIONS):
            started = trio.current_time()
            answer = await world.invite(f"+4179{number:07d}")
            assert isinstance(answer, Invitation)
            assert trio.current_time() - started <= 0.2
        await trio.sleep(10)
        failed = world.count("referral_messages_total", channel="sms", state="failed")
        rows = "SELECT count(*) FROM referral_messages WHERE state = 'failed'"
        assert failed == INVITATIONS == await world.value(rows)
        assert await world.value("SELECT count(*) FROM referrals WHERE state = 'created'") == (
            INVITATIONS
        )


async def test_an_outage_costs_attempts_and_time_but_no_message() -> None:
    down = True

    def answer(_text: Text, _key: str) -> Sent | None:
        return FailedForNow("unreachable", "nobody there") if down else None

    texter = FakeTexter(answer)  # type: ignore[arg-type]
    async with running_world(texter) as world:
        referral = await world.invited()
        await trio.sleep(40)
        assert await world.message_state(referral) is MessageState.QUEUED
        down = False
        world.clock.moved = timedelta(hours=1)
        await trio.sleep(5)
        assert await world.message_state(referral) is MessageState.SENT
        assert texter.looked_for == 0


async def test_a_pause_that_the_provider_wants_costs_no_attempt() -> None:
    pauses = 0

    def answer(_text: Text, _key: str) -> Sent | None:
        nonlocal pauses
        pauses += 1
        return FailedForNow("rate_limited", "later", 30.0) if pauses <= 20 else None

    async with running_world(FakeTexter(answer)) as world:  # type: ignore[arg-type]
        referral = await world.invited()
        for _ in range(20):
            await trio.sleep(2)
            assert (
                await world.value("SELECT max(attempt) FROM jobs WHERE queue LIKE 'referrals%'")
                == 0
            )
            world.clock.moved += timedelta(seconds=30)
        await trio.sleep(3)
        assert await world.message_state(referral) is MessageState.SENT


async def test_a_message_of_unknown_fate_is_looked_for_before_it_is_sent_again() -> None:
    """The provider took it, and its answer was lost: it is not sent twice."""
    texter = FakeTexter()
    lost = 0

    async def lose(_sid: str) -> None:
        nonlocal lost
        lost += 1
        await trio.sleep(3_600)

    texter.before_answer = lose
    async with running_world(texter) as world:
        referral = await world.invited()
        await trio.sleep(20)
        assert lost == 1
        texter.before_answer = None
        world.clock.moved = timedelta(minutes=5)
        await trio.sleep(5)
        assert len(texter.sent) == 1
        assert texter.looked_for == 1
        assert await world.message_state(referral) is MessageState.SENT


WORDS = ("sent", "undelivered", "delivered", "sent")


@pytest.mark.parametrize("parked", [0, 2, 4])
async def test_statuses_end_alike_in_every_order_also_when_they_come_early(parked: int) -> None:
    """Some come before the answer that names the text, the rest after it, each of them twice."""
    async with running_world() as world:
        await world.program(invitations_per_advocate=1_000)
        for number, order in enumerate(sorted(set(permutations(WORDS)))):
            early, late = order[:parked], order[parked:]

            async def tell_early(sid: str, words: tuple[str, ...] = early) -> None:
                for word in words:
                    assert (await world.told(sid, word)).parked or word == "sent"

            world.texter.before_answer = tell_early
            referral = await world.invited(f"+4179{number:07d}")
            await world.settled()
            ranks = []
            sid = world.texter.sent[-1][0]
            for word in (*late, *late):
                await world.told(sid, word)
                ranks.append(RANKS[await world.message_state(referral)])
            assert ranks == sorted(ranks)
            assert await world.message_state(referral) is MessageState.DELIVERED
            assert await world.state(referral) is ReferralState.INVITED
        rows = "SELECT count(*) FROM text_statuses"
        assert await world.value(rows) == 3 * len(set(permutations(WORDS)))


async def test_what_is_told_of_texts_that_no_invitation_has_sent_is_published_once() -> None:
    async with running_world() as world:
        referral = await world.invited()
        await world.settled()
        sid = world.texter.sent[0][0]
        for told in (sid, sid, "SMother", "SMother"):
            await world.told(told, "delivered")
        await world.settled()
        topic = {"topic": TEXT_STATUS_TOLD, "outcome": "delivered"}
        assert world.count("outbox_events_total", **topic) == 1
        assert await world.message_state(referral) is MessageState.DELIVERED


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (TextState.DELIVERED, MessageState.DELIVERED),
        (TextState.UNDELIVERED, MessageState.UNDELIVERED),
        (TextState.SENT, MessageState.UNKNOWN),
        (None, MessageState.UNKNOWN),
    ],
)
async def test_a_text_of_which_nobody_tells_is_asked_for_once_after_ten_minutes(
    known: TextState | None, state: MessageState
) -> None:
    async with running_world() as world:
        referral = await world.invited()
        await world.settled()
        sid = world.texter.sent[0][0]
        if known is not None:
            world.texter.statuses = {sid: status(sid, known)}
        world.clock.moved = timedelta(minutes=9)
        await trio.sleep(5)
        assert world.texter.asked == []
        world.clock.moved = timedelta(minutes=10)
        await trio.sleep(5)
        world.clock.moved = timedelta(hours=10)
        await trio.sleep(5)
        assert world.texter.asked == [sid]
        assert await world.message_state(referral) is state
        await world.told(sid, "delivered")
        assert await world.message_state(referral) is MessageState.DELIVERED


async def test_a_text_that_was_told_of_is_not_asked_for() -> None:
    async with running_world() as world:
        await world.invited()
        await world.settled()
        await world.told(world.texter.sent[0][0], "delivered")
        world.clock.moved = timedelta(hours=1)
        await trio.sleep(5)
        assert world.texter.asked == []


async def test_who_answered_stop_is_never_written_to_again() -> None:
    async with running_world() as world:
        referral = await world.invited()
        await world.settled()
        await world.told(world.texter.sent[0][0], "undelivered", "21610")
        assert await world.message_state(referral) is MessageState.OPTED_OUT
        world.clock.moved = timedelta(days=31)
        await world.tree.database.execute(
            "UPDATE referrals SET state = 'expired' WHERE merchant_id = $1", "shop"
        )
        again = await world.invited(advocate="cyd")
        await world.settled()
        assert len(world.texter.sent) == 1
        assert await world.message_state(again) is MessageState.OPTED_OUT


async def test_a_number_is_kept_sealed_and_only_until_it_is_sent_to() -> None:
    async with running_world(FakeTexter(lambda *_: FailedForNow("x", "away"))) as world:
        await world.invited()
        sealed = await world.value("SELECT sealed FROM referral_messages")
        assert sealed
        rows = await world.tree.database.fetch(
            "SELECT * FROM referral_messages WHERE merchant_id = $1", "shop"
        )
        assert "791234567" not in str([tuple(row) for row in rows])
        world.texter.answer = None
        world.clock.moved = timedelta(hours=1)
        await trio.sleep(5)
        assert await world.value("SELECT sealed FROM referral_messages") is None


async def test_an_invitation_needs_an_address_that_can_be_written_to() -> None:
    async with running_world() as world:
        for to, channel, code in (
            (None, InvitationChannel.SMS, "address_missing"),
            ("12", InvitationChannel.SMS, "invalid_phone"),
            ("nobody", InvitationChannel.EMAIL, "invalid_email"),
        ):
            answer = await world.invite(to, channel=channel)
            assert isinstance(answer, Refusal)
            assert answer.code == code


async def test_an_invitation_by_mail_is_sent_once_and_not_asked_about() -> None:
    mailer = FakeMailer()
    async with running_world(mailer=mailer) as world:
        referral = await world.invited("Bob@Example.com", channel=InvitationChannel.EMAIL)
        await world.settled()
        ((key, mail),) = mailer.sent
        assert (mail.to, mail.subject, mail.sender_name) == ("bob@example.com", "Shop", "Shop")
        assert referral.code in mail.text
        assert key.startswith("msg_")
        assert await world.message_state(referral) is MessageState.SENT
        assert await world.state(referral) is ReferralState.INVITED
        world.clock.moved = timedelta(hours=1)
        await trio.sleep(5)
        assert world.texter.asked == []
        assert len(mailer.sent) == 1


async def test_mail_of_unknown_fate_is_not_sent_again() -> None:
    mailer = FakeMailer(lambda *_: FailedForNow("timeout", "no answer", uncertain=True))
    async with running_world(mailer=mailer) as world:
        referral = await world.invited("bob@example.com", channel=InvitationChannel.EMAIL)
        await world.settled()
        world.clock.moved = timedelta(minutes=5)
        await trio.sleep(5)
        assert len(mailer.sent) == 1
        assert await world.message_state(referral) is MessageState.UNKNOWN


async def test_mail_that_was_surely_not_sent_is_sent_again() -> None:
    mailer = FakeMailer(lambda *_: FailedForNow("refused", "greylisted"))
    async with running_world(mailer=mailer) as world:
        referral = await world.invited("bob@example.com", channel=InvitationChannel.EMAIL)
        await world.settled()
        mailer.answer = None
        world.clock.moved = timedelta(minutes=5)
        await trio.sleep(5)
        assert len(mailer.sent) == 2
        assert await world.message_state(referral) is MessageState.SENT


async def test_without_a_provider_messages_fail_and_codes_still_work() -> None:
    async with running_world() as world:
        referral = await world.invited("bob@example.com", channel=InvitationChannel.EMAIL)
        await world.settled()
        assert await world.message_state(referral) is MessageState.FAILED
        await world.claimed(referral.code)


async def test_the_watch_counts_texts_that_nobody_has_told_of() -> None:
    async with running_world() as world:
        for number in range(4):
            await world.invited(f"+4179{number:07d}")
        await world.settled()
        await world.told(world.texter.sent[0][0], "delivered")
        world.clock.moved = timedelta(minutes=11)
        await trio.sleep(61)
        assert world.count("referral_texts_watched") == 4
        assert world.count("referral_texts_unconfirmed") == 3
