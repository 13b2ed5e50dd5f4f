"""Who brings messages, as the settings say."""

from ipaddress import ip_network

import attrs
import trio

from actors.outgoing.absent import NoTexter
from actors.outgoing.http import HttpClient
from actors.outgoing.ports import Texter
from actors.outgoing.reachable import Reachable
from actors.outgoing.sms import SmsAccount, SmsTexter
from actors.outgoing.smtp import SmtpMailer
from actors.outgoing.webhooks import GuardedNetwork, WebhookCaller
from actors.referrals.callbacks import Signed, nobody_signs
from cli.errors import CommandFailed
from cli.secrets import in_thread
from config import Settings
from config.parsers import listed
from config.policies import SMS, SMTP, WEBHOOKS
from runtime.policies import Policies
from runtime.ports import Ports
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


@attrs.frozen
class Mails:
    """`watched` is the server's URL, where it is in a file."""

    mailer: SmtpMailer | None = None
    watched: tuple[WatchedSecret, ...] = ()


def mails(settings: Settings, policies: Policies, url: str | None = None) -> Mails:
    """The mail server; none where none is named. `url` is for one that nobody had to name."""
    named = settings.smtp_url or url
    if named is None:
        return Mails()
    rotating, limits = RotatingSecret(named), settings.policies[SMTP]
    threads = limits.running_max or 1
    mailer = SmtpMailer(rotating, settings.mail_sender, policies[SMTP], threads_max=threads)
    secret = settings.secrets["smtp"]
    if not secret.files:
        return Mails(mailer)
    return Mails(mailer, (WatchedSecret("smtp", rotating, in_thread(secret)),))


def hook_caller(settings: Settings, policies: Policies, ports: Ports) -> WebhookCaller:
    """Who calls merchants' servers."""
    allowed = tuple(map(ip_network, listed(settings.webhook_networks_allowed)))
    client = HttpClient(WEBHOOKS, GuardedNetwork(Reachable(allowed)))
    return WebhookCaller(client, policies[WEBHOOKS], ports.clock, ports.random)


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
