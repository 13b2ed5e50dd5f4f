"""Processes that share flags: each with a system, a cache handle, a book and a file of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs

from actors.admin_core.messages import AUDITED
from actors.admin_features.book import FlagBook
from actors.admin_features.flag_file import FileInMemory, FlagFile
from actors.admin_features.keeper import FlagKeeper
from actors.admin_features.messages import (
    FLAG_CHANGED,
    FLAGS,
    KEEPER,
    Flag,
    FlagTerms,
    FlagType,
    PutFlag,
)
from actors.admin_features.supervisor import admin_features_children
from runtime import INFINITE, Actor, ActorSystem, ChildSpec, Supervisor
from runtime.cache import CacheHandle
from runtime.outbox import Deliver, OutboxEvent
from runtime.ownership import Ownership
from runtime.ports import Ports, seeded_ports
from runtime.storage import Database, DatabaseHandle, Row, StorageUnavailable
from supervisors.application import MIGRATIONS
from supervisors.cache import cache_child
from supervisors.platform import DatabaseSpec, platform
from tests.stores import open_migrated, patient_pipeline
from tests.trees import MEMORY

START = datetime(2026, 5, 1, tzinfo=UTC)


class Reader:
    """A database as one process sees it: it can be cut off from it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = False
        self.reads = 0

    async def fetch(self, sql: str, *values: Any) -> Sequence[Row]:
        self.reads += 1
        if self.away:
            raise StorageUnavailable("cut off by the test")
        return await self._database.fetch(sql, *values)


@attrs.define
class Process:
    """One process: what its keeper reads from, and what it evaluates from."""

    system: ActorSystem
    cache: CacheHandle
    book: FlagBook
    reader: Reader
    file: FlagFile

    def value(self, key: str = "some.flag") -> int:
        return self.book.integer(key, -1)


class Deaf(Actor):
    """Takes events and does nothing about them."""

    async def receive(self, message: Any) -> object:
        return None if isinstance(message, Deliver) else await super().receive(message)


def terms(value: int, **more: Any) -> FlagTerms:
    return FlagTerms(type=FlagType.INTEGER, default=value, description="for tests", **more)


async def put(process: Process, value: int, version: int, key: str = "some.flag") -> Flag:
    event_id, now = process.system.ids.new("ev"), process.system.clock.now()
    audit = OutboxEvent("-", event_id, AUDITED, "audit", {}, now)
    command = PutFlag(key, terms(value), version, "ops", "test", audit)
    flag = await process.system.ref(FLAGS).ask(command)
    assert isinstance(flag, Flag), flag
    return flag


@asynccontextmanager
async def first_process(
    url: str = MEMORY,
    redis_url: str | None = None,
    ports: Ports | None = None,
    file: FlagFile | None = None,
    consumer: str = KEEPER,
) -> AsyncIterator[Process]:
    """The one that writes: platform, desk and keeper. `consumer` is whom the outbox tells."""
    handle = DatabaseHandle() if url == MEMORY else DatabaseHandle(patient_pipeline())
    cache, book = CacheHandle(), FlagBook()
    file = file if file is not None else FileInMemory()
    subscriptions = {FLAG_CHANGED: (consumer,), AUDITED: ("test.deaf",)}
    reader = Reader(handle)
    keeper, desk = admin_features_children(handle, cache, book, file)
    listening = ChildSpec(
        keeper.id,
        lambda: FlagKeeper(reader, cache, book, file),  # type: ignore[arg-type]
        name=KEEPER,
        mailbox=keeper.mailbox,
    )
    children = (
        _supervisor(
            "platform",
            lambda: platform(
                DatabaseSpec(url, opener=open_migrated),
                handle,
                MIGRATIONS,
                subscriptions,
                Ownership(on_loss=handle.retire),
                cache_child(redis_url, cache),
            ),
        ),
        ChildSpec("deaf", Deaf, name="test.deaf"),
        _supervisor("flags", lambda: Supervisor((listening, desk), intensity=50)),
    )
    system = ActorSystem(ports if ports is not None else seeded_ports(1, START))
    async with system.run(_supervisor("test", lambda: Supervisor(children))):
        yield Process(system, cache, book, reader, file)


@asynccontextmanager
async def another_process(
    first: Process,
    redis_url: str | None = None,
    file: FlagFile | None = None,
    *,
    away: bool = False,
) -> AsyncIterator[Process]:
    """One that only reads, on the same store. Without Redis it shares the cache itself."""
    book, reader = FlagBook(), Reader(first.reader._database)
    reader.away = away
    cache = first.cache if redis_url is None else CacheHandle()
    file = file if file is not None else FileInMemory()
    children = (
        *((cache_child(redis_url, cache),) if redis_url is not None else ()),
        ChildSpec(
            "keeper",
            lambda: FlagKeeper(reader, cache, book, file),  # type: ignore[arg-type]
            name=KEEPER,
        ),
    )
    ports = Ports(first.system.clock, first.system.ids, first.system.random)
    system = ActorSystem(ports)
    async with system.run(_supervisor("other", lambda: Supervisor(children, intensity=50))):
        yield Process(system, cache, book, reader, file)


def _supervisor(id_: str, start: Any) -> ChildSpec:
    return ChildSpec(id_, start, shutdown_s=INFINITE, start_timeout_s=INFINITE, name=f"f.{id_}")
