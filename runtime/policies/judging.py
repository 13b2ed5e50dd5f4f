"""What an exception says about a dependency, and whether the call may be made again."""

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

import attrs

from runtime.errors import Outcome
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


def may_have_happened(error: Exception, judgement: Judgement) -> bool:
    """What is known of a call that failed: by the error, where that says it, or else whether only
    a repeatable one may be made again."""
    outcome = getattr(error, "outcome", None)
    if isinstance(outcome, Outcome):
        return outcome is Outcome.UNKNOWN
    return judgement.again is Again.IF_REPEATABLE


@attrs.define
class Doubt:
    """Of the attempts of one call: the last that failed and may have happened. A later one that
    did not happen says nothing about that, so it must not have the last word."""

    _error: Exception | None = None

    def told(self, error: Exception, judgement: Judgement) -> Exception:
        """What to raise if this attempt, which failed with `error`, is the last one. A refusal is
        an answer, also to the attempts before."""
        refused = judgement.effect is Effect.SUCCESS and judgement.again is Again.NEVER
        if may_have_happened(error, judgement):
            self._error = error
        return error if refused or self._error is None else self._error


def retry_after_s(error: Exception) -> float:
    """How long the dependency asks to be left alone; 0 where it says nothing."""
    asked = getattr(error, "retry_after_s", None)
    return float(asked) if isinstance(asked, int | float) else 0.0
