"""Errors of the settings."""


class SettingsError(Exception):
    """A setting is wrong. The text is one line: which, where it was set, what is allowed."""


class InsecureSettings(SettingsError):
    """Production refuses to start. `problems` has a line for each reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(f"production: {problem}" for problem in problems))
        self.problems = problems
