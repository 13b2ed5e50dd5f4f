"""Referrals: friends who are brought, and a provider that tells of it twice, early or never."""

from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, ClassVar

import attrs
import trio

from actors.core.messages import (
    CUSTOMERS,
    ORDERS,
    CreateCustomer,
    Order,
    RecordOrders,
    Refund,
    RefundOrder,
)
from actors.referrals.messages import (
    CALLBACKS,
    REFERRALS,
    ChangeProgram,
    Claim,
    Invitation,
    InvitationChannel,
    Invite,
    MessageState,
    Program,
    ReceiveTextStatus,
    Referral,
    TextStatusTaken,
)
from actors.referrals.model import RANKS
from actors.vocabulary import Idempotency, Refusal
from runtime.sim import Operation, Run, Trouble, World
from runtime.sim.system import SimulatedSystem
from supervisors.simulation.ledger import check_ledger
from supervisors.simulation.parts import (
    CURRENCY,
    MERCHANT,
    OPERATOR,
    PASSERS_BY,
    ApplicationScenario,
    Part,
)
from supervisors.simulation.texting import SimulatedTexter, Taken

ADVOCATES = tuple(f"{PASSERS_BY}advocate-{number}" for number in (1, 2, 3))
PROGRAM = Program(
    advocate_points=50,
    friend_points=20,
    return_days=0,
    invitations_per_advocate=1_000,
    text="{code}",
)
TOTAL = 99
"""Earns nothing by itself."""

SIGNED = "right"
WAIT_FOR_TEXT_S = 5.0
WORDS = ("sent", "delivered", "undelivered")
FINAL = {"sent": MessageState.SENT, "undelivered": MessageState.UNDELIVERED}

SELECT = (
    "SELECT referral_id, advocate_id, friend_id, state, reason, advocate_transaction,"
    " friend_transaction FROM referrals WHERE merchant_id = $1"
)
SELECT_MESSAGES = (
    "SELECT referral_id, provider_id, state FROM referral_messages WHERE merchant_id = $1"
)
EARNED = (
    "SELECT customer_id, kind, count(*), sum(amount) FROM points_transactions"
    " WHERE merchant_id = $1 AND reason = 'referral' GROUP BY customer_id, kind"
)
COUNT_LIVE = (
    "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND name LIKE 'referrals.%'"
    " AND name <> 'referrals.poll' AND state NOT IN ('succeeded', 'cancelled', 'dead')"
)
COUNT_DEAD = (
    "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND name LIKE 'referrals.%'"
    " AND state = 'dead'"
)


@attrs.frozen
class Bring(Operation):
    """A friend from the invitation on; `told` are the provider's words, in their order."""

    advocate: int
    claims: bool
    orders: bool
    gives_back: bool
    told: tuple[str, ...]

    def __str__(self) -> str:
        does = [
            word
            for word, done in (
                ("claims", self.claims),
                ("orders", self.orders),
                ("gives back", self.gives_back),
            )
            if done
        ]
        return f"{ADVOCATES[self.advocate]} invites one who {', '.join(does) or 'does nothing'}"


@attrs.define
class Friend:
    """What a client knows of one that it brought."""

    customer_id: str
    advocate_id: str
    referral_id: str = ""
    ordered: bool = False
    gave_back: bool = False
    told: dict[str, set[str]] = attrs.field(factory=dict)


