"""The whole application as a simulated process runs it: the same tree on a simulated world."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.lowlevel import checkpoint

from actors.admin_core.messages import AUDIT, PRIVACY
from actors.admin_core.messages import QUERIES as AUDIT_QUERIES
from actors.admin_features.flag_file import FileInMemory
from actors.admin_features.messages import FLAGS, KEEPER
from actors.auth import messages as auth
from actors.auth.inside import HASHING
from actors.auth.keyring import ReadKeys
from actors.auth.keys import KeySet, KeyStore, SigningKey, signing_key
from actors.campaign import messages as campaign
from actors.campaign.delivery_messages import BROADCASTS
from actors.campaign.due import CLOCK
from actors.campaign.sending import Providers
from actors.core.cipher import KEY_BYTES, DataKeys
from actors.core.data_keyring import ReadDataKeys
from actors.core.data_keys import DataKeyStore
from actors.core.messages import CONTACTS, CUSTOMERS, IMPORTS, INTEGRATIONS, MERCHANTS, ORDERS
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.preparers import PreparersInPlace
from actors.event_tracking.messages import FORGETTER, TRACKER
from actors.event_tracking.messages import QUERIES as EVENT_QUERIES
from actors.event_tracking.stock import Stock
from actors.event_tracking.supervisor import RETENTION, SPILLER, TrackingSpec, spill_limits
from actors.gamification import messages as gamification
from actors.gamification.matching import PATTERNS
from actors.outgoing.absent import NoTexter
from actors.outgoing.ports import Texter
from actors.points.deferrals import OpenSpool
from actors.points.loading import LOADER
from actors.points.messages import ACCOUNTS, DEFERRALS, FOLLOWING, INTAKE, MERGERS, ORDER_REFUNDS
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.program_messages import PROGRAM
from actors.points.tier_messages import TIERS
from actors.products.messages import CATALOGUE
from actors.products.messages import QUERIES as PRODUCT_QUERIES
from actors.referrals import messages as referrals
from actors.referrals.sending import Couriers
from actors.rfm_analytics.messages import QUERIES as RFM_QUERIES
from actors.rfm_analytics.messages import RUNS as RFM_RUNS
from runtime import ActorSystem, Backoff, ChildSpec, Supervisor
from runtime.cache import Cache, CacheHandle
from runtime.jobs import JOBS_MIGRATIONS, JobsSpec
from runtime.jobs.messages import JOBS, RUNNER, SCHEDULER
from runtime.journal import JOURNAL, Append
from runtime.outbox import RELAY
from runtime.ownership import Ownership
from runtime.ports import Ports
from runtime.sim import Life, Run, World
from runtime.spool import Spool
from runtime.storage import RUNTIME_MIGRATIONS, Database, DatabaseHandle, TakenOver
from runtime.storage.policies import database_pipeline
from runtime.telemetry import Metrics
from supervisors.application import ApplicationSpec, Outside, application
from supervisors.cache import CACHE, cache_child
from supervisors.platform import DATABASE, DatabaseSpec, platform
from supervisors.simulation.hashing import quick_hashing
from supervisors.simulation.mailer import SimulatedMailer
from supervisors.simulation.patterns import PatternsInPlace

PLATFORM_ACTORS = (DATABASE, JOURNAL, RELAY, CACHE, JOBS, RUNNER, SCHEDULER)
CORE_ACTORS = (MERCHANTS, CUSTOMERS, ORDERS, CORE_QUERIES, IMPORTS, INTEGRATIONS, CONTACTS)
POINTS_ACTORS = (
    LOADER,
    POINTS_QUERIES,
    PROGRAM,
    TIERS,
    ACCOUNTS,
    INTAKE,
    ORDER_REFUNDS,
    MERGERS,
    FOLLOWING,
    "points.expiry",
    DEFERRALS,
)
AUDIT_ACTORS = (AUDIT, AUDIT_QUERIES, PRIVACY)
FLAG_ACTORS = (KEEPER, FLAGS)
AUTH_ACTORS = (
    auth.KEYS,
    auth.REVOCATIONS,
    auth.GUARD,
    auth.API_KEYS,
    auth.SESSIONS,
    HASHING,
    auth.CAPTCHA,
    auth.LOGINS,
    auth.ACCOUNTS,
    auth.QUERIES,
)
RFM_ACTORS = (RFM_RUNS, RFM_QUERIES)
PRODUCTS_ACTORS = (CATALOGUE, PRODUCT_QUERIES)
GAMIFICATION_ACTORS = (
    PATTERNS,
    gamification.DEFINITIONS,
    gamification.PLAYERS,
    gamification.INTAKE,
    gamification.BOARDS,
)
REFERRALS_ACTORS = (
    referrals.REFERRALS,
    referrals.QUERIES,
    referrals.ORDERS,
    referrals.PEOPLE,
    referrals.CALLBACKS,
)
CAMPAIGN_ACTORS = (campaign.RULES, campaign.QUERIES, campaign.CAMPAIGNS, CLOCK, BROADCASTS)
EVENT_ACTORS = (SPILLER, TRACKER, EVENT_QUERIES, FORGETTER, RETENTION)
DOMAIN_SUPERVISORS = (
    "domain.auth",
    "domain.admin_core",
    "domain.admin_features",
    "domain.core",
    "domain.products",
    "domain.points",
    "domain.gamification",
    "domain.referrals",
    "domain.campaign",
    "domain.rfm_analytics",
    "domain.event_tracking",
)

TARGETS = (
    *PLATFORM_ACTORS,
    *CORE_ACTORS,
    *POINTS_ACTORS,
    *PRODUCTS_ACTORS,
    *REFERRALS_ACTORS,
    *AUDIT_ACTORS,
    *RFM_ACTORS,
    *FLAG_ACTORS,
    *AUTH_ACTORS,
    *GAMIFICATION_ACTORS,
    *CAMPAIGN_ACTORS,
    *EVENT_ACTORS,
    *DOMAIN_SUPERVISORS,
)
"""Whom a fault plan may kill."""

PLATFORM_MIGRATIONS = (RUNTIME_MIGRATIONS, JOBS_MIGRATIONS)
"""Of the platform without domains."""

SEED_BYTES = 32

RFM_SLICES = (1, 2, 5)
"""Customers of a step: few, so that runs have many, and more than one where steps have ends."""

SPILL_BYTES = 8 * 1024
RING_BYTES = 4 * 1024
"""So little that a store that is away for a while fills both."""


def simulated_application(
    world: World, life: Life, jobs: JobsSpec | None = None, texter: Texter | None = None
) -> ChildSpec:
    """The application's root for one process of `world`."""
    spec = ApplicationSpec(
        simulated_database(world, life),
        Path("simulated"),
        jobs=jobs,
        outside=_outside(world, life, texter),
        rfm_slice=world.random(f"slice of {life.name}").choice(RFM_SLICES),
        tracking=TrackingSpec(spill_bytes_max=SPILL_BYTES),
        events=Stock(ring_bytes_max=RING_BYTES),
    )
    cache = CacheHandle(ports=life.ports, metrics=life.system.metrics)
    return application(spec, simulated_handle(life), cache)


