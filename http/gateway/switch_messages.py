"""What may be said to the switchboard."""

from typing import Final

import attrs

from actors.vocabulary import Refusal
from runtime.message import Call, Cast
from runtime.policies import (
    ChaosSpec,
    ForcedState,
    PipelineStatistics,
    Priority,
    SheddingMode,
    SheddingStatistics,
)
from supervisors.switches import Switched, SwitchKind

SWITCHBOARD: Final = "controls.switchboard"
"""Name of the actor that operators' switches go through."""

SHEDDER: Final = "gateway"
"""Target of the switch of load shedding."""


@attrs.frozen(kw_only=True)
class Order:
    """Who wants it, why, and for how many seconds; None: until somebody changes it."""

    subject: str
    role: str
    reason: str
    trace_id: str | None = None
    for_s: float | None = None


@attrs.frozen
class SwitchBreaker(Call[Refusal | None]):
    """Hold the breaker of a dependency in a state; None lets it go by itself again.

    When it is answered, the audit log is certain to have it, and only then it has taken effect.
    """

    name: str
    state: ForcedState | None
    order: Order


@attrs.frozen
class SwitchChaos(Call[Refusal | None]):
    """Do this to calls of a dependency, or (None) nothing any more. Audited as `SwitchBreaker`."""

    name: str
    spec: ChaosSpec | None
    order: Order


@attrs.frozen
class SwitchShedding(Call[Refusal | None]):
    """Whether to shed load by itself, and which priorities to turn away in any case. Audited as
    `SwitchBreaker`."""

    mode: SheddingMode
    shed: frozenset[Priority]
    order: Order


@attrs.frozen
class GetPolicies(Call[tuple[PipelineStatistics, ...]]):
    """The pipelines of all dependencies as they are now."""


@attrs.frozen
class GetShedding(Call[SheddingStatistics]):
    """Load shedding as it is now."""


@attrs.frozen
class GetSwitches(Call[tuple[Switched, ...]]):
    """What is switched at present."""


@attrs.frozen
class SwitchBack(Cast):
    """To itself: the time of a switch is up."""

    kind: SwitchKind
    target: str
