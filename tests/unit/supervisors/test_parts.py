"""What crosses between shards can cross, and each part of a plan has what it should."""

import types
import typing
from collections import abc
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import Path

import attrs
import pytest
from prometheus_client import CollectorRegistry

from actors.points.messages import AccountKey, Balance
from config.plans import DOMAINS, Plan, load_plan
from gateway.domains import DOMAIN_OF
from gateway.introspection_messages import INTROSPECTION
from gateway.switch_messages import SWITCHBOARD
from runtime import Call, Cast
from runtime.changes import Changes
from runtime.jobs import JOBS
from runtime.links import WebSocketNetwork
from runtime.outbox import RELAY
from runtime.ownership import MAIN
from runtime.storage.errors import StorageRejected, StorageUnavailable, Superseded
from supervisors.application import SUBSCRIPTIONS
from supervisors.part import Part
from supervisors.placement import REACHED
from supervisors.sharding import ShardSpec, digest_of, names_of, part_of
from supervisors.wire import ERRORS, message_modules, wire_types

PLANS = Path(__file__).parents[3] / "config/plans"
PLAIN = {type(None), bool, int, float, str, bytes, datetime, date, time, timedelta}
HOLDERS = {tuple, list, dict, frozenset, set, abc.Mapping, abc.Sequence, abc.Hashable}
UNIONS = {typing.Union, types.UnionType}

JSON = {
    "OutboxEvent.payload",
    "DeadEvent.history",
    "AuditRecord.before",
    "AuditRecord.after",
    "AuditEntry.before",
    "AuditEntry.after",
}
"""Fields whose values come from JSON, and are plain whatever they are."""

LOCAL = {"admin_features.keeper"}
"""There is one of these in every shard."""


def not_sendable(hint: object) -> typing.Iterator[str]:
    """What in a type's annotation is neither plain nor registered."""
    if hint in PLAIN or isinstance(hint, typing.TypeVar):
        return
    if isinstance(hint, type) and hint in wire_types():
        return
    origin = typing.get_origin(hint)
    if origin in HOLDERS | UNIONS or (isinstance(origin, type) and origin in wire_types()):
        for part in typing.get_args(hint):
            if part is not Ellipsis:
                yield from not_sendable(part)
        return
    yield str(hint)


def classes() -> list[type]:
    return [
        each
        for module in message_modules()
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__ == module.__name__
    ]


def test_every_message_of_every_domain_its_answer_and_all_they_hold_can_cross() -> None:
    messages, wrong = 0, []
    for each in classes():
        if issubclass(each, Enum) or not attrs.has(each):
            continue
        messages += issubclass(each, (Call, Cast))
        hints = typing.get_type_hints(each)
        parts = [(field.name, hints[field.name]) for field in attrs.fields(each)]
        for base in getattr(each, "__orig_bases__", ()):
            if typing.get_origin(base) is Call:
                reply = typing.get_args(base)[0]
                parts.append(("its answer", _resolved(reply, each)))
        for name, hint in parts:
            if f"{each.__name__}.{name}" not in JSON:
                wrong += [f"{each.__name__}.{name}: {what}" for what in not_sendable(hint)]
    assert wrong == []
    assert messages > 150


def _resolved(hint: object, where: type) -> object:
    if isinstance(hint, typing.ForwardRef):
        names = vars(__import__(where.__module__, fromlist=["_"]))
        return eval(hint.__forward_arg__, names)  # an annotation of ours
    return hint


def test_values_and_errors_come_back_as_they_went() -> None:
    wire = wire_types()
    value = (
        AccountKey("shop", "ada"),
        Balance(posted=3, held=1, available=2, pending=0),
        {"a": [AccountKey("shop", "ben")]},
    )
    assert wire.from_plain(wire.to_plain(value)) == value
    rejected = wire.error_from_plain(wire.error_to_plain(StorageRejected("breaker open", 2.5)))
    assert isinstance(rejected, StorageRejected)
    assert (str(rejected), rejected.retry_after_s) == (
        "the database was not asked: breaker open",
        2.5,
    )
    superseded = wire.error_from_plain(wire.error_to_plain(Superseded("jobs.end")))
    assert isinstance(superseded, Superseded)
    assert superseded.statement == "jobs.end"


def test_every_error_of_the_store_that_is_passed_on_is_known_on_the_other_side() -> None:
    kinds = {StorageUnavailable, *StorageUnavailable.__subclasses__()}
    assert kinds <= set(ERRORS)


def test_everybody_that_the_gateway_and_the_relay_ask_is_in_the_table_of_names() -> None:
    reached = {name for names in REACHED.values() for name in (*names.actors, *names.regions)}
    in_the_edge = {JOBS, RELAY, SWITCHBOARD, INTROSPECTION} | LOCAL
    consumers = {consumer for each in SUBSCRIPTIONS.values() for consumer in each}
    assert set(DOMAIN_OF) | consumers <= reached | in_the_edge
    assert set(REACHED) == set(DOMAINS)


@pytest.fixture
def plan() -> Plan:
    return load_plan(PLANS / "three.toml")


def part(plan: Plan, name: str) -> Part:
    spec = ShardSpec(
        network=WebSocketNetwork(), secrets=lambda: (b"x" * 16,), registry=CollectorRegistry()
    )
    return part_of(plan, plan.shards[name], spec)


def test_each_shard_reaches_all_that_it_does_not_have_and_each_pair_has_one_that_dials(
    plan: Plan,
) -> None:
    everything = {name for names in REACHED.values() for name in names.actors} | {RELAY}
    dialled = []
    for name, shard in plan.shards.items():
        links = part(plan, name).links
        assert links is not None
        own = set(names_of(plan, shard).actors)
        proxies = {actor for peer in links.spec.peers for actor in peer.actors}
        assert everything <= own | proxies
        assert not own & proxies
        dialled += [
            frozenset((name, peer.name)) for peer in links.spec.peers if peer.address is not None
        ]
    assert len(dialled) == len(set(dialled)) == 3


def test_one_shard_relays_and_each_writes_in_a_partition_of_its_own(plan: Plan) -> None:
    parts = [part(plan, name) for name in plan.shards]
    assert [each.name for each in parts if each.relay] == ["money"]
    partitions = {each.ownership.partition for each in parts}
    assert partitions == {f"{name}@{digest_of(plan)}" for name in plan.shards}
    assert {each.ownership.family for each in parts} == {f"%@{digest_of(plan)}"}


def test_a_plan_with_one_shard_is_the_whole_tree_without_links() -> None:
    alone = part(load_plan(PLANS / "one.toml"), "all")
    assert (alone.links, alone.relay, alone.ownership.partition) == (None, True, MAIN)
    assert alone.domains == frozenset(DOMAINS)


def test_plans_that_divide_the_work_alike_share_their_partitions_and_others_do_not(
    plan: Plan,
) -> None:
    moved = attrs.evolve(plan, health="127.0.0.1:9999")
    assert digest_of(moved) == digest_of(plan)
    shards = dict(plan.shards)
    shards["edge"] = attrs.evolve(shards["edge"], domains=("auth",))
    assert digest_of(attrs.evolve(plan, shards=shards)) != digest_of(plan)


def test_changes_that_are_heard_from_others_are_not_passed_on_again() -> None:
    changes = Changes()
    passed: list[tuple[str, ...]] = []
    changes.pass_on = passed.append
    with changes.watching("points", "shop", "ada"):
        changes.hear("points", "shop", "ada")
        assert passed == []
        changes.tell("points", "shop", "ada")
        assert passed == [("points", "shop", "ada")]
