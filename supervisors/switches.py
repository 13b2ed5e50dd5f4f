"""What operators have switched: at present, and until when."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any

import attrs

from runtime.outbox import OutboxEvent

UNRECORDED_MAX = 1_000


class SwitchKind(Enum):
    """What is switched: the breaker of a dependency, faults on purpose, or load shedding."""

    BREAKER = "breaker"
    CHAOS = "chaos"
    SHEDDING = "shedding"


@attrs.frozen
class Switched:
    """Something that is not as it would be by itself. `state` is a JSON value.

    `until` is when it goes back by itself, `ends_at` the same on Trio's clock; None for a switch
    that stays.
    """

    kind: SwitchKind
    target: str
    state: dict[str, Any]
    by: str
    reason: str
    since: datetime
    until: datetime | None = None
    ends_at: float | None = None


@attrs.define
class Switches:
    """Those that are on. They outlive whoever sets them, as what they switch does.

    `unrecorded` are audit entries that wait for the database, of what went back without it.
    """

    unrecorded: deque[OutboxEvent] = attrs.field(factory=lambda: deque(maxlen=UNRECORDED_MAX))
    _on: dict[tuple[SwitchKind, str], Switched] = attrs.field(factory=dict)

    def __iter__(self) -> Iterator[Switched]:
        return iter(tuple(self._on.values()))

    def get(self, kind: SwitchKind, target: str) -> Switched | None:
        return self._on.get((kind, target))

    def put(self, switched: Switched) -> None:
        self._on[switched.kind, switched.target] = switched

    def remove(self, kind: SwitchKind, target: str) -> None:
        self._on.pop((kind, target), None)
