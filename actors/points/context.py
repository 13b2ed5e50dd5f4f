"""What a decision about an account needs besides the account's state."""

from collections.abc import Mapping

import attrs

from actors.points.posting import Moment
from actors.points.program_messages import Redemption, RefundPolicy
from actors.points.promotions import NONE_USED, CampaignUsed
from actors.points.reversals import Original
from actors.points.rewards import Offer


@attrs.frozen
class Context:
    """What a decision needs besides the account's state.

    `original` is the transaction that a `Reverse` names, `hold_known` whether the hold that a
    mutation names ever existed. `allow_negative` lets debits take posted points below zero;
    later credits fill that first. `refunds` says what reversals may take back. `offer` and
    `redemption` are the reward and the redemption that a mutation names, `used` what campaigns have
    given so far.
    """

    moment: Moment
    original: Original | None = None
    hold_known: bool = False
    allow_negative: bool = False
    refunds: RefundPolicy = RefundPolicy.WITHIN_BALANCE
    offer: Offer | None = None
    redemption: Redemption | None = None
    used: Mapping[str, CampaignUsed] = NONE_USED
