"""Who brings messages, as the settings say."""

import attrs
import trio

from actors.outgoing.absent import NoTexter
from actors.outgoing.http import HttpClient
from actors.outgoing.ports import Texter
from actors.outgoing.sms import SmsAccount, SmsTexter
from actors.referrals.callbacks import Signed, nobody_signs
from cli.errors import CommandFailed
from cli.secrets import in_thread
from config import Settings
from config.policies import SMS
from runtime.policies import Policies
from runtime.rotation import RotatingSecret
from supervisors.secrets import WatchedSecret


@attrs.frozen
class Texts:
    """`signed` tells whether the provider has sent something; `watched` are its secrets. Somebody
    closes it in the end."""

    texter: Texter = attrs.field(factory=NoTexter)
    signed: Signed = nobody_signs
    watched: tuple[WatchedSecret, ...] = ()
    client: HttpClient | None = None

    async def close(self) -> None:
        """Close its connections, also when cancelled."""
        if self.client is not None:
            with trio.CancelScope(shield=True):
                await self.client.close()


def texts(settings: Settings, policies: Policies) -> Texts:
    """The provider of texts; without an account there is none. Blocks on the disk.

    Raises `CommandFailed` for an account without a token or a sender, and `SettingsError`.
    """
    if not settings.sms_account or settings.sms_url is None:
        return Texts()
    secret = settings.secrets["sms_token"]
    token = secret.read()
    if token is None or not settings.sms_sender:
        raise CommandFailed("sms_account needs sms_token_file and sms_sender beside it")
    rotating = RotatingSecret(token)
    account = SmsAccount(
        url=settings.sms_url,
        account=settings.sms_account,
        sender=settings.sms_sender,
        token=rotating,
    )
    client = HttpClient(SMS)
    texter = SmsTexter(account, policies[SMS], client)
    watched = WatchedSecret("sms_token", rotating, in_thread(secret))
    return Texts(texter, account.signed, (watched,), client)
