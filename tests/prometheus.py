"""Our alert rules, as Prometheus would evaluate them over the samples it has scraped."""

from itertools import chain
from pathlib import Path

import attrs
import yaml

from tests.promql import Labels, Node, Store, Vector, labels_of, parse, without_name

RULES = Path(__file__).parents[1] / "config" / "monitoring" / "alerts.yaml"
UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0}


@attrs.frozen
class Alert:
    name: str
    expression: Node
    for_s: float


@attrs.define
class Prometheus:
    """Rules that are evaluated once a minute over a store."""

    store: Store = attrs.field(factory=Store)
    records: list[tuple[str, dict[str, str], Node]] = attrs.field(factory=list)
    alerts: dict[str, Alert] = attrs.field(factory=dict)
    time: float = 0.0
    _pending_since: dict[str, dict[Labels, float]] = attrs.field(factory=dict)

    @classmethod
    def loaded(cls) -> "Prometheus":
        made = cls()
        groups = yaml.safe_load(RULES.read_text())["groups"]
        for rule in chain.from_iterable(group["rules"] for group in groups):
            expression = parse(rule["expr"])
            if "record" in rule:
                made.records.append((rule["record"], rule["labels"], expression))
            else:
                wait = rule.get("for", "0s")
                for_s = float(wait[:-1]) * UNITS[wait[-1]]
                made.alerts[rule["alert"]] = Alert(rule["alert"], expression, for_s)
        return made

    def record(self) -> None:
        for name, labels, expression in self.records:
            for found, value in expression.value(self.store, self.time).items():
                merged = dict(without_name(found)) | labels
                self.store.add(labels_of(name, **merged), self.time, value)

    def scraped(self, values: Vector) -> None:
        """What the metrics are now."""
        for labels, value in values.items():
            self.store.add(labels, self.time, value)

    def fires(self, name: str) -> bool:
        """Whether the alert does now; to be asked at each step."""
        alert = self.alerts[name]
        pending = self._pending_since.get(name, {})
        active = alert.expression.value(self.store, self.time)
        since = {labels: pending.get(labels, self.time) for labels in active}
        self._pending_since[name] = since
        return any(self.time - begin >= alert.for_s for begin in since.values())
