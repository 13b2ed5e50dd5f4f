"""What crosses between shards: the messages of all domains, and errors that tell what happened."""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Final

import actors
from actors.outgoing.ports import TextState
from runtime import outbox
from runtime.cache.errors import Away, CacheRefused, CacheUnavailable
from runtime.links import WireTypes
from runtime.storage import errors as storage
from supervisors import shard_messages

ERRORS: Final = (
    storage.StorageUnavailable,
    storage.DatabaseAway,
    storage.StorageRejected,
    storage.TakenOver,
    storage.ConnectionLost,
    storage.TransactionUndone,
    storage.CommitUnknown,
    storage.StorageFull,
    storage.ConstraintViolation,
    storage.Superseded,
    CacheUnavailable,
    CacheRefused,
)
"""What actors of other shards answer with, beside the errors of the runtime itself."""


@cache
def wire_types() -> WireTypes:
    """All classes that may be sent, and nothing else."""
    return WireTypes(classes=(Away, TextState), modules=tuple(message_modules()), errors=ERRORS)


def message_modules() -> Iterator[ModuleType]:
    """Every module in which a domain says what may be said to it, and those that these share."""
    yield outbox
    yield shard_messages
    for found in pkgutil.walk_packages(actors.__path__, "actors."):
        if _has_messages(found.name):
            yield importlib.import_module(found.name)


def _has_messages(name: str) -> bool:
    parts = name.split(".")
    return name in SHARED or (len(parts) > 2 and parts[2].endswith("messages"))


SHARED: Final = frozenset({"actors.vocabulary", "actors.paging"})
