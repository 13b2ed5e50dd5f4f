"""The jobs that send invitations, and ask what became of those of which nobody tells."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

import attrs
import structlog
import trio

from actors.core.messages import CONTACTS, Channel, OpenContact
from actors.outgoing.ports import (
    Accepted,
    FailedForGood,
    FailedForNow,
    Mail,
    Mailer,
    Sent,
    Text,
    Texter,
    TextStatus,
)
from actors.outgoing.twilio import OPTED_OUT, status_url
from actors.referrals.lookups import Lookups
from actors.referrals.message_queries import (
    CATCH_UP,
    END_MESSAGE,
    SELECT_MESSAGE,
    SELECT_OPTED_OUT,
    SENT,
    TRY,
)
from actors.referrals.messages import (
    InvitationChannel,
    MessageState,
    ProgramVersion,
    ReferralState,
)
from actors.referrals.metrics import ReferralMetrics
from actors.referrals.model import OPEN, RANKS, words_of
from actors.referrals.queries import INVITED
from actors.referrals.queues import MESSAGES, poll_job
from actors.referrals.records import Stored, StoredMessage, message_of, step_write
from actors.referrals.statuses import merge_write
from runtime import Outcome
from runtime.jobs import Job, RetryAfter, job_write
from runtime.journal import JOURNAL, Append
from runtime.policies import PolicyError, RateLimited
from runtime.registries import in_registry
from runtime.storage import Database, Entry, Write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.referrals")

POLL_AFTER = timedelta(minutes=10)
"""Without any news the provider is asked."""

COME_BACK_S = 5.0
SPREAD_S = 25.0
"""Messages that are turned away together do not all come back together."""

PACE_MAX_S = 2.0
PACES_MAX = 10
"""So long, and so often, a worker waits for the rate of a provider by itself."""

PROVIDER = "provider"
UNCERTAIN = "uncertain"

CHANNELS: Mapping[InvitationChannel, Channel] = {
    InvitationChannel.SMS: Channel.SMS,
    InvitationChannel.EMAIL: Channel.EMAIL,
}


class NotSent(Exception):
    """This attempt did not bring it; another one may."""


@attrs.frozen(kw_only=True)
class Couriers:
    """Who brings messages. `status_url` makes the URL that a provider tells of a merchant's texts
    at, where there is one that it can reach."""

    texter: Texter
    mailer: Mailer | None = None
    public_url: str | None = None

    def status_url(self, merchant_id: str) -> str | None:
        return status_url(self.public_url, merchant_id) if self.public_url else None


@attrs.frozen
class SendInvitation:
    """Sends one message. What it comes to is written under a condition on the state that it was
    in, so that a worker that comes late changes nothing.

    To a provider that knows no keys a message is sent only after that was written down; when it
    is not known afterwards whether it was, the provider is asked first.
    """

    database: Database
    couriers: Couriers

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        row = await self.database.fetch_row(
            SELECT_MESSAGE, job.merchant_id, job.payload["message_id"]
        )
        message = message_of(row) if row is not None else None
        if message is None or message.state is not MessageState.QUEUED:
            return ()
        delivery = Delivery(system, self.database, self.couriers, message, job)
        await delivery.bring()
        return ()


@attrs.frozen
class Delivery:
    """One attempt to bring one message."""

    system: ActorSystem
    database: Database
    couriers: Couriers
    message: StoredMessage
    job: Job

    async def bring(self) -> None:
        """Raises `RetryAfter` and `NotSent`, and what asks and the database do."""
        lookups, message = Lookups(self.system, self.database), self.message
        referral = await lookups.referral(message.merchant_id, message.referral_id)
        if referral is None or referral.state not in OPEN:
            await self._end(MessageState.FAILED, "withdrawn")
            return
        key = (message.merchant_id, message.friend_key)
        if await self.database.fetch_value(SELECT_OPTED_OUT, *key) is not None:
            await self._end(MessageState.OPTED_OUT, "opted_out_before")
            return
        address = await self._address()
        if address is None:
            await self._end(MessageState.FAILED, "unreadable")
            return
        program = ProgramVersion(referral.program_version, referral.program)
        link = await lookups.link(message.merchant_id, program, referral.code)
        shop = await lookups.shop_name(message.merchant_id)
        words = words_of(referral.program, shop, link, referral.code)
        await self._conclude(referral, await self._sent(address, shop, words))

    async def _address(self) -> str | None:
        message = self.message
        if message.sealed is None or message.key_version is None:
            return None
        channel = CHANNELS[message.channel]
        question = OpenContact(message.merchant_id, channel, message.sealed, message.key_version)
        return await self.system.ref(CONTACTS).ask(question)

    async def _sent(self, address: str, shop: str, words: str) -> Sent:
        try:
            if self.message.channel is InvitationChannel.SMS:
                url = self.couriers.status_url(self.message.merchant_id)
                return await self._text(Text(to=address, body=words, status_url=url))
            return await self._mail(Mail(to=address, subject=shop, text=words, sender_name=shop))
        except PolicyError as error:
            uncertain = error.outcome is Outcome.UNKNOWN
            pause_s = (error.retry_after_s or COME_BACK_S) + self.system.random.uniform(0, SPREAD_S)
            name, detail = type(error).__name__, str(error)
            return FailedForNow(name, detail, None if uncertain else pause_s, uncertain)

    async def _text(self, text: Text) -> Sent:
        message, texter = self.message, self.couriers.texter
        if message.tried_at is not None:
            found = await texter.find(message.merchant_id, text, message.created_at)
            if isinstance(found, FailedForNow):
                return attrs.evolve(found, uncertain=True)
            if found is not None:
                return found
        if not texter.honours_keys:
            await self._try(self.system.clock.now())
        return await _paced(partial(texter.send, message.merchant_id, text, message.message_id))

    async def _mail(self, mail: Mail) -> Sent:
        message, mailer = self.message, self.couriers.mailer
        if mailer is None:
            return FailedForGood("not_configured", "no server for mail is configured")
        if message.tried_at is not None:
            return FailedForGood(UNCERTAIN, "an earlier attempt may have brought it")
        if not mailer.honours_keys:
            await self._try(self.system.clock.now())
        return await _paced(partial(mailer.send, mail, message.message_id))

    async def _try(self, since: datetime | None) -> None:
        """Write down that it is being sent, or that it was not. Raises `NotSent` where somebody
        else has brought it meanwhile."""
        message = self.message
        row = (message.merchant_id, message.message_id, message.state.value, since)
        if await self.system.ref(JOURNAL).ask(Append((Write(TRY, row),))) is not None:
            raise NotSent("somebody else was there first")

    async def _conclude(self, referral: Stored, sent: Sent) -> None:
        match sent:
            case Accepted():
                await self._accepted(referral, sent.provider_id)
            case FailedForGood():
                opted_out = sent.code == OPTED_OUT
                uncertain = sent.code == UNCERTAIN
                state = MessageState.OPTED_OUT if opted_out else MessageState.FAILED
                await self._end(MessageState.UNKNOWN if uncertain else state, sent.code)
            case FailedForNow():
                await self._not_now(sent)

    async def _not_now(self, sent: FailedForNow) -> None:
        if not sent.uncertain:
            await self._try(None)
        if sent.retry_after_s is not None:
            raise RetryAfter(sent.retry_after_s, sent.detail)
        if self.job.attempt < MESSAGES.attempts_max:
            raise NotSent(f"{sent.code}: {sent.detail}")
        state = MessageState.UNKNOWN if sent.uncertain else MessageState.FAILED
        await self._end(state, sent.code)

    async def _accepted(self, referral: Stored, provider_id: str) -> None:
        message, now = self.message, self.system.clock.now()
        key = (message.merchant_id, message.message_id)
        states = (message.state.value, MessageState.SENT.value, RANKS[MessageState.SENT])
        invited, created = ReferralState.INVITED, ReferralState.CREATED
        row = (message.merchant_id, referral.referral_id, created.value, invited.value)
        entry: Entry = (
            Write(SENT, (*key, *states, provider_id, now)),
            Write(CATCH_UP, (message.merchant_id, provider_id)),
            Write(INVITED, row),
            step_write(referral, invited, now, PROVIDER),
        )
        if message.channel is InvitationChannel.SMS:
            entry += (self._poll(now),)
        await self._write(entry, MessageState.SENT)
        await self._count_early_news()

    async def _count_early_news(self) -> None:
        """What the provider told before its answer came has taken effect with it."""
        key = (self.message.merchant_id, self.message.message_id)
        row = await self.database.fetch_row(SELECT_MESSAGE, *key)
        if row is not None and message_of(row).state is not MessageState.SENT:
            count_message(self.system, self.message.channel, message_of(row).state)

    def _poll(self, now: datetime) -> Write:
        job = poll_job(self.message.merchant_id, self.message.message_id, now + POLL_AFTER)
        job_id = self.system.ids.new("job")
        return job_write(job, job_id=job_id, now=now, trace_id=self.job.trace_id)

    async def _end(self, state: MessageState, detail: str) -> None:
        message, now = self.message, self.system.clock.now()
        key = (message.merchant_id, message.message_id)
        states = (message.state.value, state.value, RANKS[state])
        await self._write((Write(END_MESSAGE, (*key, *states, detail, now)),), state)

    async def _write(self, entry: Entry, state: MessageState) -> None:
        """Counted once it is durable. Somebody who was there first is right."""
        if await self.system.ref(JOURNAL).ask(Append(entry)) is not None:
            log.info("invitation_overtaken", message=self.message.message_id, state=state.value)
            return
        count_message(self.system, self.message.channel, state)


async def _paced(send: Callable[[], Awaitable[Sent]]) -> Sent:
    """What `send` returns or raises, within the rate of the provider."""
    for _ in range(PACES_MAX):
        try:
            return await send()
        except RateLimited as error:
            if error.retry_after_s is None or error.retry_after_s > PACE_MAX_S:
                raise
            await trio.sleep(error.retry_after_s)
    return await send()


@attrs.frozen
class PollText:
    """Asks once what became of a text that nothing was told of. What is still under way then, or
    not known to the provider, is unknown."""

    database: Database
    couriers: Couriers

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        row = await self.database.fetch_row(
            SELECT_MESSAGE, job.merchant_id, job.payload["message_id"]
        )
        message = message_of(row) if row is not None else None
        if message is None or message.state is not MessageState.SENT:
            return ()
        answer = await self._asked(message)
        if isinstance(answer, FailedForNow):
            if answer.retry_after_s is not None:
                raise RetryAfter(answer.retry_after_s, answer.detail)
            if job.attempt < MESSAGES.attempts_max:
                raise NotSent(f"{answer.code}: {answer.detail}")
        now, told = system.clock.now(), MessageState.UNKNOWN
        entry: Entry = ()
        if isinstance(answer, TextStatus):
            entry = (merge_write(message.merchant_id, answer, now),)
            told = MessageState(answer.state.value)
        if told in {MessageState.SENT, MessageState.UNKNOWN}:
            told, detail = MessageState.UNKNOWN, _word(answer)
            states = (message.state.value, told.value, RANKS[told], detail, now)
            entry = (Write(END_MESSAGE, (message.merchant_id, message.message_id, *states)),)
        if await system.ref(JOURNAL).ask(Append(entry)) is None:
            count_message(system, message.channel, told)
        return ()

    async def _asked(self, message: StoredMessage) -> TextStatus | FailedForGood | FailedForNow:
        if message.provider_id is None:
            return FailedForGood("no_id", "the provider never named it")
        try:
            return await self.couriers.texter.status(message.merchant_id, message.provider_id)
        except PolicyError as error:
            pause_s = error.retry_after_s or COME_BACK_S
            return FailedForNow(type(error).__name__, str(error), pause_s)


def _word(answer: TextStatus | FailedForGood | FailedForNow) -> str:
    return answer.status if isinstance(answer, TextStatus) else answer.code


def count_message(system: ActorSystem, channel: InvitationChannel, state: MessageState) -> None:
    metrics = in_registry(system.metrics.registry, ReferralMetrics)
    metrics.messages.labels(channel.value, state.value).inc()
