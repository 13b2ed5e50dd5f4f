"""What of the points domain operators can switch while it runs."""

from actors.admin_features.messages import Flags, Subject
from actors.points.messages import ApplyTransfer
from actors.vocabulary import MAX_AMOUNT, Refusal, RefusalKind

TRANSFERS = "points.transfers"
"""Boolean: whether members may pass points on."""

TRANSFER_MAX = "points.transfer_max"
"""Integer: the most points in one transfer."""

TIER_SWEEP = "points.tier_sweep"
"""Boolean: whether members whose points changed are looked at although nobody asks for them."""


def check_transfer(flags: Flags, message: ApplyTransfer) -> Refusal | None:
    """Whether a merchant's transfer may be made now."""
    transfer = message.transfer
    subject = Subject(message.merchant_id, transfer.from_customer_id)
    if not flags.boolean(TRANSFERS, True, subject):
        detail = "points cannot be passed on at present"
        return Refusal(RefusalKind.CONFLICT, "transfers_off", detail)
    most = flags.integer(TRANSFER_MAX, MAX_AMOUNT, subject)
    if transfer.amount > most:
        detail = f"at most {most} points can be passed on at once"
        return Refusal(RefusalKind.CONFLICT, "transfer_too_large", detail)
    return None
