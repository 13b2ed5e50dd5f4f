"""What goes wrong between us and a provider."""

from actors.outgoing.ports import FailedForNow


class MailServerFailed(Exception):
    """The mail server is in trouble, or away. `result` is what that means for the message."""

    def __init__(self, result: FailedForNow) -> None:
        super().__init__(result.detail)
        self.result = result


class HttpFailed(Exception):
    """No answer. `sent` says whether the other side may have had the request."""

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent


class ProviderFailing(Exception):
    """An answer that says that the provider is in trouble; `status` as in HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the provider answered {status}")
        self.status = status
