"""A broadcast to many recipients beside points writes."""

import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from actors.campaign.delivery_messages import BROADCASTS, GetDeliveryStats
from actors.campaign.messages import (
    CAMPAIGNS,
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
from actors.campaign.sending import Providers
from actors.core.messages import (
    CUSTOMERS,
    MAX_UPSERTS,
    Channel,
    CustomerData,
    UpsertCustomers,
)
from actors.outgoing.ports import Accepted, Mail, Sent
from actors.vocabulary import Refusal
from supervisors.application import Outside
from tests.bench.bulkhead import writes
from tests.bench.client import CONNECTIONS
from tests.bench.harness import Figure
from tests.bench.overload import overload_edge
from tests.bench.product import MERCHANT, Product, with_product

RECIPIENTS = 100_000
WRITES_PER_S = 150.0
PIECE_S, PAUSE_S = 8.0, 4.0
"""The broadcast goes on for so long, and is paused for so long, in turns."""

SETTLING_S = 0.5
GOAL_RATIO = 1.2
GIVE_UP_S = 900.0
SEND_S = 0.02
"""What the provider takes for a mail."""


@attrs.define
class QuickMailer:
    """Takes every mail, in as much time as a good provider."""

    sent: int = 0
    honours_keys: bool = True

    async def send(self, mail: Mail, idempotency_key: str) -> Sent:
        await trio.sleep(SEND_S)
        self.sent += 1
        return Accepted(idempotency_key)


@attrs.frozen
class Broadcasted:
    """`p99_ms` of the writes without and during the broadcast, their ratio, the medians of all
    turns, and for how long it went on."""

    without_ms: float
    during_ms: float
    ratio: float
    took_s: float
    sent: int


def broadcasting() -> list[Figure]:
    found = beside_broadcast(RECIPIENTS)
    return [
        Figure(
            f"p99 of earns beside a broadcast to {RECIPIENTS:,} ({found.sent / found.took_s:,.0f}"
            " messages/s), against without it",
            found.during_ms,
            "ms",
            found.without_ms,
            found.ratio,
            f"ratio at most {GOAL_RATIO:g}",
            found.ratio <= GOAL_RATIO and found.sent >= RECIPIENTS,
        )
    ]


def beside_broadcast(recipients: int) -> Broadcasted:
    mailer = QuickMailer()

    async def measure(product: Product) -> Broadcasted:
        await _readers(product, recipients)
        await writes(product, WRITES_PER_S, 2.0)
        campaign_id = await _start(product)
        turns, took_s = [], 0.0
        while not await _ended(product, campaign_id) and took_s < GIVE_UP_S:
            during = await writes(product, WRITES_PER_S, PIECE_S)
            took_s += PIECE_S
            async with _paused(product, campaign_id):
                without = await writes(product, WRITES_PER_S, PAUSE_S)
            turns.append((during.p99_ms, without.p99_ms))
        return Broadcasted(
            without_ms=statistics.median(without for _, without in turns),
            during_ms=statistics.median(during for during, _ in turns),
            ratio=statistics.median(during / without for during, without in turns),
            took_s=took_s,
            sent=mailer.sent,
        )

    return with_product(
        measure,
        customers=CONNECTIONS,
        edge=overload_edge,
        outside=Outside(providers=Providers(mailer=mailer)),
    )


async def _ended(product: Product, campaign_id: str) -> bool:
    question = GetDeliveryStats(MERCHANT, campaign_id)
    stats = await product.system.ref(BROADCASTS).ask(question)
    return stats is not None and stats.ended_at is not None


@asynccontextmanager
async def _paused(product: Product, campaign_id: str) -> AsyncIterator[None]:
    """Without effect where it has ended."""
    await _move(product, campaign_id, Move.PAUSE)
    await trio.sleep(SETTLING_S)
    yield
    await _move(product, campaign_id, Move.RESUME)


async def _move(product: Product, campaign_id: str, move: Move) -> None:
    command = MoveCampaign(merchant_id=MERCHANT, campaign_id=campaign_id, move=move, by="bench")
    await product.system.ref(CAMPAIGNS).ask(command)


async def _readers(product: Product, count: int) -> None:
    for first in range(0, count, MAX_UPSERTS):
        data = tuple(
            CustomerData(
                customer_id=f"r-{number}",
                email=f"r{number}@example.com",
                consents=((Channel.EMAIL, True),),
            )
            for number in range(first, min(count, first + MAX_UPSERTS))
        )
        command = UpsertCustomers(MERCHANT, data, "bench")
        answers = await product.system.ref(CUSTOMERS).ask(command, timeout_s=60)
        assert not any(isinstance(answer, Refusal) for answer in answers)


async def _start(product: Product) -> str:
    content = Content(channel=SendChannel.EMAIL, subject="News", body="{{ customer.id }}")
    definition = Definition(
        name="News", kind=CampaignKind.BROADCAST, broadcast=Broadcast(content=content)
    )
    campaigns = product.system.ref(CAMPAIGNS)
    create = CreateCampaign(merchant_id=MERCHANT, definition=definition, by="bench")
    made = await campaigns.ask(create)
    assert isinstance(made, CreatedCampaign), made
    campaign_id = made.campaign.campaign_id
    await _move(product, campaign_id, Move.START)
    return campaign_id
