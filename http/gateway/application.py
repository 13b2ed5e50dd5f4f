"""The gateway put together, and its place in the supervision tree."""

from typing import Final

from gateway import (
    api_admin,
    api_auth,
    api_customers,
    api_dead_events,
    api_dead_letters,
    api_merchant,
)
from gateway.api_orders import order_routes
from gateway.api_points import points_routes
from gateway.api_products import product_routes
from gateway.authentication import Authenticator
from gateway.dispatch import Dispatcher, operations
from gateway.documents import document_routes
from gateway.health import health_routes
from gateway.listener import Listener, ListenerSettings
from gateway.messages import LISTENER
from gateway.metrics import http_metrics
from gateway.quart_app import Gateway
from gateway.routes import Route
from gateway.settings import GatewaySettings
from gateway.verification_keys import VerificationKeys
from runtime import ActorSystem, ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import DatabaseHandle
from supervisors.health import TreeHealth

SHUTDOWN_MARGIN_S: Final = 5.0
"""How long a listener may take to stop, beyond its drain."""


def all_routes(
    system: ActorSystem, settings: GatewaySettings, database: DatabaseHandle, cache: CacheHandle
) -> tuple[Route, ...]:
    """Every route there is, in the order of the documentation."""
    routes = (
        *points_routes(settings),
        *api_customers.ROUTES,
        *order_routes(settings),
        *product_routes(settings),
        *api_merchant.ROUTES,
        *api_auth.ROUTES,
        *api_admin.ROUTES,
        *api_dead_letters.ROUTES,
        *api_dead_events.ROUTES,
        *health_routes(TreeHealth(system, database, cache)),
    )
    return (*routes, *document_routes(routes, settings, system.metrics.registry))


def make_app(
    system: ActorSystem, settings: GatewaySettings, database: DatabaseHandle, cache: CacheHandle
) -> Gateway:
    """The application, ready to be served by a `Listener`.

    `database` tells when another process has taken it over; it and `cache` are for the health
    check.
    """
    keys = VerificationKeys(system, settings.keys_timeout_s)
    app = Gateway(
        Dispatcher(
            system,
            settings,
            Authenticator(system, keys, settings.cached_tokens_max),
            http_metrics(system.metrics.registry),
            database,
            operations(all_routes(system, settings, database, cache), settings),
        )
    )
    app.config["MAX_CONTENT_LENGTH"] = settings.batch_body_max_bytes
    app.config["BODY_TIMEOUT"] = settings.body_timeout_s
    return app


def gateway_children(
    listener: ListenerSettings,
    settings: GatewaySettings,
    database: DatabaseHandle,
    cache: CacheHandle,
) -> tuple[ChildSpec, ...]:
    """The children of the edge."""

    def start() -> Listener:
        return Listener(lambda system: make_app(system, settings, database, cache), listener)

    return (
        ChildSpec(
            "listener",
            start,
            name=LISTENER,
            shutdown_s=listener.drain_s + SHUTDOWN_MARGIN_S,
        ),
    )
