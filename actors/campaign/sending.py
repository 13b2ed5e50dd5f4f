"""Sending the messages of one step: who may get one, what it says, what the provider answers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import msgspec
import structlog
import trio

from actors.campaign.delivery_model import Leased, NotTried, Result, Suppressed
from actors.campaign.delivery_records import BroadcastRow
from actors.campaign.messages import SendChannel
from actors.campaign.templates import Rendered, TemplateTrouble, one_line, render
from actors.core.messages import (
    INTEGRATIONS,
    MERCHANTS,
    QUERIES,
    Channel,
    Contact,
    GetContacts,
    GetIntegrationSecret,
    GetMerchant,
    GetSettings,
    IntegrationSecret,
    MerchantSettings,
    Provider,
)
from actors.outgoing.ports import (
    Accepted,
    FailedForGood,
    FailedForNow,
    Hook,
    HookCaller,
    Mail,
    Mailer,
    Sent,
    Text,
    Texter,
)
from actors.outgoing.twilio import status_url
from runtime import ActorSystem, Outcome
from runtime.policies import PolicyError, RateLimited

log = structlog.get_logger("loyalnest.campaign")

CONSENT_OF: Mapping[SendChannel, Channel | None] = {
    SendChannel.EMAIL: Channel.EMAIL,
    SendChannel.SMS: Channel.SMS,
    SendChannel.WEBHOOK: None,
}
"""The consent that a message needs. A webhook goes to the merchant's own server."""

NOT_NOW_S = 2.0
"""For a refusal that does not say when to come back."""

RATE_WAITS_MAX = 20
RATE_WAIT_S_MAX = 1.0
"""A step goes on at the provider's rate as long as it has to wait no longer than that."""

FIND_S = 2.0
"""Looking for a message of unknown fate; the others of its step wait as long."""

HOOK_TOPIC = "campaign.message"

Results: TypeAlias = dict[str, Result]


@attrs.frozen(kw_only=True)
class Providers:
    """Who brings the messages of each channel; None where nothing is set up. `public_url` is where
    customers reach us, `callback_url` where providers do, if they can."""

    mailer: Mailer | None = None
    texter: Texter | None = None
    hooks: HookCaller | None = None
    public_url: str = "http://127.0.0.1:8080"
    callback_url: str | None = None

    def honours_keys(self, channel: SendChannel) -> bool:
        provider = {
            SendChannel.EMAIL: self.mailer,
            SendChannel.SMS: self.texter,
            SendChannel.WEBHOOK: self.hooks,
        }[channel]
        return provider is not None and provider.honours_keys

    def status_url(self, merchant_id: str) -> str | None:
        return status_url(self.callback_url, merchant_id) if self.callback_url else None


@attrs.frozen
class Shop:
    """What the messages of a merchant say about it."""

    name: str
    settings: MerchantSettings
    hook: IntegrationSecret | None


Send: TypeAlias = Callable[[str], Awaitable[Sent]]
"""Sends a message that is made already, under its key."""

Find: TypeAlias = Callable[[], Awaitable[Accepted | FailedForNow | None]]
"""Looks for a message of unknown fate at the provider."""


@attrs.frozen
class Ready:
    """A message that is made, and how to bring it; with `find`, its provider lists what it took."""

    send: Send
    find: Find | None = None


