"""Errors of the runtime, split by what the caller knows about the outcome."""

from enum import Enum

from runtime.trouble import Passing


class Outcome(Enum):
    """What a sender knows about a message that was not answered."""

    NOT_DELIVERED = "not delivered"
    UNKNOWN = "unknown"


class ActorError(Passing):
    """A message was not answered.

    `message` is the message, given back unsent or unanswered; `address` the receiver;
    `outcome` tells "did not happen" from "may have happened".
    """

    outcome = Outcome.NOT_DELIVERED

    def __init__(self, address: str, message: object, detail: str) -> None:
        super().__init__(f"{address}: {detail}")
        self.address = address
        self.message = message


class MailboxFull(ActorError):
    """There was no room in the receiver's mailbox. The message was not delivered."""


class Expired(ActorError):
    """The deadline passed before the receiver took the message up. It never will."""


class AskCycle(ActorError):
    """The ask would have waited on itself. `cycle` lists the addresses, first to last."""

    def __init__(self, address: str, message: object, cycle: tuple[str, ...]) -> None:
        super().__init__(address, message, f"ask cycle: {' -> '.join(cycle)}")
        self.cycle = cycle


class ActorDown(ActorError):
    """The receiver is not running, or ended before it answered.

    `outcome` is UNKNOWN when it had already taken the message up.
    """

    def __init__(
        self,
        address: str,
        message: object,
        detail: str = "not running",
        *,
        outcome: Outcome = Outcome.NOT_DELIVERED,
    ) -> None:
        super().__init__(address, message, detail)
        self.outcome = outcome


class AskTimeout(ActorError):
    """The deadline passed while the receiver worked on the message. It may have happened."""

    outcome = Outcome.UNKNOWN


class StartFailed(Exception):
    """An actor did not come up. `__cause__` says why, where an exception did."""


class NameTaken(StartFailed):
    """Another actor runs under the name."""


class InvalidSpec(ValueError):
    """Flags or specifications that no supervisor takes."""
