"""A file in the data directory that says where the server with this directory serves."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FILE = "server.json"


@contextmanager
def serving_at(data_dir: Path, address: str) -> Iterator[None]:
    """Tell others meanwhile. Failing to do so is no reason not to serve.

    Another process with the same directory that starts later has the last word.
    """
    path, text = data_dir / FILE, json.dumps({"address": address, "pid": os.getpid()})
    with suppress(OSError):
        temporary = path.with_name(f"{FILE}.{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(path)
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_text() == text:
                path.unlink()


def server_address(data_dir: Path) -> str | None:
    """Where a server has said that it serves. It may have been killed since."""
    try:
        found = json.loads((data_dir / FILE).read_text())
    except (OSError, ValueError):
        return None
    address = found.get("address") if isinstance(found, dict) else None
    return address if isinstance(address, str) else None
