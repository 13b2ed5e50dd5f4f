"""The actor: what a developer subclasses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from runtime.envelope import Envelope
from runtime.exits import NORMAL, ExitReason
from runtime.starting import Ignore, StartInfo
from runtime.state import replace_fields, shown_state
from runtime.system_messages import SystemMessage

if TYPE_CHECKING:
    from runtime.incarnation import Incarnation
    from runtime.ref import ActorRef
    from runtime.system import ActorSystem
    from runtime.timers import Timers

DEFERRED = object()
"""Returned by `receive` when the answer follows later, through the kept envelope."""

Receive = Callable[[Any], Awaitable[object]]


class Actor:
    """State with a mailbox: handles one message at a time, in the order of arrival.

    An unexpected exception from any method ends the incarnation; its supervisor decides what
    then. Expected refusals are return values. Subclasses keep no task of their own but those
    of `start_task`.
    """

    batch_max: ClassVar[int] = 1
    """Above 1, `receive_batch` gets up to this many messages at once."""

    child_tasks: ClassVar[bool] = True
    """False saves the nursery of an actor that has neither child tasks nor timers."""

    keeps_task: ClassVar[bool] = False
    """True: it never gives up its task while idle. For an actor that holds something bound to it
    between messages, as a lock is, or whose nursery others reach into."""

    cancellable: ClassVar[bool] = True
    """False: what was begun is finished, even when the deadline passes or the asker goes."""

    concurrent: ClassVar[bool] = False
    """True: it works on several messages at once, and says itself when each begins and ends."""

    batch_cancellable: ClassVar[bool] = False
    """True: a batch is cancelled when nobody waits for any of it any more; see `finish_batch`."""

    hard_limit_s: ClassVar[float] = 60.0
    """A handler that works longer than this on one message, or one batch, is reported."""

    passes_on: ClassVar[tuple[type[Exception], ...]] = ()
    """Exceptions that a handler answers its asker with instead of ending the actor: failures of
    what it depends on, which leave its own state sound."""

    replaceable: ClassVar[frozenset[str]] = frozenset()
    """Fields that operators may replace while it runs, named without an underscore; each needs a
    type in the class."""

    _incarnation: Incarnation

    @property
    def ref(self) -> ActorRef:
        return self._incarnation.ref

    @property
    def system(self) -> ActorSystem:
        return self._incarnation.system

    @property
    def timers(self) -> Timers:
        return self._incarnation.timers

    @property
    def envelope(self) -> Envelope:
        """The envelope in hand; valid inside `receive`."""
        envelope = self._incarnation.cell.in_hand
        if envelope is None:
            raise RuntimeError("no message in hand")
        return envelope

    async def started(self) -> StartInfo | Ignore | None:
        """Called before the first message. Raising is a failed start.

        Returns nothing, or `IGNORE` when the actor is not to run after all (it then ends in
        order, without `stopped`), or a `StartInfo` for who asked for the start. Anything else
        is a failed start.
        """
        return None

    async def receive(self, message: Any) -> object:
        """Handle one message; the return value answers a `Call`.

        Runs in a cancel scope that ends at the sender's deadline, and is cancelled when the
        asker goes away. Return `DEFERRED` to answer later with `self.envelope.reply`.
        """
        raise TypeError(f"{type(self).__name__} does not understand {type(message).__name__}")

    async def receive_batch(self, batch: Sequence[Envelope]) -> None:
        """Handle several messages at once: answer each with `reply` or `fail`.

        Not cancelled by any one sender's deadline, and when all have gone only where
        `batch_cancellable` says so. Expired messages are left out beforehand.
        """
        raise TypeError(f"{type(self).__name__} has a batch_max, but no receive_batch")

    async def receive_system(self, message: SystemMessage) -> None:
        """Handle `Down`; by default like any other message."""
        await self._incarnation.receive(message)

    async def stopped(self, reason: ExitReason) -> None:
        """Called after the last message, also after a crash, but not when killed."""

    @classmethod
    def ends_silently(cls) -> bool:
        """Whether nothing of its own runs when it is told to stop."""
        return cls.stopped is Actor.stopped

    def shown_state(self) -> object:
        """What operators see of it, as a value that `runtime.describing` can describe.

        All its fields, unless it says otherwise; never to change anything, nor to wait.
        """
        return shown_state(self)

    def replace_state(self, changes: Mapping[str, Any]) -> None:
        """Take on other values, between two messages: by name, as JSON has them or as they are.

        By default those of `replaceable`. Raises `StateRefused`, and has changed nothing then;
        anything else that it raises is a refusal, too, and not a crash.
        """
        replace_fields(self, self.replaceable, changes)

    def start_task(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a child task; it ends with the actor, and its crash crashes the actor."""
        self._incarnation.start_task(function, *args)

    def finish_batch(self) -> None:
        """From here on, finish the batch in hand, also if nobody waits for it any more."""
        self._incarnation.finish_batch()

    def become(self, receive: Receive) -> None:
        """Handle further messages with `receive` instead."""
        self._incarnation.handle_with(receive)

    def stash(self) -> object:
        """Put the message in hand aside; return the result from `receive`."""
        return self._incarnation.stash()

    def unstash_all(self) -> None:
        """Put what was stashed back in front of the mailbox, in its old order."""
        self._incarnation.unstash_all()

    @property
    def has_mail(self) -> bool:
        """Whether messages wait for it."""
        return bool(self._incarnation.cell.items)

    def post(self, notice: object | None) -> None:
        """Leave an immutable value for those in this process who would otherwise have to ask,
        instead of the one before."""
        self._incarnation.cell.notice = notice

    def watch(self, ref: ActorRef) -> None:
        """Get `Down` when the actor at `ref` ends, at once if it is not running."""
        self._incarnation.watch(ref)

    def stop(self, reason: ExitReason = NORMAL) -> None:
        """End after the message in hand."""
        self._incarnation.request_stop(reason)
