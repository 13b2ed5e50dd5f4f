"""Decimal amounts of money as whole minor units, exactly."""

import re
from decimal import Decimal

DECIMALS = {
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0,
    "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip
"""Decimal places of the currencies that don't have two (ISO 4217)."""

USUAL_DECIMALS = 2
AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,6})?", re.ASCII)


def decimals_of(currency: str) -> int:
    return DECIMALS.get(currency, USUAL_DECIMALS)


def minor_units(text: str, currency: str) -> int:
    """`"11.77"` of USD is 1177. Raises `ValueError` that says what is wrong."""
    if AMOUNT.fullmatch(text) is None:
        raise ValueError(_complaint(text))
    places = decimals_of(currency)
    amount = Decimal(text).scaleb(places)
    minor = int(amount)
    if minor != amount:
        raise ValueError(f"{currency} has {places} decimal places")
    return minor


def _complaint(text: str) -> str:
    if not text:
        return "missing"
    if text.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
        return "not a finite number"
    if AMOUNT.fullmatch(text.removeprefix("-")):
        return "must not be negative"
    return "not a plain decimal number such as 11.77"


def major_units(minor: int, currency: str) -> str:
    """`1177` of USD is `"11.77"`; thousands are separated by commas."""
    places = decimals_of(currency)
    return f"{Decimal(minor).scaleb(-places):,.{places}f}"