class Referrals(Part):
    """Each client waits for every answer, so that it knows what came of its own friend."""

    operations: ClassVar[tuple[type[Operation], ...]] = (Bring,)
    puts_back_jobs = True

    def __init__(self) -> None:
        self.friends: list[Friend] = []
        self.taken = Taken()
        self.in_doubt = False

    def texter(self, world: World) -> SimulatedTexter:
        return SimulatedTexter(world, self.taken)

    async def prepare(self, run: Run) -> None:
        system = await run.service.up()
        for advocate in ADVOCATES:
            await system.ref(CUSTOMERS).ask(CreateCustomer(MERCHANT, advocate, None))
        await system.ref(REFERRALS).ask(ChangeProgram(MERCHANT, PROGRAM, OPERATOR))

    def draw(self, random: Random) -> Operation:
        claims = random.random() < 0.9
        orders = claims and random.random() < 0.9
        told = [random.choice(WORDS) for _ in range(random.choice((0, 1, 3, 4)))]
        gives_back = orders and random.random() < 0.4
        return Bring(random.randrange(len(ADVOCATES)), claims, orders, gives_back, tuple(told))

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, Bring):
            raise TypeError(operation)
        number = len(self.friends) + 1
        friend = Friend(f"{PASSERS_BY}friend-{number}", ADVOCATES[operation.advocate])
        self.friends.append(friend)
        created = CreateCustomer(MERCHANT, friend.customer_id, None, _key(f"friend-{number}"))
        await self._ask(run, CUSTOMERS, created)
        invited = await self._ask(run, REFERRALS, _invite(friend, number))
        if not isinstance(invited, Invitation) or invited.referral is None:
            return
        friend.referral_id = invited.referral.referral_id
        code = invited.referral.code
        await self._tell(run, friend, code, operation.told)
        if operation.claims:
            await self._claim(run, friend, code, operation)

    async def _ask(self, run: Run, actor: str, message: Any) -> Any:
        """The answer, which must be none that refuses; None when nobody ever answered."""
        answer = await run.until_answered(
            lambda system: system.ref(actor).ask(message),
            lambda answer: not isinstance(answer, Refusal) or answer.code != "referral_busy",
        )
        if answer is None:
            self.in_doubt = True
        results = answer if isinstance(answer, tuple) else (answer,)
        for result in results:
            right = not isinstance(result, Refusal)
            run.findings.check(right, "right answers", f"{message}: {result}")
        return answer

    async def _tell(self, run: Run, friend: Friend, code: str, words: tuple[str, ...]) -> None:
        """As the provider does it, as soon as it has the text, which may be before its answer."""
        sid = None
        with trio.move_on_after(WAIT_FOR_TEXT_S):
            sid = await self.taken.of_body(code)
        for word in words if sid is not None else ():
            form = (("MessageSid", sid or ""), ("MessageStatus", word))
            message = ReceiveTextStatus(MERCHANT, form, SIGNED)
            answer = await run.ask(partial(_asked, CALLBACKS, message))
            if isinstance(answer, TextStatusTaken):
                friend.told.setdefault(sid or "", set()).add(word)

    async def _claim(self, run: Run, friend: Friend, code: str, operation: Bring) -> None:
        claim = Claim(merchant_id=MERCHANT, code=code, customer_id=friend.customer_id)
        claimed = await self._ask(run, REFERRALS, claim)
        if not operation.orders or not isinstance(claimed, Referral) or not claimed.claimed_at:
            return
        at = claimed.claimed_at + timedelta(seconds=1)
        order_id = f"{PASSERS_BY}order-{friend.customer_id}"
        order = Order(order_id, friend.customer_id, at, CURRENCY, TOTAL, 1)
        friend.ordered = True
        await self._ask(run, ORDERS, RecordOrders(MERCHANT, (order,)))
        if operation.gives_back:
            friend.gave_back = True
            refund = RefundOrder(MERCHANT, Refund(order_id, "refund", TOTAL, at))
            await self._ask(run, ORDERS, refund)

    async def at_rest(self, run: Run) -> bool:
        store = run.world.store.real
        live: int = await store.fetch_value(COUNT_LIVE, MERCHANT)
        dead: int = await store.fetch_value(COUNT_DEAD, MERCHANT)
        return live == dead == 0

    async def check(self, run: Run) -> None:
        await check_ledger(run)
        store = run.world.store.real
        rows = {row["referral_id"]: row for row in await store.fetch(SELECT, MERCHANT)}
        earned = {(row[0], row[1]): (row[2], row[3]) for row in await store.fetch(EARNED, MERCHANT)}
        self._check_sides(run, rows, earned)
        await self._check_messages(run)
        for friend in self.friends:
            if friend.referral_id and not self.in_doubt:
                _check_state(run, friend, rows.get(friend.referral_id))

    def _check_sides(self, run: Run, rows: dict[str, Any], earned: dict[Any, Any]) -> None:
        """Each side of a referral that was rewarded has one entry for it, and no other has any."""
        rewarded = [row for row in rows.values() if row["state"] in {"rewarded", "reversed"}]
        reversed_ = [row for row in rewarded if row["state"] == "reversed"]
        for kind, those, sign in (("earn", rewarded, 1), ("reversal", reversed_, -1)):
            for side, points in (("advocate_id", 50), ("friend_id", 20)):
                for customer in sorted({row[side] for row in rows.values() if row[side]}):
                    wanted = sum(row[side] == customer for row in those)
                    got, amount = earned.get((customer, kind), (0, 0))
                    detail = f"{customer} has {got} entries ({kind}) for {wanted} referrals"
                    right = got == wanted and amount == sign * points * wanted
                    run.findings.check(right, "each side is rewarded once", detail)

    async def _check_messages(self, run: Run) -> None:
        """What was told of a text is not taken back, and none was sent twice, unless two processes
        ran at once, of which one could not know what the other did."""
        rows = await run.world.store.real.fetch(SELECT_MESSAGES, MERCHANT)
        states = {row["provider_id"]: MessageState(row["state"]) for row in rows}
        for friend in self.friends:
            for sid, words in sorted(friend.told.items()):
                told = max(RANKS[FINAL.get(word, MessageState.DELIVERED)] for word in words)
                state = states.get(sid)
                if state is None:
                    continue
                detail = f"{sid} is {state.value}, was told to be {sorted(words)}"
                run.findings.check(RANKS[state] >= told, "statuses never go back", detail)
        takeovers = any(event.trouble is Trouble.TAKEOVER for event in run.plan.events)
        for body, times in self.taken.bodies.items():
            detail = f"{body} was sent {times} times"
            run.findings.check(times == 1 or takeovers, "no text twice", detail)


def _check_state(run: Run, friend: Friend, row: Any) -> None:
    """What a friend did has its effect in the end."""
    state = row["state"] if row is not None else None
    wanted = {"created", "invited", "claimed"}
    if friend.gave_back:
        wanted = {"rejected", "reversed"}
    elif friend.ordered:
        wanted = {"rewarded"}
    detail = f"{friend.referral_id} of {friend.customer_id} is {state}, not {sorted(wanted)}"
    run.findings.check(state in wanted, "every order has its effect", detail)


async def _asked(actor: str, message: Any, system: SimulatedSystem) -> Any:
    return await system.ref(actor).ask(message)


def _key(text: str) -> Idempotency:
    return Idempotency(f"{PASSERS_BY}{text}", text)


def _invite(friend: Friend, number: int) -> Invite:
    return Invite(
        merchant_id=MERCHANT,
        advocate_id=friend.advocate_id,
        channel=InvitationChannel.SMS,
        address=f"+4179{number:07d}",
        idempotency=_key(f"invite-{number}"),
    )


class ReferralsScenario(ApplicationScenario):
    """Referrals alone."""

    name = "referrals"
    parts = (Referrals,)
    operations = 20
