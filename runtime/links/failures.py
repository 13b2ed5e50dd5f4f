"""Failures of asks on the wire: the asker gets the same class, and knows as much of the outcome."""

from __future__ import annotations

from typing import Any, Final

import attrs

from runtime.envelope import Envelope
from runtime.errors import (
    ActorDown,
    ActorError,
    AskCycle,
    AskTimeout,
    Expired,
    MailboxFull,
    Outcome,
)
from runtime.links.errors import NotSendable
from runtime.links.frames import Failure
from runtime.links.wire_types import WireTypes

FULL, EXPIRED, CYCLE, DOWN, TIMEOUT, UNSENDABLE, APPLICATION = (
    "full",
    "expired",
    "cycle",
    "down",
    "timeout",
    "unsendable",
    "application",
)

DETAIL_MAX: Final = 500
"""Characters of what an error says, and of an address in it."""


@attrs.frozen
class Elsewhere:
    """In place of a message that never left the other shard, in an error that is about it."""

    type_name: str


def failure_of(
    number: int,
    error: BaseException,
    address: str,
    message: object,
    types: WireTypes,
    retried: bool = False,
) -> Failure:
    """The frame that tells of an error with which an ask of `message` ended."""
    if isinstance(error, ActorError):
        kind, more = _kind(error), None
        if isinstance(error, AskCycle):
            more = [asker[:DETAIL_MAX] for asker in error.cycle]
        about = None if error.message is message else type(error.message).__name__
        unknown = error.outcome is Outcome.UNKNOWN
        detail, where = _detail(error, error.address), error.address[:DETAIL_MAX]
        return Failure(number, kind, unknown, where, detail, more, about, retried)
    plain = types.error_to_plain(error) if isinstance(error, Exception) else None
    if plain is not None:
        return Failure(number, APPLICATION, True, address, "", plain, None, retried)
    detail = f"failed: {type(error).__name__}"
    return Failure(number, DOWN, True, address, detail, None, None, retried)


def _kind(error: ActorError) -> str:
    kinds = (
        (MailboxFull, FULL),
        (Expired, EXPIRED),
        (AskCycle, CYCLE),
        (AskTimeout, TIMEOUT),
        (NotSendable, UNSENDABLE),
    )
    return next((kind for class_, kind in kinds if isinstance(error, class_)), DOWN)


def _detail(error: ActorError, address: str) -> str:
    return str(error).removeprefix(f"{address}: ")[:DETAIL_MAX]


def error_of(failure: Failure, envelope: Envelope, types: WireTypes) -> Exception:
    """The error that the asker gets. What this side does not know is `ActorDown`, unknown."""
    if failure.kind == APPLICATION:
        error = types.error_from_plain(failure.more)
        if error is not None:
            return error
    own = failure.about is None
    address = envelope.receiver.address if own else failure.address
    message = envelope.message if own else Elsewhere(str(failure.about))
    return _actor_error(failure, address, message)


def _actor_error(failure: Failure, address: str, message: object) -> ActorError:
    detail = failure.detail
    match failure.kind:
        case "full":
            return MailboxFull(address, message, detail)
        case "expired":
            return Expired(address, message, detail)
        case "cycle":
            return AskCycle(address, message, _cycle(failure.more))
        case "timeout":
            return AskTimeout(address, message, detail)
        case "unsendable":
            return NotSendable(address, message, detail)
    outcome = Outcome.UNKNOWN if failure.unknown else Outcome.NOT_DELIVERED
    return ActorDown(address, message, detail or failure.kind, outcome=outcome)


def _cycle(more: Any) -> tuple[str, ...]:
    return tuple(map(str, more)) if isinstance(more, list) else ()
