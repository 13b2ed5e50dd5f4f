"""Whether a queue of jobs has room for what a request would add to it."""

from typing import Final

from actors.vocabulary import Refusal, RefusalKind
from runtime.errors import ActorError
from runtime.jobs import JOBS, GetQueueDepth
from runtime.system import ActorSystem

QUEUE_FULL: Final = Refusal(
    RefusalKind.UNAVAILABLE, "queue_full", "too much waits to be done already; try again later"
)


async def no_room(system: ActorSystem, queue: str) -> Refusal | None:
    """None where there is room, or where nobody can tell: a job that was written is safe. It costs
    no query."""
    try:
        depth = await system.ref(JOBS).ask(GetQueueDepth(queue))
    except ActorError:
        return None
    return QUEUE_FULL if depth.full else None
