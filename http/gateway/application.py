"""The gateway put together, and its place in the supervision tree."""

from collections.abc import Sequence
from typing import Final

from config.policy_loading import default_policies
from gateway import (
    api_accounts,
    api_actors,
    api_admin,
    api_audit,
    api_auth,
    api_campaigns,
    api_controls,
    api_customers,
    api_dead_events,
    api_dead_letters,
    api_deliveries,
    api_flags,
    api_gamification,
    api_imports,
    api_integrations,
    api_merchant,
    api_plans,
    api_privacy,
    api_referrals,
    api_refunds,
    api_rewards,
    api_rfm,
    api_sessions,
    api_tiers,
)
from gateway.admission import Admission
from gateway.api_events import event_routes
from gateway.api_keys import api_key_routes
from gateway.api_orders import order_routes
from gateway.api_points import points_routes
from gateway.api_products import product_routes
from gateway.api_roles import role_routes
from gateway.authentication import Authenticator
from gateway.dispatch import Dispatcher, operations
from gateway.documents import document_routes
from gateway.domains import Domains
from gateway.health import health_routes
from gateway.introspection import Held, IntrospectionDesk
from gateway.introspection_messages import INTROSPECTION
from gateway.listener import Listener, ListenerSettings
from gateway.messages import LISTENER
from gateway.metrics import http_metrics
from gateway.overload import Overload
from gateway.quart_app import Gateway
from gateway.revoked import RevocationFollower, RevokedTokens
from gateway.routes import Route
from gateway.settings import GatewaySettings
from gateway.switch_messages import SWITCHBOARD
from gateway.switchboard import Switchboard
from gateway.verification_keys import VerificationKeys
from runtime import ActorSystem, ChildSpec
from runtime.cache import CacheHandle, Presence
from runtime.policies import Policies
from runtime.policies.limiters import Limiter, LocalLimiter, SharedLimiter
from runtime.pulse import Heart
from runtime.storage import DatabaseHandle
from supervisors.health import HealthBoard, HealthChecker, OtherShard
from supervisors.policies import domain_policies

SHUTDOWN_MARGIN_S: Final = 5.0
"""How long a listener may take to stop, beyond its drain."""


def domain_routes(settings: GatewaySettings) -> tuple[Route, ...]:
    """The routes that something is behind: all but health, metrics and documentation."""
    routes = (
        *points_routes(settings),
        *api_rewards.ROUTES,
        *api_tiers.ROUTES,
        *api_gamification.ROUTES,
        *api_campaigns.ROUTES,
        *api_deliveries.ROUTES,
        *api_customers.ROUTES,
        *order_routes(settings),
        *api_refunds.ROUTES,
        *product_routes(settings),
        *api_plans.ROUTES,
        *event_routes(settings),
        *api_merchant.ROUTES,
        *api_imports.ROUTES,
        *api_integrations.ROUTES,
        *api_referrals.ROUTES,
        *api_auth.ROUTES,
        *api_admin.ROUTES,
        *api_dead_letters.ROUTES,
        *api_dead_events.ROUTES,
        *api_audit.ROUTES,
        *api_controls.ROUTES,
        *api_sessions.ROUTES,
        *api_accounts.ROUTES,
        *api_privacy.ROUTES,
        *api_actors.ROUTES,
        *api_flags.ROUTES,
        *api_rfm.ROUTES,
    )
    routes = (*routes, *api_key_routes(routes))
    return (*routes, *role_routes(routes))


def route_names(settings: GatewaySettings) -> frozenset[str]:
    """The routes that may have a limit of their own."""
    return frozenset(route.name for route in domain_routes(settings))


def all_routes(
    system: ActorSystem, settings: GatewaySettings, board: HealthBoard
) -> tuple[Route, ...]:
    """Every route there is, in the order of the documentation."""
    routes = (
        *domain_routes(settings),
        *health_routes(system, board, settings.version),
    )
    return (*routes, *document_routes(routes, settings, system.metrics.registry))


