"""The suite's order: simulations lie among the tests that wait, and no test is lost."""

from tests.dealing import spread


def test_the_few_are_at_equal_distances_among_the_many() -> None:
    assert spread("ab", "123456") == ["a", "1", "2", "3", "b", "4", "5", "6"]


def test_all_are_there_in_their_order_when_the_few_are_more_or_none() -> None:
    assert spread("abcd", "12") == ["a", "1", "b", "c", "2", "d"]
    assert spread("", "12") == ["1", "2"]
    assert spread("ab", "") == ["a", "b"]
