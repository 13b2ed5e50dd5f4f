"""What a start may come to besides an actor that runs."""

from enum import Enum
from typing import Final

import attrs


class Ignore(Enum):
    """The type of `IGNORE`."""

    IGNORE = "ignore"


IGNORE: Final = Ignore.IGNORE
"""Returned by `ChildSpec.start` or `Actor.started`: this child is not to run, and that is well.

The supervisor keeps its specification, unless it is temporary or made from a template.
"""


@attrs.frozen
class StartInfo:
    """Returned by `Actor.started`: `value` is handed to whoever asked for the start."""

    value: object
