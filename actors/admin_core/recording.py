"""Recording what belongs to no transaction, such as a switch in memory."""

from runtime import ActorSystem
from runtime.journal import JOURNAL, Append, Rejected
from runtime.outbox import OutboxEvent
from runtime.storage.outbox import event_write


async def record(system: ActorSystem, event: OutboxEvent, *, timeout_s: float) -> None:
    """Make an audit event durable: when this returns, its entry is certain to follow.

    It does not wait for whoever writes the log. Raises `StorageError` or `ActorError`; with an
    unknown outcome the same event may be recorded again.
    """
    append = Append((event_write(event),), publishes=True)
    answer = await system.ref(JOURNAL).ask(append, timeout_s=timeout_s)
    if isinstance(answer, Rejected):
        raise answer.violation
