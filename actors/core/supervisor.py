"""The core domain's children."""

from collections.abc import Callable
from pathlib import Path

from actors.core.aliases import Aliases
from actors.core.cipher import Vault
from actors.core.contact_book import ContactBook
from actors.core.customer_reading import CustomerReading
from actors.core.customer_store import CustomerStore
from actors.core.customers import Customers
from actors.core.data_keyring import DataKeyring, ReadDataKeys
from actors.core.data_keys import DataKeyStore
from actors.core.imports import Imports
from actors.core.integrations import Integrations
from actors.core.merchants import Merchants
from actors.core.messages import (
    CONTACTS,
    CUSTOMERS,
    IMPORTS,
    INTEGRATIONS,
    MERCHANTS,
    ORDERS,
    QUERIES,
)
from actors.core.mirrors import Mirrors
from actors.core.orders import Orders
from actors.core.preparers import PREPARING, Preparers
from actors.core.quotas import Quotas
from actors.core.readers import CoreReaders
from runtime import REFUSING, Actor, ChildSpec
from runtime.cache import CacheHandle
from runtime.storage import Database, Migrations

MIGRATIONS = Migrations("core", "actors.core.migrations")


def data_key_store(place: Path | DataKeyStore) -> DataKeyStore:
    """A store whose file is in a directory, unless it is one already."""
    return place if isinstance(place, DataKeyStore) else DataKeyStore(place)


StartPreparing = Callable[[Vault], Actor]
"""Starts what makes rows of imports ready."""


def core_children(
    database: Database,
    cache: CacheHandle,
    vault: Vault,
    read_keys: ReadDataKeys,
    start_preparing: StartPreparing = Preparers,
) -> tuple[ChildSpec, ...]:
    """The specifications, in the order of their start. `vault` is shared with the domain's jobs;
    `read_keys` reads what it seals and opens with."""
    mirrors, quotas, aliases = Mirrors.on(cache), Quotas(database), Aliases(database)
    store = CustomerStore(database, vault, mirrors.customers, aliases)
    reading = CustomerReading(database, vault, mirrors.customers)
    return (
        ChildSpec("data_keys", lambda: DataKeyring(vault, read_keys), name="core.data_keys"),
        ChildSpec("preparing", lambda: start_preparing(vault), name=PREPARING, mailbox=REFUSING),
        ChildSpec(
            "merchants",
            lambda: Merchants(database, mirrors.merchants, quotas),
            name=MERCHANTS,
            mailbox=REFUSING,
        ),
        ChildSpec(
            "queries",
            lambda: CoreReaders(database, reading, mirrors),
            name=QUERIES,
            mailbox=REFUSING,
        ),
        ChildSpec("customers", lambda: Customers(store, quotas), name=CUSTOMERS, mailbox=REFUSING),
        ChildSpec(
            "orders", lambda: Orders(database, quotas, aliases), name=ORDERS, mailbox=REFUSING
        ),
        ChildSpec("imports", lambda: Imports(database, vault), name=IMPORTS, mailbox=REFUSING),
        ChildSpec(
            "integrations",
            lambda: Integrations(database, vault),
            name=INTEGRATIONS,
            mailbox=REFUSING,
        ),
        ChildSpec(
            "contacts", lambda: ContactBook(database, vault), name=CONTACTS, mailbox=REFUSING
        ),
    )
