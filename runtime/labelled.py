"""Metrics of a process with labels that all of them get: which of several processes it is."""

from collections.abc import Iterator, Mapping

import attrs
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric


@attrs.frozen(eq=False)
class LabelledRegistry(CollectorRegistry):
    """Everything in another registry, with `labels` added to each sample. To be scraped only."""

    registry: CollectorRegistry
    labels: Mapping[str, str]

    def collect(self) -> Iterator[Metric]:
        """Its metrics as they are now."""
        for metric in self.registry.collect():
            labelled = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            labelled.samples = [
                sample._replace(labels={**sample.labels, **self.labels})
                for sample in metric.samples
            ]
            yield labelled
