"""Changes are told to those who wait for them, as one, and to nobody else."""

import trio

from runtime.changes import Changes


async def test_a_change_is_heard_by_all_who_watch_and_by_nobody_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    changes = Changes()
    with (
        changes.watching("balance", "ada") as one,
        changes.watching("balance", "ada") as two,
        changes.watching("balance", "bob") as other,
    ):
        changes.tell("balance", "ada")
        await one.wait()
        await two.wait()
        with trio.move_on_after(1) as scope:
            await other.wait()
        assert scope.cancelled_caught


async def test_changes_before_a_wait_are_heard_as_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    changes = Changes()
    with changes.watching("a") as watch:
        changes.tell("a")
        changes.tell("a")
        await watch.wait()
        with trio.move_on_after(1) as scope:
            await watch.wait()
        assert scope.cancelled_caught
        changes.tell("a")
        await watch.wait()


async def test_a_wait_that_is_cancelled_loses_nothing() -> None:
    changes = Changes()
    with changes.watching("a") as watch:
        changes.tell("a")
        with trio.CancelScope() as scope:
            scope.cancel()
            await watch.wait()
        assert scope.cancelled_caught
        with trio.fail_after(1):
            await watch.wait()


def test_who_has_left_leaves_nothing_behind() -> None:
    changes = Changes()
    with changes.watching("a"):
        assert len(changes) == 1
    assert not len(changes)
    changes.tell("a")
