"""A tree that sends messages, on a store that outlives its processes, in virtual time."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

import attrs
import trio

from actors.campaign.delivery_jobs import delivery_jobs
from actors.campaign.delivery_messages import (
    BROADCAST_COMPLETED,
    BROADCASTS,
    Delivery,
    DeliveryState,
    DeliveryStats,
    GetDeliveryStats,
    ListDeliveries,
)
from actors.campaign.delivery_queues import OCCASIONS
from actors.campaign.delivery_supervisor import MIGRATIONS as DELIVERY_MIGRATIONS
from actors.campaign.delivery_supervisor import delivery_children
from actors.campaign.messages import (
    CAMPAIGN_CHANGED,
    CAMPAIGNS,
    QUERIES,
    Broadcast,
    CampaignKind,
    CampaignState,
    CampaignVersion,
    Content,
    Definition,
    GetVersion,
    ListMembers,
    MoveCampaign,
    SendChannel,
)
from actors.campaign.sending import Providers
from actors.core.cipher import Vault
from actors.core.messages import (
    CUSTOMER_ERASED,
    CUSTOMERS,
    MERCHANTS,
    Channel,
    CustomerData,
    Merchant,
    RegisterMerchant,
    UpsertCustomers,
    Upserted,
)
from actors.core.preparers import PreparersInPlace
from actors.core.supervisor import core_children
from actors.outgoing.ports import (
    Accepted,
    FailedForGood,
    FailedForNow,
    Mail,
    Sent,
    Text,
    TextStatus,
)
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.messages import ExpiringPoints, ListExpiring
from actors.points.tier_messages import TIER_CHANGED
from actors.referrals.messages import TEXT_STATUS_TOLD
from actors.vocabulary import Page
from runtime import INFINITE, Actor, ActorSystem, ChildSpec, Supervisor
from runtime.cache import CacheHandle
from runtime.jobs import JOBS, Enqueue, Job, ListDeadLetters, NewJob, PutBack
from runtime.journal import JOURNAL, Append
from runtime.ownership import Ownership
from runtime.ports import Ports, VirtualClock, seeded_ports
from runtime.storage import AnyEntry, Database, DatabaseHandle
from runtime.storage.outbox import outbox_write
from runtime.storage.sqlite import connect_memory, open_sqlite_memory
from runtime.storage.sqlite_templates import template_of
from supervisors.application import MIGRATIONS as ALL_MIGRATIONS
from supervisors.cache import cache_child
from supervisors.platform import DatabaseSpec, platform
from tests.stores import unhurried
from tests.trees import MERCHANT, START, data_keys

CAMPAIGN = "spring"
PUBLIC_URL = "https://loyalty.example"
LOOK_S = 0.25
MIGRATIONS = (
    *(each for each in ALL_MIGRATIONS if each.component != DELIVERY_MIGRATIONS.component),
    DELIVERY_MIGRATIONS,
)

SELECT_STEPS = "SELECT step, kind, recipients, ended_at FROM campaign_steps WHERE merchant_id = $1"

INSERT_CAMPAIGN = (
    "INSERT INTO campaigns (merchant_id, campaign_id, kind, state, version, revision, created_at,"
    " updated_at) VALUES ($1, $2, 'automation', 'draft', 1, 1, $3, $3)"
)
FREEZE_AUDIENCE = (
    "UPDATE campaigns SET audience_state = 'freezing' WHERE merchant_id = $1 AND campaign_id = $2"
)
INSERT_MEMBER = (
    "INSERT INTO campaign_members (merchant_id, campaign_id, customer_id) VALUES ($1, $2, $3)"
)

Side = Literal["before", "after"]
Boundary = tuple[str, int, Side]


@attrs.define(eq=False)
class Crash:
    """Ends the process at one boundary: before or after the `number`th thing of a kind."""

    at: Boundary | None = None
    seen: dict[str, int] = attrs.field(factory=dict)
    now: trio.Event = attrs.field(factory=trio.Event)

    async def around(self, kind: str, work: Callable[[], Any]) -> Any:
        """Do it, unless the process ends first; nothing that comes later reaches the outside."""
        number = self.seen[kind] = self.seen.get(kind, 0) + 1
        await self._perhaps((kind, number, "before"))
        result = await work()
        await self._perhaps((kind, number, "after"))
        return result

    async def _perhaps(self, boundary: Boundary) -> None:
        if boundary == self.at:
            self.now.set()
        if self.now.is_set():
            await trio.sleep_forever()

    def boundaries(self) -> list[Boundary]:
        """All that there were."""
        sides: tuple[Side, ...] = ("before", "after")
        return [
            (kind, number, side)
            for kind, count in self.seen.items()
            for number in range(1, count + 1)
            for side in sides
        ]


class Crashing:
    """The store of one process. What it writes of a broadcast are boundaries."""

    def __init__(self, real: Database, crash: Crash) -> None:
        self._real = real
        self._crash = crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def append(self, entries: Sequence[AnyEntry], *, synchronous: bool = True) -> None:
        if any(w.statement.name.startswith("campaign.") for entry in entries for w in entry):
            await self._crash.around(
                "commit", lambda: self._real.append(entries, synchronous=synchronous)
            )
            return
        if self._crash.now.is_set():
            await trio.sleep_forever()
        await self._real.append(entries, synchronous=synchronous)

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()


Answering = Callable[[str, int], Sent | Exception]
"""What a provider answers to a key, the nth time that it is asked."""


@attrs.define(eq=False)
class FakeProvider:
    """A provider of mail and texts. `effects` has what it did, by key; each request costs time."""

    honours_keys: bool = True
    answering: Answering | None = None
    effects: dict[str, list[Any]] = attrs.field(factory=dict)
    asked: dict[str, int] = attrs.field(factory=dict)
    moments: list[float] = attrs.field(factory=list)
    lists: dict[str, str] = attrs.field(factory=dict)
    looked_for: list[datetime] = attrs.field(factory=list)
    takes_s: float = 0.05
    knows: dict[str, TextStatus | FailedForNow] = attrs.field(factory=dict)
    asked_about: list[str] = attrs.field(factory=list)
    crash: Crash = attrs.field(factory=Crash)

    async def send(self, *arguments: Any) -> Sent:
        """A mail and a key, or a merchant, a text and a key."""
        message, key = arguments[-2:]
        assert isinstance(message, Mail | Text)
        self.asked[key] = self.asked.get(key, 0) + 1
        self.moments.append(trio.current_time())
        sent: Sent = await self.crash.around("send", lambda: self._take(message, key))
        return sent

    async def _take(self, message: Any, key: str) -> Sent:
        await trio.sleep(self.takes_s)
        answer = self.answering(key, self.asked[key]) if self.answering else Accepted(f"p-{key}")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Accepted) and not (self.honours_keys and key in self.effects):
            self.effects.setdefault(key, []).append(message)
        return answer

    async def find(self, _merchant_id: str, text: Text, since: datetime) -> Accepted | None:
        """One that it took, and lists."""
        await trio.sleep(self.takes_s)
        self.looked_for.append(since)
        return Accepted(self.lists[text.to]) if text.to in self.lists else None

    async def status(
        self, _merchant_id: str, provider_id: str
    ) -> TextStatus | FailedForGood | FailedForNow:
        """What `knows` has of it, if there is anything."""
        self.asked_about.append(provider_id)
        return self.knows.get(provider_id) or FailedForGood("20404", "nothing is known of it")


class Campaigns(Actor):
    """In the place of the rest of the domain: one campaign, and its members."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def receive(self, message: Any) -> object:
        match message:
            case GetVersion():
                definition = self._world.definitions[message.campaign_id]
                return CampaignVersion(
                    version=message.version,
                    definition=definition,
                    created_by="test",
                    created_at=START,
                )
            case ListMembers():
                members = sorted(self._world.members.get(message.campaign_id, ()))
                return tuple(m for m in members if m > message.after)[: message.limit]
            case ListExpiring():
                found = [e for e in self._world.expiring if e.customer_id > message.after]
                return tuple(e for e in found if message.since < e.first_at <= message.until)
            case MoveCampaign():
                self._world.moves.append(message)
                return None
        return await super().receive(message)


