"""What goes wrong again and again, told once, then once a minute, and when it is over."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import attrs
import structlog

from runtime.parking import monotonic

REMIND_EVERY_S = 60.0

ERROR_MAX = 500
"""Characters of an error in the log."""

CAUSES_MAX = 8


class Passing(Exception):
    """Mixed into errors that mostly pass by themselves: no warning unless they last."""


class Told(Passing):
    """Mixed into errors that whoever raises them warns of, once for all who run into them."""


@attrs.define(eq=False)
class Trouble:
    """Something that fails, is tried again, and works again. Does not wait, and raises nothing.

    The first failure is a warning, or the first after `REMIND_EVERY_S` when it is a `Passing`
    error, unless `_at_once`; then there is a warning every `REMIND_EVERY_S`. What is in between,
    and all that is `Told`, is for debugging. The end is told to those who were told of the trouble.
    """

    _log: structlog.typing.FilteringBoundLogger
    _event: str
    _over: str
    _at_once: bool = False
    _failures: int = 0
    _since: float = 0.0
    _warn_at: float = 0.0
    _warned: bool = False

    def failed(self, error: BaseException, **details: Any) -> None:
        """It did not work this time; `details` are for the log."""
        now = monotonic()
        if not self._failures:
            self._since, self._warn_at = now, now + REMIND_EVERY_S
        self._failures += 1
        if self._failures > 1:
            details |= {"failures": self._failures, "lasted_s": round(now - self._since, 1)}
        write = self._log.debug
        if self._due(error, now):
            write, self._warned = self._log.warning, True
            self._warn_at = now + REMIND_EVERY_S
        write(self._event, error=str(error)[:ERROR_MAX], **details)

    def _due(self, error: BaseException, now: float) -> bool:
        if _told(error):
            return False
        patient = self._warned or (isinstance(error, Passing) and not self._at_once)
        return now >= self._warn_at or not patient

    def ended(self, **details: Any) -> None:
        """It worked, whether or not there was any trouble."""
        if not self._failures:
            return
        details |= {"failures": self._failures, "lasted_s": round(monotonic() - self._since, 1)}
        write = self._log.info if self._warned else self._log.debug
        self._failures, self._warned = 0, False
        write(self._over, **details)


def _told(error: BaseException) -> bool:
    causes = islice(_causes(error), CAUSES_MAX)
    return any(isinstance(cause, Told) for cause in causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
