"""Automations: a message whenever there is an occasion, and one for each."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
import trio

from actors.campaign.birthdays import Birthday, GetBirthday, SetBirthday, celebrated_on
from actors.campaign.delivery_messages import BROADCASTS, BroadcastState
from actors.campaign.messages import (
    Audience,
    AudienceKind,
    Automation,
    Budget,
    CampaignKind,
    CampaignState,
    Content,
    Definition,
    SendChannel,
    Trigger,
)
from actors.core.messages import CUSTOMERS, Channel, EraseCustomer, SetConsent
from actors.points.messages import QUERIES, ExpiringPoints, ListExpiring
from actors.points.tier_messages import TIER_CHANGED
from tests.trees import MERCHANT, START, running_tree
from tests.unit.campaign.sending import World, world
from tests.virtual import run_virtually

virtually = pytest.mark.trio(run=run_virtually)


def automation(trigger: Trigger, body: str, days_before: int = 0, **options: Any) -> Definition:
    content = Content(channel=SendChannel.EMAIL, subject="For you", body=body)
    return Definition(
        name="For you",
        kind=CampaignKind.AUTOMATION,
        automation=Automation(trigger=trigger, content=content, days_before=days_before),
        **options,
    )


async def look(here: World) -> None:
    """As the hourly job does, twice: the second time finds nothing new."""
    for _ in range(2):
        await here.find_occasions()
        await trio.sleep(40)


def texts(here: World) -> list[str]:
    return sorted(mail.text for mails in here.mail.effects.values() for mail in mails)


@virtually
@pytest.mark.slow
async def test_who_has_a_birthday_is_congratulated_once_a_year() -> None:
    async with world() as here, here.process():
        ann, bob, cyd = await here.customers(3)
        birthdays = here.system.ref(BROADCASTS)
        for customer, born in ((ann, Birthday(3, 1)), (bob, Birthday(3, 2))):
            assert await birthdays.ask(SetBirthday(MERCHANT, customer, born))
        assert not await birthdays.ask(SetBirthday(MERCHANT, "nobody", Birthday(3, 1)))
        await here.start([], automation(Trigger.BIRTHDAY, "Dear {{ customer.name }}"))
        await trio.sleep(5)
        await look(here)
        assert texts(here) == ["Dear Customer 0"]
        assert await birthdays.ask(GetBirthday(MERCHANT, ann)) == Birthday(3, 1)
        await here.system.ref(CUSTOMERS).ask(EraseCustomer(MERCHANT, ann))
        await trio.sleep(5)
        assert await birthdays.ask(GetBirthday(MERCHANT, ann)) is None
        stats = await here.stats()
        assert stats is not None
        assert (stats.state, stats.recipients) == (BroadcastState.RUNNING, 1)
        assert cyd


@virtually
@pytest.mark.slow
async def test_whose_points_expire_is_told_how_many_and_members_alone() -> None:
    async with world() as here, here.process():
        ann, bob = await here.customers(2)
        soon, late = START + timedelta(days=3), START + timedelta(days=30)
        here.expiring = [ExpiringPoints(ann, 120, soon), ExpiringPoints(bob, 50, soon)]
        here.expiring.append(ExpiringPoints("c-9999", 5, late))
        body = "{{ occasion.points }} points until {{ occasion.date }}"
        listed = Audience(kind=AudienceKind.LIST, names=(ann,))
        definition = automation(Trigger.POINTS_EXPIRING, body, days_before=7, audience=listed)
        await here.start([ann], definition)
        await here.member(ann)
        await trio.sleep(5)
        await look(here)
        assert texts(here) == ["120 points until 2026-03-04"]


@virtually
@pytest.mark.slow
async def test_who_reaches_a_tier_hears_of_it_at_once_while_the_automation_runs() -> None:
    change = {"number": 1, "from_tier": None, "to_tier": "gold", "qualifying": 1}
    async with world() as here, here.process():
        ann, bob = await here.customers(2)
        body = "{{ customer.name }}: {{ occasion.tier }}"
        await here.start([], automation(Trigger.TIER_CHANGED, body))
        await trio.sleep(5)
        await here.publish(TIER_CHANGED, ann, {**change, "customer_id": ann})
        await trio.sleep(5)
        assert texts(here) == ["Customer 0: gold"]
        await here.change(CampaignState.PAUSED, from_state=CampaignState.RUNNING)
        await trio.sleep(5)
        await here.publish(TIER_CHANGED, bob, {**change, "customer_id": bob})
        await trio.sleep(60)
        assert len(texts(here)) == 1


@virtually
@pytest.mark.slow
async def test_a_member_gets_no_more_messages_than_its_budget_has() -> None:
    """However many come due at the same time; who wanted none has used nothing of it."""
    async with world() as here, here.process():
        ann, bob = await here.customers(2)
        budget = Budget(count=2)
        definition = automation(Trigger.TIER_CHANGED, "{{ occasion.tier }}", member_budget=budget)
        await here.start([], definition)
        await trio.sleep(5)
        customers = here.system.ref(CUSTOMERS)
        for number in range(1, 7):
            granted = number > 1
            await customers.ask(SetConsent(MERCHANT, ann, Channel.EMAIL, granted, "test"))
            told = {"number": number, "from_tier": None, "to_tier": f"t{number}", "qualifying": 1}
            await here.publish(TIER_CHANGED, ann, {**told, "customer_id": ann})
            if number == 1 or number > 4:
                await trio.sleep(5)
        await here.publish(TIER_CHANGED, bob, {**told, "customer_id": bob})
        await trio.sleep(5)
        assert texts(here) == ["t2", "t3", "t6"]
        reasons = Counter(each.reason for each in await here.deliveries() if each.reason)
        assert reasons == {"no_consent": 1, "member_budget_exhausted": 3}


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (date(2026, 3, 1), [(3, 1)]),
        (date(2026, 2, 28), [(2, 28), (2, 29)]),
        (date(2028, 2, 28), [(2, 28)]),
        (date(2028, 2, 29), [(2, 29)]),
    ],
)
def test_the_29th_of_february_is_celebrated_every_year(
    day: date, found: list[tuple[int, int]]
) -> None:
    assert [(born.month, born.day) for born in celebrated_on(day)] == found


@virtually
@pytest.mark.slow
async def test_points_that_expire_are_found_by_customer() -> None:
    async with running_tree() as tree:
        await tree.create("ann", "bob", "cyd")
        for customer, days in (("ann", 3), ("ann", 5), ("bob", 30), ("cyd", 4)):
            await tree.earn(10, customer, expires_at=START + timedelta(days=days))
        question = ListExpiring(merchant_id=MERCHANT, since=START, until=START + timedelta(days=7))
        found = await tree.system.ref(QUERIES).ask(question)
        assert [(each.customer_id, each.points) for each in found] == [("ann", 20), ("cyd", 10)]
        assert found[0].first_at == START + timedelta(days=3)
