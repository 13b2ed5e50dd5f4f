"""The operations that a document has to have, known before any server runs."""

from gateway.application import all_routes
from gateway.routes import Route
from gateway.settings import GatewaySettings
from runtime import ActorSystem
from supervisors.health import HealthBoard


def operation_names() -> list[str]:
    """The names of all routes, such as `GET /v1/orders`."""
    return [route.name for route in _routes()]


def limited_operations() -> list[str]:
    """The names of those that have a limit of their own, whatever the settings say of all."""
    return [route.name for route in _routes() if route.limit_per_minute is not None]


def _routes() -> tuple[Route, ...]:
    return all_routes(ActorSystem(), GatewaySettings(), HealthBoard())
