"""A PostgreSQL that commits for real: what the benchmarks measure against."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from tests.bench.disk import directory_on_disk
from tests.servers import PostgresServer

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    # No checkpoint falls into one measurement and not into the other.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
}


@attrs.define
class DurablePostgres(PostgresServer):
    """A commit is on the disk when it returns."""

    def command(self) -> list[str]:
        options = [part for pair in SETTINGS.items() for part in ("-c", "=".join(pair))]
        return [*super().command(), *options]


@contextmanager
def durable_postgres() -> Iterator[DurablePostgres]:
    """A server of its own for the duration of the block, its data on a disk."""
    with directory_on_disk() as directory:
        server = DurablePostgres(directory)
        try:
            server.prepare()
            server.start()
            yield server
        finally:
            server.stop()
