"""The way out of the outbox: its oldest events are offered to all their consumers at once."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from runtime.delivery import Part
from runtime.lateness import Ledger
from runtime.outbox import OutboxEvent
from runtime.outbox_metrics import OutboxMetrics
from runtime.outbox_store import PAGE, OutboxStore, Page
from runtime.outlet import Offer, Outlet
from runtime.storage import Write
from runtime.storage.outbox import outbox_delete

PATIENCE_S = 1.0
"""How long all wait for the slowest consumer before its events become late deliveries."""

StartTask = Callable[..., None]


@attrs.frozen
class Share:
    """What of a page goes to one outlet: `offer` holds what may be delivered now, `behind` is
    late at once."""

    outlet: Outlet
    offer: Offer
    behind: Part

    def ledger(self) -> Ledger:
        """What it comes to. An offer that is not done by now is overdue."""
        ledger = self.outlet.ledger()
        if not self.offer.done.is_set():
            ledger.postpone(self.offer.part)
        for judged in self.offer.report.judged:
            ledger.first_time(judged)
        ledger.postpone(self.behind)
        return ledger


@attrs.define
class Dispatcher:
    """Empties the outbox page by page. What a consumer does not take becomes a late delivery
    in the transaction that deletes the event, so that no page is looked at twice."""

    _store: OutboxStore
    _subscriptions: Mapping[str, Sequence[str]]
    _outlets: Mapping[str, Outlet]
    _metrics: OutboxMetrics
    _start_task: StartTask

    async def empty_one_page(self) -> bool:
        """Bring the oldest events out of the outbox; whether there may be more that nobody tells
        of. Those that come meanwhile are told of.

        Raises `StorageError` or `ActorError` when what became of them could not be written; then
        they are delivered again.
        """
        outlets = self._outlets.values()
        sure = self._store.sure
        page = await self._store.page([o.consumer for o in outlets if o.late or not sure])
        if not page.events:
            return False
        shares, unsubscribed = self._shares(page)
        await self._offer(shares)
        ledgers = [(share, share.ledger()) for share in shares]
        writes = [outbox_delete(event.merchant_id, event.event_id) for event in page.events]
        for _, ledger in ledgers:
            writes += ledger.writes
        await self._write(writes, ledgers)
        self._metrics.count("unsubscribed", unsubscribed)
        return len(page.events) >= PAGE

    def _shares(self, page: Page) -> tuple[list[Share], list[OutboxEvent]]:
        shares: list[Share] = []
        unsubscribed: list[OutboxEvent] = []
        for topic, part in _by_topic(page.events).items():
            consumers = self._subscriptions.get(topic, ())
            shares += [self._share(self._outlets[name], part, page) for name in consumers]
            if not consumers:
                unsubscribed += part
        return shares, unsubscribed

    def _share(self, outlet: Outlet, part: Part, page: Page) -> Share:
        if not outlet.open:
            return Share(outlet, Offer(()), part)
        lanes = page.behind.get(outlet.consumer, frozenset())
        if not lanes:
            return Share(outlet, Offer(part), ())
        ready = tuple(event for event in part if event.lane not in lanes)
        return Share(outlet, Offer(ready), tuple(event for event in part if event.lane in lanes))

    async def _offer(self, shares: Sequence[Share]) -> None:
        """Offer everything at the same time, and wait as long as patience lasts."""
        for share in shares:
            self._start_task(share.outlet.send, share.offer)
        with trio.move_on_after(PATIENCE_S):
            for share in shares:
                await share.offer.done.wait()

    async def _write(self, writes: list[Write], ledgers: list[tuple[Share, Ledger]]) -> None:
        for share, _ in ledgers:
            share.outlet.heed(share.offer)
        try:
            await self._store.write(writes)
        finally:
            for share, ledger in ledgers:
                if ledger.writes:
                    share.outlet.moved()
        for share, ledger in ledgers:
            share.outlet.count(ledger)


def _by_topic(events: Sequence[OutboxEvent]) -> dict[str, Part]:
    groups: dict[str, list[OutboxEvent]] = defaultdict(list)
    for event in events:
        groups[event.topic].append(event)
    return {topic: tuple(group) for topic, group in groups.items()}