@attrs.frozen
class Sender:
    """Sends to all recipients of a step at the same time, as far as the provider allows it."""

    system: ActorSystem
    providers: Providers

    async def send(
        self, broadcast: BroadcastRow, leased: Sequence[Leased], results: Results
    ) -> None:
        """Put what became of each into `results`, by delivery. Raises what asks raise, before
        anything was sent. Cancelled, what is not in `results` may have been sent."""
        shop = await self._shop(broadcast)
        channel = CONSENT_OF[broadcast.channel]
        ids = tuple(each.customer_id for each in leased)
        question = GetContacts(broadcast.merchant_id, channel, ids)
        found = await self.system.ref(QUERIES).ask(question)
        contacts = {contact.customer_id: contact for contact in found}

        async def one(each: Leased) -> None:
            contact = contacts.get(each.customer_id)
            await self.system.foreground.quiet()
            results[each.delivery_id] = await self._one(broadcast, shop, each, contact)

        async with trio.open_nursery() as nursery:
            for each in leased:
                nursery.start_soon(one, each)

    async def _shop(self, broadcast: BroadcastRow) -> Shop:
        merchant_id = broadcast.merchant_id
        merchant = await self.system.ref(MERCHANTS).ask(GetMerchant(merchant_id))
        version = await self.system.ref(MERCHANTS).ask(GetSettings(merchant_id))
        hook = None
        if broadcast.channel is SendChannel.WEBHOOK:
            secret = GetIntegrationSecret(merchant_id, Provider.WEBHOOK)
            hook = await self.system.ref(INTEGRATIONS).ask(secret)
        return Shop(merchant.name if merchant is not None else "", version.settings, hook)

    async def _one(
        self, broadcast: BroadcastRow, shop: Shop, leased: Leased, contact: Contact | None
    ) -> Result:
        refused = _refused(broadcast.channel, contact)
        if refused is not None or contact is None:
            return Suppressed(refused or "customer_gone")
        try:
            ready = self._ready(broadcast, shop, leased, contact)
        except TemplateTrouble as trouble:
            return FailedForGood("invalid_template", str(trouble))
        if isinstance(ready, FailedForGood):
            return ready
        result = await _tried(ready.send, leased.delivery_id)
        if ready.find is not None and isinstance(result, FailedForNow) and result.uncertain:
            return await _found(ready.find, leased.delivery_id) or result
        return result

    def _ready(
        self, broadcast: BroadcastRow, shop: Shop, leased: Leased, contact: Contact
    ) -> Ready | FailedForGood:
        """The message, made, and the provider that is to have it."""
        link = f"{self.providers.public_url}/v1/unsubscribe?token={contact.unsubscribe}"
        message = render(broadcast.content, _variables(shop, leased, contact, link))
        match broadcast.channel:
            case SendChannel.EMAIL:
                return self._mail(shop, contact, message, link)
            case SendChannel.SMS:
                return self._text(broadcast.merchant_id, contact, message)
            case SendChannel.WEBHOOK:
                return self._hook(broadcast, shop, leased, message)

    def _mail(
        self, shop: Shop, contact: Contact, message: Rendered, link: str
    ) -> Ready | FailedForGood:
        mailer = self.providers.mailer
        if mailer is None:
            return FailedForGood("no_provider", "no mail server is set up")
        mail = Mail(
            to=contact.address or "",
            subject=message.subject or "",
            text=message.text,
            html=message.html,
            sender_name=one_line(shop.name),
            reply_to=shop.settings.support_email,
            headers=(
                ("List-Unsubscribe", f"<{link}>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ),
        )
        return Ready(lambda key: mailer.send(mail, key))

    def _text(self, merchant_id: str, contact: Contact, message: Rendered) -> Ready | FailedForGood:
        texter = self.providers.texter
        if texter is None:
            return FailedForGood("no_provider", "no provider of short messages is set up")
        url = self.providers.status_url(merchant_id)
        text = Text(to=contact.address or "", body=message.text, status_url=url)
        since = self.system.clock.now().replace(microsecond=0)
        return Ready(
            lambda key: texter.send(merchant_id, text, key),
            None if texter.honours_keys else lambda: texter.find(merchant_id, text, since),
        )

    def _hook(
        self, broadcast: BroadcastRow, shop: Shop, leased: Leased, message: Rendered
    ) -> Ready | FailedForGood:
        hooks, hook = self.providers.hooks, shop.hook
        if hooks is None or hook is None:
            return FailedForGood("no_provider", "the merchant has no webhook integration")
        body = {
            "campaign_id": broadcast.campaign_id,
            "delivery_id": leased.delivery_id,
            "customer_id": leased.customer_id,
            "occasion": leased.occasion,
            "message": message.text,
        }
        call = Hook(
            url=hook.account,
            body=msgspec.json.encode(body),
            topic=HOOK_TOPIC,
            secrets=hook.secrets,
        )
        return Ready(lambda key: hooks.send(call, key))


def _refused(channel: SendChannel, contact: Contact | None) -> str | None:
    """Why somebody gets nothing, whatever it says."""
    if contact is None:
        return "customer_gone"
    if channel is SendChannel.WEBHOOK:
        return None
    if not contact.consented:
        return "no_consent"
    return None if contact.address else "no_address"


def _variables(shop: Shop, leased: Leased, contact: Contact, link: str) -> Mapping[str, Any]:
    variables: dict[str, Any] = {
        "customer": {"id": contact.customer_id, "name": contact.display_name or ""},
        "shop": {"name": shop.name, "website": shop.settings.website or ""},
        "links": {"unsubscribe": link},
    }
    if leased.facts is not None:
        variables["occasion"] = leased.facts
    return variables


async def _at_the_rate(send: Send, key: str) -> Sent:
    """Send when the provider's rate allows it. Raises `RateLimited` where that is not soon."""
    for _ in range(RATE_WAITS_MAX):
        try:
            return await send(key)
        except RateLimited as error:
            wait_s = error.retry_after_s or 0.0
            if wait_s > RATE_WAIT_S_MAX:
                raise
        await trio.sleep(wait_s)
    return await send(key)


async def _tried(send: Send, key: str) -> Result:
    """What the provider answers; what our own policies say in its place."""
    try:
        return await _at_the_rate(send, key)
    except PolicyError as error:
        if error.outcome is Outcome.UNKNOWN:
            return FailedForNow("no_answer", error.detail, uncertain=True)
        wait_s = error.retry_after_s if error.retry_after_s is not None else NOT_NOW_S
        return NotTried(type(error).__name__, max(wait_s, NOT_NOW_S))
    except Exception as error:
        log.error("sending_failed", delivery=key, exc_info=error)
        return FailedForNow("internal_error", type(error).__name__, uncertain=True)


async def _found(find: Find, key: str) -> Accepted | None:
    """The message where its provider has it after all. That it lists none proves nothing: it may
    still be on its way."""
    with trio.move_on_after(FIND_S):
        try:
            found = await find()
        except Exception as error:
            log.warning("text_not_looked_for", delivery=key, error=type(error).__name__)
            return None
        return found if isinstance(found, Accepted) else None
    return None
