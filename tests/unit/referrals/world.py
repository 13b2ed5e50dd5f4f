"""Referrals in virtual time: a tree, a provider of texts, and a wall clock that can be moved on."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import attrs
import trio

from actors.core.messages import CUSTOMERS, ChangeCustomer, Order
from actors.outgoing.ports import (
    Accepted,
    FailedForGood,
    FailedForNow,
    Mail,
    Sent,
    Text,
    TextState,
    TextStatus,
)
from actors.referrals.messages import (
    CALLBACKS,
    QUERIES,
    REFERRALS,
    ChangeProgram,
    Claim,
    Decision,
    GetReferral,
    Invitation,
    InvitationChannel,
    Invite,
    MessageState,
    Program,
    ReceiveTextStatus,
    Referral,
    ReferralState,
    ReviewReferral,
    TextStatusTaken,
)
from actors.referrals.sending import Couriers
from actors.vocabulary import Refusal
from runtime.ports import Ids, Ports, VirtualClock, seeded_random
from runtime.storage import AcrossMerchants
from tests.trees import MERCHANT, START, Tree, running_tree

FRIEND_NUMBER = "+41791234567"
PUBLIC_URL = "https://loyalty.example"
EARNINGS = (
    "SELECT customer_id, amount, kind FROM points_transactions WHERE merchant_id = $1"
    " ORDER BY recorded_at, transaction_id"
)
STEPS_MAX = 2_000


@attrs.define
class MovableClock:
    """A wall clock that runs with Trio's and can be moved on, as nobody waits for two weeks."""

    inner: VirtualClock
    moved: timedelta = timedelta()

    def now(self) -> datetime:
        return self.inner.now() + self.moved


Answer = Callable[[Text, str], Sent]


@attrs.define
class FakeTexter:
    """Does what the test says; by default it takes every text, and does not know keys."""

    answer: Answer | None = None
    honours_keys: bool = False
    sent: list[tuple[str, Text]] = attrs.field(factory=list)
    asked: list[str] = attrs.field(factory=list)
    looked_for: int = 0
    statuses: Mapping[str, TextStatus] = attrs.field(factory=dict)
    numbers: Any = attrs.field(factory=lambda: count(1))
    before_answer: Callable[[str], Any] | None = None

    async def send(self, merchant_id: str, text: Text, idempotency_key: str) -> Sent:
        await trio.sleep(0.01)
        result = self.answer(text, idempotency_key) if self.answer else None
        if result is None:
            result = Accepted(f"SM{next(self.numbers):08d}")
        if isinstance(result, Accepted):
            self.sent.append((result.provider_id, text))
            if self.before_answer is not None:
                await self.before_answer(result.provider_id)
        return result

    async def find(
        self, merchant_id: str, text: Text, since: datetime
    ) -> Accepted | FailedForNow | None:
        self.looked_for += 1
        await trio.sleep(0.01)
        return next((Accepted(sid) for sid, sent in self.sent if sent == text), None)

    async def status(
        self, merchant_id: str, provider_id: str
    ) -> TextStatus | FailedForGood | FailedForNow:
        self.asked.append(provider_id)
        await trio.sleep(0.01)
        return self.statuses.get(provider_id, FailedForGood("20404", "unknown"))


@attrs.define
class FakeMailer:
    """As `FakeTexter`, for mail."""

    answer: Callable[[Mail, str], Sent | None] | None = None
    honours_keys: bool = False
    sent: list[tuple[str, Mail]] = attrs.field(factory=list)

    async def send(self, mail: Mail, idempotency_key: str) -> Sent:
        await trio.sleep(0.01)
        self.sent.append((idempotency_key, mail))
        result = self.answer(mail, idempotency_key) if self.answer else None
        return result or Accepted(f"<{idempotency_key}@example>")


