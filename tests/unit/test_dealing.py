"""The suite's order: each kind of tests lies among the others, and no test is lost."""

from tests.dealing import spread


def test_the_few_are_at_equal_distances_among_the_many() -> None:
    assert spread(("ab", 1.0), ("123456", 1.0)) == ["a", "1", "2", "3", "b", "4", "5", "6"]


def test_those_of_half_a_share_have_begun_by_the_middle() -> None:
    assert spread(("abcd", 0.5), ("1234", 1.0)) == ["a", "1", "b", "c", "2", "d", "3", "4"]


def test_all_are_there_in_their_order_when_the_few_are_more_or_none() -> None:
    assert spread(("abcd", 1.0), ("12", 1.0)) == ["a", "1", "b", "c", "2", "d"]
    assert spread(("", 1.0), ("12", 1.0)) == ["1", "2"]
    assert spread(("ab", 1.0), ("", 1.0)) == ["a", "b"]
