"""Answers at hand: what an actor would say, for those in its process who look before they ask."""

from collections.abc import Callable
from typing import Any

import attrs


@attrs.frozen
class AtHand:
    """The notice of an actor that knows the answers to some questions without working on them.

    `look_up` gives the answer to a question in a tuple of one, as None may be the answer, and None
    where the actor has to be asked. It neither waits nor raises.
    """

    look_up: Callable[[Any], tuple[Any] | None]
