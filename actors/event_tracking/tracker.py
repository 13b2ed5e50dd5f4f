"""The actor that takes events: into memory, and no further."""

from typing import Any, ClassVar

from actors.event_tracking.messages import Accepted, Track
from actors.event_tracking.metrics import TrackingMetrics, tracking_metrics
from actors.event_tracking.stock import Stock
from runtime import Actor


class Tracker(Actor):
    """Neither disk nor database can hold it up, nor make it fail. Others take it from there."""

    child_tasks: ClassVar[bool] = False

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._metrics: TrackingMetrics

    async def started(self) -> None:
        self._metrics = tracking_metrics(self.system.metrics.registry)

    async def receive(self, message: Any) -> object:
        if isinstance(message, Track):
            return self._take(message)
        return await super().receive(message)

    def _take(self, message: Track) -> Accepted:
        return self._stock.accept(message.parcels, self._metrics)
