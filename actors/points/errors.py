"""Errors of the points domain: both mean that something is broken, not that a request is."""


class PointsError(Exception):
    """Base of the errors here."""


class LedgerCorrupt(PointsError):
    """A transaction does not fit the state it is said to follow."""


class CommitConflict(PointsError):
    """The store kept rejecting an account's entries; somebody else writes to it."""
