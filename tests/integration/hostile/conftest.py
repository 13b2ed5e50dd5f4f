"""One server for all attacks of a module: what one of them does to it, the next ones notice."""

import signal
from collections.abc import Iterator

import pytest

from tests.integration.hostile.server import (
    KEPT_BYTES_MAX,
    PATIENCE_S,
    Attacked,
    attacked,
    resident_bytes,
)


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacked]:
    """Whatever was done to it, at the end it has hardly more memory than at the beginning. Its time
    limits are the `LIMIT_S` of the module, if that waits for them."""
    limit_s = getattr(request.module, "LIMIT_S", PATIENCE_S)
    with attacked(tmp_path_factory.mktemp("hostile"), limit_s) as served:
        before = resident_bytes(served.process.pid)
        yield served
        assert resident_bytes(served.process.pid) < before + KEPT_BYTES_MAX
        served.process.send(signal.SIGTERM)
        assert served.process.wait() == 0
