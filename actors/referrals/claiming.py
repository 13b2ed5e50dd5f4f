"""Claims: a new customer tells by whose code it came."""

from datetime import datetime

import attrs

from actors.referrals.caps import caps_of, count_writes, exceeded
from actors.referrals.inviting import BUSY, TRIES, begin_writes, lost_race, new_referral
from actors.referrals.lookups import Lookups
from actors.referrals.messages import (
    Claim,
    InvitationChannel,
    ProgramVersion,
    Referral,
    ReferralState,
    Review,
)
from actors.referrals.model import (
    ALREADY_REFERRED,
    CLAIMED_ANOTHER,
    NOBODY_NAMED,
    NOT_FIRST_ORDER,
    NOT_OPEN,
    PROGRAM_OFF,
    SELF_REFERRAL,
    check_signals,
    claimable,
    expiry,
    flags_of,
    shares_contact,
)
from actors.referrals.queries import CLAIM, END
from actors.referrals.records import Stored, StoredLink, step_write
from actors.vocabulary import Refusal, RefusalKind
from runtime.storage import Database, Entry, Write
from runtime.system import ActorSystem

CODE_UNKNOWN = Refusal(RefusalKind.NOT_FOUND, "code_unknown", "there is no such code")


@attrs.frozen
class Friend:
    """Who claims, and what is known of it."""

    customer_id: str
    fingerprints: tuple[str, ...]
    signals: dict[str, str]


@attrs.frozen
class Claiming:
    """Raises what asks and the database do."""

    system: ActorSystem
    database: Database

    @property
    def _lookups(self) -> Lookups:
        return Lookups(self.system, self.database)

    async def claim(self, message: Claim) -> Referral | Refusal:
        refusal = check_signals(message.signals)
        if refusal is not None:
            return refusal
        for _ in range(TRIES):
            answer = await self._try(message)
            if answer is not None:
                return answer
        return BUSY

    async def _try(self, message: Claim) -> Referral | Refusal | None:
        """None when another entry was there first."""
        merchant_id, code = message.merchant_id, message.code.upper()
        referral = await self._lookups.by_code(merchant_id, code)
        link = await self._lookups.link_by_code(merchant_id, code) if referral is None else None
        if referral is None and link is None:
            return CODE_UNKNOWN
        friend = await self._friend(message)
        if isinstance(friend, Refusal):
            return friend
        named = referral.advocate_id if referral is not None else _of(link).advocate_id
        advocate = await self._lookups.customer(merchant_id, named)
        if isinstance(advocate, Refusal):
            return NOT_OPEN
        known = attrs.evolve(link, advocate_id=advocate.customer_id) if link is not None else None
        earlier = await self._lookups.of_friend(merchant_id, friend.customer_id)
        if earlier is not None:
            return _again(earlier, referral, known)
        refusal = await self._refusal(merchant_id, advocate.customer_id, friend)
        if refusal is not None:
            return refusal
        if referral is not None:
            return await self._claim_invitation(referral, friend, message.by)
        return await self._claim_link(merchant_id, _of(known), friend, message.by)

    async def _friend(self, message: Claim) -> Friend | Refusal:
        merchant_id = message.merchant_id
        if message.customer_id is None:
            return NOBODY_NAMED
        customer = await self._lookups.customer(merchant_id, message.customer_id)
        if isinstance(customer, Refusal):
            return customer
        fingerprints = await self._lookups.fingerprints(merchant_id, customer.customer_id)
        signals = await self._lookups.signals(merchant_id, message.signals)
        return Friend(customer.customer_id, fingerprints, signals)

    async def _refusal(self, merchant_id: str, advocate_id: str, friend: Friend) -> Refusal | None:
        if friend.customer_id == advocate_id:
            return SELF_REFERRAL
        own = await self._lookups.fingerprints(merchant_id, advocate_id)
        if shares_contact(own, friend.fingerprints):
            return SELF_REFERRAL
        ordered = await self._lookups.has_ordered(merchant_id, friend.customer_id)
        return NOT_FIRST_ORDER if ordered else None

    async def _claim_invitation(
        self, referral: Stored, friend: Friend, by: str
    ) -> Referral | Refusal | None:
        now = self.system.clock.now()
        if not claimable(referral, now):
            return NOT_OPEN
        claimed, writes = claim_writes(referral, friend, now, by)
        return await self._written(claimed, (*await self._others(referral, friend, now), *writes))

    async def _claim_link(
        self, merchant_id: str, link: StoredLink, friend: Friend, by: str
    ) -> Referral | Refusal | None:
        now, program = self.system.clock.now(), await self._lookups.program(merchant_id)
        if not program.program.enabled:
            return PROGRAM_OFF
        ip = friend.signals.get("ip")
        caps = caps_of(program.program, link.advocate_id, ip, text=False)
        refusal = await exceeded(self._lookups, merchant_id, caps, now)
        if refusal is not None:
            return refusal
        referral = self._of_link(merchant_id, link, program, now)
        claimed, writes = claim_writes(referral, friend, now, by)
        return await self._written(
            claimed,
            (
                *count_writes(merchant_id, caps, now),
                *begin_writes(referral, by),
                *await self._others(referral, friend, now),
                *writes,
            ),
        )

    def _of_link(
        self, merchant_id: str, link: StoredLink, program: ProgramVersion, now: datetime
    ) -> Stored:
        channel = InvitationChannel.LINK
        advocate_id, signals = link.advocate_id, link.signals
        return new_referral(self.system, merchant_id, advocate_id, channel, program, signals, now)

    async def _others(self, referral: Stored, friend: Friend, now: datetime) -> Entry:
        """Other invitations of the same person end: there is one live referral for a friend."""
        writes: list[Write] = []
        for key in friend.fingerprints:
            other = await self._lookups.live_by_key(referral.merchant_id, key)
            if other is not None and other.referral_id != referral.referral_id:
                writes += end_writes(
                    other, ReferralState.REJECTED, CLAIMED_ANOTHER, now, by="system"
                )
        return tuple(writes)

    async def _written(self, claimed: Stored, entry: Entry) -> Referral | None:
        if await lost_race(self.system, entry):
            return None
        return claimed.view(None)


