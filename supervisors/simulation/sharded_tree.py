"""The application in two shards: points in one, and all that asks for them in the other."""

from collections.abc import Callable, Sequence
from typing import Final

from trio.lowlevel import checkpoint

import actors.campaign.messages
import actors.core.messages
import actors.points.messages
import actors.products.messages
from actors import vocabulary
from actors.campaign.messages import RULES
from actors.campaign.supervisor import campaign_children
from actors.core.cipher import DataKeys, Vault
from actors.core.messages import CUSTOMERS, MERCHANTS, ORDER_RECORDED, ORDER_REFUNDED
from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.preparers import PreparersInPlace
from actors.core.supervisor import core_children
from actors.points.messages import ACCOUNTS, INTAKE, ORDER_REFUNDS
from actors.points.messages import QUERIES as POINTS_QUERIES
from actors.points.supervisor import points_children
from actors.products.messages import QUERIES as PRODUCT_QUERIES
from actors.products.supervisor import products_children
from runtime import INFINITE, Backoff, ChildSpec, Restart, Strategy, Supervisor, outbox
from runtime.cache import CacheHandle
from runtime.journal import JOURNAL, Journal
from runtime.links import LinkLimits, Links, LinksSpec, PeerSpec, WireTypes, links_child
from runtime.outbox import RELAY
from runtime.outbox_relay import OutboxRelay
from runtime.ownership import Ownership
from runtime.sim import Life, World
from runtime.spool import Spool
from runtime.storage import DatabaseHandle, StorageFull, StorageUnavailable
from runtime.storage.errors import CommitUnknown, TakenOver
from supervisors.application import DOMAINS, MIGRATIONS
from supervisors.cache import cache_child
from supervisors.platform import DATABASE, DatabaseKeeper
from supervisors.simulation.tree import data_keys_of, simulated_database, simulated_handle

FRONT, LEDGER = "front", "ledger"
"""Clients and orders reach the one, accounts are in the other."""

ADDRESS: Final = "where links meet"

OF_LEDGER = (INTAKE, ORDER_REFUNDS, POINTS_QUERIES)
OF_FRONT = (RELAY, CORE_QUERIES, MERCHANTS, CUSTOMERS, RULES, PRODUCT_QUERIES)

SUBSCRIPTIONS = {ORDER_RECORDED: (INTAKE,), ORDER_REFUNDED: (ORDER_REFUNDS,)}

LIMITS = LinkLimits(window=8, mailbox=32, backoff_cap_s=1.0)
"""So little that credit runs out."""

STORE_ERRORS = (StorageUnavailable, StorageFull, CommitUnknown, TakenOver)

INTENSITY, PERIOD_S = 5, 30.0

Children = Callable[[], Sequence[ChildSpec]]


class ShardedTree:
    """Makes the trees of all processes of one run, and remembers their links.

    `more` are children of the ledger's shard beside its domain, `names` those of them that the
    front knows, `types` what they take. In half of the worlds the ledger dials.
    """

    def __init__(
        self, types: WireTypes, names: Sequence[str], more: Callable[[Life], Sequence[ChildSpec]]
    ) -> None:
        self._types = types
        self._names = tuple(names)
        self._more = more
        self.links: dict[str, Links] = {}

    def root(self, world: World, life: Life) -> ChildSpec:
        """What a process runs."""
        links = Links(self._links_spec(world, life), life.system.metrics.registry)
        self.links[life.name] = links
        handle, cache = simulated_handle(life), _cache(life)
        domains = _front if life.shard == FRONT else _ledger

        def root() -> Supervisor:
            return Supervisor(
                (
                    ChildSpec("platform", lambda: _platform(world, life, handle, cache)),
                    links_child(links),
                    ChildSpec("domains", lambda: domains(world, life, handle, cache), name=DOMAINS),
                    *(self._more(life) if life.shard == LEDGER else ()),
                ),
                intensity=INTENSITY,
                period_s=PERIOD_S,
                backoff=Backoff(),
            )

        return ChildSpec("sharded", root, name="sharded")

    def _links_spec(self, world: World, life: Life) -> LinksSpec:
        dials = (life.shard == FRONT) is bool(world.seed % 2)
        address = ADDRESS if dials else None
        if life.shard == FRONT:
            names = (*OF_LEDGER, *self._names)
            peer = PeerSpec(name=LEDGER, address=address, actors=names, regions=(ACCOUNTS,))
        else:
            peer = PeerSpec(name=FRONT, address=address, actors=OF_FRONT)
        secret = world.random("secret of links").randbytes(32)
        return LinksSpec(
            shard=life.shard,
            peers=(peer,),
            types=self._types,
            network=world.network_of(life),
            secrets=lambda: (secret,),
            listen=None if dials else ADDRESS,
            generation=lambda: life.generation,
            limits=LIMITS,
        )


