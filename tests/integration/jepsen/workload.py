"""The clients: each does one thing after another, and notes what it asked for and was told."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

import attrs
import trio

from tests.history import (
    Acknowledged,
    Deferred,
    History,
    Kind,
    Operation,
    Outcome,
    Read,
    Refused,
    Unknown,
)
from tests.integration.jepsen.http import Answer, HttpConnection, NoAnswer
from tests.integration.jepsen.outcomes import (
    DECIDED,
    MAY_BE_DONE,
    NOT_DONE,
    UnexpectedAnswer,
    balance_of,
    outcome_of,
)

ACCOUNTS = 16
CLIENTS = 64
ATTEMPTS_MAX = 3
PAUSE_S = 0.15
"""Mean pause of a client that was not served."""

LATER_S = 1.0
"""Mean pause of one that asks until all is settled, as long as servers ask for: 64 that hurry keep
a machine that is slow enough busy with saying no."""

READ_CHANCE = 0.15
HOLDS_KEPT = 4
REASON = "made-by-chaos"
"""Travels to the database only with what is to be written."""

FAR_FUTURE = "2099-01-01T00:00:00Z"

Item = TypeVar("Item")

WEIGHTS = {Kind.EARN: 5, Kind.REDEEM: 3, Kind.HOLD: 1}


@attrs.frozen
class Request:
    """A mutation as a client asks for it, again and again with the same key."""

    key: str
    account: str
    kind: Kind
    points: int
    hold_id: str | None = None

    @property
    def path(self) -> str:
        name = {
            Kind.HOLD: "holds",
            Kind.CAPTURE: f"holds/{self.hold_id}/capture",
            Kind.VOID: f"holds/{self.hold_id}/void",
        }
        return f"/v1/points/{name.get(self.kind, self.kind.value)}"

    @property
    def body(self) -> dict[str, object]:
        if self.kind in (Kind.CAPTURE, Kind.VOID):
            return {}
        body: dict[str, object] = {"customer_id": self.account, "amount": self.points}
        if self.kind is Kind.HOLD:
            return body | {"expires_at": FAR_FUTURE}
        return body | {"reason": REASON}


@attrs.define
class Record:
    """Everything that was asked for and told so far."""

    requests: dict[str, Request] = attrs.field(factory=dict)
    operations: list[Operation] = attrs.field(factory=list)
    reads: list[Read] = attrs.field(factory=list)
    surprises: list[str] = attrs.field(factory=list)
    _missing: int = 0
    _reached: trio.Event = attrs.field(factory=trio.Event)

    def history(self) -> History:
        return History(tuple(self.operations), tuple(self.reads))

    def outcomes(self) -> Counter[str]:
        """How many there were of each kind."""
        return Counter(type(operation.outcome).__name__ for operation in self.operations)

    def unsettled(self) -> list[Request]:
        """Requests of which nobody knows yet what came of them, or that are to be done later."""
        outcomes: dict[str, list[Outcome]] = defaultdict(list)
        for operation in self.operations:
            outcomes[operation.key].append(operation.outcome)
        return [self.requests[key] for key, told in outcomes.items() if not is_settled(told)]

    async def acknowledged(self, more: int) -> None:
        """Wait for so many more acknowledgements."""
        self._missing = more
        self._reached = trio.Event()
        await self._reached.wait()

    def add(self, operation: Operation) -> None:
        self.operations.append(operation)
        self._missing -= isinstance(operation.outcome, Acknowledged)
        if self._missing <= 0:
            self._reached.set()


def is_decided(outcome: Outcome) -> bool:
    """Whether the account itself said no."""
    return isinstance(outcome, Refused) and outcome.code in DECIDED


def is_served(outcome: Outcome) -> bool:
    """Whether the account did it, or said no itself."""
    return isinstance(outcome, Acknowledged) or is_decided(outcome)


def is_settled(told: Sequence[Outcome]) -> bool:
    """Whether it is known for good what came of a request that was answered so."""
    if any(isinstance(outcome, Acknowledged) for outcome in told):
        return True
    if any(isinstance(outcome, Deferred) for outcome in told):
        return False
    return is_decided(told[-1]) or not any(isinstance(outcome, Unknown) for outcome in told)


@attrs.define(eq=False)
class Client:
    """One client with a connection of its own."""

    number: int
    record: Record
    random: Random
    _connection: HttpConnection
    _asked: int = 0
    _holds: list[tuple[str, Request]] = attrs.field(factory=list)

    async def work(self) -> None:
        """Until cancelled. The operation in hand is noted as unknown then."""
        try:
            while True:
                served = await self._step()
                if not served:
                    await trio.sleep(self.random.expovariate(1 / PAUSE_S))
        finally:
            self._connection.close()

    async def _step(self) -> bool:
        """One operation; whether it was served."""
        if self.random.random() < READ_CHANCE:
            return await self.read(f"customer-{self.random.randrange(ACCOUNTS)}")
        request = self._next_request()
        for _ in range(ATTEMPTS_MAX):
            outcome = await self.ask(request)
            if not isinstance(outcome, Unknown):
                break
            await trio.sleep(self.random.expovariate(1 / PAUSE_S))
        return is_served(outcome)

    def _next_request(self) -> Request:
        self._asked += 1
        key = f"key-{self.number}-{self._asked}"
        if len(self._holds) > self.random.randrange(HOLDS_KEPT):
            hold_id, held = self._holds.pop(0)
            kind = self.random.choice((Kind.CAPTURE, Kind.VOID))
            return Request(key, held.account, kind, held.points, hold_id)
        (kind,) = self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        account = f"customer-{self.random.randrange(ACCOUNTS)}"
        return Request(key, account, kind, self.random.randint(1, 100))

    async def ask(self, request: Request) -> Outcome:
        """Ask once, and note it, also when cancelled."""
        self.record.requests[request.key] = request
        invoked_at = trio.current_time()
        outcome: Outcome = Unknown("cancelled")
        try:
            outcome = await self._outcome(request)
        finally:
            self.record.add(
                Operation(
                    client=self.number,
                    key=request.key,
                    account=request.account,
                    kind=request.kind,
                    points=request.points,
                    invoked_at=invoked_at,
                    completed_at=trio.current_time(),
                    outcome=outcome,
                )
            )
        return outcome

    async def _outcome(self, request: Request) -> Outcome:
        try:
            answer = await self._connection.post(
                request.path, request.body, Idempotency_Key=request.key
            )
            outcome = outcome_of(answer)
        except NoAnswer as error:
            return Unknown(str(error)) if error.sent else Refused("not_sent")
        except UnexpectedAnswer as error:
            self.record.surprises.append(f"{request}: {error}")
            return Unknown(str(error))
        if request.kind is Kind.HOLD and isinstance(outcome, Acknowledged):
            self._holds.append((answer.body["hold_id"], request))
        return outcome

    async def read(self, account: str) -> bool:
        """Read a balance, and note it; whether it was told."""
        invoked_at = trio.current_time()
        try:
            answer = await self._connection.get(f"/v1/customers/{account}/balance")
        except NoAnswer:
            return False
        if answer.status != 200:
            self._note_refused_read(answer)
            return False
        self.record.reads.append(
            Read(
                client=self.number,
                account=account,
                invoked_at=invoked_at,
                completed_at=trio.current_time(),
                balance=balance_of(answer.body),
            )
        )
        return True

    def close(self) -> None:
        self._connection.close()

    def _note_refused_read(self, answer: Answer) -> None:
        if answer.body.get("code") not in NOT_DONE | MAY_BE_DONE:
            self.record.surprises.append(f"read: {answer.status}: {answer.body}")


def clients(
    record: Record, random: Random, connection: Callable[[], HttpConnection]
) -> list[Client]:
    """The clients, each with a connection and a generator of its own."""
    return [
        Client(number, record, Random(random.random()), connection()) for number in range(CLIENTS)
    ]


async def settle(record: Record, askers: list[Client], within_s: float) -> None:
    """Ask for everything unsettled again until it is settled. Raises `trio.TooSlowError`."""
    with trio.fail_after(within_s):
        while unsettled := record.unsettled():
            async with trio.open_nursery() as nursery:
                for asker, share in zip(askers, shares(unsettled, len(askers)), strict=True):
                    nursery.start_soon(_ask_all, asker, share)
            if record.unsettled():
                await trio.sleep(PAUSE_S)


async def _ask_all(asker: Client, requests: Iterable[Request]) -> None:
    for request in requests:
        if not is_served(await asker.ask(request)):
            await trio.sleep(asker.random.expovariate(1 / LATER_S))


def shares(items: list[Item], count: int) -> list[list[Item]]:
    """The items dealt out to so many."""
    return [items[start::count] for start in range(count)]
