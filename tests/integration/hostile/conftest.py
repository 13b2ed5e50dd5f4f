"""One server for all attacks: what one of them does to it, the next ones notice."""

from collections.abc import Iterator

import pytest

from tests.integration.hostile.server import Attacked, attacked


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("hostile")) as served:
        yield served
