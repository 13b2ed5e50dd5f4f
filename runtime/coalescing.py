"""Coalesced timers: those who look at something now and then do so at the same moments."""

from runtime.parking import monotonic

SLACK_S = 0.001
"""Who is so early is not told to come again at once, but a period later."""


def until_next(period_s: float) -> float:
    """Seconds, at most `period_s` and the slack, to the next multiple of it on Trio's clock.

    A program that has nothing to do wakes up once for all who wait like this for the same period,
    or for one that divides theirs, and not once for each. Whoever may not be later than a period
    after something that happened at any other moment waits for the period itself.
    """
    left_s = period_s - monotonic() % period_s
    return left_s if left_s > SLACK_S else left_s + period_s
