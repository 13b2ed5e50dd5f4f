"""Importing a shop's history of the size of the CDNOW file, with the real program."""

import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.bench.harness import Figure

ORDERS = 69_659
CUSTOMERS = 23_570
GOAL = 5_000
FILE_VARIABLE = "LOYALNEST_BENCH_ORDERS"
ROOT = Path(__file__).parents[2]


def importing() -> list[Figure]:
    with tempfile.TemporaryDirectory() as directory:
        given = os.environ.pop(FILE_VARIABLE, None)
        path = Path(given) if given else _generate(Path(directory) / "orders.csv")
        with path.open() as file:
            rows = sum(1 for _ in file) - 1
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, ROOT / "main.py", "import", "orders", path, "--merchant", "bench"],
            check=True,
            capture_output=True,
            cwd=directory,
        )
        rate = rows / (time.perf_counter() - start)
    what = path.name if given else "generated in the CDNOW file's shape"
    name = f"import of {rows:,} orders ({what}), start of the program included"
    return [Figure(name, rate, "orders/s", None, None, f"at least {GOAL:,}", rate >= GOAL)]


def _generate(path: Path) -> Path:
    """As in the CDNOW file, the orders of a customer follow each other."""
    rng = random.Random(1)
    start = datetime(1997, 1, 1, tzinfo=UTC)
    customers = [*range(CUSTOMERS), *(rng.randrange(CUSTOMERS) for _ in range(ORDERS - CUSTOMERS))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["order_id", "customer_id", "ordered_at", "items", "total", "currency"])
        for number, customer in enumerate(sorted(customers)):
            when = f"{start + timedelta(days=rng.randrange(540)):%Y-%m-%dT%H:%M:%SZ}"
            total = f"{rng.randrange(12_000) / 100:.2f}"
            writer.writerow([f"order-{number:06}", f"{customer:05}", when, 1, total, "USD"])
    return path
