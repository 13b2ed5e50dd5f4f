"""Errors of the auth domain."""


class KeyFileError(Exception):
    """Keys cannot be read or made; the text is one line for the operator."""
