"""The whole application as one tree."""

from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from actors.admin_core.messages import AUDIT, AUDITED, PRIVACY
from actors.admin_core.supervisor import MIGRATIONS as ADMIN_CORE_MIGRATIONS
from actors.admin_core.supervisor import admin_core_children, admin_core_jobs
from actors.admin_features.book import FlagBook
from actors.admin_features.messages import FLAG_CHANGED, KEEPER
from actors.admin_features.supervisor import MIGRATIONS as ADMIN_FEATURES_MIGRATIONS
from actors.admin_features.supervisor import (
    OpenFlagFile,
    admin_features_children,
    flag_file,
    keeper_child,
)
from actors.auth.hashing import Hashing
from actors.auth.keyring import ReadFrom, keys_from
from actors.auth.keys import KeyStore
from actors.auth.messages import ACCOUNTS
from actors.auth.supervisor import MIGRATIONS as AUTH_MIGRATIONS
from actors.auth.supervisor import StartHashing, auth_children
from actors.campaign.delivery_jobs import delivery_jobs
from actors.campaign.delivery_messages import BROADCAST_COMPLETED, BROADCASTS
from actors.campaign.delivery_supervisor import MIGRATIONS as DELIVERY_MIGRATIONS
from actors.campaign.messages import CAMPAIGN_CHANGED
from actors.campaign.rfm_segments import RfmSegments
from actors.campaign.segments import SegmentSource
from actors.campaign.sending import Providers
from actors.campaign.supervisor import MIGRATIONS as CAMPAIGN_MIGRATIONS
from actors.campaign.supervisor import campaign_children, campaign_jobs
from actors.core.cipher import Vault
from actors.core.data_keyring import ReadDataKeysFrom, data_keys_from
from actors.core.data_keys import DataKeyStore
from actors.core.jobs import core_jobs
from actors.core.messages import (
    CUSTOMER_ERASED,
    CUSTOMERS_MERGED,
    ORDER_RECORDED,
    ORDER_REFUNDED,
    PRIVACY_REQUESTED,
)
from actors.core.preparers import Preparers
from actors.core.supervisor import MIGRATIONS as CORE_MIGRATIONS
from actors.core.supervisor import StartPreparing, core_children, data_key_store
from actors.event_tracking.messages import FORGETTER
from actors.event_tracking.stock import Stock
from actors.event_tracking.supervisor import MIGRATIONS as EVENT_TRACKING_MIGRATIONS
from actors.event_tracking.supervisor import (
    OpenSpill,
    TrackingSpec,
    event_tracking_children,
    spill_file,
)
from actors.gamification.matching import Patterns
from actors.gamification.messages import INTAKE as GAMIFICATION_INTAKE
from actors.gamification.supervisor import MIGRATIONS as GAMIFICATION_MIGRATIONS
from actors.gamification.supervisor import (
    StartPatterns,
    gamification_children,
    gamification_jobs,
)
from actors.outgoing.absent import NoTexter
from actors.points.deferrals import OpenSpool
from actors.points.messages import INTAKE, MERGERS, ORDER_REFUNDS, POINTS_POSTED
from actors.points.supervisor import MIGRATIONS as POINTS_MIGRATIONS
from actors.points.supervisor import deferral_spool, points_children
from actors.points.tier_messages import TIER_CHANGED
from actors.products.supervisor import MIGRATIONS as PRODUCTS_MIGRATIONS
from actors.products.supervisor import products_children
from actors.referrals.callbacks import Signed, nobody_signs
from actors.referrals.messages import ORDERS as REFERRAL_ORDERS
from actors.referrals.messages import PEOPLE as REFERRAL_PEOPLE
from actors.referrals.messages import REFERRAL_REWARDED, TEXT_STATUS_TOLD
from actors.referrals.sending import Couriers
from actors.referrals.supervisor import MIGRATIONS as REFERRALS_MIGRATIONS
from actors.referrals.supervisor import referrals_children, referrals_jobs
from actors.rfm_analytics.forgetting import FORGETTING as RFM_FORGETTING
from actors.rfm_analytics.pacing import SLICE
from actors.rfm_analytics.supervisor import MIGRATIONS as RFM_ANALYTICS_MIGRATIONS
from actors.rfm_analytics.supervisor import rfm_analytics_children, rfm_analytics_jobs
from runtime import INFINITE, Backoff, ChildSpec, Restart, Strategy, Supervisor
from runtime.cache import CacheHandle, open_cache
from runtime.jobs import JOBS_MIGRATIONS, JobsSpec, combined_jobs
from runtime.rotation import RotatingSecret
from runtime.storage import RUNTIME_MIGRATIONS, DatabaseHandle
from supervisors import placement
from supervisors.cache import OpenCache, cache_child
from supervisors.part import Part, shard_child
from supervisors.platform import DatabaseSpec, platform
from supervisors.secrets import WatchedSecret

