"""Invitations: what one comes to, and what is written for it."""

from datetime import datetime

import attrs
import msgspec
import structlog

from actors.core.messages import CONTACTS, Channel, SealContact, SealedContact
from actors.referrals.caps import Cap, caps_of, count_writes, exceeded, person_cap
from actors.referrals.lookups import Lookups
from actors.referrals.message_queries import INSERT_MESSAGE
from actors.referrals.messages import (
    Invitation,
    InvitationChannel,
    Invite,
    MessageState,
    ProgramVersion,
    ReferralState,
    Review,
)
from actors.referrals.model import (
    ADDRESS_CAP,
    EXISTING_CUSTOMER,
    INVITED_BEFORE,
    NOBODY_NAMED,
    PROGRAM_OFF,
    SELF_REFERRAL,
    check_signals,
    code_from,
    expiry,
    shares_contact,
)
from actors.referrals.queries import END, INSERT_LINK, INSERT_REFERRAL
from actors.referrals.queues import MESSAGES, send_job
from actors.referrals.records import Stored, referral_row, step_write
from actors.room import no_room
from actors.vocabulary import KEY_REUSED, Idempotency, Refusal, RefusalKind
from runtime.context import current_trace_id
from runtime.jobs import JOBS, JobsAdded, job_write
from runtime.journal import JOURNAL, Append
from runtime.storage import Database, Entry, Write
from runtime.storage.idempotency import SELECT_KEY, idempotency_write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.referrals")

TRIES = 3
"""An entry may be rejected because another one was there first; then it is decided again."""

BUSY = Refusal(
    RefusalKind.CONFLICT, "referral_busy", "the same was asked for at the same time; try again"
)
ADDRESS_MISSING = Refusal(
    RefusalKind.INVALID, "address_missing", "an invitation needs an address or a number"
)

CHANNELS = {InvitationChannel.SMS: Channel.SMS, InvitationChannel.EMAIL: Channel.EMAIL}


@attrs.frozen
class Asked:
    """An invitation with all that was looked up for it."""

    message: Invite
    advocate_id: str
    program: ProgramVersion
    signals: dict[str, str]
    contact: SealedContact


