"""Which failures of an account mean that the database is away."""

import pytest

from actors.points.away import BEFORE_THE_STORE, database_away
from actors.points.messages import ACCOUNTS
from runtime import Actor, ActorDown, ActorSystem, ChildSpec, Supervisor, TerminateChild
from runtime.journal import Append


@pytest.mark.parametrize("name", sorted(BEFORE_THE_STORE))
async def test_an_actor_before_the_store_that_never_ran(name: str) -> None:
    async with ActorSystem().run(ChildSpec("root", Supervisor)) as system:
        with pytest.raises(ActorDown) as caught:
            await system.ref(name).ask(Append(()))
        assert database_away(caught.value)


@pytest.mark.parametrize("name", sorted(BEFORE_THE_STORE))
async def test_an_actor_before_the_store_that_ran_and_is_down(name: str) -> None:
    child = ChildSpec(name.rpartition(".")[2], Actor, name=name)
    root = ChildSpec("root", lambda: Supervisor([child]), name="root")
    async with ActorSystem().run(root) as system:
        await system.ref("root").ask(TerminateChild(child.id))
        with pytest.raises(ActorDown) as caught:
            await system.ref(name).ask(Append(()))
        assert caught.value.address != name
        assert database_away(caught.value)


def test_another_actor_that_is_down_is_not_the_database() -> None:
    assert not database_away(ActorDown(f"root/domains/points/{ACCOUNTS}", Append(())))
    assert not database_away(ActorDown("root/platform/relay", Append(())))
