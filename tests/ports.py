"""A port for a server that is started again and again, or is not there at all."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port of this machine that nobody else is given for the duration of the block.

    It is bound without listening: connections are refused, until a server that may reuse addresses,
    as ours do, listens on it.
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        yield port
