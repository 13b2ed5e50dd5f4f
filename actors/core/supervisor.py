"""The core domain's children."""

from actors.core.customers import Customers
from actors.core.merchants import Merchants
from actors.core.messages import CUSTOMERS, MERCHANTS, ORDERS, QUERIES
from actors.core.orders import Orders
from actors.core.readers import CoreReaders
from runtime import REFUSING, ChildSpec
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("core", "actors.core.migrations")


def core_children(database: Database) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start."""
    return (
        ChildSpec("merchants", lambda: Merchants(database), name=MERCHANTS, mailbox=REFUSING),
        ChildSpec("queries", lambda: CoreReaders(database), name=QUERIES, mailbox=REFUSING),
        ChildSpec("customers", lambda: Customers(database), name=CUSTOMERS, mailbox=REFUSING),
        ChildSpec("orders", lambda: Orders(database), name=ORDERS, mailbox=REFUSING),
    )
