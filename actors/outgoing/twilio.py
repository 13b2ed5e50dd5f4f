"""Twilio's ways of saying things: its words for what became of a text, and its signatures."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence

from actors.outgoing.ports import TextState, TextStatus

SID, STATUS, ERROR_CODE = "MessageSid", "MessageStatus", "ErrorCode"
"""The fields of a status callback that count here."""

STATES: Mapping[str, TextState] = {
    "accepted": TextState.SENT,
    "scheduled": TextState.SENT,
    "queued": TextState.SENT,
    "sending": TextState.SENT,
    "sent": TextState.SENT,
    "delivered": TextState.DELIVERED,
    "read": TextState.DELIVERED,
    "undelivered": TextState.UNDELIVERED,
    "failed": TextState.FAILED,
    "canceled": TextState.FAILED,
}

OPTED_OUT = "21610"
"""Error code: the number has answered STOP."""

WORD_MAX = 32
SID_MAX = 64
SHA1_BYTES_IN_BASE_64 = 28


def status_url(public_url: str, merchant_id: str) -> str:
    """Where the provider tells of texts of this merchant; what it signs."""
    return f"{public_url.rstrip('/')}/v1/webhooks/twilio/status?merchant_id={merchant_id}"


def status_of(provider_id: object, word: object, error_code: object = None) -> TextStatus | None:
    """What Twilio tells of a text; None where it is nothing that is known here."""
    if not isinstance(provider_id, str) or not isinstance(word, str):
        return None
    state = STATES.get(word)
    if state is None or not 1 <= len(provider_id) <= SID_MAX or not provider_id.isalnum():
        return None
    detail = str(error_code)[:WORD_MAX] if error_code not in (None, "") else None
    if detail == OPTED_OUT and state in {TextState.UNDELIVERED, TextState.FAILED}:
        state = TextState.OPTED_OUT
    return TextStatus(provider_id, word, state, detail)


def signature_of(token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """HMAC-SHA1 over the URL that was called, query and all, followed by the names and values of
    the form, sorted by name; in base 64."""
    text = url + "".join(name + value for name, value in sorted(set(form)))
    digest = hmac.new(token.encode(), text.encode("utf-8", "replace"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def is_signed(
    signature: str, url: str, form: Sequence[tuple[str, str]], tokens: Iterable[str]
) -> bool:
    """Whether one of the tokens signed it. Takes the same time whichever it is, or none."""
    given = signature.encode("utf-8", "replace")
    found = False
    for token in tokens:
        found |= hmac.compare_digest(signature_of(token, url, form).encode(), given)
    return found
