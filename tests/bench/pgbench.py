"""PostgreSQL's own benchmark, running what one earn writes, one transaction each.

The script is made from the product's own decision and its own statements, so that it cannot
drift from what the journal writes.
"""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final
from urllib.parse import quote

import attrs

from actors.points.ledger import GENESIS
from actors.points.messages import Earn
from actors.points.plan import Plan
from actors.points.posting import Moment
from actors.points.records import entry_of
from actors.points.state import AccountState
from actors.vocabulary import Idempotency
from runtime.storage import Entry
from runtime.storage.grouping import grouped
from runtime.storage.port import APPLICATION_ROLE
from tests.servers import PostgresServer

CLIENTS: Final = (1, 2, 4, 8, 16, 32, 64)
MERCHANT: Final = "bench"

RUN_SPAN: Final = 10**15
"""Ids of one run of pgbench: `run` of these, then ascending, as the product's ids do."""

# Values of the model earn that differ from one earn to the next.
CUSTOMER: Final = "the customer"
TRANSACTION: Final = "the transaction, and its lot"
KEY: Final = "the idempotency key"
SEQUENCE: Final = 700_001
MEMBER: Final = 800_001

VARIABLES: Final[dict[Any, str]] = {
    CUSTOMER: "customer",
    TRANSACTION: "id",
    KEY: "id",
    SEQUENCE: "n",
    MEMBER: "n",
}

PREAMBLE: Final = f"""\\set n :n + 1
\\set id :run * {RUN_SPAN} + :n * 100 + :client_id
\\set customer :run * 100 + :client_id
"""

SESSION: Final = f"-c role={APPLICATION_ROLE} -c loyalnest.merchants={MERCHANT}"
"""Row-level security holds for it as for the product, which tells a session once whom it is for."""

TPS: Final = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)

runs = count(1).__next__


def model_earn() -> Entry:
    """What the product writes for one earn of an account that has earned before."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    state = AccountState(
        MERCHANT,
        CUSTOMER,
        sequence=SEQUENCE - 1,
        member=MEMBER - 1,
        head=GENESIS,
        recorded_at=now,
    )
    plan = Plan(state, Moment(now, lambda _prefix: TRANSACTION))
    plan.apply(Earn(idempotency=Idempotency(KEY, "f" * 64), amount=1, reason="bench"))
    return entry_of(plan.state, plan.events, plan.answers)


@attrs.define
class Script:
    """A pgbench script, and the constants among its parameters."""

    lines: list[str] = attrs.field(factory=list)
    constants: dict[str, str] = attrs.field(factory=dict)

    def add(self, sql: str, row: tuple[Any, ...]) -> None:
        self.lines.append(re.sub(r"\$(\d+)", lambda m: self._place(row[int(m[1]) - 1]), sql) + ";")

    def _place(self, value: Any) -> str:
        """Where the value is not NULL, which pgbench cannot send, a parameter."""
        if value is None:
            return "NULL"
        if isinstance(value, str | int) and value in VARIABLES:
            return f":{VARIABLES[value]}"
        text = _text(value)
        name = next((n for n, known in self.constants.items() if known == text), None)
        if name is None:
            name = f"constant_{len(self.constants)}"
            self.constants[name] = text
        return f":{name}"

    @property
    def text(self) -> str:
        return PREAMBLE + "\n".join(["BEGIN;", *self.lines, "COMMIT;"]) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, dict) else str(value)


def script() -> Script:
    """One earn as one transaction, its statements in the order in which the journal has them."""
    made = Script()
    for statement, rows in grouped([model_earn()]):
        for row in rows:
            made.add(statement.sql, row)
    return made


def transactions_per_s(server: PostgresServer, url: str, *, clients: int, duration_s: int) -> float:
    """pgbench's own figure. Each client has an account of its own, so that none waits for locks."""
    made = script()
    path = server.directory / "earn.sql"
    path.write_text(made.text)
    path.chmod(0o644)
    variables = {"run": str(runs()), "n": "0", **made.constants}
    output = server.tool(
        "pgbench",
        *("--no-vacuum", "--protocol=prepared", f"--file={path}"),
        *(f"--client={clients}", f"--jobs={min(clients, os.cpu_count() or 1)}"),
        f"--time={duration_s}",
        *(f"--define={name}={value}" for name, value in variables.items()),
        f"{url}&options={quote(SESSION)}",
    )
    found = TPS.search(output)
    if found is None or "number of failed transactions: 0" not in output:
        raise RuntimeError(f"pgbench did not run all transactions: {output}")
    return float(found[1])


def best_client_count(measure: Callable[[int], float]) -> int:
    """The one of `CLIENTS` with the highest rate."""
    return max(CLIENTS, key=measure)
