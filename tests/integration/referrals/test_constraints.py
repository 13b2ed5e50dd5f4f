"""What the database itself refuses, whoever asks, on both stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from actors.referrals.message_queries import INSERT_MESSAGE
from actors.referrals.messages import MessageState, Program, ReferralState
from actors.referrals.model import RANKS
from actors.referrals.queries import COUNT, INSERT_REFERRAL
from actors.referrals.records import BUILT_IN, referral_row
from runtime import host
from runtime.storage import ConstraintViolation, DatabaseHandle, Statement, Write, open_database
from runtime.storage.schema import migrate
from supervisors.application import MIGRATIONS
from tests.integration.referrals.making import made
from tests.stores import patient
from tests.trees import START

pytestmark = [pytest.mark.trio(run=host.run), pytest.mark.slow]

M = "shop"
KEY = "f" * 64

LEGAL = {
    ("created", "invited"),
    ("created", "claimed"),
    ("created", "expired"),
    ("created", "rejected"),
    ("invited", "claimed"),
    ("invited", "expired"),
    ("invited", "rejected"),
    ("claimed", "qualified"),
    ("claimed", "expired"),
    ("claimed", "rejected"),
    ("qualified", "rewarded"),
    ("qualified", "rejected"),
    ("rewarded", "reversed"),
}

WAYS = {
    "created": (),
    "invited": ("invited",),
    "claimed": ("claimed",),
    "qualified": ("claimed", "qualified"),
    "rewarded": ("claimed", "qualified", "rewarded"),
    "expired": ("expired",),
    "rejected": ("rejected",),
    "reversed": ("claimed", "qualified", "rewarded", "reversed"),
}

GO_ON = Statement(
    "test.go_on",
    "UPDATE referrals SET state = $3, friend_id = $4, claimed_at = $5, order_id = $6,"
    " confirm_at = $7, confirmed_at = $8, ended_at = $9"
    " WHERE merchant_id = $1 AND referral_id = $2",
    1,
    exact=True,
)
MESSAGE_GO_ON = Statement(
    "test.message_go_on",
    "UPDATE referral_messages SET state = $3, rank = $4 WHERE merchant_id = $1 AND message_id = $2",
    1,
    exact=True,
)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[DatabaseHandle]:
    database = await open_database(url)
    try:
        handle = patient(database)
        await migrate(handle, MIGRATIONS, START)
        yield handle
    finally:
        await database.close()


def begun(number: int, **changed: Any) -> Write:
    return Write(INSERT_REFERRAL, referral_row(made(number, BUILT_IN, **changed)))


CLAIMED = frozenset({"claimed", "qualified", "rewarded", "reversed"})


def go_on(number: int, before: str, state: str) -> Write:
    """With all that a referral has once it was claimed, so that only the way counts."""
    late = START + timedelta(days=1)
    row: tuple[Any, ...] = (None,) * 6
    if not CLAIMED.isdisjoint({before, state}):
        row = (f"friend-{number}", START, f"o-{number}", START, late, late)
    return Write(GO_ON, (M, f"ref_{number}", state, *row))


async def test_a_referral_goes_its_ways_and_no_other(lasting_url: str) -> None:
    states = [state.value for state in ReferralState]
    async with opened(lasting_url) as database:
        found = set()
        for number, (before, after) in enumerate(product(states, states)):
            if before == after:
                continue
            await database.append([(begun(number),)])
            at = "created"
            for state in WAYS[before]:
                await database.append([(go_on(number, at, state),)])
                at = state
            try:
                await database.append([(go_on(number, before, after),)])
            except ConstraintViolation:
                continue
            found.add((before, after))
        assert found == LEGAL


async def test_a_message_never_goes_back(lasting_url: str) -> None:
    states = list(MessageState)
    async with opened(lasting_url) as database:
        await database.append([(begun(1),)])
        for number, (before, after) in enumerate(product(states, states)):
            row = (M, f"msg_{number}", "ref_1", "sms", "queued", 0, KEY, None, None, START, START)
            await database.append([(Write(INSERT_MESSAGE, row),)])
            message = (M, f"msg_{number}")
            if before is not MessageState.QUEUED:
                move = (before.value, RANKS[before])
                await database.append([(Write(MESSAGE_GO_ON, (*message, *move)),)])
            move = (after.value, RANKS[after])
            try:
                await database.append([(Write(MESSAGE_GO_ON, (*message, *move)),)])
            except ConstraintViolation:
                assert RANKS[after] < RANKS[before]
            else:
                assert RANKS[after] >= RANKS[before]


async def refused(database: DatabaseHandle, *writes: Write) -> None:
    with pytest.raises(ConstraintViolation):
        await database.append([writes])


async def test_what_else_cannot_be_written(lasting_url: str) -> None:
    async with opened(lasting_url) as database:
        await refused(database, begun(1, state=ReferralState.CLAIMED))
        await database.append([(begun(1, friend_key=KEY),)])
        await refused(database, begun(2, friend_key=KEY))
        await database.append([(begun(4, friend_key=KEY, hidden=True),)])
        await refused(database, begun(3, code="CODE000001"))
        claim = Write(GO_ON, (M, "ref_1", "claimed", "ann", START, None, None, None, None))
        await refused(database, claim)
        count = Write(COUNT, (M, "2026-03-01", "texts", "-", 1, 2))
        for _ in range(2):
            await database.append([(count,)])
        await refused(database, count)
        await refused(database, Write(COUNT, (M, "2026-03-01", "coupons", "-", 1, 2)))
        steps = Statement("s", "UPDATE referral_steps SET by = 'me' WHERE merchant_id = $1", 1)
        step = Statement(
            "t",
            "INSERT INTO referral_steps (merchant_id, referral_id, state, at, by)"
            " VALUES ($1, $2, $3, $4, $5)",
            1,
        )
        await database.append([(Write(step, (M, "ref_1", "created", START, "x")),)])
        await refused(database, Write(step, (M, "ref_1", "created", START, "y")))
        with pytest.raises(Exception, match=r"never change|permission"):
            await database.append([(Write(steps, (M,)),)])
        assert Program() == BUILT_IN.program
