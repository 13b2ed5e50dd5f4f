"""What holds of referrals, as pure functions: no I/O, no clock, no randomness."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from random import Random
from urllib.parse import quote, urlsplit

from actors.referrals.messages import (
    SIGNALS,
    Decision,
    MessageState,
    Program,
    ReferralState,
    Review,
)
from actors.referrals.records import Stored
from actors.vocabulary import MAX_AMOUNT, Refusal, RefusalKind

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 10
"""Of 31 signs: nobody finds a code by trying."""

DAYS_MAX = 365
CAP_MAX = 1_000_000
TEXT_MAX = 320
URL_MAX = 500
SIGNAL_MAX = 200

RANKS: Mapping[MessageState, int] = {
    MessageState.QUEUED: 0,
    MessageState.SENT: 1,
    MessageState.UNKNOWN: 2,
    MessageState.FAILED: 3,
    MessageState.UNDELIVERED: 4,
    MessageState.OPTED_OUT: 5,
    MessageState.DELIVERED: 6,
}
"""News of a higher rank replaces what was known, and no other: so that in whatever order, and
however often, news comes, the end is the same."""

OPEN = frozenset({ReferralState.CREATED, ReferralState.INVITED})
LIVE = OPEN | {ReferralState.CLAIMED, ReferralState.QUALIFIED}

SELF_REFERRAL = Refusal(RefusalKind.INVALID, "self_referral", "nobody brings himself as a friend")
NOT_OPEN = Refusal(
    RefusalKind.CONFLICT, "referral_not_open", "this code cannot be claimed (any more)"
)
NOT_FIRST_ORDER = Refusal(
    RefusalKind.CONFLICT, "not_first_order", "this customer has ordered before"
)
ALREADY_REFERRED = Refusal(
    RefusalKind.CONFLICT, "already_referred", "this customer came by another code"
)
NOBODY_NAMED = Refusal(RefusalKind.INVALID, "customer_missing", "say which customer it is about")
PROGRAM_OFF = Refusal(
    RefusalKind.CONFLICT, "referrals_disabled", "the merchant has no referrals at the moment"
)

EXISTING_CUSTOMER, INVITED_BEFORE = "existing_customer", "invited_before"
ADDRESS_CAP = "address_cap"
CLAIMED_ANOTHER, ORDER_RETURNED = "claimed_another", "order_returned"
ORDERED_BEFORE, ERASED, SAME_PERSON = "ordered_before", "erased", "same_person"

HIDDEN = frozenset({EXISTING_CUSTOMER, INVITED_BEFORE, ADDRESS_CAP})
"""Reasons that would tell the advocate something about somebody else."""


def code_from(secrets: Random) -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))


def check_program(program: Program) -> Refusal | None:
    """What must hold of a program."""
    points = (program.advocate_points, program.friend_points, program.order_min_minor)
    caps = (
        program.invitations_per_day,
        program.texts_per_day,
        program.invitations_per_advocate,
        program.invitations_per_address,
        program.invitations_per_ip,
    )
    if not all(0 <= each <= MAX_AMOUNT for each in points):
        return _invalid("invalid_amount", f"points and amounts are from 0 to {MAX_AMOUNT}")
    if not (0 <= program.return_days <= DAYS_MAX and 1 <= program.expire_days <= DAYS_MAX):
        return _invalid("invalid_days", f"days are at most {DAYS_MAX}, and one at least to expire")
    if not all(0 <= each <= CAP_MAX for each in caps):
        return _invalid("invalid_cap", f"caps are from 0 to {CAP_MAX}")
    return _check_text(program)


def _check_text(program: Program) -> Refusal | None:
    text = program.text
    if len(text) > TEXT_MAX or not text.isprintable() or not _tells_how(text):
        detail = f"a text has at most {TEXT_MAX} characters, and {{link}} or {{code}} in it"
        return _invalid("invalid_text", detail)
    url = program.landing_url
    if url is None:
        return None
    if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return _invalid("invalid_url", f"a URL has at most {URL_MAX} visible characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        return _invalid("invalid_url", "that is no URL")
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        return _invalid("invalid_url", "the page begins with https:// or http://")
    return None


def _tells_how(text: str) -> bool:
    return "{link}" in text or "{code}" in text


def _invalid(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, detail)


def check_signals(signals: Mapping[str, str]) -> Refusal | None:
    """Of known kinds, and short."""
    for kind, value in signals.items():
        if kind not in SIGNALS or not 1 <= len(value) <= SIGNAL_MAX:
            return _invalid("invalid_signal", f"signals are {', '.join(SIGNALS)}")
    return None


def link_to(program: Program, website: str | None, code: str) -> str | None:
    """Where the friend is sent: the merchant's page for it, or its website; None without both."""
    if program.landing_url is not None:
        return f"{program.landing_url}{quote(code, '')}"
    if website is None:
        return None
    return f"{website}{'&' if '?' in website else '?'}referral={quote(code, '')}"


def words_of(program: Program, shop: str, link: str | None, code: str) -> str:
    """What the friend is told. A link that there is not is told as the code."""
    text = program.text.replace("{shop}", shop).replace("{code}", code)
    return text.replace("{link}", link if link is not None else code)


def flags_of(theirs: Mapping[str, str], friends: Mapping[str, str]) -> tuple[str, ...]:
    """What advocate and friend have in common."""
    return tuple(
        f"same_{kind}" for kind in SIGNALS if kind in theirs and theirs[kind] == friends.get(kind)
    )


def shares_contact(one: Iterable[str], other: Iterable[str]) -> bool:
    return not set(one).isdisjoint(other)


def claimable(referral: Stored, now: datetime) -> bool:
    return referral.state in OPEN and now < referral.expires_at


def expiry(program: Program, since: datetime) -> datetime:
    return since + timedelta(days=program.expire_days)


def confirm_at(program: Program, ordered_at: datetime, now: datetime) -> datetime:
    """When the order can no longer be given back. One of the future counts from now."""
    return max(min(ordered_at, now) + timedelta(days=program.return_days), now)


def counts(program: Program, total_minor: int, refunded_minor: int, *, cancelled: bool) -> bool:
    """Whether what is left of an order is enough."""
    left = total_minor - refunded_minor
    return not cancelled and left >= max(1, program.order_min_minor)


def review_refusal(referral: Stored, decision: Decision) -> Refusal | None:
    """Why this cannot be decided now."""
    state, wrong = referral.state, None
    if decision is Decision.APPROVE and referral.review is not Review.PENDING:
        wrong = "nobody has to look at it"
    elif decision is Decision.REVERSE and state is not ReferralState.REWARDED:
        wrong = "only a referral that was rewarded can be reversed"
    elif decision is not Decision.REVERSE and state not in LIVE:
        wrong = f"the referral is {state.value}"
    elif decision is Decision.REJECT and referral.confirmed_at is not None:
        wrong = "it is being rewarded; reverse it afterwards"
    return Refusal(RefusalKind.CONFLICT, "not_reviewable", wrong) if wrong else None


def shown_state(referral_state: ReferralState, reason: str | None, *, over: bool) -> ReferralState:
    """What the advocate sees of it. That the friend is a customer, or has another invitation, is
    not told: it looks like an invitation that nobody follows."""
    if referral_state is not ReferralState.REJECTED or reason not in HIDDEN:
        return referral_state
    return ReferralState.EXPIRED if over else ReferralState.INVITED
