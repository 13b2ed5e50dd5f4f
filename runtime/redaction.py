"""What must not be seen in logs and descriptions: secrets, personal data, and forged lines."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import attrs
from structlog.typing import EventDict, WrappedLogger

MASK: Final = "***"
DEPTH_MAX: Final = 5
ITEMS_MAX: Final = 100
CACHED_MAX: Final = 100
"""Characters of the longest text worth remembering."""

LAYERED: Final = frozenset({"exception", "stack"})
"""Fields whose text has lines of its own."""

SECRET_NAME: Final = re.compile(
    r"passw|secret|token|authorization|api_?key|private_?key|cookie|credential|e_?mail|phone",
    re.IGNORECASE,
)
"""Fields of events, and of mappings in them, whose values nobody is to see."""

DIGITS: Final = re.compile(r"\d\d[ ().\-/]{0,2}\d[ ().\-/]{0,2}\d")


@attrs.frozen
class Mask:
    """What to replace by what. `hints` are looked for first, as most texts have none of them."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


def _mask(hints: str, pattern: str, replacement: str, flags: int = 0) -> Mask:
    return Mask(tuple(hints.split()), re.compile(pattern, flags), replacement)


NAMED: Final = (
    r"(passw(?:or)?d|pwd|secret|token|api[_-]?key|signature|cookie)"
    r"""(["']?\s{0,3}[=:]\s{0,3}["']?)[^\s"'&,;)}\]]+"""
)

MASKS: Final = (
    _mask(
        "-----BEGIN",
        r"-----BEGIN [A-Z ]{0,30}KEY-----.*?(?:-----END [A-Z ]{0,30}KEY-----|\Z)",
        "***key***",
        re.DOTALL,
    ),
    _mask("://", r"(://[^\s/:@\"']{0,64}):[^\s\"'@]{1,256}@", rf"\1:{MASK}@"),
    _mask(
        "earer asic igest EARER ASIC",
        r"\b(Bearer|Basic|Digest)\s+[\w.~+/=-]{6,}",
        rf"\1 {MASK}",
        re.IGNORECASE,
    ),
    _mask("eyJ", r"(?<![\w-])eyJ[\w-]{4,}(?:\.[\w-]*){1,2}", "***token***"),
    _mask("= :", NAMED, rf"\1\2{MASK}", re.IGNORECASE),
    _mask(
        "@ %40",
        r"(?<![\w.%+'-])[\w.%+'-]{1,64}(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
        "***e-mail***",
    ),
)
"""Every one of them takes time in proportion to the text, also for one made to take longer."""

HINTS: Final = re.compile("|".join(re.escape(hint) for mask in MASKS for hint in mask.hints))

PHONES: Final = (
    re.compile(r"(?<![\w.])(?:\+|%2B|00)[1-9](?:[ ().\-/]{0,2}\d){6,14}(?!\w)"),
    re.compile(r"(?<![\w.:-])\(?0\d{1,4}\)?[ /-]\d(?:[ /-]?\d){4,9}(?![\w:-])"),
    re.compile(r"(?<![\w.-])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\w.-])"),
)

INVISIBLE: Final = r"\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Controls that JSON does not escape: C1, and what reorders or breaks lines in viewers."""

NOT_IN_JSON: Final = re.compile(f"[{INVISIBLE}]")
NOT_ON_TERMINALS: Final = re.compile(rf"[\x00-\x1f{INVISIBLE}]")
NOT_IN_LAYERS: Final = re.compile(rf"[\x00-\x08\x0b-\x1f{INVISIBLE}]")


@lru_cache(1_024)
def _is_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def masked(text: str) -> str:
    """The text without what looks like a secret, an address or a telephone number."""
    if HINTS.search(text) is not None:
        for mask in MASKS:
            if any(hint in text for hint in mask.hints):
                text = mask.pattern.sub(mask.replacement, text)
    if DIGITS.search(text) is not None:
        for phone in PHONES:
            text = phone.sub("***phone***", text)
    return text


@lru_cache(4_096)
def _harmless(text: str, controls: re.Pattern[str]) -> str:
    """Most texts come again and again: methods, routes, names of events."""
    return controls.sub(_escaped, masked(text))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


class Sanitizer:
    """A processor of structlog: masks every value of an event, and takes the power from control
    characters. What is no text, number or collection becomes text. It never raises."""

    def __init__(self, *, console: bool) -> None:
        self._plain = NOT_ON_TERMINALS if console else NOT_IN_JSON
        self._layered = NOT_IN_LAYERS if console else NOT_IN_JSON

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {
            name: self._clean(value, name, self._layered if name in LAYERED else self._plain)
            for name, value in event.items()
        }

    def _clean(self, value: Any, name: str, controls: re.Pattern[str], depth: int = 0) -> Any:
        if value is None:
            return None
        if _is_secret(name):
            return MASK
        if isinstance(value, str):
            cached = len(value) <= CACHED_MAX
            return (_harmless if cached else _harmless.__wrapped__)(value, controls)
        if isinstance(value, bool | int | float):
            return value
        if depth < DEPTH_MAX and isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._clean_all(value, name, controls, depth + 1)
        return _harmless.__wrapped__(_text_of(value), controls)

    def _clean_all(self, values: Any, name: str, controls: re.Pattern[str], depth: int) -> Any:
        clean: Callable[..., Any] = self._clean
        if isinstance(values, Mapping):
            pairs = list(values.items())[:ITEMS_MAX]
            return {
                clean(str(key), "", controls): clean(value, str(key), controls, depth)
                for key, value in pairs
            }
        return [clean(value, name, controls, depth) for value in list(values)[:ITEMS_MAX]]


def _text_of(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} without a text>"