@attrs.define(eq=False)
class World:
    """What outlives a process, and the process that runs now."""

    real: Database
    ports: Ports
    mail: FakeProvider
    texts: FakeProvider
    members: dict[str, set[str]] = attrs.field(factory=dict)
    definitions: dict[str, Definition] = attrs.field(factory=dict)
    expiring: list[ExpiringPoints] = attrs.field(factory=list)
    moves: list[MoveCampaign] = attrs.field(factory=list)
    system: ActorSystem = attrs.field(init=False)
    events: int = 0

    async def customers(self, count: int, consents: bool = True, at_once: int = 100) -> list[str]:
        """So many customers, each with an address and a number."""
        data = tuple(
            CustomerData(
                customer_id=f"c-{number:04}",
                display_name=f"Customer {number}",
                email=f"c{number}@example.com",
                phone=f"+4179{number:07}",
                consents=((Channel.EMAIL, consents), (Channel.SMS, consents)),
            )
            for number in range(count)
        )
        registered = await self.system.ref(MERCHANTS).ask(RegisterMerchant(MERCHANT, "Shop", "USD"))
        assert isinstance(registered, Merchant)
        for first in range(0, count, at_once):
            some = UpsertCustomers(MERCHANT, data[first : first + at_once], "test")
            answers = await self.system.ref(CUSTOMERS).ask(some)
            assert all(isinstance(answer, Upserted) for answer in answers)
        return [str(each.customer_id) for each in data]

    async def change(
        self,
        to_state: CampaignState,
        campaign_id: str = CAMPAIGN,
        from_state: CampaignState = CampaignState.DRAFT,
        version: int = 1,
    ) -> None:
        """What the rest of the domain publishes."""
        self.events += 1
        kind = self.definitions[campaign_id].kind
        payload = {
            "campaign_id": campaign_id,
            "kind": kind.value,
            "revision": self.events,
            "from_state": from_state.value,
            "to_state": to_state.value,
            "version": version,
            "changed_at": self.ports.clock.now().isoformat(),
        }
        await self.publish(CAMPAIGN_CHANGED, campaign_id, payload)

    async def publish(self, topic: str, key: str, payload: dict[str, Any]) -> None:
        event = outbox_write(
            merchant_id=MERCHANT,
            event_id=self.ports.ids.new("ev"),
            topic=topic,
            key=key,
            payload=payload,
            created_at=self.ports.clock.now(),
        )
        assert await self.system.ref(JOURNAL).ask(Append((event,), publishes=True)) is None

    async def find_occasions(self) -> None:
        """Have the hourly job done now."""
        await self.system.ref(JOBS).ask(Enqueue(NewJob(queue="scheduled", name=OCCASIONS)))

    async def member(self, customer_id: str, campaign_id: str = CAMPAIGN) -> None:
        """Somebody of the audience that was written down."""
        with unhurried():
            await self.real.execute(INSERT_CAMPAIGN, MERCHANT, campaign_id, START)
            await self.real.execute(FREEZE_AUDIENCE, MERCHANT, campaign_id)
            await self.real.execute(INSERT_MEMBER, MERCHANT, campaign_id, customer_id)

    async def dead_letters(self) -> tuple[Job, ...]:
        latest = (datetime(9999, 1, 1, tzinfo=UTC), "")
        return await self.system.ref(JOBS).ask(ListDeadLetters(latest, 200))

    async def put_back(self, job: Job) -> None:
        assert isinstance(await self.system.ref(JOBS).ask(PutBack(job.job_id, "me", "why")), Job)

    async def real_steps(self) -> list[Any]:
        """The log of steps, as the store has it."""
        with unhurried():
            return list(await self.real.fetch(SELECT_STEPS, MERCHANT))

    async def start(
        self, members: Sequence[str], definition: Definition, campaign_id: str = CAMPAIGN
    ) -> None:
        self.members[campaign_id] = set(members)
        self.definitions[campaign_id] = definition
        await self.change(CampaignState.RUNNING, campaign_id)

    async def stats(self, campaign_id: str = CAMPAIGN) -> DeliveryStats | None:
        question = GetDeliveryStats(MERCHANT, campaign_id)
        return await self.system.ref(BROADCASTS).ask(question)

    async def ends(self, campaign_id: str = CAMPAIGN, within_s: float = 120.0) -> DeliveryStats:
        """The statistics once the broadcast is over."""
        with trio.fail_after(within_s):
            while True:
                stats = await self.stats(campaign_id)
                over = stats is not None and stats.ended_at is not None
                if stats is not None and over and not stats.pending + stats.leased:
                    return stats
                await trio.sleep(LOOK_S)

    async def deliveries(
        self, campaign_id: str = CAMPAIGN, state: DeliveryState | None = None
    ) -> tuple[Delivery, ...]:
        question = ListDeliveries(
            merchant_id=MERCHANT, campaign_id=campaign_id, state=state, limit=200
        )
        answer = await self.system.ref(BROADCASTS).ask(question)
        assert isinstance(answer, Page), answer
        return answer.items

    @asynccontextmanager
    async def process(self, crash: Crash | None = None) -> AsyncIterator[None]:
        """A process, until the block ends. At its `crash` it is gone at once, as if killed, and so
        is the block."""
        crash = crash if crash is not None else Crash()
        self.mail.crash = self.texts.crash = crash
        handle = DatabaseHandle()
        self.system = ActorSystem(self.ports)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def die() -> None:
                    await crash.now.wait()
                    self.system.ref("test").kill()
                    scope.cancel()

                nursery.start_soon(die)
                async with self.system.run(self._root(handle, crash)):
                    yield
                nursery.cancel_scope.cancel()

    def _root(self, handle: DatabaseHandle, crash: Crash) -> ChildSpec:
        cache, vault = CacheHandle(), Vault()

        async def opened(_url: object, **_options: Any) -> Any:
            await trio.lowlevel.checkpoint()
            return Crashing(self.real, crash)

        providers = Providers(mailer=self.mail, texter=self.texts, callback_url=PUBLIC_URL)
        campaign = (
            ChildSpec("campaigns", lambda: Campaigns(self), name=CAMPAIGNS),
            ChildSpec("queries", lambda: Campaigns(self), name=QUERIES),
            ChildSpec("points", lambda: Campaigns(self), name=POINTS_QUERIES),
            *delivery_children(handle),
        )
        children = (
            _supervisor(
                "platform",
                lambda: platform(
                    DatabaseSpec("shared", opener=opened),
                    handle,
                    MIGRATIONS,
                    {
                        CAMPAIGN_CHANGED: (BROADCASTS,),
                        BROADCAST_COMPLETED: (BROADCASTS,),
                        TIER_CHANGED: (BROADCASTS,),
                        CUSTOMER_ERASED: (BROADCASTS,),
                        TEXT_STATUS_TOLD: (BROADCASTS,),
                    },
                    Ownership(on_loss=handle.retire),
                    cache_child(None, cache),
                    delivery_jobs(handle, providers),
                ),
            ),
            _supervisor(
                "core",
                lambda: Supervisor(
                    core_children(handle, cache, vault, data_keys, PreparersInPlace)
                ),
            ),
            _supervisor("campaign", lambda: Supervisor(campaign)),
        )
        return attrs.evolve(_supervisor("root", lambda: Supervisor(children)), name="test")


def _supervisor(id_: str, start: Any) -> ChildSpec:
    return ChildSpec(id_, start, shutdown_s=INFINITE, start_timeout_s=INFINITE, name=f"test.{id_}")


@asynccontextmanager
async def world(seed: int = 1) -> AsyncIterator[World]:
    """An empty store, and nothing that runs yet."""
    real = open_sqlite_memory(connect_memory(template_of(MIGRATIONS)))
    ports = seeded_ports(seed, START, VirtualClock(START))
    yield World(real, ports, FakeProvider(), FakeProvider())
    await real.close()


def broadcast(channel: SendChannel = SendChannel.EMAIL, **options: Any) -> Definition:
    """One message; `options` are further fields of the definition."""
    content = Content(
        channel=channel,
        body="Hello {{ customer.name }}",
        subject="News of {{ shop.name }}" if channel is SendChannel.EMAIL else None,
    )
    sends = Broadcast(content=options.pop("content", content))
    return Definition(name="Spring", kind=CampaignKind.BROADCAST, broadcast=sends, **options)
