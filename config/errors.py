"""Errors of the settings, and how they name what is unknown."""

import difflib
from collections.abc import Callable, Iterable


class SettingsError(Exception):
    """A setting is wrong. The text is one line: which, where it was set, what is allowed."""


class InsecureSettings(SettingsError):
    """Production refuses to start. `problems` has a line for each reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(f"production: {problem}" for problem in problems))
        self.problems = problems


def unknown(kind: str, name: str, known: Iterable[str], spell: Callable[[str], str] = str) -> str:
    """That `name` is no `kind` (with its article), with the one that was perhaps meant."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"is not {kind}; did you mean {spell(close[0])}?"
    return f"is not {kind}; allowed: {', '.join(map(spell, names))}"
