"""Findings: what a simulation found to be wrong."""

import attrs

from runtime.sim.trace import Trace

FINDINGS_MAX = 100
"""More of them say nothing new."""


@attrs.frozen
class Finding:
    """`rule` names the invariant that does not hold, `detail` says where."""

    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail}"


class SimulationFailed(AssertionError):
    """A simulation found something wrong."""


@attrs.define(eq=False)
class Findings:
    """Collected and traced, and not raised: within the program an exception would be a crash."""

    trace: Trace
    found: list[Finding] = attrs.field(factory=list)

    def add(self, rule: str, detail: str) -> None:
        finding = Finding(rule, detail)
        if len(self.found) < FINDINGS_MAX and finding not in self.found:
            self.found.append(finding)
            self.trace.found(str(finding))

    def check(self, condition: bool, rule: str, detail: str) -> None:
        """Add a finding unless `condition` holds."""
        if not condition:
            self.add(rule, detail)

    @property
    def rules(self) -> frozenset[str]:
        return frozenset(finding.rule for finding in self.found)

    def raise_any(self) -> None:
        """Raises `SimulationFailed` if there are findings."""
        if self.found:
            raise SimulationFailed("; ".join(map(str, self.found)))
