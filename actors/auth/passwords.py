"""What a password must be like: long enough, and not one that everybody tries first."""

import re
import unicodedata

from actors.auth.common_passwords import COMMON
from actors.vocabulary import Refusal, RefusalKind

LENGTH_MIN = 8
LENGTH_MAX = 256

LEET = str.maketrans("013457@$!", "oieastasi")
RUNS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
OURS = "loyalnest"

DIFFERENT_MIN = 4
"""Different characters; `aaaaaaab` has two."""


def normalised(password: str) -> str:
    """The same password, however a keyboard writes its accents (NFKC: NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, email: str) -> Refusal | None:
    """Why a new password is refused; `email` is of the account. It is not asked for digits or
    signs: length and rareness are what counts."""
    text = normalised(password)
    if not LENGTH_MIN <= len(text) <= LENGTH_MAX:
        return _refused(
            "password_length", f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters"
        )
    if len(set(text)) < DIFFERENT_MIN or _is_common(text) or _is_run(text):
        return _refused("password_common", "the password is one of those that are tried first")
    name = email.partition("@")[0].lower()
    if text.lower() == email.lower() or _core(text) in {_core(name), OURS}:
        return _refused("password_personal", "the password is the name of the account")
    return None


def _is_common(text: str) -> bool:
    lowered = text.lower()
    return lowered in COMMON or lowered.translate(LEET) in COMMON or _core(text) in COMMON


def _core(text: str) -> str:
    """The word in `P4ssword2024!`."""
    word = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text.lower())
    return word.translate(LEET)


def _is_run(text: str) -> bool:
    """Whether it goes along the alphabet, the digits or a row of keys."""
    lowered = text.lower()
    return any(lowered in run * 2 or lowered in run[::-1] * 2 for run in RUNS)


def _refused(code: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.INVALID, code, detail)
