"""A wall against memory that grows faster than anybody looks at it."""

import resource
from typing import Final

MIB: Final = 1024 * 1024

SLACK: Final = 2
ROOM_MIB: Final = 512
"""What is reserved without being used, as the stacks of threads, counts here as well."""


def limit_memory(memory_mib: int | None) -> None:
    """Have the system refuse what is far beyond the limit; None: no limit.

    The parent, which looks at what is in memory, ends the process long before. This is for what is
    taken between two of its looks.
    """
    if memory_mib is None:
        return
    most = (SLACK * memory_mib + ROOM_MIB) * MIB
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
