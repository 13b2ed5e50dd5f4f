"""Every call that goes out of the program goes through a pipeline: read from the source."""

import ast
from collections.abc import Iterator
from random import Random

import pytest

from config.policies import DATABASE, DEPENDENCIES, REDIS, SMS, SMTP, WEBHOOKS
from config.policy_loading import default_policies
from runtime.policies import PolicyMetrics
from supervisors.domain_policies import DOMAIN_SPECS
from supervisors.policies import declared
from tests.unit.test_house_rules import Module, imports, module, ours

CLIENTS = frozenset(
    "aiohttp asyncio asyncpg ftplib http.client httpcore httpx imaplib poplib redis requests"
    " smtplib socket socketserver sqlite3 ssl telnetlib trio_websocket urllib.request urllib3"
    " websockets xmlrpc".split()
)
"""Modules that can talk to something outside of the process."""

DOORS = frozenset(
    "open_tcp_stream open_unix_socket open_ssl_over_tcp_stream open_process run_process"
    " start_process SocketStream".split()
)
"""Functions of Trio that can."""

GUARDED = {
    "actors.outgoing.smtp": SMTP,
    "actors.outgoing.webhooks": WEBHOOKS,
    "runtime.storage.sqlite": DATABASE,
    "runtime.storage.sqlite_checkpoints": DATABASE,
    "runtime.storage.sqlite_templates": DATABASE,
    "runtime.storage.sqlite_values": DATABASE,
    "runtime.storage.postgres": DATABASE,
    "runtime.storage.postgres_batch": DATABASE,
    "runtime.storage.postgres_bulk": DATABASE,
    "runtime.storage.postgres_errors": DATABASE,
    "runtime.storage.postgres_notices": DATABASE,
    "runtime.storage.postgres_pool": DATABASE,
    "runtime.storage.postgres_session": DATABASE,
    "runtime.storage.postgres_values": DATABASE,
    "runtime.cache.redis": REDIS,
    "runtime.cache.redis_connections": REDIS,
    "runtime.cache.redis_listener": REDIS,
    "actors.outgoing.http": SMS,
    "actors.outgoing.sms": SMS,
}
"""The modules of each adapter, and the pipeline that its calls go through."""

ASK_FOR_A_DEADLINE = {
    "runtime.storage.sqlite": {"SqliteDatabase._read", "SqliteDatabase._write"},
    "runtime.storage.postgres": {"PostgresDatabase._read", "PostgresDatabase._write"},
    "runtime.cache.redis_connections": {"Connections.ask"},
    "actors.outgoing.http": {"HttpClient.request"},
    "actors.outgoing.smtp": {"SmtpMailer._in_thread"},
}
"""The one way out of each adapter, for what a pipeline sends."""

NEITHER_IN_NOR_OUT = {
    "runtime.host": "the loop under Trio's, through which adapters await their drivers",
    "runtime.host_wait": "the loop under Trio's",
    "runtime.links.websocket": "other shards of this program: every ask ends by its deadline",
    "cli.link_tls": "the certificates of these links, from files; it opens no connection",
    "runtime.processes": "processes of our own, asked with a limit, and ended when it passes",
    "runtime.kept_process": "processes of our own, which are ended when they fall silent",
    "cli.lifeline": "the parent of this process, told from time to time how it is",
    "cli.http_client": "a command that asks a running server, with a limit of its own",
    "cli.story.command": "it looks for a free port, for a server of its own",
    "cli.version": "the version of a library",
}
"""Modules that could, but whose calls belong to no dependency of the serving program."""

SERVERS = {
    "cli.watchdog": "answers probes",
    "gateway.door": "answers clients",
    "gateway.listener": "answers clients",
    "gateway.server": "answers clients",
    "gateway.visitors": "answers clients",
}
"""Modules with sockets that others call."""

ADAPTERS_ARE_OPENED_BY = {
    "runtime.sim.reality",
    "runtime.sim.running",  # this and the next two pass on what a database in memory looks like
    "runtime.sim.store",
    "runtime.sim.world",
    "runtime.storage.opening",
    "runtime.cache.opening",
    "cli.providers",
}


def outgoing(module: Module) -> Iterator[str]:
    """What a module has that could talk to the outside."""
    for name in imports(module, frozenset()):
        if name in CLIENTS or name.partition(".")[0] in CLIENTS:
            yield name
    for called in module.calls:
        if called.rpartition(".")[2] in DOORS or called.endswith("host.call"):
            yield called


def test_whatever_can_talk_to_the_outside_is_an_adapter_behind_a_pipeline() -> None:
    found = {each.name: sorted(set(outgoing(each))) for each in ours()}
    talking = {name: what for name, what in found.items() if what}
    allowed = GUARDED.keys() | NEITHER_IN_NOR_OUT.keys() | SERVERS.keys()
    assert {name: what for name, what in talking.items() if name not in allowed} == {}


def test_every_exception_is_needed() -> None:
    talking = {each.name for each in ours() if any(outgoing(each))}
    assert NEITHER_IN_NOR_OUT.keys() | SERVERS.keys() <= talking
    assert GUARDED.keys() <= {each.name for each in ours()}


def test_adapters_are_imported_by_themselves_and_by_those_who_open_them() -> None:
    """So that nobody has one in hand without its pipeline."""
    known = frozenset(each.name for each in ours())
    importers = {each.name for each in ours() for name in imports(each, known) if name in GUARDED}
    assert importers - GUARDED.keys() == ADAPTERS_ARE_OPENED_BY


def functions(module: Module) -> Iterator[tuple[str, str]]:
    """The methods of a module, and their source."""
    for holder in module.tree.body:
        if isinstance(holder, ast.ClassDef):
            for node in holder.body:
                if isinstance(node, ast.AsyncFunctionDef):
                    yield f"{holder.name}.{node.name}", ast.unparse(node)


@pytest.mark.parametrize("name", ASK_FOR_A_DEADLINE)
def test_every_way_out_asks_for_a_deadline_first(name: str) -> None:
    (adapter,) = (each for each in ours() if each.name == name)
    source = dict(functions(adapter))
    for way in ASK_FOR_A_DEADLINE[name]:
        assert "require_deadline(" in source[way] or "until_deadline(" in source[way], way


def test_every_dependency_of_the_settings_is_called_through_its_pipeline() -> None:
    """Adapters by the list above; the others are the domains, which the gateway asks."""
    assert {*GUARDED.values(), *DOMAIN_SPECS} == set(DEPENDENCIES)
    policies = declared(default_policies(), Random(1), PolicyMetrics())
    for name in DEPENDENCIES:
        spec = policies[name].spec
        assert spec.deadline_s is not None, name
        assert spec.attempt_s is not None, name
        assert spec.breaker is not None, name
        assert spec.bulkhead is not None, name


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import smtplib", True),
        ("from urllib.request import urlopen", True),
        ("from urllib.parse import urlsplit", False),
        ("import http.client", True),
        ("from http import HTTPStatus", False),
        ("stream = await trio.open_tcp_stream('x', 1)", True),
        ("answer = await host.call(fetch)", True),
        ("await pipeline.call(fetch)", False),
        ("from redis.asyncio import Redis", True),
    ],
)
def test_the_rule_tells_calls_to_the_outside_from_others(source: str, found: bool) -> None:
    assert any(outgoing(module("actors.mail.sender", source))) is found
