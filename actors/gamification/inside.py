"""What the actors of the gamification domain say to each other."""

import attrs

from actors.gamification.facts import Fact
from runtime import Call


@attrs.frozen
class Observe(Call[None]):
    """To a player: these happened. Answered once they, and what they earn, are durable; telling
    again is harmless."""

    facts: tuple[Fact, ...]


@attrs.frozen
class Recompute(Call[tuple[str, ...]]):
    """To a player: evaluate everything anew, or one achievement, as if all had just happened.
    Answered with the reasons of what had to be skipped.

    With `reload`, forget what is in memory first.
    """

    achievement_id: str | None = None
    reload: bool = False


@attrs.frozen
class MoveTo(Call[None]):
    """To a player: what is kept of this customer is another's from now on."""

    customer_id: str


@attrs.frozen
class Forget(Call[None]):
    """To a player: delete what is kept of the customer."""
