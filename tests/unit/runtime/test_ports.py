"""Ports: ids and virtual time, and that a seed decides everything."""

import random
from datetime import UTC, datetime, timedelta

import pytest
import trio
from trio.testing import MockClock

from runtime.ports import Ids, seeded_ports, system_ports
from tests.unit.runtime.helpers import START


class SteppingClock:
    """A clock that shows what it was set to."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def test_ids_of_one_millisecond_increase_strictly() -> None:
    ids = Ids(SteppingClock(START), random.Random(1))
    made = [ids.new("tx") for _ in range(20_000)]
    assert made == sorted(set(made))


def test_ids_increase_strictly_over_many_milliseconds() -> None:
    clock = SteppingClock(START)
    ids = Ids(clock, random.Random(1))
    made = []
    for number in range(5_000):
        clock.time = START + timedelta(milliseconds=number // 3)
        made.append(ids.new("tx"))
    assert made == sorted(set(made))


def test_ids_increase_even_when_the_clock_steps_back() -> None:
    clock = SteppingClock(START)
    ids = Ids(clock, random.Random(1))
    before = ids.new("tx")
    clock.time = START - timedelta(hours=1)
    made = [ids.new("tx") for _ in range(100)]
    clock.time = START + timedelta(hours=1)
    after = ids.new("tx")
    assert [before, *made, after] == sorted({before, *made, after})


def test_id_is_a_prefix_and_the_time_in_crockford_letters() -> None:
    ids = Ids(SteppingClock(datetime(1970, 1, 1, 0, 0, 0, 1000, UTC)), random.Random(1))
    prefix, _, letters = ids.new("tx").partition("_")
    assert prefix == "tx"
    assert len(letters) == 26
    assert letters.startswith("0000000001")
    assert not set(letters) - set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


async def test_one_seed_gives_one_sequence(autojump_clock: MockClock) -> None:
    one, same, other = seeded_ports(7, START), seeded_ports(7, START), seeded_ports(8, START)
    for ports in (one, same, other):
        assert ports.clock.now() == START
    await trio.sleep(1.5)

    sequences = [
        [ports.ids.new("a"), ports.random.random(), ports.ids.new("b"), ports.clock.now()]
        for ports in (one, same, other)
    ]
    assert sequences[0] == sequences[1]
    assert sequences[0][:3] != sequences[2][:3]


async def test_virtual_clock_runs_with_trio(autojump_clock: MockClock) -> None:
    ports = seeded_ports(7, START)
    assert ports.clock.now() == START
    await trio.sleep(3600)
    assert (ports.clock.now() - START).total_seconds() == pytest.approx(3600)


def test_real_ports_differ_and_tell_utc() -> None:
    one, other = system_ports(), system_ports()
    assert one.ids.new("a") != other.ids.new("a")
    assert one.clock.now().tzinfo is UTC
