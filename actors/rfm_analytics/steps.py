"""The steps of a run: what is written in each, and where the run is afterwards."""

from collections.abc import Iterable

import attrs
import msgspec

from actors.core.messages import QUERIES as CORE_QUERIES
from actors.core.messages import BuyerSummary, SummariseBuyers
from actors.rfm_analytics.beginning import append
from actors.rfm_analytics.messages import PROSPECT, Scoring
from actors.rfm_analytics.metrics import rfm_metrics
from actors.rfm_analytics.model import (
    Cuts,
    places,
    quintile_ranks,
    recency_days,
    threshold_cuts,
)
from actors.rfm_analytics.pacing import Pace
from actors.rfm_analytics.queries import (
    COLLECTED,
    END_OF_SLICE,
    FREQUENCY,
    INSERT_CELL,
    INSERT_SCORES,
    MONETARY,
    RECENCY,
    SCORE,
    SCORED,
    SET_CUTS,
    TELL_HISTORY,
    ranked,
)
from actors.rfm_analytics.records import StoredRun
from runtime.storage import Database, Write
from runtime.storage.deadlines import patient
from runtime.system import ActorSystem

ASK_TIMEOUT_S = 20.0
SORT_TIMEOUT_S = 120.0
NOBODY = (0, 0, 0, 0)


@attrs.frozen
class Steps:
    """Makes the steps of one merchant's runs.

    Each is written together with the number of the step, which has to be the one that was read:
    `Superseded` says that somebody else is working on the run. Raises what the store and the
    journal raise.
    """

    system: ActorSystem
    database: Database
    merchant_id: str
    pace: Pace

    async def advance(self, place: StoredRun) -> StoredRun | None:
        """The next step; None where only the publication is left."""
        if place.cuts is not None:
            return await self._score(place)
        run, customers = place.run, self.pace.customers
        question = SummariseBuyers(
            self.merchant_id, run.currency, run.as_of, place.cursor, customers
        )
        buyers = await self.system.ref(CORE_QUERIES).ask(question, timeout_s=ASK_TIMEOUT_S)
        return await (self._collect(place, buyers) if buyers else self._cut(place))

    async def _collect(self, place: StoredRun, buyers: tuple[BuyerSummary, ...]) -> StoredRun:
        cursor = buyers[-1].customer_id
        counts = (
            len(buyers),
            sum(buyer.orders > 0 for buyer in buyers),
            sum(buyer.orders for buyer in buyers),
            sum(buyer.spent_minor for buyer in buyers),
            sum(buyer.foreign_orders for buyer in buyers),
        )
        collected = Write(COLLECTED, (*self._key(place), cursor, *counts))
        rows = [self._facts(place, buyer) for buyer in buyers]
        entry = (collected, *(Write(INSERT_SCORES, row) for row in rows))
        await append(self.system, entry, in_background=True, synchronous=False)
        rfm_metrics(self.system.metrics.registry).customers.inc(len(buyers))
        customers, scored, orders, revenue_minor, foreign_orders = counts
        run = attrs.evolve(
            place.run,
            customers=place.run.customers + customers,
            scored=place.run.scored + scored,
            orders=place.run.orders + orders,
            revenue_minor=place.run.revenue_minor + revenue_minor,
            foreign_orders=place.run.foreign_orders + foreign_orders,
        )
        return attrs.evolve(place, run=run, step=place.step + 1, cursor=cursor)

    def _facts(self, place: StoredRun, buyer: BuyerSummary) -> tuple[object, ...]:
        last = buyer.last_ordered_at
        days = recency_days(place.run.as_of, last) if last is not None else None
        facts = (buyer.orders, last, days, buyer.spent_minor)
        segment = PROSPECT if last is None else None
        return (self.merchant_id, place.number, buyer.customer_id, *facts, segment)

    async def _cut(self, place: StoredRun) -> StoredRun:
        """All facts are there: read off the cut points, and lay out the cells."""
        cuts = {
            Scoring.QUINTILE: await self._quintile_cuts(place),
            Scoring.THRESHOLD: threshold_cuts(place.run.orders, place.run.revenue_minor),
        }
        told = msgspec.to_builtins({scoring.value: cut for scoring, cut in cuts.items()})
        cut_points = Write(SET_CUTS, (*self._key(place), "", told))
        cells = self._cells(place) if place.run.scored else ()
        await append(self.system, (cut_points, *cells), in_background=True, synchronous=False)
        return attrs.evolve(place, cuts=cuts, step=place.step + 1, cursor="")

    async def _quintile_cuts(self, place: StoredRun) -> Cuts:
        ranks = quintile_ranks(place.run.scored)
        if not ranks:
            return Cuts((), (), ())
        found = []
        for value in (RECENCY, FREQUENCY, MONETARY):
            with patient(SORT_TIMEOUT_S):
                rows = await self.database.fetch(
                    ranked(value), self.merchant_id, place.number, *ranks
                )
            at = {row[0]: row[1] for row in rows}
            found.append(tuple(at[rank] for rank in ranks))
        return Cuts(*found)

    def _cells(self, place: StoredRun) -> Iterable[Write]:
        rules = place.terms.rules
        for cell, number in places(rules).items():
            segment = rules[number - 1].segment
            row = (place.run.scoring.value, *cell, segment, number, 0, 0, 0)
            yield Write(INSERT_CELL, (self.merchant_id, place.number, *row))

    async def _score(self, place: StoredRun) -> StoredRun | None:
        """Score the next slice, and keep who has other scores than before."""
        values = (self.merchant_id, place.number, place.cursor, self.pace.customers)
        end: str | None = await self.database.fetch_value(END_OF_SLICE, *values)
        if end is None:
            return None
        slice_ = (self.merchant_id, place.number, place.cursor, end)
        entry = [
            Write(SCORED, (*self._key(place), end)),
            Write(TELL_HISTORY, (*slice_, place.compared_with)),
        ]
        if place.run.scored and place.cuts is not None:
            cuts = place.cuts[place.run.scoring]
            points = (*cuts.recency, *cuts.frequency, *cuts.monetary)
            entry.append(Write(SCORE, (*slice_, place.run.scoring.value, *points)))
        await append(self.system, tuple(entry), in_background=True, synchronous=False)
        return attrs.evolve(place, step=place.step + 1, cursor=end)

    def _key(self, place: StoredRun) -> tuple[str, str, int]:
        return (self.merchant_id, place.run.run_id, place.step)
