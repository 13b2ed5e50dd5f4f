"""A lane: the jobs of one queue that this process runs, and how many more it may take."""

import attrs
import trio

from runtime.jobs.model import Job, Leases, QueuePolicy, Token

CLAIM_BATCH = 32
"""Jobs claimed at once."""


@attrs.define(eq=False)
class Attempt:
    """A claimed job in the hands of its worker; times on Trio's clock.

    `scope` is that of its handler. It ends with the lease, which heartbeats put off, whatever
    the wall clock says. `nudges` of its lane there had been before the claim; `over` is whether
    the job is known to have ended.
    """

    job: Job
    claimed_at: float
    leased_until: float
    nudges: int
    over: bool = False
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    released: bool = False

    def __attrs_post_init__(self) -> None:
        self.scope.deadline = self.leased_until

    def renew(self, leased_until: float) -> None:
        self.leased_until = self.scope.deadline = leased_until

    def release(self) -> None:
        """Stop the handler, so that the job can be given back."""
        self.released = True
        self.scope.cancel()


@attrs.define(eq=False)
class Lane:
    """The bulkhead of one queue in this process. Within `keeping` its leases are renewed.

    It is `starved` while there may be more to claim than it had room for.
    """

    policy: QueuePolicy
    leases: Leases
    attempts: dict[Token, Attempt] = attrs.field(factory=dict)
    claiming: trio.Lock = attrs.field(factory=trio.Lock)
    keeping: trio.CancelScope | None = None
    starved: bool = False
    nudges: int = 0
    _nudged: trio.Event = attrs.field(factory=trio.Event)
    _emptied: trio.Event = attrs.field(factory=trio.Event)

    @property
    def room(self) -> int:
        """How many jobs may be claimed now."""
        return min(self.policy.concurrency - len(self.attempts), CLAIM_BATCH)

    def enter(self, attempt: Attempt) -> None:
        self.attempts[attempt.job.token] = attempt

    def leave(self, attempt: Attempt) -> None:
        """The work is truly over: its place is free, and its key may be."""
        del self.attempts[attempt.job.token]
        if not self.attempts:
            self._emptied.set()
            if self.keeping is not None:
                self.keeping.cancel()
                self.keeping = None
        if self.starved or self._frees_line(attempt):
            self.nudge()

    def _frees_line(self, attempt: Attempt) -> bool:
        """Whether somebody may have waited for its end: one who was there before it was claimed,
        or has been told of since. Where there is nobody a claim would find nothing, and write."""
        if attempt.job.key is None:
            return False
        return attempt.job.followed or not attempt.over or attempt.nudges != self.nudges

    def nudge(self) -> None:
        """There may be something to claim, or room for it."""
        self.nudges += 1
        self._nudged.set()

    async def nudged(self) -> None:
        """Wait for a nudge, if there was none since the last time."""
        await self._nudged.wait()
        self._nudged = trio.Event()

    async def emptied(self) -> None:
        """Wait until no job of it runs here."""
        while self.attempts:
            self._emptied = trio.Event()
            await self._emptied.wait()
