"""The products domain's children."""

from actors.products.cached import cached_products
from actors.products.catalogue import Catalogue
from actors.products.messages import CATALOGUE, QUERIES
from actors.products.readers import ProductReaders
from runtime import REFUSING, ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("products", "actors.products.migrations")


def products_children(database: Database, cache: CacheHandle) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start."""
    cached = cached_products(cache)
    return (
        ChildSpec(
            "catalogue", lambda: Catalogue(database, cached), name=CATALOGUE, mailbox=REFUSING
        ),
        ChildSpec(
            "queries", lambda: ProductReaders(database, cached), name=QUERIES, mailbox=REFUSING
        ),
    )
