"""The auth domain's decisions, without I/O."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from actors.admin_core.messages import PLATFORM
from actors.auth.messages import Denial, DenialKind, Role
from actors.vocabulary import ID_PATTERN, Refusal, RefusalKind

EMAILS = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,185}\.[^@\s\x00-\x1f]{1,63}")
IDS = re.compile(ID_PATTERN)

SUCCESS = "success"
WRONG = "invalid_credentials"

SESSION_LIFE = timedelta(days=30)
PLATFORM_SESSION_LIFE = timedelta(hours=12)
REFRESH_LIFE = timedelta(days=14)
"""An unused refresh token counts so long, at most as long as its session."""

SESSIONS_MAX = 20
"""Of one account. A further login ends the oldest."""

ACCOUNT_FAILURES_MAX = 5
ACCOUNT_WINDOW = timedelta(minutes=15)
ADDRESS_FAILURES_MAX = 20
ADDRESS_WINDOW = timedelta(minutes=1)
CAPTCHA_AFTER = 3
"""Failures within their window, after which a login needs a solved challenge."""


def kept_as(merchant_id: str | None) -> str:
    """What stands for the platform where an id of a merchant is kept."""
    return merchant_id if merchant_id is not None else PLATFORM


def merchant_of(kept: str) -> str | None:
    """The opposite of `kept_as`."""
    return kept if kept != PLATFORM else None


def normalised_email(email: str) -> str:
    """In lower case: nobody tells two addresses apart by it."""
    return email.strip().lower()


def check_email(email: str) -> Refusal | None:
    if EMAILS.fullmatch(email):
        return None
    return Refusal(RefusalKind.INVALID, "invalid_email", "this is no address of electronic mail")


def check_belonging(role: Role, merchant_id: str | None, customer_id: str | None) -> Refusal | None:
    """Whether role, merchant and customer of an account fit together."""
    if role is Role.MACHINE:
        return _invalid("role_not_for_people", "machines have API keys, and no accounts")
    if (merchant_id is None) != (role is Role.PLATFORM):
        return _invalid("merchant_mismatch", "every role but platform needs a merchant_id")
    if (customer_id is None) != (role is not Role.CUSTOMER):
        return _invalid("customer_mismatch", "the role customer, and no other, needs a customer_id")
    return None


def _invalid(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, detail)


@attrs.frozen
class History:
    """Failures of late, the latest first: of the account (or of a device known to it), and of
    the address; and how many attempts of either are under way, each of which may fail yet."""

    account: Sequence[datetime]
    address: Sequence[datetime]
    account_pending: int = 0
    address_pending: int = 0
    known_device: bool = False


def throttled(history: History, now: datetime) -> Denial | None:
    """Why a login has to wait, before its password is looked at."""
    of_account = (history.account, history.account_pending, ACCOUNT_FAILURES_MAX, ACCOUNT_WINDOW)
    of_address = (history.address, history.address_pending, ADDRESS_FAILURES_MAX, ADDRESS_WINDOW)
    for failures, pending, most, window in (of_account, of_address):
        if len(failures) >= most:
            return too_many((failures[most - 1] + window - now).total_seconds())
        if len(failures) + pending >= most:
            return too_many(1.0)
    return None


def wants_captcha(history: History) -> bool:
    """A device that the account is known to use needs none."""
    failures = max(len(history.account), len(history.address))
    return failures >= CAPTCHA_AFTER and not history.known_device


def too_many(retry_after_s: float) -> Denial:
    detail = "too many logins have failed; use a device that logged in before, or try later"
    return Denial(DenialKind.TRY_LATER, "login_throttled", detail, max(1.0, retry_after_s))


BAD_CREDENTIALS = Denial(
    DenialKind.UNAUTHENTICATED, WRONG, "the address or the password is not right"
)
CAPTCHA_REQUIRED = Denial(
    DenialKind.UNAUTHENTICATED, "captcha_required", "send the solution of a challenge along"
)
CAPTCHA_INVALID = Denial(
    DenialKind.UNAUTHENTICATED,
    "captcha_invalid",
    "this challenge does not count; solve a fresh one",
)
BUSY = Denial(DenialKind.BUSY, "logins_busy", "too many logins at once; nothing was changed", 1.0)
SUSPENDED = Denial(DenialKind.FORBIDDEN, "merchant_suspended", "the merchant is suspended")
REFRESH_INVALID = Denial(
    DenialKind.UNAUTHENTICATED, "refresh_token_invalid", "log in again: this token does not count"
)
REFRESH_REUSED = Denial(
    DenialKind.UNAUTHENTICATED,
    "refresh_token_reused",
    "log in again: this token was used before, so that its session was ended",
)


def session_life(role: Role) -> timedelta:
    return PLATFORM_SESSION_LIFE if role is Role.PLATFORM else SESSION_LIFE
