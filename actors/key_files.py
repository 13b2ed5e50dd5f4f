"""Files of keys, which their owner alone may read."""

import os
from pathlib import Path
from typing import Final

OWNER_ONLY: Final = 0o600


def write_key_file(path: Path, content: bytes, *, replace: bool) -> None:
    """Durable, and whole for whoever reads it meanwhile. Without `replace` a file that is there by
    now, because another process was first, stays and counts. Raises `OSError`."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if replace:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
