"""Occasions: whom the messages of automations go to, and when."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import structlog

from actors.campaign.birthdays import BORN_ON, celebrated_on
from actors.campaign.delivery_queries import IS_MEMBER, LIST_AUTOMATIONS
from actors.campaign.delivery_queues import pump_job
from actors.campaign.delivery_records import BroadcastRow, broadcast_of, delivery_write
from actors.campaign.messages import AudienceKind, Automation, Trigger
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import ListExpiring
from runtime import ActorError
from runtime.context import current_trace_id
from runtime.jobs import Job, RetryAfter, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.storage import Database, Entry, Query, StorageError, Write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.campaign")

AUTOMATIONS_AT_ONCE = 100
PAGES_MAX = 1_000
PAGE = 200
COME_BACK_S = 5.0
APPEND_S = 5.0


@attrs.frozen
class Occasion:
    """Something to tell one customer of. `key` is the same whenever it is found again."""

    customer_id: str
    key: str
    facts: dict[str, Any]


@attrs.frozen
class FindOccasions:
    """Once an hour, writes down whose birthday it is, and whose points expire soon.

    Who was written down for an occasion is not again, so that one run may repeat another.
    """

    database: Database

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        after = ("", "")
        try:
            for _ in range(PAGES_MAX):
                rows = await self.database.fetch(LIST_AUTOMATIONS, *after, AUTOMATIONS_AT_ONCE)
                for row in rows:
                    await _Finding(system, self.database, broadcast_of(row)).run()
                if len(rows) < AUTOMATIONS_AT_ONCE:
                    break
                after = (rows[-1]["merchant_id"], rows[-1]["campaign_id"])
        except (ActorError, StorageError) as error:
            raise RetryAfter(COME_BACK_S, str(error)) from error
        return ()


@attrs.frozen
class _Finding:
    """The occasions of one automation."""

    system: ActorSystem
    database: Database
    broadcast: BroadcastRow

    async def run(self) -> None:
        automation = self.broadcast.definition.automation
        if automation is None or automation.trigger is Trigger.TIER_CHANGED:
            return
        pages = self._birthdays if automation.trigger is Trigger.BIRTHDAY else self._expiring
        async with aclosing(pages(automation)) as found:
            async for page in found:
                await self._note(page)

    async def _note(self, page: Sequence[Occasion]) -> None:
        entry = await occasion_entry(self.system, self.database, self.broadcast, page)
        if entry:
            answer = await self.system.ref(JOURNAL).ask(Append(entry), timeout_s=APPEND_S)
            if isinstance(answer, Rejected):
                raise answer.violation

    async def _birthdays(self, automation: Automation) -> AsyncGenerator[Sequence[Occasion], None]:
        zone = ZoneInfo(self.broadcast.definition.schedule.zone)
        today = self.system.clock.now().astimezone(zone).date()
        day = today + timedelta(days=automation.days_before)
        for birthday in celebrated_on(day):
            after = ""
            for _ in range(PAGES_MAX):
                values = (self.broadcast.merchant_id, after, birthday.month, birthday.day, PAGE)
                rows = await self.database.fetch(BORN_ON, *values)
                facts = {"date": day.isoformat()}
                yield [Occasion(row[0], str(day.year), facts) for row in rows]
                if len(rows) < PAGE:
                    break
                after = rows[-1][0]

    async def _expiring(self, automation: Automation) -> AsyncGenerator[Sequence[Occasion], None]:
        now = self.system.clock.now()
        until = now + timedelta(days=max(1, automation.days_before))
        zone = ZoneInfo(self.broadcast.definition.schedule.zone)
        after = ""
        for _ in range(PAGES_MAX):
            question = ListExpiring(
                merchant_id=self.broadcast.merchant_id,
                since=now,
                until=until,
                after=after,
                limit=PAGE,
            )
            found = await self.system.ref(POINTS_QUERIES).ask(question)
            page = []
            for each in found:
                day = each.first_at.astimezone(zone).date().isoformat()
                page.append(Occasion(each.customer_id, day, {"points": each.points, "date": day}))
            yield page
            if len(found) < PAGE:
                break
            after = found[-1].customer_id


async def occasion_entry(
    system: ActorSystem,
    database: Database,
    broadcast: BroadcastRow,
    occasions: Sequence[Occasion],
) -> Entry:
    """What is written for those of the occasions that concern members of the campaign, and the job
    that sends it. Raises `StorageError`."""
    concerned = await _members(database, broadcast, occasions)
    if not concerned:
        return ()
    now = system.clock.now()
    writes: list[Write] = [
        delivery_write(
            broadcast,
            each.customer_id,
            now,
            delivery_id=system.ids.new("dlv"),
            occasion=each.key,
            facts=each.facts,
        )
        for each in concerned
    ]
    job = pump_job(broadcast.merchant_id, broadcast.campaign_id, broadcast.channel)
    job_id = system.ids.new("job")
    return (*writes, job_write(job, job_id=job_id, now=now, trace_id=current_trace_id()))


async def _members(
    database: Database, broadcast: BroadcastRow, occasions: Sequence[Occasion]
) -> list[Occasion]:
    """Of a campaign for everybody, all: also those who came after its start."""
    if broadcast.definition.audience.kind is AudienceKind.ALL or not occasions:
        return list(occasions)
    key = (broadcast.merchant_id, broadcast.campaign_id)
    queries: list[Query] = [(IS_MEMBER, (*key, each.customer_id)) for each in occasions]
    found = await database.fetch_many(queries)
    return [each for each, rows in zip(occasions, found, strict=True) if rows]
