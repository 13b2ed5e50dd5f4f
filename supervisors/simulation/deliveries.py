"""Messages of campaigns: everybody gets one, whatever happens meanwhile."""

from collections import Counter
from random import Random
from typing import ClassVar

import attrs

from actors.campaign.messages import (
    CAMPAIGNS,
    Audience,
    AudienceKind,
    Broadcast,
    CampaignKind,
    Content,
    CreateCampaign,
    CreatedCampaign,
    Definition,
    Move,
    MoveCampaign,
    SendChannel,
)
from actors.core.messages import CUSTOMERS, Channel, CustomerData, UpsertCustomers
from actors.vocabulary import Idempotency, RefusalKind
from runtime.sim import Operation, Run
from runtime.storage import AcrossMerchants
from supervisors.simulation.parts import MERCHANT, PASSERS_BY, ApplicationScenario, Part

READERS = tuple(f"{PASSERS_BY}reader-{number:02}" for number in range(24))
SILENT = READERS[-1]
"""One who wants no mail."""

COUNT_UNDER_WAY = AcrossMerchants(
    "SELECT (SELECT count(*) FROM campaign_deliveries WHERE state IN ('pending', 'leased'))"
    " + (SELECT count(*) FROM campaign_broadcasts WHERE ended_at IS NULL)"
    " + (SELECT count(*) FROM campaigns WHERE kind = 'broadcast'"
    " AND state IN ('scheduled', 'running'))"
)
SELECT_DELIVERIES = (
    "SELECT campaign_id, customer_id, delivery_id, state FROM campaign_deliveries"
    " WHERE merchant_id = $1"
)
SELECT_OPEN_STEPS = (
    "SELECT campaign_id, step FROM campaign_steps WHERE merchant_id = $1 AND ended_at IS NULL"
)

OURS = "dlv_"
"""How the keys of deliveries begin; others use the same provider."""

MESSAGE = "one message each"
FATE = "everybody ends somewhere"


@attrs.frozen
class SendNews(Operation):
    """A campaign to so many of the readers; perhaps somebody thinks better of it."""

    readers: int
    cancelled: bool

    def __str__(self) -> str:
        return f"news for {self.readers} readers{', cancelled' if self.cancelled else ''}"


class Deliveries(Part):
    """A merchant that tells its readers something now and then."""

    operations: ClassVar[tuple[type[Operation], ...]] = (SendNews,)

    def __init__(self) -> None:
        self._asked = 0
        self.started: dict[str, int] = {}

    async def prepare(self, run: Run) -> None:
        data = tuple(
            CustomerData(
                customer_id=reader,
                email=f"{reader}@example.com",
                consents=((Channel.EMAIL, reader != SILENT),),
            )
            for reader in READERS
        )
        system = await run.service.up()
        command = UpsertCustomers(MERCHANT, data, "simulated")
        answers = await system.ref(CUSTOMERS).ask(command)
        run.findings.check(len(answers) == len(READERS), "prepared", str(answers[:1]))

    def draw(self, random: Random) -> Operation:
        return SendNews(random.randint(1, len(READERS)), random.random() < 0.2)

    async def perform(self, run: Run, operation: Operation) -> None:
        if not isinstance(operation, SendNews):
            raise TypeError(operation)
        self._asked += 1
        name = f"news-{self._asked}"
        once = Idempotency(name, name)
        names = READERS[len(READERS) - operation.readers :]
        content = Content(channel=SendChannel.EMAIL, subject=name, body="Peonies")
        definition = Definition(
            name=name,
            kind=CampaignKind.BROADCAST,
            broadcast=Broadcast(content=content),
            audience=Audience(kind=AudienceKind.LIST, names=names),
        )
        create = CreateCampaign(
            merchant_id=MERCHANT, definition=definition, by="owner", idempotency=once
        )
        made = await run.until_answered(
            lambda system: system.ref(CAMPAIGNS).ask(create),
            lambda answer: not _unavailable(answer),
        )
        if not isinstance(made, CreatedCampaign):
            return
        campaign_id = made.campaign.campaign_id
        await self._move(run, campaign_id, Move.START)
        self.started[campaign_id] = operation.readers
        if operation.cancelled:
            await self._move(run, campaign_id, Move.CANCEL)

    async def _move(self, run: Run, campaign_id: str, move: Move) -> None:
        command = MoveCampaign(merchant_id=MERCHANT, campaign_id=campaign_id, move=move, by="owner")
        await run.until_answered(
            lambda system: system.ref(CAMPAIGNS).ask(command),
            lambda answer: not _unavailable(answer),
        )

    async def at_rest(self, run: Run) -> bool:
        under_way: int = await run.world.store.real.fetch_value(COUNT_UNDER_WAY)
        return under_way == 0

    async def check(self, run: Run) -> None:
        store, findings = run.world.store.real, run.findings
        done = run.world.provider.done
        told = Counter(str(what) for key, what in done.items() if key.startswith(OURS))
        for message, times in told.items():
            findings.check(times == 1, MESSAGE, f"{message} came {times} times")
        for row in await store.fetch(SELECT_DELIVERIES, MERCHANT):
            campaign_id, customer_id, delivery_id, state = row
            detail = f"{delivery_id} of {campaign_id} to {customer_id} is {state}"
            findings.check(state in {"sent", "suppressed"}, FATE, detail)
            if state == "sent":
                findings.check(delivery_id in done, "nothing is lost", f"{detail}, and never was")
                findings.check(customer_id != SILENT, "consent counts", detail)
        for campaign_id, step in await store.fetch(SELECT_OPEN_STEPS, MERCHANT):
            findings.add(FATE, f"step {step} of {campaign_id} is still open")


def _unavailable(answer: object) -> bool:
    return getattr(answer, "kind", None) is RefusalKind.UNAVAILABLE or (
        getattr(answer, "code", None) == "campaign_conflict"
    )


class DeliveriesScenario(ApplicationScenario):
    """Messages of campaigns alone."""

    name = "deliveries"
    parts = (Deliveries,)
    operations = 8
