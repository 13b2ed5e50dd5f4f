"""What an exception says about a dependency, and whether the call may be made again."""

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

import attrs

from runtime.policies.errors import DeadlineExceeded, NoDeadline, NotAdmitted, PolicyError


class Effect(Enum):
    """On the breaker. A dependency that refuses, with a 4xx say, works: that is a success."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


class Again(Enum):
    """When a call may be repeated: never, if it is repeatable, or in any case."""

    NEVER = "never"
    IF_REPEATABLE = "if repeatable"
    ALWAYS = "always"
    """Known as not done: never delivered, or undone as a whole."""


@attrs.frozen
class Judgement:
    """Of one exception. `reason` is the label that its retries are counted under."""

    effect: Effect
    again: Again = Again.NEVER
    reason: str = "failed"


REFUSED = Judgement(Effect.SUCCESS, reason="refused")
IGNORED = Judgement(Effect.IGNORED, reason="ignored")
FAILED = Judgement(Effect.FAILURE, Again.IF_REPEATABLE)
FAILED_FOR_GOOD = Judgement(Effect.FAILURE)
NOT_DELIVERED = Judgement(Effect.FAILURE, Again.ALWAYS, "not delivered")
UNDONE = Judgement(Effect.SUCCESS, Again.ALWAYS, "undone")
TIMED_OUT = Judgement(Effect.FAILURE, Again.IF_REPEATABLE, "timed out")

Judge: TypeAlias = Callable[[Exception], Judgement]
"""One for each kind of dependency. It is not asked about errors of the policies themselves."""


def failed(_error: Exception) -> Judgement:
    """The judge of those who know nothing better: every exception is a failure."""
    return FAILED


def judged(error: Exception, judge: Judge) -> Judgement:
    """The judgement of `error`: of the policies about their own, of `judge` about the others."""
    if isinstance(error, NotAdmitted | NoDeadline):
        return IGNORED
    if isinstance(error, DeadlineExceeded):
        return TIMED_OUT
    if isinstance(error, PolicyError):
        return FAILED
    return judge(error)


def retry_after_s(error: Exception) -> float:
    """How long the dependency asks to be left alone; 0 where it says nothing."""
    asked = getattr(error, "retry_after_s", None)
    return float(asked) if isinstance(asked, int | float) else 0.0
