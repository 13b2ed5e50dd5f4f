"""Histories: operations with their outcomes, readings, the final state, and what is wrong."""

from collections.abc import Mapping
from enum import Enum

import attrs


class Kind(Enum):
    """What an operation does to its account, under the ledger's own names."""

    EARN = "earn"
    REDEEM = "redeem"
    HOLD = "hold"
    CAPTURE = "capture"
    VOID = "void"


@attrs.frozen
class Balance:
    """Points of an account, or a change of them. `held` points are still part of `posted`."""

    posted: int = 0
    held: int = 0

    @property
    def available(self) -> int:
        return self.posted - self.held

    def __add__(self, change: "Balance") -> "Balance":
        return Balance(self.posted + change.posted, self.held + change.held)


def change_of(kind: Kind, points: int) -> Balance:
    """What an operation over so many points adds to its account."""
    return {
        Kind.EARN: Balance(posted=points),
        Kind.REDEEM: Balance(posted=-points),
        Kind.HOLD: Balance(held=points),
        Kind.CAPTURE: Balance(posted=-points, held=-points),
        Kind.VOID: Balance(held=-points),
    }[kind]


def amount_of(kind: Kind, points: int) -> int:
    """The amount that the ledger states for it."""
    return -points if kind is Kind.REDEEM else points


@attrs.frozen
class Acknowledged:
    """It was done, once. `replayed` answers repeat what an earlier request had done."""

    transaction_id: str
    sequence: int
    amount: int
    balance: Balance
    replayed: bool = attrs.field(default=False, eq=False)


@attrs.frozen
class Refused:
    """It was not done, and never will be by this request."""

    code: str


@attrs.frozen
class Unknown:
    """It was done once, or not at all, or it may still be done once."""

    why: str


@attrs.frozen
class Deferred:
    """It was taken in for certain, and will have been done once everything is at rest."""


Outcome = Acknowledged | Refused | Unknown | Deferred


@attrs.frozen(kw_only=True)
class Operation:
    """One request for a mutation. Requests with the same key ask for the same thing.

    Times are seconds of one clock that all clients share.
    """

    client: int
    key: str
    account: str
    kind: Kind
    points: int
    invoked_at: float
    completed_at: float
    outcome: Outcome


@attrs.frozen(kw_only=True)
class Read:
    """A balance that a client was told."""

    client: int
    account: str
    invoked_at: float
    completed_at: float
    balance: Balance


@attrs.frozen
class History:
    """What clients asked for and were told, in any order."""

    operations: tuple[Operation, ...]
    reads: tuple[Read, ...] = ()


@attrs.frozen(kw_only=True)
class Entry:
    """A transaction of the ledger: what it added to its account, and the balance it states."""

    account: str
    sequence: int
    transaction_id: str
    key: str | None
    kind: str
    amount: int
    change: Balance
    balance: Balance


@attrs.frozen
class FinalState:
    """What the store says when everything is at rest.

    `balances` has every account, `keys` the transaction that each idempotency key stands for.
    """

    entries: tuple[Entry, ...]
    balances: Mapping[str, Balance]
    keys: Mapping[str, str]


class Rule(Enum):
    """What a history may break."""

    LOST = "an acknowledged or deferred mutation is not there"
    DUPLICATE = "a mutation is there more than once"
    PHANTOM = "a refused mutation is there"
    UNASKED = "a transaction that nobody asked for"
    ALTERED = "a transaction is not what was asked for or acknowledged"
    TWO_ANSWERS = "two answers for one key differ"
    KEYS = "the idempotency keys and the transactions disagree"
    GAP = "the sequence of an account is not 1, 2, 3, …"
    UNBALANCED = "a balance is not what the entries make"
    OVERDRAWN = "a balance is below zero"
    STALE_ANSWER = "the balance told with an acknowledgement is not that of its sequence"
    STALE_READ = "the balance read was not that of any moment during the reading"
    REORDERED = "an operation comes before one that had ended when it began"


@attrs.frozen
class Anomaly:
    """One thing that is wrong. `where` is a key or an account."""

    rule: Rule
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule.name} {self.where}: {self.rule.value} ({self.detail})"
