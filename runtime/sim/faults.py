"""Fault plans: what goes wrong in a simulation, drawn from its seed before it begins."""

from collections.abc import Sequence
from enum import Enum
from random import Random

import attrs


class Trouble(Enum):
    """What happens at a moment of the plan.

    The first four last for a while; the others are over at once. `KILL` ends one actor of a
    process, `CRASH` the whole process, which comes back after its duration. `CRASH_AT_COMMIT`
    does so when the process commits next: before it, or after it and before the answer,
    whichever the sign of the amount says. The clock is set off by its amount. `TAKEOVER` starts
    another process on the same store while the old one believes that it goes on. The last four are
    of links between shards: `SHARD_MUTE` keeps what a shard sends from the others, or, where the
    amount is negative, what the others send from it.
    """

    STORE_AWAY = "store away"
    CACHE_AWAY = "cache away"
    DISK_BROKEN = "disk broken"
    PARTITION = "clients cut off"
    CACHE_LOST = "cache forgets everything"
    KILL = "kill"
    CRASH = "crash"
    CRASH_AT_COMMIT = "crash at a commit"
    CLOCK_JUMP = "clock jump"
    TAKEOVER = "takeover"
    LINKS_CUT = "links cut"
    LINKS_REFUSED = "links refused"
    SHARD_SILENT = "shard silent both ways"
    SHARD_MUTE = "shard silent one way"


@attrs.frozen(kw_only=True)
class Event:
    """`at_s` in virtual seconds from the beginning of the faults."""

    at_s: float
    trouble: Trouble
    duration_s: float = 0.0
    amount: float = 0.0
    target: str = ""
    shard: str = ""

    def __str__(self) -> str:
        parts = [f"{self.at_s:7.3f} s  {self.trouble.value}"]
        if self.shard:
            parts.append(f"of {self.shard}")
        if self.target:
            parts.append(self.target)
        if self.amount:
            parts.append(f"by {self.amount:+.3f}")
        if self.duration_s:
            parts.append(f"for {self.duration_s:.3f} s")
        return " ".join(parts)


@attrs.frozen(kw_only=True)
class Chances:
    """How likely each use of something outside goes wrong, from 0 to 1.

    Of the store: reads that fail or take long, commits that are refused, find the disk full, fail
    in a way that nobody expects, take long, or end with the connection lost (`commit_unknown`;
    half of those happened, or happen later), answers that take long, notices that are lost. Of
    the network between clients and the program: requests or answers that are lost or take long,
    requests that arrive twice. Of the cache: operations that fail. Of providers: requests that
    fail, before they had their effect or after it, and effects that take long. Of links between
    shards: messages that take long, and links that break.
    """

    read_fails: float = 0.0
    read_slow: float = 0.0
    commit_refused: float = 0.0
    commit_full: float = 0.0
    commit_breaks: float = 0.0
    commit_slow: float = 0.0
    commit_unknown: float = 0.0
    answer_slow: float = 0.0
    notice_lost: float = 0.0
    request_lost: float = 0.0
    request_slow: float = 0.0
    request_twice: float = 0.0
    answer_lost: float = 0.0
    cache_fails: float = 0.0
    provider_fails: float = 0.0
    provider_slow: float = 0.0
    link_slow: float = 0.0
    link_cut: float = 0.0


NO_CHANCES = Chances()

LINK_CHANCES = ("link_slow", "link_cut")
"""Of programs that run in several shards."""

CHANCES = tuple(field.name for field in attrs.fields(Chances) if field.name not in LINK_CHANCES)
"""Of programs that run in one."""


LINK_TROUBLES = (
    Trouble.LINKS_CUT,
    Trouble.LINKS_REFUSED,
    Trouble.SHARD_SILENT,
    Trouble.SHARD_MUTE,
)
"""Of programs that run in several shards."""

TROUBLES = tuple(trouble for trouble in Trouble if trouble not in LINK_TROUBLES)
"""Of programs that run in one."""


