"""The actor that keeps integrations, and takes what they send."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any, ClassVar

import structlog

from actors.core.cipher import Sealed, Vault
from actors.core.errors import Unsealable
from actors.core.integration_queries import (
    CANDIDATES_MAX,
    COUNT_BY_STATE,
    DELETE_INTEGRATION,
    FORMER_SECRET,
    HEALTH_WINDOW,
    INSERT_RECEIPT,
    LAST_RECEIVED,
    LIST_INTEGRATIONS,
    LIST_RECEIPTS,
    OLDEST_WAITING,
    PUT_INTEGRATION,
    SECRET,
    SELECT_BY_ACCOUNT,
    SELECT_DUPLICATE,
    SELECT_INTEGRATION,
    WAITING_TOO_LONG,
    WEBHOOK_BODY,
    WEBHOOK_QUEUE,
    integration_of,
    secrets_of,
    webhook_job,
    webhook_of,
)
from actors.core.messages import (
    MERCHANTS,
    GetIntegration,
    GetIntegrationSecret,
    GetMerchant,
    Health,
    Integration,
    IntegrationSecret,
    ListIntegrations,
    ListWebhooks,
    Provider,
    PutIntegration,
    ReceiveWebhook,
    RemoveIntegration,
    Webhook,
    WebhookState,
    WebhookTaken,
)
from actors.core.model import invalid
from actors.core.shopify import TOPICS, about
from actors.core.signatures import NOBODYS, is_signed
from actors.paging import Moment, clamp_limit, decode_cursor, page
from actors.room import no_room
from actors.vocabulary import Page, Refusal, RefusalKind
from runtime import ActorError, Workers
from runtime.context import current_trace_id
from runtime.jobs import JOBS, JobsAdded, job_write
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.storage import Database, Entry, Row, StorageError, Superseded, Write
from runtime.storage.outbox import event_write

log = structlog.get_logger("loyalnest.core")

SECRET_MAX = 1_000
ACCOUNT = re.compile(r"[!-~]{1,255}", re.ASCII)
WEBHOOK_ID = re.compile(r"[!-~]{1,128}", re.ASCII)
NEWEST = (datetime.max.replace(tzinfo=UTC), "~")

NOT_SIGNED = Refusal(
    RefusalKind.INVALID, "signature_invalid", "not signed by a shop that is connected here"
)


class Integrations(Workers):
    """Whose a webhook is, its signature decides: accounts are only claimed."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = (StorageError, ActorError)

    def __init__(self, database: Database, vault: Vault) -> None:
        super().__init__()
        self._database = database
        self._vault = vault

    async def receive(self, message: Any) -> object:
        match message:
            case ReceiveWebhook():
                return await self._take(message)
            case PutIntegration():
                return await self._put(message)
            case RemoveIntegration():
                return await self._remove(message)
            case GetIntegration():
                row = await self._row(message.merchant_id, message.provider)
                return await self._told(row) if row is not None else None
            case ListIntegrations():
                rows = await self._database.fetch(LIST_INTEGRATIONS, message.merchant_id)
                return tuple([await self._told(row) for row in rows])
            case GetIntegrationSecret():
                row = await self._row(message.merchant_id, message.provider)
                return self._secrets(row) if row is not None else None
            case ListWebhooks():
                return await self._list(message)
        return await super().receive(message)

    async def _row(self, merchant_id: str, provider: Provider) -> Row | None:
        return await self._database.fetch_row(SELECT_INTEGRATION, merchant_id, provider.value)

    def _secrets(self, row: Row) -> IntegrationSecret:
        """Those that count now. Raises `Unsealable`."""
        sealed = secrets_of(row)
        if row["former_until"] is not None and row["former_until"] <= self.system.clock.now():
            del sealed[1:]
        opened = [self._vault.open(row["merchant_id"], SECRET, one) for one in sealed]
        return IntegrationSecret(row["account"], tuple(opened))

    async def _told(self, row: Row) -> Integration:
        merchant_id, provider, now = row["merchant_id"], row["provider"], self.system.clock.now()
        key = (merchant_id, provider)
        counts, last, oldest = await self._database.fetch_many(
            [
                (COUNT_BY_STATE, (*key, now - HEALTH_WINDOW)),
                (LAST_RECEIVED, key),
                (OLDEST_WAITING, key),
            ]
        )
        by_state = {each[0]: each[1] for each in counts}
        health = Health.OK if by_state else Health.IDLE
        late = bool(oldest) and oldest[0][0] < now - WAITING_TOO_LONG
        if late or by_state.get(WebhookState.ATTENTION.value):
            health = Health.FAILING
        return integration_of(row, health, by_state, last[0] if last else None)

    async def _put(self, message: PutIntegration) -> Integration | Refusal:
        refusal = _check(message)
        if refusal is not None:
            return refusal
        if await self.system.ref(MERCHANTS).ask(GetMerchant(message.merchant_id)) is None:
            return Refusal(RefusalKind.NOT_FOUND, "merchant_unknown", "there is no such merchant")
        now = self.system.clock.now()
        known = await self._row(message.merchant_id, message.provider)
        sealed = self._vault.seal(message.merchant_id, SECRET, message.secret, self.system.random)
        former = self._former(message, known)
        row = (
            message.merchant_id,
            message.provider.value,
            _account(message.provider, message.account),
            sealed.text,
            sealed.version,
            former.text if former is not None else None,
            former.version if former is not None else None,
            now + FORMER_SECRET if former is not None else None,
            now,
            now,
        )
        rejected = await self._append((Write(PUT_INTEGRATION, row),), message.publishes)
        if rejected is not None:
            raise rejected.violation
        written = await self._row(message.merchant_id, message.provider)
        if written is None:
            detail = "it was removed at the same time"
            return Refusal(RefusalKind.CONFLICT, "integration_conflict", detail)
        return await self._told(written)

    def _former(self, message: PutIntegration, known: Row | None) -> Sealed | None:
        """The secret that goes on counting for a while: not for another account."""
        if known is None or known["account"] != _account(message.provider, message.account):
            return None
        try:
            current = self._secrets(known).secrets[0]
        except Unsealable as error:
            log.warning("secret_unreadable", provider=message.provider.value, error=str(error))
            return None
        return secrets_of(known)[0] if current != message.secret else None

    async def _append(
        self, entry: Entry, publishes: tuple[OutboxEvent, ...] = ()
    ) -> Rejected | None:
        events = tuple(map(event_write, publishes))
        append = Append((*entry, *events), publishes=bool(events))
        return await self.system.ref(JOURNAL).ask(append)

    async def _remove(self, message: RemoveIntegration) -> bool:
        key = (message.merchant_id, message.provider.value)
        rejected = await self._append((Write(DELETE_INTEGRATION, key),), message.publishes)
        if rejected is not None and not isinstance(rejected.violation, Superseded):
            raise rejected.violation
        return rejected is None

    async def _take(self, message: ReceiveWebhook) -> WebhookTaken | Refusal:
        if WEBHOOK_ID.fullmatch(message.webhook_id) is None:
            return invalid("webhook_id_missing", "a webhook has an id of 1 to 128 characters")
        merchant_id = await self._whose(message)
        if merchant_id is None:
            return NOT_SIGNED
        if message.topic not in TOPICS:
            return invalid("unknown_topic", f"topic {message.topic[:64]!r} is not taken here")
        refusal = await no_room(self.system, WEBHOOK_QUEUE.name)
        if refusal is not None:
            return refusal
        digest = hashlib.sha256(message.body).hexdigest()
        now = self.system.clock.now()
        entry, queue = self._receipt(merchant_id, message, digest, now)
        rejected = await self._append(entry)
        if rejected is None:
            self.system.ref(JOBS).tell(JobsAdded(queue))
            return WebhookTaken(duplicate=False)
        values = (merchant_id, message.provider.value, message.webhook_id, message.topic, digest)
        if await self._database.fetch_value(SELECT_DUPLICATE, *values) is None:
            raise rejected.violation
        return WebhookTaken(duplicate=True)

    async def _whose(self, message: ReceiveWebhook) -> str | None:
        """The merchant whose secret signed the body."""
        values = (message.provider.value, message.account.lower(), CANDIDATES_MAX)
        rows = await self._database.fetch(SELECT_BY_ACCOUNT, *values)
        if not rows:
            is_signed(message.body, message.signature, (NOBODYS,))
        found = None
        for row in rows:
            try:
                secrets = self._secrets(row).secrets
            except Unsealable as error:
                log.error("secret_unreadable", merchant=row["merchant_id"], error=str(error))
                continue
            if is_signed(message.body, message.signature, secrets) and found is None:
                found = str(row["merchant_id"])
        return found

    def _receipt(
        self, merchant_id: str, message: ReceiveWebhook, digest: str, now: datetime
    ) -> tuple[Entry, str]:
        """The webhook, its body sealed, and its job; and the job's queue."""
        body = message.body.decode("utf-8", "replace")
        sealed = self._vault.seal(merchant_id, WEBHOOK_BODY, body, self.system.random)
        key = (merchant_id, message.provider.value, message.webhook_id)
        state = WebhookState.RECEIVED.value
        rest = (message.topic, digest, sealed.text, sealed.version, state, now)
        job = webhook_job(
            merchant_id, message.provider, message.webhook_id, about(message.topic, body)
        )
        job_id = self.system.ids.new("job")
        write = job_write(job, job_id=job_id, now=now, trace_id=current_trace_id())
        return (Write(INSERT_RECEIPT, (*key, *rest)), write), job.queue

    async def _list(self, message: ListWebhooks) -> Page[Webhook] | Refusal:
        limit = clamp_limit(message.limit)
        before = decode_cursor(message.cursor, tuple[Moment, str], NEWEST)
        if isinstance(before, Refusal):
            return before
        values = (message.merchant_id, message.provider.value, *before, limit + 1)
        rows = await self._database.fetch(LIST_RECEIPTS, *values)
        return page(
            rows,
            limit,
            webhook_of,
            lambda row: [row["received_at"].isoformat(), row["webhook_id"]],
        )


def _account(provider: Provider, account: str) -> str:
    """As it is kept. A webhook's is a URL, in which capitals matter; names of others have none."""
    return account if provider is Provider.WEBHOOK else account.lower()


def _check(message: PutIntegration) -> Refusal | None:
    if ACCOUNT.fullmatch(message.account) is None:
        return invalid("invalid_account", "an account is 1 to 255 visible characters")
    if not 1 <= len(message.secret) <= SECRET_MAX or not message.secret.isprintable():
        return invalid("invalid_secret", f"a secret is 1 to {SECRET_MAX} printable characters")
    return None
