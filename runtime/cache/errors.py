"""Errors of the cache, split by what their receiver can do about them."""

from enum import Enum


class CacheError(Exception):
    """The cache did not do what it was asked to. The text is one line for the operator."""


class Away(Enum):
    """Why the cache did not answer."""

    UNREACHABLE = "unreachable"
    SLOW = "slow"
    BUSY = "busy"
    """No connection became free in time: nothing was sent."""
    REJECTED = "rejected"
    """Its breaker is open: nothing was sent."""


class CacheUnavailable(CacheError):
    """The cache is away, too slow, or its breaker is open. A write may have happened."""

    def __init__(self, reason: Away, detail: str) -> None:
        super().__init__(f"cache {reason.value}: {detail}")
        self.reason = reason
        self.made_of = (reason, detail)


class CacheRefused(CacheError):
    """The cache answered that it does not do this: our mistake, or one in its configuration."""
