"""What other parts of LoyalNest may say to the referrals domain, and what it answers."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

import attrs

from actors.outgoing.ports import TextState
from actors.vocabulary import Idempotency, Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

REFERRALS = "referrals.referrals"
"""Name of the actor that takes invitations, claims and reviews."""

QUERIES = "referrals.queries"
"""Name of the actor that reads the store."""

CALLBACKS = "referrals.callbacks"
"""Name of the actor that takes what the provider tells of texts."""

ORDERS = "referrals.orders"
"""Name of the actor that hears of orders and refunds."""

PEOPLE = "referrals.people"
"""Name of the actor that hears of customers who were merged or erased."""

TEXT_STATUS_TOLD = "texts.status_told"
"""Topic of the outbox event for what the provider told of a text that no invitation is known to
have sent; its key is the provider's id of the text."""

REFERRAL_REWARDED = "referrals.rewarded"
"""Topic of the outbox event by which a referral counts for its advocate, or counts no more;
payload: `ReferralRewarded`."""

SIGNALS = ("ip", "device", "address")
"""What may tell that two people share a household."""


class ReferralState(Enum):
    """`created → invited → claimed → qualified → rewarded`; the others end it."""

    CREATED = "created"
    INVITED = "invited"
    CLAIMED = "claimed"
    QUALIFIED = "qualified"
    REWARDED = "rewarded"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REVERSED = "reversed"


@attrs.frozen(kw_only=True)
class ReferralRewarded:
    """Payload of the outbox event. `customer_id` is the advocate's, `reversed` where the reward was
    taken back, at `happened_at`."""

    referral_id: str
    customer_id: str
    happened_at: datetime
    reversed: bool = False


class MessageState(Enum):
    """`queued → sent → delivered | undelivered | failed | opted_out | unknown`."""

    QUEUED = "queued"
    SENT = "sent"
    UNKNOWN = "unknown"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    OPTED_OUT = "opted_out"
    DELIVERED = "delivered"


class InvitationChannel(Enum):
    """How the friend hears of it. A `LINK` is passed on by the advocate, to any number."""

    SMS = "sms"
    EMAIL = "email"
    LINK = "link"


class Review(Enum):
    """Whether somebody has to look at it before anybody is rewarded."""

    NONE = "none"
    PENDING = "pending"
    APPROVED = "approved"


class Decision(Enum):
    """What somebody who looks at a referral decides."""

    APPROVE = "approve"
    REJECT = "reject"
    REVERSE = "reverse"


@attrs.frozen(kw_only=True)
class Program:
    """What a merchant promises, and how much of it. A referral keeps the one it began under.

    The friend's first order of at least `order_min_minor` counts, once it is `return_days` old and
    was not given back. An invitation has `expire_days` to be claimed, and a claim as many to be
    ordered on. Caps are per UTC day; `per_address` counts one person, `per_ip` one connection.
    `text` is what friends are sent, with `{shop}`, `{link}` and `{code}` in it; `landing_url` is
    the page that `{code}` is appended to, in place of the merchant's website.
    """

    enabled: bool = True
    advocate_points: int = 500
    friend_points: int = 250
    order_min_minor: int = 0
    return_days: int = 14
    expire_days: int = 30
    invitations_per_day: int = 2_000
    texts_per_day: int = 1_000
    invitations_per_advocate: int = 20
    invitations_per_address: int = 3
    invitations_per_ip: int = 50
    text: str = "{shop}: a friend invites you. {link}"
    landing_url: str | None = None


@attrs.frozen
class ProgramVersion:
    """The program as somebody left it. Version 0 is the built-in one, which nobody chose."""

    version: int
    program: Program
    changed_by: str | None = None
    changed_at: datetime | None = None


@attrs.frozen
class GetProgram(Call[ProgramVersion]):
    """To `QUERIES`."""

    merchant_id: str


