"""Awarding and revoking: each badge once a period, and only what was earned is kept."""

import attrs

from actors.gamification.awarding import Achievement, Held, Judged, award_changes
from actors.gamification.evaluation import Reach
from actors.gamification.messages import BadgeState
from tests.unit.gamification.examples import achievement, noon

NOW = noon(1)


def judged(each: Achievement, *periods: str, complete: bool = False) -> Judged:
    return Judged(each, [Reach(period, 7) for period in periods], complete)


def held(*changes: Held) -> dict[tuple[str, str], Held]:
    return {change.key: change for change in changes}


def told(changes: list[Held]) -> list[tuple[str, str, int, BadgeState]]:
    return [(each.badge_id, each.period, each.number, each.state) for each in changes]


def test_what_is_held_already_is_not_awarded_again() -> None:
    first = award_changes({}, [judged(achievement(), "once")], NOW)
    assert told(first) == [("a", "once", 1, BadgeState.AWARDED)]
    assert award_changes(held(*first), [judged(achievement(), "once")], NOW) == []


def test_two_achievements_with_one_badge_award_it_once() -> None:
    both = [achievement("a", badge_id="b"), achievement("c", badge_id="b")]
    changes = award_changes({}, [judged(each, "once") for each in both], NOW)
    assert told(changes) == [("b", "once", 1, BadgeState.AWARDED)]
    still = [judged(both[0], complete=True), judged(both[1], "once", complete=True)]
    assert award_changes(held(*changes), still, NOW) == []


def test_a_badge_is_taken_back_where_all_was_looked_at() -> None:
    first = held(*award_changes({}, [judged(achievement(), "once")], NOW))
    assert award_changes(first, [judged(achievement())], NOW) == []
    changes = award_changes(first, [judged(achievement(), complete=True)], NOW)
    assert told(changes) == [("a", "once", 2, BadgeState.REVOKED)]
    again = award_changes(held(*changes), [judged(achievement(), "once")], NOW)
    assert told(again) == [("a", "once", 3, BadgeState.AWARDED)]


def test_some_badges_are_kept_whatever_happens() -> None:
    first = held(*award_changes({}, [judged(achievement(), "once")], NOW))
    kept = attrs.evolve(achievement(), version=2)
    assert award_changes(first, [judged(kept, complete=True)], NOW) == []
    lasting = achievement(revocable=False)
    assert award_changes(first, [judged(lasting, complete=True)], NOW) == []
    assert award_changes(first, [], NOW) == []
