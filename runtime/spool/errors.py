"""Errors of a spool: what was handed in is refused, and the caller may try again."""


class SpoolError(Exception):
    """A spool did not do what it was asked to. The text is one line for the operator."""


class SpoolFull(SpoolError):
    """A bound of the spool is reached. Nothing was written."""


class SpoolFailed(SpoolError):
    """The disk is full or broken, or the spool is closed.

    What was handed in is not promised: it is gone, or, where the disk did not even take back
    what it had half written, it may be found by the next who opens the spool.
    """


class SpoolLocked(SpoolError):
    """Another process has the spool, or another part of this one."""
