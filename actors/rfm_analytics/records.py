"""Between runs, configurations and scores, and what the store has of them."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import attrs
import msgspec

from actors.rfm_analytics.messages import (
    PROSPECT,
    CustomerScores,
    HistoryEntry,
    NewestRun,
    RfmConfig,
    RfmTerms,
    Run,
    RunState,
    Scoring,
    StartedBy,
)
from actors.rfm_analytics.model import Amounts, Cell, Cuts, names_of
from actors.rfm_analytics.queries import (
    INSERT_RUN,
    SELECT_CONFIG,
    SELECT_NEWEST_RUN,
    SELECT_NUMBERED_RUN,
    SELECT_RUN,
)
from runtime.storage import Database, Row, Write

DEFAULT = RfmConfig(0, RfmTerms())


class Kept(Enum):
    """Whether the customers of a run are still there."""

    ALL = "all"
    GOING = "going"
    GONE = "gone"


@attrs.frozen(kw_only=True)
class StoredRun:
    """A run, and where its job is.

    `number` counts the runs of the merchant. `step` counts what was written for it, and fences
    those who come too late; `cursor` is the last customer of the phase that is under way, which is
    collecting until there are `cuts`. `compared_with` is the number of the run published before.
    `told_to` is the last customer whose change of segment was told.
    """

    run: Run
    number: int
    terms: RfmTerms
    job_id: str | None
    step: int
    cursor: str
    compared_with: int
    cuts: Mapping[Scoring, Cuts] | None = None
    told_to: str = ""
    kept: Kept = Kept.ALL

    @property
    def live(self) -> bool:
        return self.run.state in {RunState.QUEUED, RunState.RUNNING}


def run_of(row: Row) -> StoredRun:
    """A row of `RUN_COLUMNS`."""
    terms = msgspec.convert(row["terms"], RfmTerms)
    run = Run(
        run_id=row["run_id"],
        state=RunState(row["state"]),
        started_by=StartedBy(row["started_by"]),
        as_of=row["as_of"],
        currency=row["currency"],
        config_version=row["config_version"],
        scoring=terms.scoring,
        created_at=row["created_at"],
        begun_at=row["begun_at"],
        published_at=row["published_at"],
        ended_at=row["ended_at"],
        reason=row["reason"],
        attempts=row["attempts"],
        customers=row["customers"],
        scored=row["scored"],
        orders=row["orders"],
        revenue_minor=row["revenue_minor"],
        foreign_orders=row["foreign_orders"],
    )
    return StoredRun(
        run=run,
        number=row["number"],
        terms=terms,
        job_id=row["job_id"],
        step=row["step"],
        cursor=row["cursor"],
        compared_with=row["compared_with"],
        cuts=_cuts_of(row["cuts"]),
        told_to=row["told_to"],
        kept=Kept(row["kept"]),
    )


def _cuts_of(value: Any) -> Mapping[Scoring, Cuts] | None:
    return msgspec.convert(value, dict[Scoring, Cuts]) if value is not None else None


def insert_run(merchant_id: str, stored: StoredRun) -> Write:
    """A run that is queued, or one that ended before it began."""
    run = stored.run
    row = (
        merchant_id,
        run.run_id,
        stored.number,
        run.state.value,
        run.started_by.value,
        run.as_of,
        run.currency,
        run.config_version,
        msgspec.to_builtins(stored.terms),
        stored.job_id,
        run.created_at,
        run.ended_at,
        run.reason,
        stored.compared_with,
        stored.kept.value,
    )
    return Write(INSERT_RUN, row)


async def find_config(database: Database, merchant_id: str) -> RfmConfig:
    row = await database.fetch_row(SELECT_CONFIG, merchant_id)
    if row is None:
        return DEFAULT
    return RfmConfig(row["version"], msgspec.convert(row["terms"], RfmTerms))


async def find_run(database: Database, merchant_id: str, run_id: str) -> StoredRun | None:
    row = await database.fetch_row(SELECT_RUN, merchant_id, run_id)
    return run_of(row) if row is not None else None


async def numbered_run(database: Database, merchant_id: str, number: int) -> StoredRun | None:
    row = await database.fetch_row(SELECT_NUMBERED_RUN, merchant_id, number)
    return run_of(row) if row is not None else None


async def newest_run(database: Database, merchant_id: str) -> StoredRun | None:
    """The one that was published last."""
    row = await database.fetch_row(SELECT_NEWEST_RUN, merchant_id)
    return run_of(row) if row is not None else None


def newest_of(stored: StoredRun | None) -> NewestRun | None:
    run = stored.run if stored is not None else None
    if stored is None or run is None or run.published_at is None:
        return None
    names = names_of(stored.terms.rules)
    return NewestRun(run.run_id, run.as_of, run.published_at, (*names, PROSPECT))


def cells_of(rows: list[Row]) -> dict[Cell, Amounts]:
    """Rows of three scores, and three amounts."""
    return {(row[0], row[1], row[2]): Amounts(row[3], row[4], row[5]) for row in rows}


def scores_of(row: Row) -> CustomerScores:
    return CustomerScores(
        customer_id=row["customer_id"],
        segment=row["segment"],
        rule=row["rule"],
        recency_score=row["recency_score"],
        frequency_score=row["frequency_score"],
        monetary_score=row["monetary_score"],
        recency_days=row["recency_days"],
        last_ordered_at=row["last_ordered_at"],
        frequency=row["orders"],
        monetary_minor=row["monetary_minor"],
    )


def history_of(row: Row) -> HistoryEntry:
    return HistoryEntry(
        run_id=row["run_id"],
        as_of=row["as_of"],
        segment=row["segment"],
        previous_segment=row["previous_segment"],
        rule=row["rule"],
        recency_score=row["recency_score"],
        frequency_score=row["frequency_score"],
        monetary_score=row["monetary_score"],
    )