def wire_types(*classes: type) -> WireTypes:
    """Of the domains' messages, and these."""
    modules = (
        vocabulary,
        outbox,
        actors.core.messages,
        actors.points.messages,
        actors.campaign.messages,
        actors.products.messages,
    )
    return WireTypes(classes, modules, STORE_ERRORS)


def _cache(life: Life) -> CacheHandle:
    return CacheHandle(ports=life.ports, metrics=life.system.metrics)


def _platform(world: World, life: Life, handle: DatabaseHandle, cache: CacheHandle) -> Supervisor:
    """The journal writes under the partition of its shard; one relay serves the whole store."""
    ownership = Ownership(partition=life.shard, on_loss=handle.retire)
    spec = simulated_database(world, life)
    relay = ChildSpec("relay", lambda: OutboxRelay(handle, SUBSCRIPTIONS, ownership), name=RELAY)
    return Supervisor(
        (
            ChildSpec(
                "database",
                lambda: DatabaseKeeper(spec, handle, MIGRATIONS, ownership),
                name=DATABASE,
                start_timeout_s=INFINITE,
            ),
            ChildSpec("journal", lambda: Journal(handle, ownership), name=JOURNAL),
            *((relay,) if life.shard == FRONT else ()),
            cache_child(None, cache),
        ),
        strategy=Strategy.REST_FOR_ONE,
        intensity=INTENSITY,
        period_s=PERIOD_S,
        backoff=Backoff(),
    )


def _front(world: World, _life: Life, handle: DatabaseHandle, cache: CacheHandle) -> Supervisor:
    vault = Vault()
    keys = data_keys_of(world)

    async def read_keys() -> DataKeys:
        await checkpoint()
        return keys

    return _domains(
        {
            "core": lambda: core_children(
                handle.share("core"), cache, vault, read_keys, PreparersInPlace
            ),
            "products": lambda: products_children(handle.share("products"), cache),
            "campaign": lambda: campaign_children(handle.share("campaign")),
        }
    )


def _ledger(world: World, life: Life, handle: DatabaseHandle, _cache: CacheHandle) -> Supervisor:
    async def open_spool() -> Spool:
        return await world.disk.open_spool(life)

    return _domains({"points": lambda: points_children(handle.share("points"), open_spool)})


def _domains(domains: dict[str, Children]) -> Supervisor:
    def domain(children: Children) -> Supervisor:
        return Supervisor(children(), intensity=INTENSITY, period_s=PERIOD_S, backoff=Backoff())

    def spec(name: str, children: Children) -> ChildSpec:
        return ChildSpec(
            name,
            lambda: domain(children),
            restart=Restart.TRANSIENT,
            shutdown_s=INFINITE,
            name=f"domain.{name}",
            start_timeout_s=INFINITE,
        )

    specs = [spec(name, children) for name, children in domains.items()]
    return Supervisor(specs, intensity=200, period_s=PERIOD_S, backoff=Backoff())
