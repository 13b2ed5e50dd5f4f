"""The stores that the routes are tried on."""

from tests.integration.gateway.conftest import store_url

__all__ = ["store_url"]
