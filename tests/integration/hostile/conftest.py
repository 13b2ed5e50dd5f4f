"""One server for all attacks: what one of them does to it, the next ones notice."""

import signal
from collections.abc import Iterator

import pytest

from tests.integration.hostile.server import KEPT_BYTES_MAX, Attacked, attacked, resident_bytes


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """Whatever was done to it, at the end it has hardly more memory than at the beginning."""
    with attacked(tmp_path_factory.mktemp("hostile")) as served:
        before = resident_bytes(served.process.pid)
        yield served
        assert resident_bytes(served.process.pid) < before + KEPT_BYTES_MAX
        served.process.send(signal.SIGTERM)
        assert served.process.wait() == 0
