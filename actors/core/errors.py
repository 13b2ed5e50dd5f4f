"""What goes wrong with keys and with what they sealed."""


class DataKeyError(Exception):
    """The file of keys cannot be used. The text says nothing of what is in it."""


class Unsealable(Exception):
    """Nothing that was sealed here, for this merchant and purpose, with a key that is known."""
