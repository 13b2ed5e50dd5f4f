"""Referrals out of nothing."""

from typing import Any

import attrs

from actors.referrals.messages import (
    InvitationChannel,
    ProgramVersion,
    ReferralState,
    Review,
)
from actors.referrals.model import expiry
from actors.referrals.records import Stored
from tests.trees import START


def made(number: int, program: ProgramVersion, **changed: Any) -> Stored:
    """A referral of ann that begins."""
    referral = Stored(
        merchant_id="shop",
        referral_id=f"ref_{number}",
        code=f"CODE{number:06d}",
        advocate_id="ann",
        channel=InvitationChannel.SMS,
        state=ReferralState.CREATED,
        review=Review.NONE,
        reason=None,
        friend_key=None,
        hidden=False,
        friend_id=None,
        program=program.program,
        program_version=program.version,
        signals={},
        flags=(),
        created_at=START,
        expires_at=expiry(program.program, START),
        claimed_at=None,
        order_id=None,
        confirm_at=None,
        confirmed_at=None,
        ended_at=None,
        advocate_transaction=None,
        friend_transaction=None,
    )
    return attrs.evolve(referral, **changed)
