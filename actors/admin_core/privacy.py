"""What customers ask for about their data: noted with a due date, and done."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import attrs
import msgspec
import structlog
import trio

from actors.admin_core.messages import (
    SYSTEM,
    AuditRecord,
    CompletePrivacy,
    PrivacyKind,
    PrivacyRequest,
    PrivacyState,
    RequestPrivacy,
    audit_event,
)
from actors.admin_core.metrics import PrivacyMetrics
from actors.admin_core.queries import COUNT_OVERDUE, END_REQUEST, SELECT_REQUEST
from actors.admin_core.records import request_of, request_write
from actors.core.messages import CUSTOMERS, QUERIES, EraseCustomer, HasCustomer, PrivacyRequested
from actors.room import no_room
from actors.vocabulary import Refusal, RefusalKind
from runtime import Actor, ActorError, ActorSystem
from runtime.context import current_trace_id, under_trace
from runtime.jobs import JOBS, Job, JobsAdded, NewJob, QueuePolicy, RetryAfter, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import Deliver, OutboxEvent
from runtime.registries import in_registry
from runtime.storage import Database, Entry, StorageError, Write
from runtime.storage.outbox import event_write
from runtime.trouble import Trouble

log = structlog.get_logger("loyalnest.privacy")

DUE_AFTER = timedelta(days=30)
"""A month, as article 12(3) of the GDPR has it."""

PRIVACY_QUEUE = QueuePolicy(
    name="privacy", concurrency=2, depth_max=10_000, attempts_max=5, attempt_timeout_s=20.0
)
ERASE = "admin_core.erase"

COUNT_EVERY_S = 60.0
ASK_AGAIN_S = 5.0

ERASED = "name, contacts, external ids and consents are deleted; the ledger says nobody's name"
NO_CUSTOMER = "there is no such customer"


class PrivacyDesk(Actor):
    """Notes requests of operators, and those that a shop passes on.

    An erasure is a job of the transaction that notes it: it happens, whatever crashes.
    """

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._metrics: PrivacyMetrics

    async def started(self) -> None:
        self._metrics = in_registry(self.system.metrics.registry, PrivacyMetrics)
        self.start_task(self._keep_counting)

    async def receive(self, message: Any) -> object:
        match message:
            case RequestPrivacy():
                return await self._request(message)
            case CompletePrivacy():
                return await self._complete(message)
            case Deliver():
                await self._take(message.events)
                return None
        return await super().receive(message)

    async def _request(self, message: RequestPrivacy) -> PrivacyRequest | Refusal:
        known = HasCustomer(message.merchant_id, message.customer_id)
        if not await self.system.ref(QUERIES).ask(known):
            return Refusal(RefusalKind.NOT_FOUND, "customer_unknown", NO_CUSTOMER)
        refusal = await no_room(self.system, PRIVACY_QUEUE.name)
        if refusal is not None:
            return refusal
        now = self.system.clock.now()
        received_at = min(message.received_at or now, now)
        erases = message.kind is PrivacyKind.ERASE
        request = PrivacyRequest(
            merchant_id=message.merchant_id,
            request_id=message.request_id,
            customer_id=message.customer_id,
            kind=message.kind,
            state=PrivacyState.RUNNING if erases else PrivacyState.OPEN,
            reference=None,
            reason=message.reason,
            requested_by=message.requested_by,
            received_at=received_at,
            due_at=received_at + DUE_AFTER,
            ended_at=None,
            outcome=None,
        )
        await self._write(request, message.publishes)
        return request

    async def _write(self, request: PrivacyRequest, publishes: Sequence[OutboxEvent]) -> None:
        entry: Entry = (request_write(request),)
        if request.state is PrivacyState.RUNNING:
            entry += (self._job(request),)
        await _append(self.system, entry, publishes)
        self.system.ref(JOBS).tell(JobsAdded(PRIVACY_QUEUE.name))

    def _job(self, request: PrivacyRequest) -> Write:
        job = NewJob(
            queue=PRIVACY_QUEUE.name,
            name=ERASE,
            payload={"request_id": request.request_id, "customer_id": request.customer_id},
            merchant_id=request.merchant_id,
            unique_key=request.request_id,
        )
        now = self.system.clock.now()
        return job_write(
            job, job_id=self.system.ids.new("job"), now=now, trace_id=current_trace_id()
        )

    async def _complete(self, message: CompletePrivacy) -> PrivacyRequest | Refusal:
        row = await self._database.fetch_row(SELECT_REQUEST, message.request_id)
        if row is None:
            return Refusal(RefusalKind.NOT_FOUND, "not_found", "there is no such request")
        request = request_of(row)
        if request.kind is not PrivacyKind.EXPORT or request.state is not PrivacyState.OPEN:
            detail = "only an export that is open is completed by hand"
            return Refusal(RefusalKind.CONFLICT, "not_open", detail)
        ended_at = self.system.clock.now()
        row_ = (request.merchant_id, request.request_id, "done", ended_at, message.outcome)
        await _append(self.system, (Write(END_REQUEST, row_),), message.publishes)
        return attrs.evolve(
            request, state=PrivacyState.DONE, ended_at=ended_at, outcome=message.outcome
        )

    async def _take(self, events: Sequence[OutboxEvent]) -> None:
        """Requests that a shop passed on, each once: its id is that of its event."""
        for event in events:
            told = msgspec.convert(event.payload, PrivacyRequested)
            request = PrivacyRequest(
                merchant_id=event.merchant_id,
                request_id=event.event_id,
                customer_id=told.customer_id,
                kind=PrivacyKind(told.kind),
                state=PrivacyState.OPEN,
                reference=told.reference,
                reason="passed on by the shop",
                requested_by=SYSTEM,
                received_at=told.received_at,
                due_at=told.received_at + DUE_AFTER,
                ended_at=None,
                outcome=None,
            )
            with under_trace(event.trace_id):
                await self._write(request, ())

    async def _keep_counting(self) -> None:
        trouble = Trouble(log, "privacy_not_counted", "privacy_counted_again")
        while True:
            try:
                now = self.system.clock.now()
                overdue = await self._database.fetch_value(COUNT_OVERDUE, now)
                self._metrics.overdue.set(overdue)
                trouble.ended()
            except StorageError as error:
                trouble.failed(error)
            await trio.sleep(COUNT_EVERY_S)


@attrs.frozen
class EraseForGood:
    """Has core erase a customer, which may be asked for again, and ends the request with that."""

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        customer_id, request_id = job.payload["customer_id"], job.payload["request_id"]
        answer = await system.ref(CUSTOMERS).ask(EraseCustomer(job.merchant_id, customer_id))
        if isinstance(answer, Refusal) and answer.kind is not RefusalKind.NOT_FOUND:
            raise RetryAfter(ASK_AGAIN_S, answer.code)
        refused = isinstance(answer, Refusal)
        state = PrivacyState.REFUSED if refused else PrivacyState.DONE
        outcome, now = NO_CUSTOMER if refused else ERASED, system.clock.now()
        record = AuditRecord(
            subject=SYSTEM,
            role=SYSTEM,
            action="privacy.erased",
            target=customer_id,
            after={"request_id": request_id, "state": state.value},
        )
        event = audit_event(
            record, event_id=system.ids.new("evt"), at=now, merchant_id=job.merchant_id
        )
        ending = (job.merchant_id, request_id, state.value, now, outcome)
        return Write(END_REQUEST, ending), event_write(event)


async def _append(system: ActorSystem, entry: Entry, publishes: Sequence[OutboxEvent]) -> None:
    events = tuple(map(event_write, publishes))
    answer = await system.ref(JOURNAL).ask(Append((*entry, *events), publishes=bool(events)))
    if isinstance(answer, Rejected):
        raise answer.violation