class Inviting:
    """Nothing of an invitation waits for a provider: its message is a job of the same entry."""

    def __init__(self, system: ActorSystem, database: Database) -> None:
        self._system = system
        self._database = database
        self._lookups = Lookups(system, database)

    async def invite(self, message: Invite) -> Invitation | Refusal:
        """Raises what asks and the database do."""
        for _ in range(TRIES):
            earlier = await self._replay(message)
            if earlier is not None:
                return earlier
            found = await self._asked(message)
            if isinstance(found, Refusal | Invitation):
                return found
            answer = await self._decide(found)
            if answer is not None:
                return answer
        return BUSY

    async def _replay(self, message: Invite) -> Invitation | Refusal | None:
        key = message.idempotency
        if key is None:
            return None
        row = await self._database.fetch_row(SELECT_KEY, message.merchant_id, key.key)
        if row is None:
            return None
        if row["fingerprint"] != key.fingerprint:
            return KEY_REUSED
        kept = msgspec.convert(row["response"], dict[str, str])
        found = await self._lookups.referral(message.merchant_id, kept.get("referral_id", ""))
        return await self._answer(found, replayed=True) if found is not None else None

    async def _answer(self, referral: Stored, *, replayed: bool = False) -> Invitation:
        version = ProgramVersion(referral.program_version, referral.program)
        link = await self._lookups.link(referral.merchant_id, version, referral.code)
        return Invitation(referral.view(link), None, replayed)

    async def _asked(self, message: Invite) -> Asked | Invitation | Refusal:
        merchant_id = message.merchant_id
        refusal = check_signals(message.signals)
        if refusal is not None:
            return refusal
        program = await self._lookups.program(merchant_id)
        if not program.program.enabled:
            return PROGRAM_OFF
        if message.advocate_id is None:
            return NOBODY_NAMED
        advocate = await self._lookups.customer(merchant_id, message.advocate_id)
        if isinstance(advocate, Refusal):
            return advocate
        advocate_id = advocate.customer_id
        signals = await self._lookups.signals(merchant_id, message.signals)
        if message.channel is InvitationChannel.LINK:
            return await self._link(merchant_id, advocate_id, program, signals)
        if message.address is None:
            return ADDRESS_MISSING
        question = SealContact(merchant_id, CHANNELS[message.channel], message.address)
        contact = await self._system.ref(CONTACTS).ask(question)
        if isinstance(contact, Refusal):
            return contact
        own = await self._lookups.fingerprints(merchant_id, advocate_id)
        if contact.customer_id == advocate_id or shares_contact((contact.fingerprint,), own):
            return SELF_REFERRAL
        return Asked(message, advocate_id, program, signals, contact)

    async def _link(
        self, merchant_id: str, advocate_id: str, program: ProgramVersion, signals: dict[str, str]
    ) -> Invitation | Refusal:
        """The advocate's link, made when it is asked for the first time."""
        for _ in range(TRIES):
            known = await self._lookups.link_of(merchant_id, advocate_id)
            if known is not None:
                link = await self._lookups.link(merchant_id, program, known.code)
                return Invitation(None, known.view(link))
            code, now = code_from(self._system.secrets), self._system.clock.now()
            write = Write(INSERT_LINK, (merchant_id, advocate_id, code, signals, now))
            await self._system.ref(JOURNAL).ask(Append((write,)))
        return BUSY

    async def _decide(self, asked: Asked) -> Invitation | Refusal | None:
        """None when another entry was there first."""
        merchant_id, now = asked.message.merchant_id, self._system.clock.now()
        person = asked.contact.fingerprint
        again = await self._lookups.invited_by(merchant_id, asked.advocate_id, person, now)
        if again is not None:
            return await self._answer(again)
        program = asked.program.program
        by_text = asked.message.channel is InvitationChannel.SMS
        caps = caps_of(program, asked.advocate_id, asked.signals.get("ip"), text=by_text)
        refusal = await exceeded(self._lookups, merchant_id, caps, now) or await no_room(
            self._system, MESSAGES.name
        )
        if refusal is not None:
            return refusal
        cap = person_cap(program, person)
        reason = await self._rejection(asked, cap, now)
        referral = self._new(asked, now, hidden=reason is not None)
        entry = (
            *count_writes(merchant_id, caps if reason is not None else (*caps, cap), now),
            *begin_writes(referral, asked.message.by),
            *(self._message(referral, asked.contact) if reason is None else ()),
            *(self._rejected(referral, reason) if reason is not None else ()),
            *_key(asked.message.idempotency, referral),
        )
        if await lost_race(self._system, entry):
            return None
        self._system.ref(JOBS).tell(JobsAdded(MESSAGES.name))
        return await self._answer(referral)

    async def _rejection(self, asked: Asked, cap: Cap, now: datetime) -> str | None:
        """Why nothing is sent, which is not told to who invites."""
        friend_id, merchant_id = asked.contact.customer_id, asked.message.merchant_id
        person = asked.contact.fingerprint
        if await self._lookups.live_by_key(merchant_id, person) is not None:
            return INVITED_BEFORE
        if await exceeded(self._lookups, merchant_id, (cap,), now) is not None:
            return ADDRESS_CAP
        if friend_id is None:
            return None
        if await self._lookups.of_friend(merchant_id, friend_id) is not None:
            return INVITED_BEFORE
        ordered = await self._lookups.has_ordered(merchant_id, friend_id)
        return EXISTING_CUSTOMER if ordered else None

    def _new(self, asked: Asked, now: datetime, *, hidden: bool) -> Stored:
        referral = new_referral(
            self._system,
            asked.message.merchant_id,
            asked.advocate_id,
            asked.message.channel,
            asked.program,
            asked.signals,
            now,
        )
        return attrs.evolve(referral, friend_key=asked.contact.fingerprint, hidden=hidden)

    def _message(self, referral: Stored, contact: SealedContact) -> Entry:
        """The message and the job that sends it. To who withdrew the consent there is none."""
        if contact.refused:
            return ()
        merchant_id, now = referral.merchant_id, referral.created_at
        message_id = self._system.ids.new("msg")
        row = (
            merchant_id,
            message_id,
            referral.referral_id,
            referral.channel.value,
            MessageState.QUEUED.value,
            0,
            contact.fingerprint,
            contact.text,
            contact.key_version,
            now,
            now,
        )
        job = job_write(
            send_job(merchant_id, message_id),
            job_id=self._system.ids.new("job"),
            now=now,
            trace_id=current_trace_id(),
        )
        return Write(INSERT_MESSAGE, row), job

    def _rejected(self, referral: Stored, reason: str) -> Entry:
        ended, now = ReferralState.REJECTED, referral.created_at
        row = (referral.merchant_id, referral.referral_id, referral.state.value)
        return (
            Write(END, (*row, ended.value, reason, now)),
            step_write(referral, ended, now, "system", reason),
        )


async def lost_race(system: ActorSystem, entry: Entry) -> bool:
    """Whether the entry could not be written, because another one was there first."""
    rejected = await system.ref(JOURNAL).ask(Append(entry))
    if rejected is not None:
        log.info("referral_decided_again", error=str(rejected.violation)[:200])
    return rejected is not None


def new_referral(
    system: ActorSystem,
    merchant_id: str,
    advocate_id: str,
    channel: InvitationChannel,
    program: ProgramVersion,
    signals: dict[str, str],
    now: datetime,
) -> Stored:
    """One that begins, with a code that nobody can guess."""
    return Stored(
        merchant_id=merchant_id,
        referral_id=system.ids.new("ref"),
        code=code_from(system.secrets),
        advocate_id=advocate_id,
        channel=channel,
        state=ReferralState.CREATED,
        review=Review.NONE,
        reason=None,
        friend_key=None,
        hidden=False,
        friend_id=None,
        program=program.program,
        program_version=program.version,
        signals=signals,
        flags=(),
        created_at=now,
        expires_at=expiry(program.program, now),
        claimed_at=None,
        order_id=None,
        confirm_at=None,
        confirmed_at=None,
        ended_at=None,
        advocate_transaction=None,
        friend_transaction=None,
    )


def begin_writes(referral: Stored, by: str) -> Entry:
    """The referral and its first step."""
    return (
        Write(INSERT_REFERRAL, referral_row(referral)),
        step_write(referral, ReferralState.CREATED, referral.created_at, by),
    )


def _key(key: Idempotency | None, referral: Stored) -> Entry:
    if key is None:
        return ()
    write = idempotency_write(
        merchant_id=referral.merchant_id,
        key=key.key,
        fingerprint=key.fingerprint,
        response={"referral_id": referral.referral_id},
        created_at=referral.created_at,
    )
    return (write,)
