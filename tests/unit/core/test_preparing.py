"""Rows made ready as if all were new: what is written is as if they were decided one by one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

import attrs
import pytest

from actors.core.cipher import Vault
from actors.core.customer_changes import Changer
from actors.core.import_files import Slice
from actors.core.messages import Channel, CustomerData, ExternalId, Plan, Upserted
from actors.core.plans import LIMITS
from actors.core.preparing import (
    ROWS_A_STEP,
    STEPS_AT_ONCE,
    AsNew,
    Preparation,
    PreparedStep,
    PrepareRows,
)
from actors.core.quotas import Room
from actors.core.upserts import Deciding, all_checked
from runtime.foreground import Turns
from runtime.ports import system_ports
from runtime.storage import Entry
from runtime.storage.grouping import grouped
from tests.trees import MERCHANT, data_keys
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADER = "customer_id,name,email,phone,source,external_id,email_consent"


def person(customer_id: str | None, email: str | None = None, **more: Any) -> CustomerData:
    return CustomerData(customer_id=customer_id, email=email, **more)


PEOPLE = (
    person("c-1", "ann@Example.com", phone="+41 79 100 00 01", display_name="Ann"),
    person("c-2", "bob@example.com", consents=((Channel.EMAIL, True),)),
    person("c-3", external_ids=(ExternalId("shop", "3"),)),
    person(None, external_ids=(ExternalId("shop", "4"),)),
)


async def preparation() -> Preparation:
    return Preparation(Vault(await data_keys()), Random(1), MERCHANT, NOW)


async def step(*people: CustomerData) -> PreparedStep:
    read = Slice(people, tuple(range(2, 2 + len(people))), (), 100, 1 + len(people))
    (prepared,) = filter(None, (await preparation()).parts_of(read))
    return prepared


async def decided_one_by_one(people: Sequence[CustomerData]) -> Entry:
    vault, random = Vault(await data_keys()), Random(1)
    changer = Changer(
        lambda merchant, kind, text: vault.seal(merchant, kind, text, random), {}, NOW, "import"
    )
    turns = Turns(None)
    room = Room(LIMITS[Plan.UNLIMITED], 0, 0, NOW, 0.0)
    deciding = Deciding(MERCHANT, changer, system_ports().ids, room, {}, turns)
    asked = await all_checked(vault, MERCHANT, people, {}, turns)
    results = await deciding.decide(people, asked)
    assert all(isinstance(result, Upserted) for result in results)
    return deciding.taken()[0]


async def test_new_customers_are_written_as_if_they_were_decided_one_by_one() -> None:
    prepared = await step(*PEOPLE)
    assert prepared.new is not None
    told_one_by_one = await decided_one_by_one(PEOPLE)
    assert grouped([prepared.new.writes]) == grouped([told_one_by_one])
    assert prepared.new.ids == ("c-1", "c-2", "c-3", "shop-4")
    kinds = ["email", "phone", "email", "id shop", "id shop"]
    assert [kind for kind, _ in prepared.new.claims] == kinds
    assert prepared.customers == PEOPLE


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(person("c-9", "ann@example.com"), id="the same address"),
        pytest.param(person("!"), id="no id"),
        pytest.param(person("c-9", "nowhere"), id="no address"),
        pytest.param(person(None, external_ids=(ExternalId("shop", "/"),)), id="no name for it"),
    ],
)
async def test_customers_that_are_not_new_beside_each_other_are_left_to_who_decides(
    other: CustomerData,
) -> None:
    prepared = await step(PEOPLE[0], other)
    assert prepared.new is None
    assert prepared.customers == (PEOPLE[0], other)


async def test_a_text_becomes_steps_that_follow_each_other() -> None:
    count = ROWS_A_STEP * STEPS_AT_ONCE + 5
    lines = [f"c-{n},C {n},c{n}@example.com,,,,\n" for n in range(count)]
    lines[3] = "c-3,C 3,nowhere,,,,\n"
    text = "".join(lines).encode()
    rows = PrepareRows(MERCHANT, HEADER, text, 1, NOW)
    steps = list((await preparation()).steps(rows))
    assert len(steps) == STEPS_AT_ONCE
    assert [each.line for each in steps] == [1 + ROWS_A_STEP * n for n in (1, 2, 3)]
    assert steps[-1].end == len("".join(lines[: ROWS_A_STEP * STEPS_AT_ONCE]))
    assert [error.line for each in steps for error in each.errors] == [5]
    ids = [customer_id for each in steps for customer_id in news(each).ids]
    assert ids == [f"c-{n}" for n in range(count - 5) if n != 3]
    rows = attrs.evolve(rows, text=text[steps[-1].end :], line=steps[-1].line)
    (rest,) = (await preparation()).steps(rows)
    assert news(rest).ids == tuple(f"c-{n}" for n in range(count - 5, count))


def news(step: PreparedStep) -> AsNew:
    assert step.new is not None
    return step.new


async def test_rows_of_a_file_that_is_mostly_there_are_only_read() -> None:
    rows = PrepareRows(MERCHANT, HEADER, b"c-1,Ann,ann@example.com,,,,\n", 1, NOW, as_new=False)
    (only,) = (await preparation()).steps(rows)
    assert only.new is None
    assert [data.customer_id for data in only.customers] == ["c-1"]