def make_app(
    system: ActorSystem,
    settings: GatewaySettings,
    database: DatabaseHandle,
    cache: CacheHandle,
    board: HealthBoard,
    policies: Policies,
    overload: Overload,
    revoked: RevokedTokens,
) -> Gateway:
    """The application, ready to be served by a `Listener` with the same `overload`. Somebody
    keeps `revoked` up to date.

    `database` tells when another process has taken it over; limits are shared through `cache`;
    `policies` have a pipeline for each domain.
    """
    domains = Domains(system, policies)
    keys = VerificationKeys(domains, settings.keys_timeout_s)
    metrics = http_metrics(system.metrics.registry)
    routes = all_routes(system, settings, board)
    overload.declare(routes)
    app = Gateway(
        Dispatcher(
            system,
            settings,
            Authenticator(system, keys, domains, revoked, settings.cached_tokens_max),
            metrics,
            database,
            Admission(settings, limiter(system, cache), metrics.rejections),
            overload.shedder(system),
            domains,
            operations(routes, settings),
        ),
        system.changes,
        metrics.live_connections,
        settings.cors_origins,
    )
    app.config["MAX_CONTENT_LENGTH"] = settings.batch_body_max_bytes
    app.config["BODY_TIMEOUT"] = settings.body_timeout_s
    return app


def limiter(system: ActorSystem, cache: CacheHandle) -> Limiter:
    """Limits of this process alone, unless there is a cache that others share."""
    if cache.presence is Presence.IN_PROCESS:
        return LocalLimiter(system.random)
    return SharedLimiter(cache)


def gateway_children(
    listener: ListenerSettings,
    settings: GatewaySettings,
    database: DatabaseHandle,
    cache: CacheHandle,
    board: HealthBoard | None = None,
    policies: Policies | None = None,
    others: Sequence[OtherShard] = (),
) -> tuple[ChildSpec, ...]:
    """The children of the edge. `board` is for those who want to see it too, or stop the process.

    Without `policies` it has its own, for the domains and with the default settings, which
    outlive its listeners. The heart beats from before the first connection until after the last
    one; checker, switchboard and follower come last, so that a crash of theirs takes no request
    along. `others` are the shards that have the domains that are not here.
    """
    seen = board if board is not None else HealthBoard()
    kept = policies
    held = Held()
    overload = Overload(settings.shedding, settings.shedding_mode)
    revoked = RevokedTokens()

    def policies_of(system: ActorSystem) -> Policies:
        nonlocal kept
        if kept is None:
            kept = domain_policies(default_policies(), system.random, system.metrics.policies)
        return kept

    def app(system: ActorSystem) -> Gateway:
        policies = policies_of(system)
        return make_app(system, settings, database, cache, seen, policies, overload, revoked)

    def board_of_switches() -> Switchboard:
        return Switchboard(policies_of, overload.shedder, seen.switches)

    def start() -> Listener:
        return Listener(app, listener, overload)

    return (
        ChildSpec("heart", lambda: Heart(seen.pulse)),
        ChildSpec(
            "listener",
            start,
            name=LISTENER,
            shutdown_s=listener.drain_s + SHUTDOWN_MARGIN_S,
        ),
        ChildSpec("health", lambda: HealthChecker(seen, database, cache, others)),
        ChildSpec("switchboard", board_of_switches, name=SWITCHBOARD),
        ChildSpec("revocations", lambda: RevocationFollower(revoked, policies_of)),
        ChildSpec("introspection", lambda: IntrospectionDesk(held), name=INTROSPECTION),
    )


def watching_children(
    database: DatabaseHandle, cache: CacheHandle, board: HealthBoard
) -> tuple[ChildSpec, ...]:
    """The children of an edge that serves nothing: who keeps `board` up to date."""
    return (
        ChildSpec("heart", lambda: Heart(board.pulse)),
        ChildSpec("health", lambda: HealthChecker(board, database, cache)),
    )