@attrs.frozen(kw_only=True)
class FaultSpec:
    """From what plans are drawn: for how long, which kinds of trouble, and whom it may kill.

    `events_max` bounds the events of one plan, `chance_max` each chance. Breaking commits and
    crashes are rare, so that supervisors have a chance to cope. Where a program runs in several
    `shards`, an event is of one of them, and the troubles may be those of links as well.
    """

    duration_s: float = 20.0
    events_max: int = 6
    chance_max: float = 0.08
    troubles: tuple[Trouble, ...] = TROUBLES
    chances: tuple[str, ...] = CHANCES
    targets: tuple[str, ...] = ()
    shards: tuple[str, ...] = ()
    jump_max_s: float = 300.0
    away_max_s: float = 8.0


@attrs.frozen(kw_only=True)
class FaultPlan:
    """Everything that will go wrong. The chances hold for `duration_s`."""

    duration_s: float
    chances: Chances = NO_CHANCES
    events: tuple[Event, ...] = ()

    def text(self) -> list[str]:
        """For reading."""
        chances = attrs.asdict(self.chances)
        odds = [f"{name} {chance:.3f}" for name, chance in chances.items() if chance]
        return [f"for {self.duration_s:g} s: {', '.join(odds) or 'no chances'}"] + [
            str(event) for event in self.events
        ]


NO_FAULTS = FaultPlan(duration_s=0.0)

RARE = {"commit_breaks": 0.01, "commit_full": 0.03}
"""Bounds of chances that end something each time."""


LASTS_MIN_S = 0.05
"""What lasts for a while lasts so long at least."""


def draw_plan(random: Random, spec: FaultSpec) -> FaultPlan:
    """A plan. Some seeds get only a few kinds of trouble, so that each kind is seen alone too."""
    names = _some(random, spec.chances)
    bounds = {name: min(spec.chance_max, RARE.get(name, 1.0)) for name in names}
    chances = {name: round(random.uniform(0.0, bound), 4) for name, bound in bounds.items()}
    troubles = _some(random, spec.troubles)
    number = random.randint(0, spec.events_max) if troubles else 0
    events = [_event_of_shard(random, spec, random.choice(troubles)) for _ in range(number)]
    return FaultPlan(
        duration_s=spec.duration_s,
        chances=Chances(**chances),
        events=tuple(sorted(events, key=lambda event: event.at_s)),
    )


def _some(random: Random, choices: Sequence[Trouble] | Sequence[str]) -> list:  # type: ignore[type-arg]
    """A part of them, which may be all or none."""
    share = random.random()
    return [choice for choice in choices if random.random() < share]


def _event_of_shard(random: Random, spec: FaultSpec, trouble: Trouble) -> Event:
    event = _draw_event(random, spec, trouble)
    return attrs.evolve(event, shard=random.choice(spec.shards)) if spec.shards else event


def _draw_event(random: Random, spec: FaultSpec, trouble: Trouble) -> Event:
    at_s = round(random.uniform(0.0, spec.duration_s), 3)
    lasting = round(random.uniform(LASTS_MIN_S, spec.away_max_s), 3)
    match trouble:
        case Trouble.KILL:
            if not spec.targets:
                return Event(at_s=at_s, trouble=Trouble.CRASH, duration_s=lasting)
            return Event(at_s=at_s, trouble=trouble, target=random.choice(spec.targets))
        case Trouble.CLOCK_JUMP:
            seconds = round(spec.jump_max_s * random.uniform(-1.0, 1.0) ** 3, 3)
            return Event(at_s=at_s, trouble=trouble, amount=seconds)
        case Trouble.CRASH_AT_COMMIT:
            side = random.choice((-1.0, 1.0))
            return Event(at_s=at_s, trouble=trouble, amount=side, duration_s=lasting)
        case Trouble.CACHE_LOST | Trouble.LINKS_CUT:
            return Event(at_s=at_s, trouble=trouble)
        case Trouble.SHARD_MUTE:
            way = random.choice((-1.0, 1.0))
            return Event(at_s=at_s, trouble=trouble, amount=way, duration_s=lasting)
    return Event(at_s=at_s, trouble=trouble, duration_s=lasting)
