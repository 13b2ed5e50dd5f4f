"""Runs the benchmarks, all or those named: `python -m tests.bench messaging serving`.

The documents are written when all ran, or when `--write` is among the names.
"""

import sys

from tests.bench.broadcasting import broadcasting
from tests.bench.bulkhead import bulkhead
from tests.bench.core import core
from tests.bench.crashing import crashing
from tests.bench.durable import durable
from tests.bench.failing import failing
from tests.bench.idling import idling
from tests.bench.importing import importing
from tests.bench.introspection import introspection
from tests.bench.judging import judging
from tests.bench.linking import linking
from tests.bench.logins import logins
from tests.bench.messaging import messaging
from tests.bench.mutations import mutations
from tests.bench.overload import overload
from tests.bench.policies import policies
from tests.bench.report import Measured, show, write
from tests.bench.roundtrips import roundtrips
from tests.bench.scoring import scoring
from tests.bench.serving import serving
from tests.bench.serving_on_postgresql import serving_on_postgresql
from tests.bench.simulating import simulating
from tests.bench.tracking import tracking
from tests.processor import noticed

ALL = (
    messaging,
    introspection,
    linking,
    mutations,
    serving,
    importing,
    crashing,
    idling,
    simulating,
    roundtrips,
    policies,
    judging,
    logins,
    durable,
    serving_on_postgresql,
    overload,
    bulkhead,
    broadcasting,
    failing,
    core,
    scoring,
    tracking,
)


WRITE = "--write"


def main(names: list[str]) -> None:
    """Raises `SystemExit` for a name that there is not."""
    wanted = [name for name in names if name != WRITE]
    unknown = set(wanted) - {benchmark.__name__ for benchmark in ALL}
    if unknown:
        raise SystemExit(f"no such benchmark: {', '.join(sorted(unknown))}")
    found: dict[str, Measured] = {}
    for benchmark in ALL:
        if not wanted or benchmark.__name__ in wanted:
            print(f"{benchmark.__name__} ...", flush=True)
            with noticed() as others:
                figures = benchmark()
            found[benchmark.__name__] = Measured(figures, others.slowness, others.taken)
    show(found.values())
    if not wanted or WRITE in names:
        write(found)


if __name__ == "__main__":
    main(sys.argv[1:])
