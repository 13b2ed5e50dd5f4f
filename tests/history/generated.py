"""Clean histories, drawn at random: a small correct ledger under unreliable communication."""

from collections.abc import Iterable
from enum import Enum
from random import Random

import attrs

from tests.history.values import (
    Acknowledged,
    Balance,
    Deferred,
    Entry,
    FinalState,
    History,
    Kind,
    Operation,
    Outcome,
    Read,
    Refused,
    Unknown,
    amount_of,
    change_of,
)

ACCOUNTS = ("ann", "bob", "cem")
CLIENTS = 8
DURATION_S = 10.0
ATTEMPTS_MAX = 3
GIVE_UP_CHANCE = 0.4


class Fate(Enum):
    """How an attempt goes."""

    ANSWERED = "answered"
    REFUSED = "refused"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    LATE = "done after the client gave up"
    DEFERRED = "deferred"


WEIGHTS = {
    Fate.ANSWERED: 10,
    Fate.REFUSED: 1,
    Fate.REQUEST_LOST: 1,
    Fate.ANSWER_LOST: 1,
    Fate.LATE: 1,
    Fate.DEFERRED: 1,
}


@attrs.frozen(kw_only=True)
class Attempt:
    """One request, and the moment at which it takes effect, if it does."""

    client: int
    key: str
    account: str
    kind: Kind
    points: int
    fate: Fate
    invoked_at: float
    effective_at: float
    completed_at: float

    def told(self, outcome: Outcome) -> Operation:
        return Operation(
            client=self.client,
            key=self.key,
            account=self.account,
            kind=self.kind,
            points=self.points,
            invoked_at=self.invoked_at,
            completed_at=self.completed_at,
            outcome=outcome,
        )


@attrs.define
class Ledger:
    """Accounts that do everything once and overdraw nothing."""

    entries: list[Entry] = attrs.field(factory=list)
    balances: dict[str, Balance] = attrs.field(factory=lambda: dict.fromkeys(ACCOUNTS, Balance()))
    done: dict[str, Acknowledged] = attrs.field(factory=dict)

    def apply(self, attempt: Attempt) -> Outcome:
        if attempt.key in self.done:
            return attrs.evolve(self.done[attempt.key], replayed=True)
        change = change_of(attempt.kind, attempt.points)
        balance = self.balances[attempt.account] + change
        if balance.available < 0:
            return Refused("insufficient_points")
        self.balances[attempt.account] = balance
        entry = Entry(
            account=attempt.account,
            sequence=1 + sum(entry.account == attempt.account for entry in self.entries),
            transaction_id=f"txn-{len(self.entries)}",
            key=attempt.key,
            kind=attempt.kind.value,
            amount=amount_of(attempt.kind, attempt.points),
            change=change,
            balance=balance,
        )
        self.entries.append(entry)
        answer = Acknowledged(entry.transaction_id, entry.sequence, entry.amount, balance)
        self.done[attempt.key] = answer
        return answer

    def final(self) -> FinalState:
        keys = {key: answer.transaction_id for key, answer in self.done.items()}
        return FinalState(tuple(self.entries), dict(self.balances), keys)


def clean(random: Random, mutations: int = 60, readings: int = 20) -> tuple[History, FinalState]:
    """A history without anomalies and its final state."""
    attempts = [each for number in range(mutations) for each in _attempts(random, number)]
    moments: list[tuple[float, Attempt | Read]] = [(each.effective_at, each) for each in attempts]
    moments += [_reading(random) for _ in range(readings)]
    ledger, operations, reads = Ledger(), list[Operation](), list[Read]()
    for _, event in sorted(moments, key=lambda moment: moment[0]):
        if isinstance(event, Read):
            reads.append(attrs.evolve(event, balance=ledger.balances[event.account]))
        else:
            operations.append(event.told(_outcome(ledger, event)))
    return History(_by_invocation(operations), tuple(reads)), ledger.final()


def _outcome(ledger: Ledger, attempt: Attempt) -> Outcome:
    match attempt.fate:
        case Fate.REFUSED:
            return Refused("overloaded")
        case Fate.REQUEST_LOST:
            return Unknown("no connection")
    answer = ledger.apply(attempt)
    match attempt.fate:
        case Fate.ANSWER_LOST | Fate.LATE:
            return Unknown("no answer")
        case Fate.DEFERRED if isinstance(answer, Acknowledged):
            return Deferred()
    return answer


def _attempts(random: Random, number: int) -> list[Attempt]:
    """A mutation; most clients ask again while its outcome is unknown."""
    attempts: list[Attempt] = []
    invoked_at = random.uniform(0, DURATION_S)
    kind = random.choice((Kind.EARN, Kind.EARN, Kind.EARN, Kind.REDEEM, Kind.HOLD))
    account, points = random.choice(ACCOUNTS), random.randint(1, 100)
    while len(attempts) < ATTEMPTS_MAX:
        fate = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        first, second = random.uniform(0.01, 0.5), random.uniform(0.01, 0.5)
        late = fate in (Fate.LATE, Fate.DEFERRED)
        attempt = Attempt(
            client=random.randrange(CLIENTS),
            key=f"key-{number}",
            account=account,
            kind=kind,
            points=points,
            fate=fate,
            invoked_at=invoked_at,
            effective_at=invoked_at + first + (second if late else 0),
            completed_at=invoked_at + first + (0 if late else second),
        )
        attempts.append(attempt)
        told = fate in (Fate.ANSWERED, Fate.REFUSED, Fate.DEFERRED)
        if told or random.random() < GIVE_UP_CHANCE:
            break
        invoked_at = attempt.completed_at + random.uniform(0, 0.5)
    return attempts


def _reading(random: Random) -> tuple[float, Read]:
    at = random.uniform(0, DURATION_S)
    read = Read(
        client=random.randrange(CLIENTS),
        account=random.choice(ACCOUNTS),
        invoked_at=at - random.uniform(0.01, 0.2),
        completed_at=at + random.uniform(0.01, 0.2),
        balance=Balance(),
    )
    return at, read


def _by_invocation(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    return tuple(sorted(operations, key=lambda operation: operation.invoked_at))