ROOT = "loyalnest"
DOMAINS = placement.DOMAINS
EDGE = "loyalnest.edge"

SUBSCRIPTIONS = {
    POINTS_POSTED: (GAMIFICATION_INTAKE,),
    REFERRAL_REWARDED: (GAMIFICATION_INTAKE,),
    ORDER_RECORDED: (INTAKE, GAMIFICATION_INTAKE, REFERRAL_ORDERS),
    ORDER_REFUNDED: (ORDER_REFUNDS, GAMIFICATION_INTAKE, REFERRAL_ORDERS),
    CUSTOMERS_MERGED: (MERGERS, GAMIFICATION_INTAKE, REFERRAL_PEOPLE, FORGETTER),
    AUDITED: (AUDIT,),
    FLAG_CHANGED: (KEEPER,),
    PRIVACY_REQUESTED: (PRIVACY,),
    CUSTOMER_ERASED: (
        ACCOUNTS,
        GAMIFICATION_INTAKE,
        REFERRAL_PEOPLE,
        BROADCASTS,
        FORGETTER,
        RFM_FORGETTING,
    ),
    TIER_CHANGED: (BROADCASTS,),
    CAMPAIGN_CHANGED: (BROADCASTS,),
    BROADCAST_COMPLETED: (BROADCASTS,),
    TEXT_STATUS_TOLD: (BROADCASTS,),
}
"""Which actors get which outbox topics."""

MIGRATIONS = (
    RUNTIME_MIGRATIONS,
    JOBS_MIGRATIONS,
    AUTH_MIGRATIONS,
    ADMIN_CORE_MIGRATIONS,
    ADMIN_FEATURES_MIGRATIONS,
    CORE_MIGRATIONS,
    POINTS_MIGRATIONS,
    PRODUCTS_MIGRATIONS,
    GAMIFICATION_MIGRATIONS,
    REFERRALS_MIGRATIONS,
    CAMPAIGN_MIGRATIONS,
    DELIVERY_MIGRATIONS,
    RFM_ANALYTICS_MIGRATIONS,
    EVENT_TRACKING_MIGRATIONS,
)

DEFERRED = "deferred"
"""Folder of the data directory with the earnings that wait for the database."""

EVENTS = "events"
"""Folder of the data directory with the events that wait for the database."""

FLAGS_FILE = "flags.json"
"""File of the data directory with the last known flags."""

DOMAIN_INTENSITY = 5
DOMAIN_PERIOD_S = 30.0

DOMAINS_INTENSITY = 200
"""Restarts of whole domains, all together, in the same period. A domain that has given up stays
down and is none of them: these were ended by force, or did not start again, which says nothing
about the other domains. With the backoff, a domain cannot have more than 15 in the period, and all
of them together stay below it for ever."""

ROOT_INTENSITY = 3
ROOT_PERIOD_S = 60.0


@attrs.frozen(kw_only=True)
class Outside:
    """How a tree reaches what is outside of it beside the database. Simulations have a world of
    their own there."""

    open_cache: OpenCache = open_cache
    open_spool: Callable[[Path], OpenSpool] = deferral_spool
    open_spill: OpenSpill = spill_file
    flag_file: OpenFlagFile = flag_file
    read_keys: ReadFrom = keys_from
    start_hashing: StartHashing = Hashing
    read_data_keys: ReadDataKeysFrom = data_keys_from
    start_patterns: StartPatterns = Patterns
    start_preparing: StartPreparing = Preparers
    couriers: Couriers = attrs.field(factory=lambda: Couriers(texter=NoTexter()))
    signed: Signed = nobody_signs
    providers: Providers = attrs.field(factory=Providers)


