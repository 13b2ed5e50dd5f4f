"""The one error of the settings."""


class SettingsError(Exception):
    """A setting is wrong. The text is one line: which, where it was set, what is allowed."""
