"""Where the data can be reached: in this process, or at the server that has it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cli.errors import find_cause
from cli.running import Run
from runtime import ActorSystem
from runtime.storage import StorageLocked

Result = TypeVar("Result")


async def with_tree_or_server(
    run: Run,
    local: Callable[[ActorSystem], Awaitable[Result]],
    remote: Callable[[str], Awaitable[Result]],
) -> Result:
    """Run `local` with a tree of our own, or `remote` with the address of the process that has
    the database and serves HTTP."""
    try:
        async with run.tree() as (system, _):
            return await local(system)
    except Exception as error:
        locked = find_cause(error, StorageLocked)
        if locked is None or locked.address is None:
            raise
        address = locked.address
    run.log.discard_held()
    return await remote(address)
