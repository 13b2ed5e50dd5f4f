"""What idle actors take, and whether many start and stop in time linear in their number."""

from tests.bench.harness import Figure, at_most
from tests.bench.idle_process import Idling, measure

COUNT = 100_000
RESIDENT_MAX_MB = 300.0
SIZES = (10_000, 20_000, 40_000, COUNT)
LINEAR_MAX = 1.5
"""How much more a child may cost among many than among few."""

TIMEOUT_S = 300.0


def idling() -> list[Figure]:
    pools = [measure("children", size, timeout_s=TIMEOUT_S) for size in SIZES]
    entities = measure("entities", COUNT, timeout_s=TIMEOUT_S)
    return [
        _resident(f"resident memory with {COUNT:,} idle children of a pool", pools[-1]),
        _resident(f"resident memory with {COUNT:,} idle entities, asked once each", entities),
        _per_child("start", [each.starting_s / each.count for each in pools]),
        _per_child("stop", [each.stopping_s / each.count for each in pools]),
    ]


def _resident(name: str, measured: Idling) -> Figure:
    return at_most(name, measured.resident_mb, "MB", RESIDENT_MAX_MB)


def _per_child(what: str, costs_s: list[float]) -> Figure:
    """The processor's time, because it is the machine's others that wall clocks show."""
    ratio = costs_s[-1] / costs_s[0]
    return Figure(
        f"{what} of a child among {SIZES[-1]:,} of a pool, against among {SIZES[0]:,}",
        costs_s[-1] * 1e6,
        "µs",
        costs_s[0] * 1e6,
        ratio,
        f"ratio at most {LINEAR_MAX:g}",
        ratio <= LINEAR_MAX,
    )
