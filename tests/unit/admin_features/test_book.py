"""The flags of a process: versions never go back, and what is unknown or stale is the default."""

from datetime import UTC, datetime
from itertools import permutations
from threading import Thread

import pytest
import trio
from prometheus_client import CollectorRegistry

from actors.admin_features.book import STALE_S, FlagBook
from actors.admin_features.messages import NOBODY, Flag, FlagTerms, FlagType, Reason
from actors.admin_features.records import Snapshot, decoded, encoded
from runtime.ports import SystemClock
from tests.virtual import run_virtually

pytestmark = pytest.mark.trio(run=run_virtually)

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def flag(key: str, version: int, default: bool | int | str = True) -> Flag:
    type_ = {bool: FlagType.BOOLEAN, int: FlagType.INTEGER, str: FlagType.TEXT}[type(default)]
    return Flag(key, version, FlagTerms(type=type_, default=default, description="x"), NOW)


def snapshot(*flags: Flag) -> Snapshot:
    return Snapshot(NOW, {each.key: each for each in flags})


def book(*flags: Flag) -> tuple[FlagBook, CollectorRegistry]:
    registry, made = CollectorRegistry(), FlagBook()
    made.attach(SystemClock(), registry)
    made.take(snapshot(*flags))
    return made, registry


def count(registry: CollectorRegistry, reason: Reason) -> float:
    name = "loyalnest_flag_evaluations_total"
    return registry.get_sample_value(name, {"reason": reason.value}) or 0.0


async def test_whatever_comes_in_which_order_the_highest_version_stays() -> None:
    versions = [
        snapshot(flag("a", 1), flag("b", 2)),
        snapshot(flag("a", 3)),
        snapshot(flag("b", 1)),
    ]
    for order in permutations(versions):
        made = FlagBook()
        seen = []
        for each in order:
            made.take(each)
            seen.append(made.status.revision)
        assert seen == sorted(seen)
        assert made.status.revision == 5


async def test_the_last_known_flags_count_for_a_quarter_of_an_hour() -> None:
    made, registry = book(flag("a", 1, True))
    await trio.sleep(STALE_S - 1)
    assert made.boolean("a", False) is True
    await trio.sleep(2)
    assert made.boolean("a", False) is False
    assert made.status.stale
    assert count(registry, Reason.STALE) == 1
    made.take(snapshot(), age_s=STALE_S + 1)
    assert made.status.stale
    made.take(snapshot())
    assert made.boolean("a", False) is True


async def test_an_unknown_flag_and_one_of_another_type_are_the_default_and_counted() -> None:
    made, registry = book(flag("number", 1, 7))
    assert made.boolean("missing", True) is True
    assert made.text("number", "mine") == "mine"
    assert made.boolean("number", False) is False
    assert made.integer("number", 1) == 7
    assert count(registry, Reason.UNKNOWN) == 3
    assert count(registry, Reason.DEFAULT) == 1


async def test_before_anything_was_heard_everything_is_the_default() -> None:
    made = FlagBook()
    assert made.boolean("a", False) is False
    assert made.evaluate("a", None, NOBODY).value is None
    assert made.status.age_s is None


async def test_one_flag_that_cannot_be_read_spoils_no_other() -> None:
    data = encoded(snapshot(flag("good", 1), flag("bad", 2)))
    for broken in (
        data.replace(b'"default":true', b'"default":17', 1),
        data.replace(b'"version":1', b'"version":"one"', 1),
    ):
        found = decoded(broken)
        assert (set(found.flags), found.unreadable) == ({"bad"}, 1)


async def test_a_thread_without_a_clock_gets_the_flags_all_the_same() -> None:
    made, _ = book(flag("a", 1, True))
    answers: list[bool] = []
    thread = Thread(target=lambda: answers.append(made.boolean("a", False)))
    thread.start()
    thread.join()
    assert answers == [True]
