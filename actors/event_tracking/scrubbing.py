"""The rules by which personal data is taken out of the properties of events."""

import re
from typing import Any, Final

from runtime.redaction import masked

REMOVED: Final = "***"
"""Stands for a value whose name says that it is about a person, or secret."""

CARD: Final = "***card***"
IBAN: Final = "***iban***"

DEPTH_MAX: Final = 10
"""Lists and objects in each other. What is deeper is refused."""

NAMES_MAX: Final = 10_000
"""Names of properties whose rule is remembered."""

PERSONAL_NAMES: Final = frozenset(
    """
    address addressline1 addressline2 birthdate birthday birthname cardnumber city coordinates cvc
    cvv dateofbirth dob familyname fathername fax firstname fullname geo geolocation givenname iban
    ip ipaddress lastname lat latitude lng lon longitude maidenname middlename mobile nationalid
    passport phone pin pwd socialsecuritynumber ssn street streetaddress surname taxid tel
    telephone useragent username vatid zip zipcode postalcode postcode
    """.split()
)
"""Whole names, without case and separators."""

PERSONAL_PARTS: Final = re.compile(
    r"passw|secret|token|authori[sz]ation|apikey|privatekey|cookie|credential|session"
    r"|e?mail|phone|creditcard|cardholder|accountnumber"
)
"""Parts of such names."""

SEPARATORS: Final = re.compile(r"[\W_]+")

SUSPECT: Final = re.compile(
    r"[@%=:]|eyJ|-----|earer|asic|igest|\d[\d ().\-/]{5,}\d|[A-Z]{2}\d\d", re.IGNORECASE
)
"""What a text needs to have for any rule to apply."""

CARDS: Final = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w])")
IBANS: Final = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


LAYERED: Final = frozenset({str, dict, list})
"""Types of values that may have personal data in them."""


class TooDeep(ValueError):
    """Lists and objects lie in each other more than `DEPTH_MAX` deep."""


TEXTS_MAX: Final = 10_000
REMEMBERED_MAX: Final = 64
"""Texts that are remembered, and characters of the longest one: most come again and again."""

_texts: dict[str, str] = {}
_rules: dict[str, tuple[str, bool]] = {}


def scrub(properties: dict[str, Any], depth: int = 1) -> dict[str, Any]:
    """The properties without personal data; in place, but for names that are some themselves.

    Raises `TooDeep`.
    """
    if depth > DEPTH_MAX:
        raise TooDeep
    renamed: list[str] = []
    for name, value in properties.items():
        rule = _rules.get(name) or _rule_of(name)
        if rule[0] != name:
            renamed.append(name)
        if rule[1] and value is not None:
            properties[name] = REMOVED
        elif type(value) in LAYERED:
            properties[name] = _scrubbed(value, depth)
    for name in renamed:
        properties[_rule_of(name)[0]] = properties.pop(name)
    return properties


def _scrubbed(value: Any, depth: int) -> Any:
    if type(value) is str:
        return scrubbed_text(value)
    if type(value) is dict:
        return scrub(value, depth + 1)
    if depth >= DEPTH_MAX:
        raise TooDeep
    return [_scrubbed(each, depth + 1) if type(each) in LAYERED else each for each in value]


def _rule_of(name: str) -> tuple[str, bool]:
    """What a property is called afterwards, and whether its value is to go."""
    plain = SEPARATORS.sub("", name).lower()
    personal = plain in PERSONAL_NAMES or PERSONAL_PARTS.search(plain) is not None
    if len(_rules) >= NAMES_MAX:
        _rules.clear()
    rule = _rules[name] = (scrubbed_text(name), personal)
    return rule


def scrubbed_text(text: str) -> str:
    """The text without e-mail addresses, telephone and card numbers, IBANs, tokens and keys."""
    known = _texts.get(text)
    if known is not None:
        return known
    scrubbed = text
    if SUSPECT.search(text) is not None:
        scrubbed = masked(CARDS.sub(_card, IBANS.sub(_iban, text)))
    if len(text) <= REMEMBERED_MAX:
        if len(_texts) >= TEXTS_MAX:
            _texts.clear()
        _texts[text] = scrubbed
    return scrubbed


def _card(match: re.Match[str]) -> str:
    digits = [int(digit) for digit in match[0] if digit.isdigit()]
    return CARD if _luhn(digits) else match[0]


def _luhn(digits: list[int]) -> bool:
    """Whether the check digit of a card number fits (ISO/IEC 7812-1, annex B)."""
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _iban(match: re.Match[str]) -> str:
    """Whether the check digits fit (ISO 13616, ISO 7064 MOD 97-10)."""
    text = match[0].replace(" ", "")
    moved = text[4:] + text[:4]
    number = int("".join(str(int(character, 36)) for character in moved))
    return IBAN if number % 97 == 1 else match[0]
