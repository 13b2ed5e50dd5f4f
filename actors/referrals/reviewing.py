"""Reviews and programs: what a merchant's people decide."""

import attrs

from actors.referrals.claiming import end_writes
from actors.referrals.inviting import BUSY, TRIES
from actors.referrals.lookups import Lookups
from actors.referrals.messages import (
    ChangeProgram,
    Decision,
    ProgramVersion,
    Referral,
    ReferralState,
    Review,
    ReviewReferral,
)
from actors.referrals.model import check_program, review_refusal
from actors.referrals.queries import APPROVE, INSERT_PROGRAM
from actors.referrals.queues import REWARDS, reverse_job, reward_job
from actors.referrals.records import Stored, program_row
from actors.vocabulary import Refusal, RefusalKind
from runtime.context import current_trace_id
from runtime.jobs import JOBS, JobsAdded, NewJob, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.storage import Database, Entry, Write
from runtime.storage.outbox import event_write
from runtime.system import ActorSystem

UNKNOWN = Refusal(RefusalKind.NOT_FOUND, "referral_unknown", "there is no such referral")


@attrs.frozen
class Reviewing:
    """Raises what asks and the database do."""

    system: ActorSystem
    database: Database

    async def review(self, message: ReviewReferral) -> Referral | Refusal:
        lookups = Lookups(self.system, self.database)
        for _ in range(TRIES):
            referral = await lookups.referral(message.merchant_id, message.referral_id)
            if referral is None:
                return UNKNOWN
            refusal = review_refusal(referral, message.decision)
            if refusal is not None:
                return refusal
            entry, after = self._decided(referral, message)
            if await self._append(entry, message.publishes) is None:
                self.system.ref(JOBS).tell(JobsAdded(REWARDS.name))
                return after.view(None)
        return BUSY

    def _decided(self, referral: Stored, message: ReviewReferral) -> tuple[Entry, Stored]:
        """What is written, and the referral afterwards. A reversal is a job: it is done when the
        points of both sides are taken back."""
        now = self.system.clock.now()
        key = (referral.merchant_id, referral.referral_id)
        if message.decision is Decision.REJECT:
            state = ReferralState.REJECTED
            after = attrs.evolve(referral, state=state, reason=message.reason, ended_at=now)
            return end_writes(referral, state, message.reason, now, by=message.by), after
        if message.decision is Decision.REVERSE:
            return (self._job(reverse_job(*key, message.reason, message.by)),), referral
        after = attrs.evolve(referral, review=Review.APPROVED)
        approve = Write(APPROVE, (*key, referral.review.value, after.review.value))
        if referral.confirm_at is None:
            return (approve,), after
        return (approve, self._job(reward_job(*key, max(now, referral.confirm_at)))), after

    def _job(self, job: NewJob) -> Write:
        now, job_id = self.system.clock.now(), self.system.ids.new("job")
        return job_write(job, job_id=job_id, now=now, trace_id=current_trace_id())

    async def change_program(self, message: ChangeProgram) -> ProgramVersion | Refusal:
        refusal = check_program(message.program)
        if refusal is not None:
            return refusal
        lookups = Lookups(self.system, self.database)
        for _ in range(TRIES):
            current = await lookups.program(message.merchant_id)
            if current.program == message.program:
                return current
            now = self.system.clock.now()
            version = ProgramVersion(current.version + 1, message.program, message.changed_by, now)
            write = Write(INSERT_PROGRAM, program_row(message.merchant_id, version))
            if await self._append((write,), message.publishes) is None:
                return version
        return BUSY

    async def _append(self, entry: Entry, publishes: tuple[OutboxEvent, ...]) -> Rejected | None:
        events = tuple(map(event_write, publishes))
        append = Append((*entry, *events), publishes=bool(events))
        return await self.system.ref(JOURNAL).ask(append)
