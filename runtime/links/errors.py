"""Errors of links, split by what the asker knows, and those that never leave a link."""

from runtime.errors import ActorDown, ActorError, AskTimeout


class LinkDown(ActorDown):
    """There is no link to the shard where the receiver lives. The message was not delivered."""


class LinkLost(AskTimeout):
    """The link was lost after the message was sent and before it was answered. It may have
    happened."""


class NotSendable(ActorError):
    """The message cannot go over a link: its type is not registered on both sides, or it is too
    large. It was not delivered."""


class TransportClosed(Exception):
    """The transport has ended, whoever ended it: nothing more is sent or received."""


class ProtocolViolation(Exception):
    """The other side sent what no peer sends. `reason` is one word, for counting."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
