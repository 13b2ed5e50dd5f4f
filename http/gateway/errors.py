"""Errors of the gateway that are not answers to a request."""


class ListenError(Exception):
    """The listener cannot have its address. The text is one line for the operator."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen on {address}: {reason}")
        self.address = address
        self.reason = reason
