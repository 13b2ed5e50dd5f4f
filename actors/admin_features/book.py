"""The flags of one process, in memory: read by everybody, written by the keeper alone."""

from collections.abc import Iterable
from datetime import datetime
from math import inf

from prometheus_client import CollectorRegistry

from actors.admin_features.evaluation import evaluate
from actors.admin_features.messages import (
    NOBODY,
    Evaluation,
    Flag,
    FlagsStatus,
    FlagValue,
    Reason,
    Subject,
)
from actors.admin_features.metrics import FlagMetrics
from actors.admin_features.records import Snapshot
from runtime.parking import monotonic
from runtime.ports import Clock
from runtime.registries import in_registry

STALE_S = 900.0
"""So long the last known flags count when nothing more is heard; then the defaults do."""


class FlagBook:
    """Implements `Flags`. It outlives the keeper, and every restart of it.

    Of two versions of a flag the higher one stays, whoever says what in which order.
    """

    def __init__(self) -> None:
        self._flags: dict[str, Flag] = {}
        self._confirmed_at = -inf
        self._clock: Clock | None = None
        self._metrics: FlagMetrics | None = None

    def attach(self, clock: Clock, registry: CollectorRegistry) -> None:
        """From now on, with the time, and counted."""
        self._clock = clock
        self._metrics = in_registry(registry, FlagMetrics)
        self._metrics.age.set_function(self._age_s)

    def take(self, snapshot: Snapshot, age_s: float = 0.0) -> bool:
        """Learn from a snapshot that was true `age_s` ago; whether anything in it was new."""
        new = False
        for key, flag in snapshot.flags.items():
            known = self._flags.get(key)
            if known is None or known.version < flag.version:
                self._flags[key] = flag
                new = True
        self._confirmed_at = max(self._confirmed_at, monotonic() - age_s)
        return new

    def snapshot(self, read_at: datetime) -> Snapshot:
        return Snapshot(read_at, dict(self._flags))

    def knows(self, key: str, version: int) -> bool:
        known = self._flags.get(key)
        return known is not None and known.version >= version

    def _age_s(self) -> float:
        """Outside of the loop there is no time, and nothing gets older."""
        try:
            return monotonic() - self._confirmed_at
        except RuntimeError:
            return 0.0

    @property
    def keys(self) -> Iterable[str]:
        return self._flags.keys()

    @property
    def status(self) -> FlagsStatus:
        age_s = self._age_s()
        revision = sum(flag.version for flag in self._flags.values())
        return FlagsStatus(
            flags=len(self._flags),
            revision=revision,
            age_s=age_s if age_s != inf else None,
            stale=age_s > STALE_S,
        )

    def boolean(self, key: str, default: bool, subject: Subject = NOBODY) -> bool:
        value = self.evaluate(key, default, subject).value
        return value if isinstance(value, bool) else default

    def integer(self, key: str, default: int, subject: Subject = NOBODY) -> int:
        value = self.evaluate(key, default, subject).value
        return value if isinstance(value, int) else default

    def text(self, key: str, default: str, subject: Subject = NOBODY) -> str:
        value = self.evaluate(key, default, subject).value
        return value if isinstance(value, str) else default

    def evaluate(
        self, key: str, default: FlagValue | None, subject: Subject, *, exposed: bool = False
    ) -> Evaluation:
        """With `default` where the flag is unknown, stale, or of another type than the default.
        With `exposed`, a flag that is not is unknown."""
        evaluation = self._evaluate(key, default, subject, exposed)
        if self._metrics is not None:
            self._metrics.evaluations[evaluation.reason].inc()
        return evaluation

    def _evaluate(
        self, key: str, default: FlagValue | None, subject: Subject, exposed: bool
    ) -> Evaluation:
        flag = self._flags.get(key)
        if flag is None or self._clock is None or (exposed and not flag.terms.exposed):
            return Evaluation(key, default, Reason.UNKNOWN, 0)
        if self._age_s() > STALE_S:
            fallback = default if default is not None else flag.terms.default
            return Evaluation(key, fallback, Reason.STALE, flag.version)
        if default is not None and type(default) is not type(flag.terms.default):
            return Evaluation(key, default, Reason.UNKNOWN, flag.version)
        return evaluate(flag, subject, self._clock.now())
