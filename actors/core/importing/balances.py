"""One line of a file of opening balances."""

from datetime import datetime

import attrs

from actors.core.importing.columns import Columns, Layout
from actors.core.importing.values import BadValue, id_value, moment_value, split, whole_value
from actors.vocabulary import MAX_AMOUNT

BALANCE_COLUMNS = Columns(
    names={
        "customer_id": ("customer_id", "customer", "member_id", "id"),
        "points": ("points", "balance", "points_balance", "amount"),
        "reference": ("reference",),
        "expires_at": ("expires_at", "expiry", "expires"),
    },
    required=(("customer_id",), ("points",)),
)


@attrs.frozen
class OpeningBalance:
    """Points that a customer brings along from another program. A customer has one, or one for
    each `reference`."""

    customer_id: str
    points: int
    reference: str | None = None
    expires_at: datetime | None = None

    @property
    def key(self) -> str:
        """What makes it happen once, whichever file it stands in."""
        base = f"opening-balance:{self.customer_id}"
        return f"{base}:{self.reference}" if self.reference is not None else base

    @property
    def fingerprint(self) -> str:
        expires = self.expires_at.isoformat() if self.expires_at is not None else "never"
        return f"{self.points} points, {expires}"


class BalanceRows:
    """Turns the lines of one file into opening balances."""

    def __init__(self, layout: Layout, now: datetime) -> None:
        self._layout = layout
        self._now = now

    def parse(self, line: str) -> OpeningBalance:
        """The balance in a line. Raises `BadValue`."""
        values = split(self._layout, line)
        value = self._layout.value
        reference, expires = value(values, "reference"), value(values, "expires_at")
        expires_at = moment_value("expires_at", expires) if expires else None
        if expires_at is not None and expires_at <= self._now:
            raise BadValue("expires_at", expires, "in the past")
        return OpeningBalance(
            id_value("customer_id", value(values, "customer_id")),
            whole_value("points", value(values, "points"), 1, MAX_AMOUNT),
            id_value("reference", reference) if reference else None,
            expires_at,
        )
