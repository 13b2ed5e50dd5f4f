"""E-mail addresses and phone numbers: what they look like, and in what form they are compared."""

import re
import unicodedata
from enum import Enum

from actors.core.messages import ExternalId
from actors.vocabulary import Refusal, RefusalKind

EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f.]+(\.[^@\s\x00-\x1f\x7f.]+)+")
EMAIL_MAX = 254
DOTS_IGNORED = frozenset({"gmail.com", "googlemail.com"})
"""Two names of one provider that delivers to the same mailbox with or without dots."""

PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
SPACING = re.compile(r"[\s().\-/]", re.ASCII)
PHONE_MAX = 40

SOURCE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
EXTERNAL_ID = re.compile(r"[!-~]{1,128}", re.ASCII)

NAME_MAX = 200
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class ContactKind(Enum):
    EMAIL = "email"
    PHONE = "phone"


def _invalid(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, detail)


def email_key(text: str) -> str | Refusal:
    """The form in which addresses are compared. The refusal does not quote the address."""
    folded = unicodedata.normalize("NFKC", text.strip()).casefold()
    if len(folded) > EMAIL_MAX or EMAIL.fullmatch(folded) is None:
        return _invalid("invalid_email", "that is no e-mail address")
    return folded


def phone_key(text: str) -> str | Refusal:
    """A number as in E.164. The refusal does not quote it."""
    digits = SPACING.sub("", text[: PHONE_MAX + 1])
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if len(text) > PHONE_MAX or PHONE.fullmatch(digits) is None:
        return _invalid("invalid_phone", "a phone number begins with + and the code of its country")
    return digits


def contact_key(kind: ContactKind, text: str) -> str | Refusal:
    """As `email_key` or `phone_key`."""
    return email_key(text) if kind is ContactKind.EMAIL else phone_key(text)


def person_key(kind: ContactKind, key: str) -> str:
    """What the spellings have in common by which one person can be written to.

    Of an address what follows a plus sign does not count, and where mailboxes ignore dots these
    do not either. Two people never have the same one by that; one may still have several.
    """
    if kind is not ContactKind.EMAIL:
        return key
    name, _, domain = key.rpartition("@")
    name = name.partition("+")[0] or name
    if domain in DOTS_IGNORED:
        return f"{name.replace('.', '')}@gmail.com"
    return f"{name}@{domain}"


def check_external_id(external: ExternalId) -> Refusal | None:
    """A source is a short lower-case name, an external id any visible ASCII text."""
    if SOURCE.fullmatch(external.source) is None:
        return _invalid("invalid_source", f"source {external.source[:80]!r} is not a valid name")
    if EXTERNAL_ID.fullmatch(external.external_id) is None:
        return _invalid("invalid_external_id", "an external id is 1 to 128 visible characters")
    return None


def check_name(name: str | None) -> Refusal | None:
    if name is None or (0 < len(name) <= NAME_MAX and CONTROLS.search(name) is None):
        return None
    return _invalid("invalid_name", f"a name is 1 to {NAME_MAX} characters without controls")


def search_name(name: str | None) -> str | None:
    """A name in the form in which it is looked for: without case and accents."""
    if name is None:
        return None
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    if not decomposed.isascii():
        decomposed = "".join(c for c in decomposed if not unicodedata.combining(c))
    return decomposed[: 2 * NAME_MAX]
