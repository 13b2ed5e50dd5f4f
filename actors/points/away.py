"""Whether an account could not be asked because the database is away."""

from actors.points.loading import LOADER
from runtime import ActorDown, AskTimeout, Expired
from runtime.journal import JOURNAL
from runtime.storage import CommitUnknown, StorageUnavailable, TakenOver

BEFORE_THE_STORE = frozenset({JOURNAL, LOADER})
"""Actors that are down when the store is: they end with it, or wait for it to start."""

ENDS_OF_ADDRESSES = tuple(f"/{name.rpartition('.')[2]}" for name in sorted(BEFORE_THE_STORE))
"""What their addresses end with once they have run: a path then, and a name before."""


def database_away(error: BaseException) -> bool:
    """Whether asking an account failed because the store cannot be reached or does not answer.

    An account waits for nothing else, so one that is late waits for the store. Whether the
    mutation happened may be unknown. A store that is full, and a part that is overloaded, down
    or broken, are not away. Nor is one that another process has taken over: this one would wait
    for it for ever.
    """
    if isinstance(error, TakenOver):
        return False
    if isinstance(error, ActorDown):
        return error.address in BEFORE_THE_STORE or error.address.endswith(ENDS_OF_ADDRESSES)
    return isinstance(error, StorageUnavailable | CommitUnknown | AskTimeout | Expired)