@attrs.frozen
class ChangeProgram(Call[ProgramVersion | Refusal]):
    """To `REFERRALS`: add the next version. What is in force already makes no new one."""

    merchant_id: str
    program: Program
    changed_by: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class MessageView:
    """What became of an invitation that was sent. `detail` is the provider's code."""

    message_id: str
    channel: InvitationChannel
    state: MessageState
    detail: str | None
    created_at: datetime
    sent_at: datetime | None


@attrs.frozen(kw_only=True)
class Referral:
    """`reason` says why it was rejected or reversed, `flags` what to look at in a review.

    `expires_at` is until when the friend has to claim, and then to order. `confirm_at` is when the
    order can no longer be given back.
    """

    referral_id: str
    code: str
    link: str | None
    advocate_id: str
    friend_id: str | None
    channel: InvitationChannel
    state: ReferralState
    review: Review
    reason: str | None
    flags: tuple[str, ...]
    advocate_points: int
    friend_points: int
    program_version: int
    created_at: datetime
    expires_at: datetime
    claimed_at: datetime | None
    order_id: str | None
    confirm_at: datetime | None
    ended_at: datetime | None
    advocate_transaction: str | None = None
    friend_transaction: str | None = None
    messages: tuple[MessageView, ...] = ()


@attrs.frozen
class Link:
    """The advocate's own code, and the link to pass on, where the merchant has a page for it."""

    advocate_id: str
    code: str
    link: str | None


@attrs.frozen
class Invitation:
    """`link` is set instead of `referral` where nobody was invited by name."""

    referral: Referral | None
    link: Link | None
    replayed: bool = False


@attrs.frozen(kw_only=True)
class Invite(Call[Invitation | Refusal]):
    """To `REFERRALS`: invite the person with this address or number, or make the share link.

    Whether that person is a customer already, or was invited by somebody else, is not told: the
    answer is the same, and the referral is rejected with a reason that staff can read.
    """

    merchant_id: str
    advocate_id: str | None
    channel: InvitationChannel
    address: str | None = attrs.field(default=None, repr=False)
    signals: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    idempotency: Idempotency | None = None
    by: str = "system"


@attrs.frozen(kw_only=True)
class Claim(Call[Referral | Refusal]):
    """To `REFERRALS`: this customer came by this code. Again by the same one it changes nothing."""

    merchant_id: str
    code: str
    customer_id: str | None
    signals: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    by: str = "system"


@attrs.frozen(kw_only=True)
class ReviewReferral(Call[Referral | Refusal]):
    """To `REFERRALS`. An approved one is rewarded when its order is confirmed; one that is
    rewarded can be reversed, which takes the points of both sides back by new entries."""

    merchant_id: str
    referral_id: str
    decision: Decision
    reason: str
    by: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class GetReferral(Call[Referral | None]):
    """To `QUERIES`, with its messages."""

    merchant_id: str
    referral_id: str


@attrs.frozen(kw_only=True)
class ListReferrals(Call[Page[Referral] | Refusal]):
    """To `QUERIES`: the newest first, without their messages."""

    merchant_id: str
    advocate_id: str | None = None
    friend_id: str | None = None
    state: ReferralState | None = None
    in_review: bool = False
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class Step:
    """A state that a referral came to, by whom and why."""

    state: ReferralState
    at: datetime
    by: str
    reason: str | None


@attrs.frozen
class ListSteps(Call[tuple[Step, ...]]):
    """To `QUERIES`: in their order."""

    merchant_id: str
    referral_id: str


@attrs.frozen
class TextStatusTold:
    """The payload of `TEXT_STATUS_TOLD`. `reason` is the provider's code of what went wrong."""

    provider_id: str
    state: TextState
    reason: str | None = None


@attrs.frozen
class TextStatusTaken:
    """`duplicate`: it had come before, and nothing was changed. `parked`: nobody here knows the
    text yet; it counts as soon as somebody does."""

    duplicate: bool
    parked: bool = False


@attrs.frozen
class ReceiveTextStatus(Call[TextStatusTaken | Refusal]):
    """To `CALLBACKS`: a provider's form as it came, and its signature, which decides."""

    merchant_id: str
    form: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    signature: str = attrs.field(repr=False)
