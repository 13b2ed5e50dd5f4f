"""Bugs of links between shards, each a patch."""

from collections import defaultdict
from itertools import count

import pytest

from runtime.envelope import QUEUED, Envelope
from runtime.links.errors import LinkDown
from runtime.links.frames import Ask
from runtime.links.incoming import Incoming
from runtime.links.outgoing import Outgoing, refuse
from runtime.links.peer import Peer
from runtime.links.session import Session


def numbers_used_again(patch: pytest.MonkeyPatch) -> None:
    """A number is free when nobody waits under it any more."""
    encode, ask = Outgoing._encode, Incoming.ask

    def encode_under_a_free_number(self: Outgoing, envelope: Envelope) -> bytes | None:
        self._number = next(number for number in count() if number + 1 not in self.asks)
        return encode(self, envelope)

    def ask_under_any_number(self: Incoming, frame: Ask) -> None:
        self._last = 0
        ask(self, frame)

    patch.setattr(Outgoing, "_encode", encode_under_a_free_number)
    patch.setattr(Incoming, "ask", ask_under_any_number)


def answers_of_an_old_process_taken(patch: pytest.MonkeyPatch) -> None:
    """What is outstanding belongs to the peer, under numbers that each link begins anew, and the
    process that was replaced may go on answering."""
    begin = Outgoing.__init__
    outstanding: dict[Peer, dict[int, Envelope]] = {}

    def begin_with_what_there_is(self: Outgoing, session: Session, granted: int) -> None:
        begin(self, session, granted)
        self.asks = outstanding.setdefault(session.peer, {})

    def adopt(self: Peer, session: Session) -> None:
        self.session = session
        self.generation = session.introduction.hello.generation
        self.sessions += 1
        self.changed()

    def end(self: Outgoing, unsent: list[Envelope], reason: str) -> None:
        for envelope in unsent:
            refuse(envelope, reason)

    numbers_used_again(patch)
    patch.setattr(Outgoing, "__init__", begin_with_what_there_is)
    patch.setattr(Outgoing, "end", end)
    patch.setattr(Peer, "adopt", adopt)


def asks_repeated_by_the_link(patch: pytest.MonkeyPatch) -> None:
    """A link that was lost: what it was asked is sent again over the next one."""
    end, adopt = Outgoing.end, Peer.adopt
    left: dict[Peer, list[Envelope]] = defaultdict(list)

    def end_and_keep(self: Outgoing, unsent: list[Envelope], reason: str) -> None:
        asks, self.asks = self.asks, {}
        for envelope in asks.values():
            envelope.scope, envelope.state = None, QUEUED
        left[self._session.peer] += asks.values()
        end(self, unsent, reason)

    def adopt_and_repeat(self: Peer, session: Session) -> None:
        adopt(self, session)
        again, left[self] = left[self], []
        for envelope in again:
            session.outgoing.post(envelope)

    patch.setattr(Outgoing, "end", end_and_keep)
    patch.setattr(Peer, "adopt", adopt_and_repeat)


def what_comes_later_written_first(patch: pytest.MonkeyPatch) -> None:
    """The queue of a link is a stack."""
    put = Session.put

    def put_in_front(self: Session, item: bytes | Envelope) -> None:
        put(self, item)
        self._queue.rotate(1)

    patch.setattr(Session, "put", put_in_front)


def lost_taken_for_undelivered(patch: pytest.MonkeyPatch) -> None:
    """No answer came, so it will not have happened."""
    end = Outgoing.end

    def end_hopefully(self: Outgoing, unsent: list[Envelope], reason: str) -> None:
        asks, self.asks = self.asks, {}
        for envelope in asks.values():
            envelope.scope = None
            envelope.fail(LinkDown(envelope.receiver.address, envelope.message, reason))
        end(self, unsent, reason)

    patch.setattr(Outgoing, "end", end_hopefully)


def credit_of_the_cancelled_kept(patch: pytest.MonkeyPatch) -> None:
    """What was cancelled is not worked on any more, and needs no credit."""

    def cancel(self: Incoming, number: int) -> None:
        served = self.asks.pop(number, None)
        if served is not None:
            served.abandon()

    patch.setattr(Incoming, "cancel", cancel)
