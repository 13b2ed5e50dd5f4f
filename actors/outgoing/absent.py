"""What stands in the place of a provider that is not configured."""

from datetime import datetime

from actors.outgoing.ports import FailedForGood, Sent, Text

NOT_CONFIGURED = "not_configured"


class NoTexter:
    """Every text fails for good."""

    honours_keys = True

    async def send(self, merchant_id: str, text: Text, idempotency_key: str) -> Sent:
        return FailedForGood(NOT_CONFIGURED, "no account for texts is configured")

    async def find(self, merchant_id: str, text: Text, since: datetime) -> None:
        return None

    async def status(self, merchant_id: str, provider_id: str) -> FailedForGood:
        return FailedForGood(NOT_CONFIGURED, "no account for texts is configured")
