"""What the routes to dead letters and to dead events have in common."""

from datetime import datetime
from typing import Final

import msgspec

from gateway.bodies import Body, Text

TAG: Final = "Platform"


class PutBackBody(Body, frozen=True, kw_only=True):
    """`reason` is kept with what is put back, beside the caller's name."""

    reason: Text


class Intervention(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did to a job or an event, and why."""

    at: datetime
    action: str
    by: str
    reason: str
