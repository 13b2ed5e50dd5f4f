"""Errors of the gamification domain."""


class CommitConflict(Exception):
    """The store held something else, again and again, than what a player had just read."""