@attrs.frozen
class ApplicationSpec:
    """What a tree needs from outside: where the data is, and the children of its edge.

    `data_directory` is for what is not in the database: the signing key and the keys of personal
    data, unless `keys` and `data_keys` say where those are, and earnings that wait for it.
    Without a `redis_url` the cache is in the process. `jobs` are those that domains do not bring
    along. `flags` are those of the process, for those outside the tree that want to evaluate them.
    `rfm_slice` customers are scored in one step.
    `events` are those that it has taken and not stored yet; `tracking` says how long they are kept.
    """

    database: DatabaseSpec
    data_directory: Path
    edge: tuple[ChildSpec, ...] = ()
    redis_url: str | RotatingSecret | None = attrs.field(default=None, repr=False)
    jobs: JobsSpec | None = None
    keys: KeyStore | None = None
    data_keys: DataKeyStore | None = None
    secrets: tuple[WatchedSecret, ...] = ()
    outside: Outside = Outside()
    flags: FlagBook = attrs.field(factory=FlagBook)
    segments: SegmentSource = attrs.field(factory=RfmSegments)
    rfm_slice: int = SLICE
    tracking: TrackingSpec = attrs.field(factory=TrackingSpec)
    events: Stock = attrs.field(factory=Stock)


def application(
    spec: ApplicationSpec,
    handle: DatabaseHandle,
    cache: CacheHandle | None = None,
    part: Part | None = None,
) -> ChildSpec:
    """The root. It starts from left to right and stops from right to left.

    `cache` is for those outside the tree that want to look at it. Of the domains it has those of
    its `part`; the others, in other shards, are reached through links.
    """
    shared = cache if cache is not None else CacheHandle()
    own = part if part is not None else Part()
    vault = Vault()
    own.ownership.on_loss = handle.retire
    jobs = _jobs(spec, handle, vault, own)

    def root() -> Supervisor:
        return Supervisor(
            (
                _supervisor(
                    "platform",
                    lambda: platform(
                        spec.database,
                        handle,
                        MIGRATIONS,
                        SUBSCRIPTIONS if own.relay else None,
                        own.ownership,
                        cache_child(spec.redis_url, shared, spec.outside.open_cache),
                        jobs,
                        spec.secrets,
                    ),
                ),
                *(() if own.links is None else (shard_child(own, own.links),)),
                *_followers(spec, handle, shared, own),
                _supervisor(
                    "domains", lambda: domains(spec, handle, shared, vault, own), name=DOMAINS
                ),
                _supervisor("edge", lambda: _edge(spec.edge), name=EDGE),
            ),
            intensity=ROOT_INTENSITY,
            period_s=ROOT_PERIOD_S,
            backoff=Backoff(),
        )

    return _supervisor(ROOT, root, name=ROOT)


def _jobs(spec: ApplicationSpec, handle: DatabaseHandle, vault: Vault, part: Part) -> JobsSpec:
    """Those that run in this process, and the queues of those that run in others."""
    by_domain = {
        "core": core_jobs(handle.share("core_jobs"), vault),
        "admin_core": admin_core_jobs(),
        "gamification": gamification_jobs(handle.share("gamification_jobs")),
        "referrals": referrals_jobs(handle.share("referrals_jobs"), spec.outside.couriers),
        "campaign": combined_jobs(
            campaign_jobs(handle.share("campaign_jobs"), spec.segments),
            delivery_jobs(handle.share("delivery_jobs"), spec.outside.providers),
        ),
        "rfm_analytics": rfm_analytics_jobs(handle.share("rfm_analytics_jobs"), spec.rfm_slice),
    }
    own = [jobs for domain, jobs in by_domain.items() if domain in part.domains]
    queues = (
        queue
        for domain, jobs in by_domain.items()
        if domain not in part.domains
        for queue in jobs.queues
    )
    return attrs.evolve(combined_jobs(spec.jobs or JobsSpec(), *own), elsewhere=tuple(queues))


def _followers(
    spec: ApplicationSpec, handle: DatabaseHandle, cache: CacheHandle, part: Part
) -> Sequence[ChildSpec]:
    """Who keeps fresh what every process has for itself, where its domain is in another one."""
    if "admin_features" in part.domains:
        return ()
    file = spec.outside.flag_file(spec.data_directory / f"{part.name}-{FLAGS_FILE}")
    share = handle.share("admin_features")
    children = (keeper_child(share, cache, spec.flags, file),)
    return (_supervisor("followers", lambda: _edge(children)),)


