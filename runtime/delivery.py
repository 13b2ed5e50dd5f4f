"""Asking a consumer to take events, and judging what comes back."""

from collections import defaultdict
from collections.abc import Sequence
from enum import Enum
from typing import TypeGuard

import attrs

from runtime.errors import ActorDown, ActorError, Expired, MailboxFull, Outcome
from runtime.journal import Append
from runtime.outbox import Deliver, Lane, OutboxEvent
from runtime.ref import ask_all
from runtime.storage import CommitUnknown, StorageFull, StorageUnavailable
from runtime.system import ActorSystem

DELIVERY_TIMEOUT_S = 5.0
"""How long a consumer may work on what it was given."""

STORE_AWAY = (StorageUnavailable, StorageFull, CommitUnknown)
"""Errors of the store that say nothing about the events."""

Part = tuple[OutboxEvent, ...]
"""Events of one topic that are delivered together, in order."""


class Verdict(Enum):
    """What a delivery came to.

    `AWAY`: the consumer takes nothing at the moment. `HINDERED`: something it needs for these
    events is away. Neither says anything about the events. `FAILED`: it failed on this one
    event. `UNCLEAR`: it failed on several together, and which one was at fault is not known.
    """

    TAKEN = "taken"
    AWAY = "away"
    HINDERED = "hindered"
    FAILED = "failed"
    UNCLEAR = "unclear"


@attrs.frozen
class Judged:
    """Events of one delivery, and what it came to. `error` is None when they were taken."""

    events: Part
    verdict: Verdict
    error: Exception | None = None


@attrs.frozen
class Report:
    """What became of all the events of an offer.

    `apart` says that the consumer went down before the culprit was found: next time the lanes
    are to be delivered each for itself.
    """

    judged: tuple[Judged, ...]
    apart: bool = False

    @property
    def crashed(self) -> bool:
        """Whether the consumer went down over this, and did not only fail."""
        return self.apart or (self.away and any(map(_crash, self.judged)))

    @property
    def away(self) -> bool:
        return any(judged.verdict is Verdict.AWAY for judged in self.judged)


async def offer(system: ActorSystem, consumer: str, part: Part, *, apart: bool = False) -> Report:
    """Deliver `part` as a whole and, where that fails, once more lane by lane.

    Ends within two `DELIVERY_TIMEOUT_S`. When cancelled, what the consumer had taken up is
    cancelled as well.
    """
    if not part:
        return Report(())
    lanes = by_lane(part)
    if apart and len(lanes) > 1:
        return await _offer_lanes(system, consumer, lanes)
    (error,) = await _ask(system, consumer, [part])
    verdict = judge(part, error)
    if verdict in (Verdict.TAKEN, Verdict.AWAY) or len(lanes) == 1:
        return Report((Judged(part, verdict, error),))
    report = await _offer_lanes(system, consumer, lanes)
    return attrs.evolve(report, apart=report.away and isinstance(error, ActorDown))


async def _offer_lanes(system: ActorSystem, consumer: str, lanes: Sequence[Part]) -> Report:
    errors = await _ask(system, consumer, lanes)
    return Report(
        tuple(
            Judged(lane, judge(lane, error), error)
            for lane, error in zip(lanes, errors, strict=True)
        )
    )


async def _ask(system: ActorSystem, consumer: str, parts: Sequence[Part]) -> list[Exception | None]:
    ref = system.ref(consumer)
    deliveries = [Deliver(part) for part in parts]
    answers = await ask_all(
        [(ref, delivery) for delivery in deliveries],
        timeout_s=DELIVERY_TIMEOUT_S,
        traces=[delivery.trace_id for delivery in deliveries],
    )
    return [answer if isinstance(answer, Exception) else None for answer in answers]


def judge(part: Part, error: Exception | None) -> Verdict:
    """What the answer to a delivery says about the consumer and the events.

    An error that gives back another message than the delivery comes from whom the consumer asked;
    one of the journal says nothing about the events, whatever it is.
    """
    if error is None:
        return Verdict.TAKEN
    if isinstance(error, STORE_AWAY):
        return Verdict.AWAY
    if isinstance(error, ActorError) and isinstance(error.message, Append):
        return Verdict.HINDERED
    if isinstance(error, MailboxFull | Expired) or _not_running(error):
        return Verdict.AWAY if isinstance(error.message, Deliver) else Verdict.HINDERED
    return Verdict.FAILED if len(part) == 1 else Verdict.UNCLEAR


def _crash(judged: Judged) -> bool:
    return isinstance(judged.error, ActorDown) and judged.error.outcome is Outcome.UNKNOWN


def _not_running(error: Exception) -> TypeGuard[ActorDown]:
    return isinstance(error, ActorDown) and error.outcome is Outcome.NOT_DELIVERED


def by_lane(part: Part) -> list[Part]:
    """The events of each lane, in order."""
    lanes: dict[Lane, list[OutboxEvent]] = defaultdict(list)
    for event in part:
        lanes[event.lane].append(event)
    return [tuple(events) for events in lanes.values()]
