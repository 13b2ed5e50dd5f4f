"""Which values go over links, and that nothing else is made of what comes."""

import importlib
import pkgutil
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

import actors
from actors import vocabulary
from actors.points.messages import AccountKey, Apply, Earn
from actors.vocabulary import Idempotency
from runtime import outbox
from runtime.links import NotWireable, WireTypes
from runtime.outbox import Deliver, OutboxEvent
from tests.shards import Note


@attrs.frozen
class Keyed:
    number: int
    name: str = attrs.field(kw_only=True)
    hidden: int = attrs.field(init=False, default=3)


def test_only_registered_classes_are_made() -> None:
    types = WireTypes(classes=(Keyed,))
    there = Keyed(1, name="n")
    assert types.from_plain(types.to_plain(there)) == there
    with pytest.raises(NotWireable, match="not registered"):
        types.to_plain(Note(1))
    with pytest.raises(NotWireable, match="not registered"):
        types.from_plain(["builtins.eval", "1"])
    with pytest.raises(NotWireable, match="fields"):
        types.from_plain([*types.to_plain(there), 1])
    with pytest.raises(NotWireable, match="neither"):
        WireTypes(classes=(dict,))
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(NotWireable, match="within each other"):
        types.to_plain(deep)


def test_an_error_that_is_no_value_is_told_and_not_sent() -> None:
    class Odd(Exception):
        pass

    types = WireTypes(errors=(Odd,))
    assert types.error_to_plain(Odd("text", 1)) is not None
    assert types.error_to_plain(Odd(object())) is None
    assert types.error_to_plain(ValueError()) is None
    assert types.error_from_plain(["builtins.SystemExit"]) is None


def test_all_messages_between_domains_can_be_registered_and_come_back_the_same() -> None:
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(actors.__path__, "actors.")
        if "messages" in found.name.rpartition(".")[2]
    ]
    types = WireTypes(modules=(*modules, vocabulary, outbox))
    key, once = AccountKey("m", "c"), Idempotency("key", "fingerprint")
    at = datetime(2027, 1, 1, tzinfo=UTC)
    earn = Earn(idempotency=once, amount=5, reason="r", expires_at=at)
    event = OutboxEvent("m", "e1", "topic", "k", {"a": [1, {"b": None}]}, at)
    for message in (Apply((earn, earn)), Deliver((event,)), key):
        assert types.from_plain(types.to_plain(message)) == message
