"""The server that `ctl` talks to."""

import getpass
import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import quote, urlencode

import attrs
import click
import trio

from actors.auth.messages import Role
from cli.errors import CommandFailed
from cli.http_client import HttpAnswer, HttpClient, Unreachable
from cli.key_store import key_store
from cli.options import settings_options
from cli.server_file import server_address
from cli.tokens import new_token
from config import Settings

TIMEOUT_S = 10.0
TOKEN_TTL_S = 3_600

Json = Any


@attrs.frozen
class Server:
    """A running server, asked with the rights of the platform. Everything raises `CommandFailed`,
    in one line."""

    client: HttpClient
    settings: Settings

    def get(self, path: str, timeout_s: float = TIMEOUT_S, **query: Any) -> Json:
        return self._asked("GET", path + _query(query), None, timeout_s)

    def put(self, path: str, body: dict[str, Any]) -> Json:
        return self._asked("PUT", path, {k: v for k, v in body.items() if v is not None}, TIMEOUT_S)

    def delete(self, path: str, **query: Any) -> Json:
        return self._asked("DELETE", path + _query(query), None, TIMEOUT_S)

    async def asked(self, method: str, path: str, body: Json, timeout_s: float) -> Json:
        """The answer to a request, as JSON."""
        token = new_token(
            key_store(self.settings), Role.PLATFORM, None, ttl_s=TOKEN_TTL_S, subject=_me()
        )
        try:
            answer: HttpAnswer = await self.client.request(method, path, body, token, timeout_s)
        except Unreachable as error:
            raise CommandFailed(f"server at {self.client.address}: {error}") from error
        if answer.status != 200:
            raise CommandFailed(f"server at {self.client.address}: {answer.problem}")
        return answer.body

    def _asked(self, method: str, path: str, body: Json, timeout_s: float) -> Json:
        return trio.run(self.asked, method, path, body, timeout_s)


def _query(query: dict[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value not in (None, False)}
    return f"?{urlencode(given)}" if given else ""


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def _me() -> str:
    """Who stands in the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def server_command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command its `Server`, and the options to say which one."""

    @wraps(function)
    def with_server(settings: Settings, server: str | None, **options: Any) -> None:
        address = server or server_address(settings.data_dir)
        if address is None:
            raise CommandFailed(
                f"no server runs with the data directory {settings.data_dir};"
                " name another one with --data-dir, or its address with --server"
            )
        function(server=Server(HttpClient(address), settings), **options)

    option = click.option("--server", metavar="URL", help="the server's address, if not found")
    return settings_options("environment", "data_dir", "signing_key_file")(option(with_server))


json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")


def print_json(value: Json) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()
