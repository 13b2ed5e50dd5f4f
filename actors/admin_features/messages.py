"""What other parts of LoyalNest may say to the admin_features domain, and what it answers."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Protocol

import attrs

from actors.vocabulary import Page, Refusal
from runtime.message import Call
from runtime.outbox import OutboxEvent

FLAGS = "admin_features.flags"
"""Name of the actor that writes and lists flags."""

KEEPER = "admin_features.keeper"
"""Name of the actor that keeps this process's flags fresh, and evaluates them for others."""

FLAG_CHANGED = "admin_features.flag_changed"
"""Topic of the outbox event that follows every change of a flag; payload: `FlagChanged`."""

KEY_PATTERN = r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*"
KEY_LENGTH_MAX = 64
TARGETS_MAX = 20
CONDITIONS_MAX = 5
VALUES_MAX = 100
OVERRIDES_MAX = 1_000
EVALUATED_MAX = 100
"""Flags in one `EvaluateFlags`."""

WHOLE = 10_000
"""Basis points that make everybody."""

FlagValue = bool | int | str


class FlagType(Enum):
    BOOLEAN = "boolean"
    INTEGER = "integer"
    TEXT = "text"


class Operator(Enum):
    """How an attribute is compared. Only numbers are `AT_LEAST` or `AT_MOST`; what is not there
    fits nothing, not even `NOT_IN`."""

    IN = "in"
    NOT_IN = "not_in"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"


@attrs.frozen(kw_only=True)
class Condition:
    attribute: str
    operator: Operator
    values: tuple[FlagValue, ...]


@attrs.frozen(kw_only=True)
class Target:
    """`value` for those whom all conditions fit."""

    conditions: tuple[Condition, ...]
    value: FlagValue


@attrs.frozen(kw_only=True)
class Rollout:
    """`value` for so many of 10,000 subjects. Raising it keeps those who are in."""

    basis_points: int
    value: FlagValue


@attrs.frozen(kw_only=True)
class FlagTerms:
    """What a flag says. `default` is the safe value: what holds when nothing else is known.

    Outside of `starts_at` and `ends_at`, and while it is `killed`, it is the default for
    everybody. Only what is `exposed` is told to those who are not operators.
    """

    type: FlagType
    default: FlagValue
    description: str
    killed: bool = False
    overrides: Mapping[str, FlagValue] = attrs.field(factory=dict)
    targets: tuple[Target, ...] = ()
    rollout: Rollout | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    exposed: bool = False


@attrs.frozen
class Flag:
    """A flag as of its `version`, which counts its changes."""

    key: str
    version: int
    terms: FlagTerms
    changed_at: datetime


class Reason(Enum):
    """Why a flag has the value it has.

    `UNKNOWN`: there is no such flag, or not of that type. `STALE`: nothing was heard of it for too
    long. Both have the default of whoever asks.
    """

    KILL = "kill"
    OVERRIDE = "override"
    TARGETING = "targeting"
    PERCENTAGE = "percentage"
    DEFAULT = "default"
    UNKNOWN = "unknown"
    STALE = "stale"


@attrs.frozen
class Evaluation:
    """`version` is that of the flag; 0 where there is none."""

    key: str
    value: FlagValue | None
    reason: Reason
    version: int


@attrs.frozen
class Subject:
    """For whom a flag is evaluated. `name` is what a percentage goes by: a customer, say; without
    one it is the merchant."""

    merchant_id: str | None = None
    name: str | None = None
    attributes: Mapping[str, FlagValue] = attrs.field(factory=dict)


NOBODY = Subject()


class Flags(Protocol):
    """The flags of this process, from memory: nothing here waits, asks or raises."""

    def boolean(self, key: str, default: bool, subject: Subject = NOBODY) -> bool: ...

    def integer(self, key: str, default: int, subject: Subject = NOBODY) -> int: ...

    def text(self, key: str, default: str, subject: Subject = NOBODY) -> str: ...


class Defaults:
    """The flags of a process that has none."""

    def boolean(self, _key: str, default: bool, _subject: Subject = NOBODY) -> bool:
        return default

    def integer(self, _key: str, default: int, _subject: Subject = NOBODY) -> int:
        return default

    def text(self, _key: str, default: str, _subject: Subject = NOBODY) -> str:
        return default


@attrs.frozen
class PutFlag(Call[Flag | Refusal]):
    """To `FLAGS`: create a flag, or change it.

    `version` is that of the flag that is changed (0: there is none yet); when somebody else was
    faster, it is a conflict. The same terms again change nothing. `audit` is published with it.
    """

    key: str
    terms: FlagTerms
    version: int
    by: str
    reason: str
    audit: OutboxEvent


@attrs.frozen
class KillFlag(Call[Flag | Refusal]):
    """To `FLAGS`: the default for everybody, or (`killed` false) no longer."""

    key: str
    killed: bool
    by: str
    reason: str
    audit: OutboxEvent


@attrs.frozen
class OverrideFlag(Call[Flag | Refusal]):
    """To `FLAGS`: another value for one merchant, or (None) no longer."""

    key: str
    merchant_id: str
    value: FlagValue | None
    by: str
    reason: str
    audit: OutboxEvent


@attrs.frozen
class GetFlag(Call[Flag | None]):
    key: str


@attrs.frozen
class ListFlags(Call[Page[Flag] | Refusal]):
    """By their keys."""

    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class FlagRevision:
    """A version of a flag: who made it, and why."""

    version: int
    terms: FlagTerms
    changed_at: datetime
    changed_by: str
    reason: str


@attrs.frozen
class FlagHistory(Call[Page[FlagRevision] | Refusal]):
    """Newest first."""

    key: str
    limit: int = 50
    cursor: str | None = None


@attrs.frozen
class FlagChanged:
    """Payload of the outbox event."""

    key: str
    version: int


@attrs.frozen
class EvaluateFlags(Call[tuple[Evaluation, ...]]):
    """To `KEEPER`: answered from memory. Flags that are unknown, or not `exposed` where only those
    are asked for, have no value. At most `EVALUATED_MAX` keys; without any, all that may be told,
    up to that number."""

    keys: tuple[str, ...]
    subject: Subject
    only_exposed: bool = True


@attrs.frozen(kw_only=True)
class FlagsStatus:
    """How fresh this process's flags are. `revision` grows with every change it knows of; `age_s`
    is None where nothing was ever heard."""

    flags: int
    revision: int
    age_s: float | None
    stale: bool


@attrs.frozen
class GetFlagsStatus(Call[FlagsStatus]):
    """To `KEEPER`."""