@attrs.define
class World:
    """Short ways to say what the tests say often."""

    tree: Tree
    texter: FakeTexter
    clock: MovableClock

    async def invite(
        self, to: str | None = FRIEND_NUMBER, advocate: str = "ann", **rest: Any
    ) -> Invitation | Refusal:
        channel = rest.pop("channel", InvitationChannel.SMS)
        return await self.tree.system.ref(REFERRALS).ask(
            Invite(merchant_id=MERCHANT, advocate_id=advocate, channel=channel, address=to, **rest)
        )

    async def invited(self, *arguments: Any, **rest: Any) -> Referral:
        answer = await self.invite(*arguments, **rest)
        assert isinstance(answer, Invitation), answer
        assert answer.referral is not None
        return answer.referral

    async def claim(self, code: str, friend: str = "bob", **rest: Any) -> Referral | Refusal:
        claim = Claim(merchant_id=MERCHANT, code=code, customer_id=friend, **rest)
        return await self.tree.system.ref(REFERRALS).ask(claim)

    async def claimed(self, *arguments: Any, **rest: Any) -> Referral:
        answer = await self.claim(*arguments, **rest)
        assert isinstance(answer, Referral), answer
        return answer

    async def review(
        self, referral: Referral, decision: Decision, reason: str = "looked at it"
    ) -> Referral | Refusal:
        return await self.tree.system.ref(REFERRALS).ask(
            ReviewReferral(
                merchant_id=MERCHANT,
                referral_id=referral.referral_id,
                decision=decision,
                reason=reason,
                by="boss",
            )
        )

    async def program(self, **fields: Any) -> None:
        changed = ChangeProgram(MERCHANT, Program(**fields), "boss")
        answer = await self.tree.system.ref(REFERRALS).ask(changed)
        assert not isinstance(answer, Refusal), answer

    async def order(
        self, order_id: str = "o-1", total_minor: int = 5_000, customer: str = "bob", **rest: Any
    ) -> Order:
        at = rest.pop("at", self.clock.now())
        order = Order(order_id, customer, at, "USD", total_minor, 1)
        await self.tree.record([order])
        await self.settled()
        return order

    async def settled(self) -> None:
        """Events are delivered, and what is due has run."""
        await self.tree.delivered()
        await trio.sleep(2.5)
        await self.tree.delivered()

    async def get(self, referral: Referral) -> Referral:
        question = GetReferral(MERCHANT, referral.referral_id)
        found = await self.tree.system.ref(QUERIES).ask(question)
        assert found is not None
        return found

    async def state(self, referral: Referral) -> ReferralState:
        return (await self.get(referral)).state

    async def message_state(self, referral: Referral) -> MessageState:
        (message,) = (await self.get(referral)).messages
        return message.state

    async def told(self, sid: str, status: str, code: str | None = None) -> TextStatusTaken:
        """A callback of the provider."""
        form = [("MessageSid", sid), ("MessageStatus", status)]
        if code is not None:
            form.append(("ErrorCode", code))
        message = ReceiveTextStatus(MERCHANT, tuple(form), "right")
        answer = await self.tree.system.ref(CALLBACKS).ask(message)
        assert isinstance(answer, TextStatusTaken), answer
        return answer

    async def contact(self, customer: str, **contact: Any) -> None:
        change = ChangeCustomer(merchant_id=MERCHANT, customer_id=customer, **contact)
        answer = await self.tree.system.ref(CUSTOMERS).ask(change)
        assert not isinstance(answer, Refusal), answer

    async def earnings(self, kind: str = "earn") -> list[tuple[str, int]]:
        """Of referrals and of nothing else: orders earn nothing by half a unit."""
        rows = await self.tree.database.fetch(EARNINGS, MERCHANT)
        return [(row[0], row[1]) for row in rows if row[2] == kind]

    def count(self, name: str, **labels: str) -> float:
        found = self.tree.system.metrics.registry.get_sample_value(f"loyalnest_{name}", labels)
        return found or 0.0

    async def value(self, sql: str, *values: Any) -> Any:
        return await self.tree.database.fetch_value(AcrossMerchants(sql), *values)


def is_right(signature: str, _url: str, _form: Any) -> bool:
    return signature == "right"


@asynccontextmanager
async def running_world(
    texter: FakeTexter | None = None,
    url: str = "sqlite:///:memory:",
    mailer: FakeMailer | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    """A shop with three customers: ann and cyd advocate, bob is the friend."""
    texter = texter if texter is not None else FakeTexter()
    clock = MovableClock(VirtualClock(START))
    random = seeded_random(1)
    ports = Ports(clock, Ids(clock, random), random, seeded_random("secrets"))
    couriers = Couriers(texter=texter, mailer=mailer, public_url=PUBLIC_URL)
    async with running_tree(
        url, ports=ports, couriers=couriers, signed=is_right, **options
    ) as tree:
        await tree.create("ann", "bob", "cyd")
        yield World(tree, texter, clock)


def status(sid: str, state: TextState, word: str | None = None) -> TextStatus:
    return TextStatus(sid, word or state.value, state)
