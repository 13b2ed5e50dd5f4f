"""The socket between a shard and its parent, as the shard sees it."""

import fcntl
import resource
import socket
import threading
from collections.abc import Iterator

import pytest

from cli.lifeline import Lifeline

SELECT_MAX = 1024
"""Descriptors from here on are none for `select`."""


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * SELECT_MAX), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.parametrize("descriptor_min", [3, SELECT_MAX + 10])
def test_the_end_of_the_parent_is_seen_at_any_descriptor(descriptor_min: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lifeline = Lifeline(fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, descriptor_min))
        seen = threading.Event()

        def wait() -> None:
            lifeline.wait_for_the_end()
            seen.set()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        assert not seen.wait(0.02)
        ours.close()
        assert seen.wait(60)
        waiting.join(60)
        lifeline.close()
