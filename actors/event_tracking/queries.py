"""The event_tracking domain's SQL.

Many rows travel as one JSON text. Each database has its own way to take that apart, and this is
the only difference between the two.
"""

from functools import cache
from typing import Final

from runtime.storage import AcrossMerchants
from runtime.storage.port import Dialect

INSERT_EVENTS: Final = (
    "INSERT INTO tracked_events (merchant_id, message_id, type, customer_id, occurred_at,"
    " received_at, digest, properties) SELECT {0:TEXT}, {1:TEXT}, {2:TEXT}, {3:TEXT},"
    " {4:TIMESTAMPTZ}, {5:TIMESTAMPTZ}, {6:TEXT}, {7:TEXT} FROM {rows}"
)
"""The rows are `EventRow`s."""

ADD_HOURS: Final = (
    "INSERT INTO event_hours (merchant_id, hour, type, events)"
    " SELECT {0:TEXT}, {1:TIMESTAMPTZ}, {2:TEXT}, {3:BIGINT} FROM {rows} WHERE true"
    " ON CONFLICT (merchant_id, hour, type) DO UPDATE SET"
    " events = event_hours.events + excluded.events"
)

ADD_TOTALS: Final = (
    "INSERT INTO event_totals (merchant_id, accepted, stored, deduplicated, conflicts, dropped)"
    " SELECT {0:TEXT}, {1:BIGINT}, {2:BIGINT}, {3:BIGINT}, {4:BIGINT}, {5:BIGINT}"
    " FROM {rows} WHERE true ON CONFLICT (merchant_id) DO UPDATE SET"
    " accepted = event_totals.accepted + excluded.accepted,"
    " stored = event_totals.stored + excluded.stored,"
    " deduplicated = event_totals.deduplicated + excluded.deduplicated,"
    " conflicts = event_totals.conflicts + excluded.conflicts,"
    " dropped = event_totals.dropped + excluded.dropped"
)

ADD_DROPS: Final = (
    "INSERT INTO event_drops (merchant_id, reason, events)"
    " SELECT {0:TEXT}, {1:TEXT}, {2:BIGINT} FROM {rows} WHERE true"
    " ON CONFLICT (merchant_id, reason) DO UPDATE SET"
    " events = event_drops.events + excluded.events"
)

LOOK_UP: Final = (
    "SELECT kind, merchant_id, id, told FROM ("
    "SELECT {0:TEXT} AS kind, {1:TEXT} AS merchant_id, {2:TEXT} AS id,"
    " CASE WHEN {0:TEXT} = 'e' THEN (SELECT e.digest FROM tracked_events AS e"
    " WHERE e.merchant_id = {1:TEXT} AND e.message_id = {2:TEXT})"
    " ELSE (SELECT COALESCE(g.merged_into, '') FROM event_customers_gone AS g"
    " WHERE g.merchant_id = {1:TEXT} AND g.customer_id = {2:TEXT}) END AS told"
    " FROM {rows} LIMIT {most}) AS found WHERE told IS NOT NULL"
)
"""Which events are there, with their digests, and which customers are not, with whom they were
merged into. The rows are `e` or `c`, a merchant, and the id of either.

Subqueries, as no planner can turn these around: while a table is new and believed to be empty, a
join would go through all of it for each row. The limit keeps the inner query from being merged
with the outer one, which would ask everything twice."""

SELECT_THROUGH: Final = AcrossMerchants("SELECT through FROM event_sources WHERE source_id = $1")

ADVANCE: Final = AcrossMerchants(
    "INSERT INTO event_sources (source_id, through, used_at) VALUES ($1, $2, $3)"
    " ON CONFLICT (source_id) DO UPDATE SET through ="
    " CASE WHEN event_sources.through = CAST($4 AS BIGINT) THEN excluded.through ELSE -1 END,"
    " used_at = excluded.used_at"
)
"""Breaks a constraint where the records up to `$4` are not those that the database has."""

PRUNE_SOURCES: Final = AcrossMerchants("DELETE FROM event_sources WHERE used_at < $1")


class _Field:
    """A value of a row, at a place, as text `{place:TYPE}` in a template."""

    def __init__(self, dialect: Dialect, place: int) -> None:
        self._dialect = dialect
        self._place = place

    def __format__(self, type_: str) -> str:
        if self._dialect is Dialect.SQLITE:
            return f"json_extract(u.value, '$[{self._place}]')"
        return f"CAST(u.value ->> {self._place} AS {type_})"


