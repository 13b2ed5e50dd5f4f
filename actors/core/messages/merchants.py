"""Merchants: their profile, versioned settings, and the plan that bounds what they keep here."""

from datetime import datetime
from enum import Enum

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

MERCHANTS = "core.merchants"
"""Name of the actor that keeps merchants."""


@attrs.frozen
class Merchant:
    merchant_id: str
    name: str
    currency: str
    created_at: datetime


@attrs.frozen
class RegisterMerchant(Call[Merchant | Refusal]):
    """Create a merchant; the same registration again answers the same merchant.

    `publishes` are events of the transaction that creates it.
    """

    merchant_id: str
    name: str
    currency: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class GetMerchant(Call[Merchant | None]):
    """To `MERCHANTS`. A change made by another process may be seen up to 5 s late."""

    merchant_id: str


@attrs.frozen
class ListMerchants(Call[Page[Merchant] | Refusal]):
    """To `QUERIES`, in the order of their ids: all, or those whose id or name contains `text`,
    without regard to case."""

    text: str = ""
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class RenameMerchant(Call[Merchant | Refusal]):
    """To `MERCHANTS`: give a merchant another name. `publishes` as in `RegisterMerchant`."""

    merchant_id: str
    name: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen(kw_only=True)
class MerchantSettings:
    """What a merchant chooses. `time_zone` is an IANA name, `locale` a language tag such as
    `de-CH`; `support_email` is the shop's own address, shown to its customers."""

    time_zone: str = "UTC"
    locale: str = "en"
    support_email: str | None = None
    website: str | None = None


@attrs.frozen
class SettingsVersion:
    """The settings as somebody left them. Version 0 are the defaults, which nobody chose."""

    version: int
    settings: MerchantSettings
    changed_by: str | None = None
    changed_at: datetime | None = None


@attrs.frozen
class ChangeSettings(Call[SettingsVersion | Refusal]):
    """To `MERCHANTS`: add the next version.

    It must be told which version it is based on: a change of somebody else in between is a
    conflict. The settings that are in force already make no new version.
    """

    merchant_id: str
    settings: MerchantSettings
    based_on: int
    changed_by: str
    publishes: tuple[OutboxEvent, ...] = ()


@attrs.frozen
class GetSettings(Call[SettingsVersion]):
    merchant_id: str


@attrs.frozen
class ListSettings(Call[Page[SettingsVersion] | Refusal]):
    """All versions, the newest first."""

    merchant_id: str
    limit: int = 50
    cursor: str | None = None


class Plan(Enum):
    """What a merchant subscribed to; `actors/core/plans.py` has the bounds of each."""

    STARTER = "starter"
    GROWTH = "growth"
    SCALE = "scale"
    UNLIMITED = "unlimited"


class QuotaState(Enum):
    """`WARNING` from 80% of the limit; at the limit, what would exceed it is refused."""

    OK = "ok"
    WARNING = "warning"
    STOPPED = "stopped"


@attrs.frozen
class Quota:
    """`name` is `customers`, or `orders_this_month` (by the time of recording, in UTC)."""

    name: str
    used: int
    limit: int | None
    state: QuotaState


@attrs.frozen
class PlanUsage:
    """The plan in force, since when, and how much of it is used."""

    plan: Plan
    since: datetime | None
    quotas: tuple[Quota, ...]


@attrs.frozen
class GetPlanUsage(Call[PlanUsage]):
    """To `QUERIES`. It counts rows: not for every request."""

    merchant_id: str


@attrs.frozen
class ChangePlan(Call[Plan | Refusal]):
    """To `MERCHANTS`: another plan from now on. What is there already stays, even where it is
    more than the new plan allows. `publishes` as in `RegisterMerchant`."""

    merchant_id: str
    plan: Plan
    publishes: tuple[OutboxEvent, ...] = ()
