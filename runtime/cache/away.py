"""What happens while the shared cache is away: declared once, as data, per class of use."""

from enum import Enum

import attrs
from attrs.validators import in_


class WhenAway(Enum):
    """What a use of the cache does when the cache does not answer."""

    LOAD = "load from the source"
    """One load per key and process at a time; nothing is kept in the shared cache."""
    LIMIT_LOCALLY = "limit in this process"
    """Each process admits its share: the limit divided by the number of known processes."""
    DROP = "do without"
    """Counted. What should have been forgotten lives until its time to live ends."""
    REFUSE = "raise CacheUnavailable"


@attrs.frozen(kw_only=True)
class AwayRules:
    """What each use does while the cache is away. Streams have no such choice: they raise."""

    load: WhenAway = attrs.field(
        default=WhenAway.LOAD, validator=in_((WhenAway.LOAD, WhenAway.REFUSE))
    )
    write: WhenAway = attrs.field(
        default=WhenAway.DROP, validator=in_((WhenAway.DROP, WhenAway.REFUSE))
    )
    notify: WhenAway = attrs.field(
        default=WhenAway.DROP, validator=in_((WhenAway.DROP, WhenAway.REFUSE))
    )
    limit: WhenAway = attrs.field(
        default=WhenAway.LIMIT_LOCALLY, validator=in_((WhenAway.LIMIT_LOCALLY, WhenAway.REFUSE))
    )


OPEN = AwayRules()
"""Reads of customers and merchants, and rate limits: they go on without the cache."""

CLOSED = AwayRules(
    load=WhenAway.REFUSE,
    write=WhenAway.REFUSE,
    notify=WhenAway.REFUSE,
    limit=WhenAway.REFUSE,
)
"""Where going on without the cache would authorise somebody it should not: platform admin."""
