"""The job that writes an audience down, member by member, and then lets its campaign run."""

import attrs
import structlog
import trio

from actors.campaign.audiences import AudienceReader, Chunk
from actors.campaign.messages import (
    Audience,
    AudienceKind,
    AudienceState,
    Campaign,
    FrozenAudience,
)
from actors.campaign.moves import SCHEDULED, is_freezing, running
from actors.campaign.queries import (
    COUNT_MEMBERS,
    FREEZE_STEP,
    INSERT_MEMBER,
    SELECT_CAMPAIGN,
    SELECT_PLACE,
)
from actors.campaign.records import campaign_of, campaign_write, move_entry, next_revision
from actors.campaign.segments import SegmentsGone, SegmentSource
from runtime import ActorError
from runtime.jobs import Delays, Job, NewJob, QueuePolicy, RetryAfter, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.parking import monotonic
from runtime.storage import Database, Entry, StorageError, Superseded, Write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.campaign")

FREEZE = "campaign.freeze"

FREEZING = QueuePolicy(
    name="campaign_audiences",
    concurrency=4,
    depth_max=10_000,
    attempts_max=5,
    attempt_timeout_s=60.0,
    delays=Delays(initial_s=1.0, max_s=60.0),
)

RUN_S = 20.0
"""Then the job ends, and another one goes on: the queue is shared by all merchants."""

REST_SHARE = 0.5
"""The job rests for this share of the time that a step took."""

COME_BACK_S = 5.0
HELD_S = 300.0
"""How long until it is looked again whether there are segments to act upon."""

HELD_SEGMENTS = "the segments are older than 48 hours, or there are none yet"
BY_JOB = "schedule"


def freeze_job(merchant_id: str, campaign_id: str) -> NewJob:
    return NewJob(
        queue=FREEZING.name,
        name=FREEZE,
        merchant_id=merchant_id,
        payload={"campaign_id": campaign_id},
        key=campaign_id,
        unique_key=campaign_id,
    )


@attrs.frozen
class FreezeAudience:
    """Goes on where the audience is: each step writes its members and the next place in one
    transaction, and happens once."""

    database: Database
    segments: SegmentSource

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        campaign_id = str(job.payload["campaign_id"])
        freezing = _Freezing(system, self.database, self.segments, job, campaign_id)
        try:
            return await freezing.go_on()
        except Superseded:
            raise RetryAfter(COME_BACK_S, "the audience is not where it was") from None
        except SegmentsGone:
            return await freezing.gone()
        except (ActorError, StorageError) as error:
            raise RetryAfter(COME_BACK_S, str(error)[:500]) from error


@attrs.define
class _Freezing:
    """One attempt of the job."""

    system: ActorSystem
    database: Database
    segments: SegmentSource
    job: Job
    campaign_id: str

    async def go_on(self) -> Entry:
        """What is to be written with the end of the job."""
        campaign = await self._find()
        if campaign is None or campaign.state is not SCHEDULED or not is_freezing(campaign):
            return ()
        if _on_segments(campaign.definition.audience) and campaign.audience.source_run is None:
            campaign = await self._pinned(campaign)
        if not await self._write_members(campaign):
            return (self._successor(),)
        return await self._frozen(campaign)

    async def gone(self) -> Entry:
        """Nobody gets half of an audience: the campaign stays as it is until it is cancelled."""
        campaign = await self._find()
        if campaign is not None:
            await self._hold(campaign, "the members of the pinned run are not kept any more")
        raise RetryAfter(HELD_S, "the pinned run is gone")

    async def _find(self) -> Campaign | None:
        row = await self.database.fetch_row(SELECT_CAMPAIGN, self.job.merchant_id, self.campaign_id)
        return campaign_of(row) if row is not None else None

    async def _pinned(self, campaign: Campaign) -> Campaign:
        """The segments stay those of the run that is newest now."""
        run = await self.segments.newest(self.system, self.job.merchant_id)
        if run is None or not run.fresh:
            await self._hold(campaign, HELD_SEGMENTS)
            raise RetryAfter(HELD_S, HELD_SEGMENTS)
        audience = attrs.evolve(campaign.audience, source_run=run.run_id, source_as_of=run.as_of)
        after = next_revision(
            attrs.evolve(campaign, audience=audience, held=None), self.system.clock.now()
        )
        await self._append((campaign_write(self.job.merchant_id, after),))
        return after

    async def _hold(self, campaign: Campaign, reason: str) -> None:
        if campaign.held == reason:
            return
        log.warning("campaign_held", campaign=self.campaign_id, reason=reason)
        held = next_revision(attrs.evolve(campaign, held=reason), self.system.clock.now())
        await self._append((campaign_write(self.job.merchant_id, held),))

    async def _write_members(self, campaign: Campaign) -> bool:
        """Whether all are written; false when the time is up."""
        merchant_id, until = self.job.merchant_id, monotonic() + RUN_S
        reader = AudienceReader(self.system, self.segments)
        place = await self.database.fetch_row(SELECT_PLACE, merchant_id, self.campaign_id)
        if place is None:
            return False
        step, done, after = (
            place["audience_step"],
            place["audience_done"],
            place["audience_after"],
        )
        as_of = campaign.started_at or campaign.updated_at
        while not done:
            if monotonic() >= until:
                return False
            began = monotonic()
            chunk = await reader.chunk(merchant_id, campaign, after, as_of)
            await self._append(self._step_entry(step, chunk), synchronous=False)
            step, done, after = step + 1, chunk.last, chunk.after
            await trio.sleep((monotonic() - began) * REST_SHARE)
        await self._append(())
        place = await self.database.fetch_row(SELECT_PLACE, merchant_id, self.campaign_id)
        if place is not None and place["audience_step"] != step:
            raise Superseded(FREEZE_STEP.name)  # a store that was killed has lost some
        return True

    def _step_entry(self, step: int, chunk: Chunk) -> Entry:
        key = (self.job.merchant_id, self.campaign_id)
        members = [Write(INSERT_MEMBER, (*key, member)) for member in chunk.members]
        place = (*key, step, step + 1, chunk.last, chunk.after)
        return (*members, Write(FREEZE_STEP, place))

    def _successor(self) -> Write:
        return job_write(
            freeze_job(self.job.merchant_id, self.campaign_id),
            job_id=self.system.ids.new("job"),
            now=self.system.clock.now(),
            trace_id=self.job.trace_id,
        )

    async def _frozen(self, campaign: Campaign) -> Entry:
        """The campaign runs from the time on that it was started at."""
        merchant_id, now = self.job.merchant_id, self.system.clock.now()
        members = await self.database.fetch_value(COUNT_MEMBERS, merchant_id, self.campaign_id)
        audience = FrozenAudience(
            state=AudienceState.FROZEN,
            members=members,
            frozen_at=now,
            source_run=campaign.audience.source_run,
            source_as_of=campaign.audience.source_as_of,
        )
        after = next_revision(running(attrs.evolve(campaign, audience=audience), now), now)
        event_id, since = self.system.ids.new("ev"), after.started_at or now
        return move_entry(merchant_id, campaign, after, BY_JOB, event_id, since)

    async def _append(self, entry: Entry, *, synchronous: bool = True) -> None:
        append = Append(entry, in_background=True, synchronous=synchronous)
        answer = await self.system.ref(JOURNAL).ask(append)
        if isinstance(answer, Rejected):
            raise answer.violation


def _on_segments(audience: Audience) -> bool:
    return audience.kind is AudienceKind.SEGMENT
