"""Job handlers: what a domain writes, and how one says that it could not do its work."""

from collections.abc import Awaitable, Callable

from runtime.jobs.model import Job
from runtime.storage import Entry
from runtime.system import ActorSystem

JobHandler = Callable[[Job, ActorSystem], Awaitable[Entry]]
"""Runs one attempt of a job, and returns the writes that are its effects.

They are committed in one transaction with the end of the job, or not at all. The handler is
cancelled when the attempt takes too long, when the lease is lost, and when the program stops.
What it does beside returning writes may happen more than once: send the job's id along, so that
the other side can recognise it. Any exception makes the attempt a failed one.
"""

POSTPONED_S_MAX = 3_600.0


class RetryAfter(Exception):
    """Not now: try again after `delay_s`, at most an hour. Does not count as an attempt.

    For the case that somebody else said when to come back (a provider's 429).
    """

    def __init__(self, delay_s: float, reason: str) -> None:
        super().__init__(reason)
        self.delay_s = min(max(delay_s, 0.0), POSTPONED_S_MAX)


class PermanentFailure(Exception):
    """No further attempt would help: the job is dead at once."""