SOURCES: Final = {
    Dialect.SQLITE: "json_each($1) AS u",
    Dialect.POSTGRESQL: "jsonb_array_elements(CAST(CAST($1 AS TEXT) AS JSONB)) AS u (value)",
}
FIELDS_MAX: Final = 8
ROWS_MAX: Final = 1_000_000


@cache
def for_rows(template: str, dialect: Dialect) -> AcrossMerchants:
    """A statement of this module for rows in `$1`: a JSON array of arrays."""
    fields = [_Field(dialect, place) for place in range(FIELDS_MAX)]
    return AcrossMerchants(template.format(*fields, rows=SOURCES[dialect], most=ROWS_MAX))


EVENT_COLUMNS: Final = "message_id, type, customer_id, occurred_at, received_at, properties"

LIST_EVENTS: Final = (
    f"SELECT {EVENT_COLUMNS} FROM tracked_events WHERE merchant_id = $1"
    " AND (occurred_at > $2 OR (occurred_at = $2 AND message_id > $3)) AND occurred_at >= $2"
    " AND occurred_at < $4%s ORDER BY occurred_at, message_id LIMIT $5"
)
"""Where `%s` stands for one of `FILTERS`."""

FILTERS: Final = {
    (False, False): "",
    (True, False): " AND type = $6",
    (False, True): " AND customer_id = $6",
    (True, True): " AND type = $6 AND customer_id = $7",
}
"""By whether a type is asked for, and a customer."""

COUNT_EVENTS: Final = (
    "SELECT hour, type, events FROM event_hours WHERE merchant_id = $1"
    " AND (hour > $2 OR (hour = $2 AND type > $3)) AND hour >= $2 AND hour < $4"
    " AND (CAST($5 AS TEXT) IS NULL OR type = $5) ORDER BY hour, type LIMIT $6"
)

SELECT_TOTALS: Final = (
    "SELECT accepted, stored, deduplicated, conflicts, dropped FROM event_totals"
    " WHERE merchant_id = $1"
)
SELECT_DROPS: Final = "SELECT reason, events FROM event_drops WHERE merchant_id = $1"

NOTE_GONE: Final = (
    "INSERT INTO event_customers_gone (merchant_id, customer_id, merged_into, gone_at, settled)"
    " VALUES ($1, $2, $3, $4, FALSE) ON CONFLICT (merchant_id, customer_id) DO UPDATE SET"
    " merged_into = excluded.merged_into, settled = FALSE"
)

FOLLOW_MERGER: Final = (
    "UPDATE event_customers_gone SET merged_into = $3, settled = FALSE"
    " WHERE merchant_id = $1 AND merged_into = $2"
)
"""Those who were merged into one that is merged, or erased, itself."""

SELECT_UNSETTLED: Final = AcrossMerchants(
    "SELECT merchant_id, customer_id, merged_into FROM event_customers_gone"
    " WHERE NOT settled ORDER BY merchant_id, customer_id LIMIT $1"
)

SETTLE: Final = (
    "UPDATE event_customers_gone SET settled = TRUE"
    " WHERE merchant_id = $1 AND customer_id = $2"
    " AND (merged_into = $3 OR (merged_into IS NULL AND CAST($3 AS TEXT) IS NULL))"
)

_SOME_OF_CUSTOMER: Final = (
    "message_id IN (SELECT message_id FROM tracked_events"
    " WHERE merchant_id = $1 AND customer_id = $2 LIMIT $3)"
)

FORGET_EVENTS: Final = (
    "UPDATE tracked_events SET customer_id = NULL, properties = '{}', digest = ''"
    f" WHERE merchant_id = $1 AND {_SOME_OF_CUSTOMER} RETURNING 1"
)

MOVE_EVENTS: Final = (
    "UPDATE tracked_events SET customer_id = $4"
    f" WHERE merchant_id = $1 AND {_SOME_OF_CUSTOMER} RETURNING 1"
)

SELECT_MERCHANTS: Final = AcrossMerchants(
    "SELECT merchant_id FROM event_totals WHERE merchant_id > $1 ORDER BY merchant_id LIMIT $2"
)

DELETE_OLD_EVENTS: Final = (
    "DELETE FROM tracked_events WHERE merchant_id = $1 AND message_id IN"
    " (SELECT message_id FROM tracked_events WHERE merchant_id = $1"
    " AND occurred_at < $2 AND received_at < $2 LIMIT $3) RETURNING 1"
)

DELETE_OLD_HOURS: Final = "DELETE FROM event_hours WHERE merchant_id = $1 AND hour < $2"
