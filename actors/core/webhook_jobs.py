"""The job that does what a webhook tells."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import structlog

from actors.core.cipher import Sealed, Vault
from actors.core.customer_queries import SEARCH_BY_EXTERNAL_ID
from actors.core.integration_queries import (
    DELETE_INTEGRATION,
    END_RECEIPT,
    SELECT_INTEGRATION,
    SELECT_RECEIPT,
    WEBHOOK_BODY,
)
from actors.core.messages import (
    CUSTOMERS,
    ORDERS,
    PRIVACY_REQUESTED,
    QUERIES,
    CancelOrder,
    CustomerData,
    EraseCustomer,
    GetOrder,
    Provider,
    RecordOrders,
    RefundOrder,
    UpsertCustomers,
    WebhookState,
)
from actors.core.shopify import (
    CUSTOMERS_CREATE,
    CUSTOMERS_DELETE,
    CUSTOMERS_REDACT,
    CUSTOMERS_UPDATE,
    DATA_REQUEST,
    ORDERS_CANCELLED,
    ORDERS_CREATE,
    ORDERS_PAID,
    REFUNDS_CREATE,
    SHOP_REDACT,
    SOURCE,
    Person,
    PrivacyBody,
    ShopifyOrder,
    ShopifyRefund,
    Unusable,
    customer_data,
    decoded,
    external_id_of,
    is_paid,
    order_id_of,
    paid_order,
    refund_of,
)
from actors.vocabulary import Refusal, RefusalKind
from runtime import ActorError
from runtime.jobs import Job, PermanentFailure, RetryAfter
from runtime.storage import Database, Entry, StorageError, Write
from runtime.storage.outbox import outbox_write
from runtime.system import ActorSystem

log = structlog.get_logger("loyalnest.core")

COME_BACK_S = 5.0


@attrs.frozen
class Ended:
    """How it ended, and what is written with that."""

    state: WebhookState
    outcome: str | None = None
    writes: Entry = ()


DONE = Ended(WebhookState.DONE)


@attrs.frozen
class ProcessWebhook:
    """Every effect is recognised when it is repeated: by order, refund and external ids.

    What the shop will not send again, and cannot be done, needs attention; it stays to be seen.
    """

    database: Database
    vault: Vault

    async def __call__(self, job: Job, system: ActorSystem) -> Entry:
        provider, webhook_id = Provider(job.payload["provider"]), str(job.payload["webhook_id"])
        key = (job.merchant_id, provider.value, webhook_id)
        row = await self.database.fetch_row(SELECT_RECEIPT, *key)
        if row is None or row["sealed"] is None:
            return ()
        sealed = Sealed(row["sealed"], row["key_version"])
        body = self.vault.open(job.merchant_id, WEBHOOK_BODY, sealed)
        doing = Doing(system, self.database, job.merchant_id, webhook_id)
        try:
            ended = await HANDLERS[row["topic"]](doing, body)
        except Unusable as error:
            ended = Ended(WebhookState.ATTENTION, f"unusable: {error}"[:200])
        except (ActorError, StorageError) as error:
            raise RetryAfter(COME_BACK_S, str(error)) from error
        if ended.state is WebhookState.ATTENTION:
            log.warning("webhook_needs_attention", topic=row["topic"], outcome=ended.outcome)
        now = system.clock.now()
        write = Write(END_RECEIPT, (*key, ended.state.value, ended.outcome, now))
        return (write, *ended.writes)


@attrs.frozen
class Doing:
    """What one webhook leads to. Raises what asks do, and `Unusable`."""

    system: ActorSystem
    database: Database
    merchant_id: str
    webhook_id: str

    async def order(self, body: str) -> Ended:
        told: ShopifyOrder = decoded(body, ShopifyOrder)
        if not is_paid(told):
            return Ended(WebhookState.IGNORED, "not paid yet, or cancelled")
        if told.customer is None:
            return Ended(WebhookState.IGNORED, "ordered without an account")
        customer_id = await self._customer_id(told.customer)
        if isinstance(customer_id, Refusal):
            return _refused(customer_id)
        order = paid_order(told, customer_id)
        command = RecordOrders(self.merchant_id, (order,))
        (result,) = await self.system.ref(ORDERS).ask(command)
        return _refused(result) if isinstance(result, Refusal) else DONE

    async def _customer_id(self, person: Person) -> str | Refusal:
        """The customer, created where it is new. An address or a number that another customer has
        is left to that one."""
        data = customer_data(person)
        result = await self._upsert(data)
        if isinstance(result, Refusal) and result.code in {"email_taken", "phone_taken"}:
            result = await self._upsert(attrs.evolve(data, email=None, phone=None))
        return result if isinstance(result, Refusal) else str(result.customer_id)

    async def _upsert(self, data: CustomerData) -> Any:
        command = UpsertCustomers(self.merchant_id, (data,), SOURCE)
        (result,) = await self.system.ref(CUSTOMERS).ask(command)
        return result

    async def cancelled(self, body: str) -> Ended:
        told: ShopifyOrder = decoded(body, ShopifyOrder)
        if told.cancelled_at is None:
            raise Unusable("the order is not cancelled")
        at = told.cancelled_at
        command = CancelOrder(self.merchant_id, order_id_of(told.id), at)
        result = await self.system.ref(ORDERS).ask(command)
        if isinstance(result, Refusal) and result.kind is RefusalKind.NOT_FOUND:
            return Ended(WebhookState.IGNORED, "the order was never recorded")
        return _refused(result) if isinstance(result, Refusal) else DONE

    async def refunded(self, body: str) -> Ended:
        told: ShopifyRefund = decoded(body, ShopifyRefund)
        question = GetOrder(self.merchant_id, order_id_of(told.order_id))
        order = await self.system.ref(QUERIES).ask(question)
        if order is None:
            return Ended(WebhookState.IGNORED, "the order was never recorded")
        refund = refund_of(told, order.currency)
        if refund is None:
            return Ended(WebhookState.IGNORED, "no money was paid back")
        command = RefundOrder(self.merchant_id, refund)
        result = await self.system.ref(ORDERS).ask(command)
        return _refused(result) if isinstance(result, Refusal) else DONE

    async def customer(self, body: str) -> Ended:
        result = await self._customer_id(decoded(body, Person))
        return _refused(result) if isinstance(result, Refusal) else DONE

    async def customer_deleted(self, body: str) -> Ended:
        """The shop forgets an account; that does not end the membership here."""
        decoded(body, Person)
        return Ended(WebhookState.IGNORED, "members are erased by customers/redact only")

    async def redact(self, body: str) -> Ended:
        customer_id = await self._named(body)
        if customer_id is None:
            return Ended(WebhookState.DONE, "there is no such customer")
        result = await self.system.ref(CUSTOMERS).ask(EraseCustomer(self.merchant_id, customer_id))
        return _refused(result) if isinstance(result, Refusal) else DONE

    async def data_request(self, body: str) -> Ended:
        told: PrivacyBody = decoded(body, PrivacyBody)
        customer_id = await self._named(body)
        if customer_id is None:
            return Ended(WebhookState.DONE, "there is no such customer")
        reference = str(told.data_request.id) if told.data_request else self.webhook_id
        now = self.system.clock.now()
        event = outbox_write(
            merchant_id=self.merchant_id,
            event_id=self.system.ids.new("ev"),
            topic=PRIVACY_REQUESTED,
            key=customer_id,
            payload={
                "customer_id": customer_id,
                "kind": "export",
                "reference": reference,
                "received_at": now,
            },
            created_at=now,
        )
        outcome = f"customer {customer_id} wants to know what is kept: send the export"
        return Ended(WebhookState.ATTENTION, outcome, (event,))

    async def shop_redact(self, _body: str) -> Ended:
        """The shop is gone for good: its secret goes. Customers are the merchant's to erase: they
        may be members of other shops of the same program."""
        key = (self.merchant_id, Provider.SHOPIFY.value)
        there = await self.database.fetch_row(SELECT_INTEGRATION, *key)
        outcome = "the shop uninstalled; erase its customers, unless they stay members elsewhere"
        writes = (Write(DELETE_INTEGRATION, key),) if there is not None else ()
        return Ended(WebhookState.ATTENTION, outcome, writes)

    async def _named(self, body: str) -> str | None:
        """The customer that a compliance topic names."""
        told: PrivacyBody = decoded(body, PrivacyBody)
        if told.customer is None:
            raise Unusable("no customer is named")
        external = external_id_of(told.customer.id)
        values = (self.merchant_id, external.source, external.external_id)
        found = await self.database.fetch_value(SEARCH_BY_EXTERNAL_ID, *values)
        return str(found) if found is not None else None


def _refused(refusal: Refusal) -> Ended:
    """Raises `RetryAfter` where it may succeed later, `PermanentFailure` where somebody has to make
    room first: then the job is among the dead letters, to be put back."""
    if refusal.kind is RefusalKind.UNAVAILABLE:
        raise RetryAfter(COME_BACK_S, refusal.detail)
    if refusal.code == "plan_quota_exceeded":
        raise PermanentFailure(refusal.detail)
    return Ended(WebhookState.ATTENTION, refusal.detail)


Handler = Callable[[Doing, str], Awaitable[Ended]]

HANDLERS: Mapping[str, Handler] = {
    ORDERS_CREATE: Doing.order,
    ORDERS_PAID: Doing.order,
    ORDERS_CANCELLED: Doing.cancelled,
    REFUNDS_CREATE: Doing.refunded,
    CUSTOMERS_CREATE: Doing.customer,
    CUSTOMERS_UPDATE: Doing.customer,
    CUSTOMERS_DELETE: Doing.customer_deleted,
    CUSTOMERS_REDACT: Doing.redact,
    DATA_REQUEST: Doing.data_request,
    SHOP_REDACT: Doing.shop_redact,
}
