"""The chaos injector: delays, errors and hangs on purpose, for a share of the calls."""

from enum import Enum
from random import Random
from typing import TypeAlias

import attrs
import trio

from runtime.policies.errors import ChaosForbidden, ChaosInjected
from runtime.policies.metrics import PolicyMetrics


class Fault(Enum):
    """What happens to a call. After a DELAY it goes on."""

    DELAY = "delay"
    ERROR = "error"
    HANG = "hang"


@attrs.frozen(kw_only=True)
class ChaosSpec:
    """`fault` for `share` of the calls. A delay takes `delay_s` ± `spread_s`, evenly."""

    fault: Fault
    share: float = attrs.field(
        default=1.0, validator=(attrs.validators.ge(0.0), attrs.validators.le(1.0))
    )
    delay_s: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    spread_s: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))


Injected: TypeAlias = ChaosSpec | None


class Chaos:
    """The injector of one dependency, off until it is switched on. Only where it is `allowed`."""

    def __init__(
        self,
        name: str,
        random: Random,
        metrics: PolicyMetrics | None = None,
        *,
        allowed: bool = False,
    ) -> None:
        self.name = name
        self._random = random
        self._metrics = metrics if metrics is not None else PolicyMetrics()
        self._allowed = allowed
        self.spec: Injected = None

    def switch(self, spec: Injected) -> None:
        """From now on, do as `spec` says, or nothing. Raises `ChaosForbidden`."""
        if spec is not None and not self._allowed:
            raise ChaosForbidden(f"{self.name}: this application does not allow chaos")
        self.spec = spec

    async def strike(self) -> None:
        """Do to a call what is to be done. Raises `ChaosInjected`; cancelled like any wait."""
        spec = self.spec
        if spec is None or self._random.random() >= spec.share:
            return
        self._metrics.chaos(self.name, spec.fault.value)
        match spec.fault:
            case Fault.DELAY:
                spread_s = self._random.uniform(-spec.spread_s, spec.spread_s)
                await trio.sleep(max(0.0, spec.delay_s + spread_s))
            case Fault.HANG:
                await trio.sleep_forever()
            case Fault.ERROR:
                await trio.lowlevel.checkpoint()
                raise ChaosInjected(self.name, "failed on purpose")
