"""Rows of the domain's tables as values, and values as rows."""

from datetime import datetime
from typing import Any

import attrs
import msgspec

from actors.referrals.messages import (
    InvitationChannel,
    Link,
    MessageState,
    MessageView,
    Program,
    ProgramVersion,
    Referral,
    ReferralState,
    Review,
    Step,
)
from actors.referrals.queries import BEGIN_STEP, INSERT_STEP
from runtime.storage import Row, Write

BUILT_IN = ProgramVersion(0, Program())


@attrs.frozen(kw_only=True)
class Stored:
    """A referral as the domain itself sees it. `signals` are fingerprints by kind. One that is
    `hidden` was rejected when it began, which the advocate is not to know."""

    merchant_id: str
    referral_id: str
    code: str
    advocate_id: str
    channel: InvitationChannel
    state: ReferralState
    review: Review
    reason: str | None
    friend_key: str | None
    hidden: bool
    friend_id: str | None
    program: Program
    program_version: int
    signals: dict[str, str]
    flags: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    claimed_at: datetime | None
    order_id: str | None
    confirm_at: datetime | None
    confirmed_at: datetime | None
    ended_at: datetime | None
    advocate_transaction: str | None
    friend_transaction: str | None

    def view(self, link: str | None, messages: tuple[MessageView, ...] = ()) -> Referral:
        """As it is shown; `link` is what the friend is to follow."""
        return Referral(
            referral_id=self.referral_id,
            code=self.code,
            link=link,
            advocate_id=self.advocate_id,
            friend_id=self.friend_id,
            channel=self.channel,
            state=self.state,
            review=self.review,
            reason=self.reason,
            flags=self.flags,
            advocate_points=self.program.advocate_points,
            friend_points=self.program.friend_points,
            program_version=self.program_version,
            created_at=self.created_at,
            expires_at=self.expires_at,
            claimed_at=self.claimed_at,
            order_id=self.order_id,
            confirm_at=self.confirm_at,
            ended_at=self.ended_at,
            advocate_transaction=self.advocate_transaction,
            friend_transaction=self.friend_transaction,
            messages=messages,
        )


@attrs.frozen(kw_only=True)
class StoredMessage:
    """A message as the domain itself sees it; sealed as long as it may have to be sent. Since
    `tried_at` nobody knows whether it was."""

    merchant_id: str
    message_id: str
    referral_id: str
    channel: InvitationChannel
    state: MessageState
    friend_key: str
    sealed: str | None = attrs.field(repr=False)
    key_version: int | None
    provider_id: str | None
    detail: str | None
    created_at: datetime
    tried_at: datetime | None
    sent_at: datetime | None

    def view(self) -> MessageView:
        return MessageView(
            self.message_id, self.channel, self.state, self.detail, self.created_at, self.sent_at
        )


@attrs.frozen
class StoredLink:
    advocate_id: str
    code: str
    signals: dict[str, str]

    def view(self, link: str | None) -> Link:
        return Link(self.advocate_id, self.code, link)


def program_of(row: Row | None) -> ProgramVersion:
    if row is None:
        return BUILT_IN
    return ProgramVersion(row[0], msgspec.convert(row[1], Program), row[2], row[3])


def program_row(merchant_id: str, version: ProgramVersion) -> tuple[Any, ...]:
    shown = msgspec.to_builtins(version.program)
    return merchant_id, version.version, shown, version.changed_by, version.changed_at


def referral_of(row: Row) -> Stored:
    return Stored(
        merchant_id=row[0],
        referral_id=row[1],
        code=row[2],
        advocate_id=row[3],
        channel=InvitationChannel(row[4]),
        state=ReferralState(row[5]),
        review=Review(row[6]),
        reason=row[7],
        friend_key=row[8],
        hidden=bool(row[9]),
        friend_id=row[10],
        program=msgspec.convert(row[11], Program),
        program_version=row[12],
        signals=row[13],
        flags=tuple(row[14]),
        created_at=row[15],
        expires_at=row[16],
        claimed_at=row[17],
        order_id=row[18],
        confirm_at=row[19],
        confirmed_at=row[20],
        ended_at=row[21],
        advocate_transaction=row[22],
        friend_transaction=row[23],
    )


def referral_row(referral: Stored) -> tuple[Any, ...]:
    """As `INSERT_REFERRAL` takes it, of one that begins."""
    return (
        referral.merchant_id,
        referral.referral_id,
        referral.code,
        referral.advocate_id,
        referral.channel.value,
        referral.state.value,
        referral.review.value,
        referral.friend_key,
        referral.hidden,
        msgspec.to_builtins(referral.program),
        referral.program_version,
        referral.signals,
        list(referral.flags),
        referral.created_at,
        referral.expires_at,
    )


def message_of(row: Row) -> StoredMessage:
    return StoredMessage(
        merchant_id=row[0],
        message_id=row[1],
        referral_id=row[2],
        channel=InvitationChannel(row[3]),
        state=MessageState(row[4]),
        friend_key=row[5],
        sealed=row[6],
        key_version=row[7],
        provider_id=row[8],
        detail=row[9],
        created_at=row[10],
        tried_at=row[11],
        sent_at=row[12],
    )


def link_of(row: Row) -> StoredLink:
    return StoredLink(row[0], row[1], row[2])


def step_of(row: Row) -> Step:
    return Step(ReferralState(row[0]), row[1], row[2], row[3])


def step_write(
    referral: Stored,
    state: ReferralState,
    at: datetime,
    by: str,
    reason: str | None = None,
) -> Write:
    """That it came to this state; nothing where it did not."""
    row = (referral.merchant_id, referral.referral_id, state.value, at, by, reason)
    return Write(BEGIN_STEP if state is ReferralState.CREATED else INSERT_STEP, row)