def _outside(world: World, life: Life, texter: Texter | None) -> Outside:
    """What the process reaches beside the database."""

    @asynccontextmanager
    async def open_cache(_url: object, _ports: Ports, _metrics: Metrics) -> AsyncIterator[Cache]:
        async with world.cache.connect() as cache:
            yield cache

    def open_spool(_directory: Path) -> OpenSpool:
        async def open_it() -> Spool:
            return await world.disk.open_spool(life)

        return open_it

    def open_spill(_directory: Path, bytes_max: int) -> OpenSpool:
        async def open_it() -> Spool:
            return await world.spill.open_spool(life, spill_limits(bytes_max))

        return open_it

    def read_keys(_store: KeyStore) -> ReadKeys:
        key = signing_key_of(world)
        keys = KeySet(key, (key.verification_key(),))

        async def read(_now: datetime) -> KeySet:
            await checkpoint()
            return keys

        return read

    def read_data_keys(_store: DataKeyStore) -> ReadDataKeys:
        keys = data_keys_of(world)

        async def read() -> DataKeys:
            await checkpoint()
            return keys

        return read

    return Outside(
        open_cache=open_cache,
        open_spool=open_spool,
        open_spill=open_spill,
        read_keys=read_keys,
        start_hashing=quick_hashing,
        read_data_keys=read_data_keys,
        flag_file=lambda _path: FileInMemory(),
        start_patterns=PatternsInPlace,
        start_preparing=PreparersInPlace,
        providers=Providers(mailer=SimulatedMailer(world)),
        couriers=Couriers(texter=texter or NoTexter(), public_url="https://simulated"),
        signed=lambda signature, _url, _form: signature == "right",
    )


def simulated_platform(
    world: World,
    life: Life,
    subscriptions: Mapping[str, Sequence[str]],
    children: Callable[[Database], Sequence[ChildSpec]],
) -> ChildSpec:
    """A root with the platform, and beside it what stands on it, for one process of `world`."""
    handle = simulated_handle(life)

    def root() -> Supervisor:
        cache = CacheHandle(ports=life.ports, metrics=life.system.metrics)
        below = ChildSpec(
            "platform",
            lambda: platform(
                simulated_database(world, life),
                handle,
                PLATFORM_MIGRATIONS,
                subscriptions,
                Ownership(on_loss=handle.retire),
                cache_child(None, cache),
            ),
        )
        return Supervisor((below, *children(handle)), intensity=5, period_s=30.0, backoff=Backoff())

    return ChildSpec("simulated", root, name="simulated")


def simulated_handle(life: Life) -> DatabaseHandle:
    """The way to the store, through the pipeline that it has in real life."""
    return DatabaseHandle(database_pipeline(life.ports.random, life.system.metrics.policies))


def simulated_database(world: World, life: Life) -> DatabaseSpec:
    """The store of `world`, as a process of it opens it."""

    async def open_database(_url: object, **_options: Any) -> Database:
        await checkpoint()
        return world.store.connect(life)

    return DatabaseSpec("simulated", opener=open_database)


async def replace_where_taken_over(run: Run, system: ActorSystem) -> bool:
    """Start another process in place of one that was taken over from by a process that is gone,
    and would answer for ever that another one has the store. Raises as the journal does."""
    try:
        await system.ref(JOURNAL).ask(Append(()))
    except TakenOver:
        run.service.replace()
        return True
    return False


def data_keys_of(world: World) -> DataKeys:
    """The keys of personal data that lie on the disk of `world`."""
    random = world.random("data keys")
    return DataKeys(random.randbytes(KEY_BYTES), {1: random.randbytes(KEY_BYTES)})


def signing_key_of(world: World) -> SigningKey:
    """The key that lies on the disk of `world`."""
    seed = world.random("signing key").randbytes(SEED_BYTES)
    return signing_key(Ed25519PrivateKey.from_private_bytes(seed))