def domains(
    spec: ApplicationSpec,
    handle: DatabaseHandle,
    cache: CacheHandle,
    vault: Vault,
    part: Part,
) -> Supervisor:
    """One supervisor a domain. One that exhausts its restarts stays down; the rest lives on."""
    every = (
        _domain("auth", lambda: _auth(spec, handle, cache)),
        _domain("admin_core", lambda: admin_core_children(handle.share("admin_core"))),
        _domain("admin_features", lambda: _admin_features(spec, handle, cache)),
        _domain("core", lambda: _core(spec, handle, cache, vault)),
        _domain("products", lambda: products_children(handle.share("products"), cache)),
        _domain("referrals", lambda: _referrals(spec, handle)),
        _domain("campaign", lambda: campaign_children(handle.share("campaign"))),
        _domain("points", lambda: _points(spec, handle), Strategy.REST_FOR_ONE),
        _domain(
            "gamification",
            lambda: gamification_children(
                handle.share("gamification"), spec.outside.start_patterns
            ),
        ),
        _domain("rfm_analytics", lambda: rfm_analytics_children(handle.share("rfm_analytics"))),
        _domain("event_tracking", lambda: _event_tracking(spec, handle)),
    )
    return Supervisor(
        [domain for domain in every if domain.id in part.domains],
        intensity=DOMAINS_INTENSITY,
        period_s=DOMAIN_PERIOD_S,
        backoff=Backoff(),
    )


def _auth(spec: ApplicationSpec, handle: DatabaseHandle, cache: CacheHandle) -> Sequence[ChildSpec]:
    return auth_children(
        spec.keys or spec.data_directory,
        handle.share("auth"),
        cache,
        spec.outside.read_keys,
        spec.outside.start_hashing,
    )


def _admin_features(
    spec: ApplicationSpec, handle: DatabaseHandle, cache: CacheHandle
) -> Sequence[ChildSpec]:
    file = spec.outside.flag_file(spec.data_directory / FLAGS_FILE)
    return admin_features_children(handle.share("admin_features"), cache, spec.flags, file)


def _core(
    spec: ApplicationSpec, handle: DatabaseHandle, cache: CacheHandle, vault: Vault
) -> Sequence[ChildSpec]:
    store = data_key_store(spec.data_keys or spec.data_directory)
    read = spec.outside.read_data_keys(store)
    start_preparing = spec.outside.start_preparing
    return core_children(handle.share("core"), cache, vault, read, start_preparing)


def _points(spec: ApplicationSpec, handle: DatabaseHandle) -> Sequence[ChildSpec]:
    spool = spec.outside.open_spool(spec.data_directory / DEFERRED)
    return points_children(handle.share("points"), spool, spec.flags)


def _referrals(spec: ApplicationSpec, handle: DatabaseHandle) -> Sequence[ChildSpec]:
    outside = spec.outside
    database = handle.share("referrals")
    return referrals_children(database, outside.couriers.public_url, outside.signed)


def _event_tracking(spec: ApplicationSpec, handle: DatabaseHandle) -> Sequence[ChildSpec]:
    spill = spec.outside.open_spill(spec.data_directory / EVENTS, spec.tracking.spill_bytes_max)
    share = handle.share("event_tracking")
    return event_tracking_children(share, spill, spec.events, spec.tracking)


def _domain(
    id_: str,
    children: Callable[[], Sequence[ChildSpec]],
    strategy: Strategy = Strategy.ONE_FOR_ONE,
) -> ChildSpec:
    """Transient: a supervisor that gave up ended by shutdown, and is not tried for ever."""

    def start() -> Supervisor:
        return Supervisor(
            children(),
            strategy=strategy,
            intensity=DOMAIN_INTENSITY,
            period_s=DOMAIN_PERIOD_S,
            backoff=Backoff(),
        )

    return _supervisor(id_, start, restart=Restart.TRANSIENT, name=f"domain.{id_}")


def _edge(children: Sequence[ChildSpec]) -> Supervisor:
    return Supervisor(
        children,
        strategy=Strategy.REST_FOR_ONE,
        intensity=DOMAIN_INTENSITY,
        period_s=DOMAIN_PERIOD_S,
        backoff=Backoff(),
    )


def _supervisor(
    id_: str,
    start: Callable[[], Supervisor],
    *,
    restart: Restart = Restart.PERMANENT,
    name: str | None = None,
) -> ChildSpec:
    return ChildSpec(
        id_, start, restart=restart, shutdown_s=INFINITE, name=name, start_timeout_s=INFINITE
    )
