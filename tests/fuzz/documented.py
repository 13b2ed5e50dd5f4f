"""The operations that a document has to have, known before any server runs."""

from gateway.application import all_routes
from gateway.settings import GatewaySettings
from runtime import ActorSystem
from supervisors.health import HealthBoard


def operation_names() -> list[str]:
    """The names of all routes, such as `GET /v1/orders`."""
    return [route.name for route in all_routes(ActorSystem(), GatewaySettings(), HealthBoard())]