def _again(earlier: Stored, referral: Stored | None, link: StoredLink | None) -> Referral | Refusal:
    """To who came by a referral before: the same by the same code."""
    same = referral is not None and referral.referral_id == earlier.referral_id
    by_link = link is not None and earlier.channel is InvitationChannel.LINK
    if same or (by_link and earlier.advocate_id == _of(link).advocate_id):
        return earlier.view(None)
    return ALREADY_REFERRED


def claim_writes(referral: Stored, friend: Friend, now: datetime, by: str) -> tuple[Stored, Entry]:
    """The referral once it is claimed, and how to write that. What looks like one household is
    for somebody to look at."""
    flags = flags_of(referral.signals, friend.signals)
    claimed = attrs.evolve(
        referral,
        state=ReferralState.CLAIMED,
        friend_id=friend.customer_id,
        claimed_at=now,
        expires_at=expiry(referral.program, now),
        review=Review.PENDING if flags else Review.NONE,
        flags=flags,
    )
    row = (
        referral.merchant_id,
        referral.referral_id,
        referral.state.value,
        claimed.state.value,
        claimed.friend_id,
        now,
        claimed.expires_at,
        claimed.review.value,
        list(flags),
    )
    return claimed, (Write(CLAIM, row), step_write(referral, claimed.state, now, by))


def end_writes(
    referral: Stored, state: ReferralState, reason: str, now: datetime, *, by: str
) -> Entry:
    """It ends so, unless it went on meanwhile: then nothing of the entry is written."""
    row = (referral.merchant_id, referral.referral_id, referral.state.value, state.value)
    return Write(END, (*row, reason, now)), step_write(referral, state, now, by, reason)


def _of(link: StoredLink | None) -> StoredLink:
    if link is None:
        raise LookupError("neither a referral nor a link")
    return link
