"""Errors of the policies, split by what a caller knows and can do about them."""

from runtime.errors import Outcome
from runtime.trouble import Passing


class PolicyError(Passing):
    """A policy ended or prevented a call of the dependency `name`.

    `outcome` tells "did not happen" from "may have happened"; `retry_after_s` is when it makes
    sense to try again, where that is known.
    """

    outcome = Outcome.NOT_DELIVERED

    def __init__(self, name: str, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail
        self.retry_after_s = retry_after_s


class NotAdmitted(PolicyError):
    """Rejected on this side: nothing was sent. Never the dependency's failure."""


class BreakerOpen(NotAdmitted):
    """The dependency failed too often, or its breaker is forced open."""


class BulkheadFull(NotAdmitted):
    """As many calls run and wait as may."""


class Shed(NotAdmitted):
    """There is more load than can be served, and others go first."""


class RateLimited(NotAdmitted):
    """The caller has used up its rate."""


class DeadlineExceeded(PolicyError):
    """Time ran out in `stage`: `start`, `waiting`, `attempt` or another word of the caller.

    `outcome` is UNKNOWN when an attempt had begun.
    """

    def __init__(
        self, name: str, stage: str, *, outcome: Outcome = Outcome.UNKNOWN, detail: str = ""
    ) -> None:
        super().__init__(name, detail or f"out of time ({stage})")
        self.stage = stage
        self.outcome = outcome


class ChaosInjected(PolicyError):
    """A failure made on purpose. Nothing was sent."""


class ChaosForbidden(RuntimeError):
    """This application does not allow failures on purpose."""


class NoDeadline(RuntimeError):
    """A call was about to go out that nothing would ever end: a mistake in the program."""
