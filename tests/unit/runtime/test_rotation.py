"""Secrets that are replaced: what is tried, in what order, and what is forgotten."""

import trio

from runtime.rotation import KEPT_MAX, RotatingSecret


def test_a_new_value_is_tried_first_and_the_old_one_still_counts() -> None:
    secret = RotatingSecret("old")
    secret.worked("old")
    assert secret.replace("new")
    assert secret.values() == ("new", "old")


def test_while_the_new_value_is_refused_the_old_one_is_tried_first() -> None:
    """The file came before the server: each attempt with the new value would cost a refusal."""
    secret = RotatingSecret("old")
    secret.replace("new")
    secret.worked("old")
    assert secret.values() == ("old", "new")


def test_once_the_new_value_works_the_others_are_forgotten() -> None:
    secret = RotatingSecret("old")
    secret.replace("new")
    secret.worked("old")
    secret.worked("new")
    assert secret.values() == ("new",)


def test_a_value_that_comes_back_is_the_newest() -> None:
    secret = RotatingSecret("old")
    secret.replace("new")
    assert secret.replace("old")
    assert secret.values() == ("old", "new")


def test_the_same_value_again_changes_nothing() -> None:
    secret = RotatingSecret("old")
    secret.replace("new")
    secret.worked("old")
    assert not secret.replace("new")
    assert secret.values() == ("old", "new")


def test_of_many_replacements_only_the_last_ones_are_kept() -> None:
    secret = RotatingSecret("0")
    for number in range(1, 10):
        secret.replace(str(number))
    assert secret.values() == ("9", "8", "7")
    assert len(secret.values()) == KEPT_MAX


def test_a_value_that_was_forgotten_meanwhile_does_not_come_back_by_working() -> None:
    secret = RotatingSecret("0")
    for number in range(1, 10):
        secret.replace(str(number))
    secret.worked("0")
    assert secret.values() == ("9", "8", "7")


def test_a_secret_is_not_shown() -> None:
    assert "canary" not in repr(RotatingSecret("canary"))


def test_a_fixed_value_is_made_a_secret_once() -> None:
    secret = RotatingSecret.of("x")
    assert RotatingSecret.of(secret) is secret
    assert secret.newest == "x"


async def test_a_refusal_is_waited_for_once(autojump_clock: trio.testing.MockClock) -> None:
    secret = RotatingSecret("x")
    secret.refused()
    await secret.doubted()
    with trio.move_on_after(60) as patience:
        await secret.doubted()
    assert patience.cancelled_caught
