"""The commands that need no tree: config, token, version, and usage errors."""

import json
from pathlib import Path

import jwt
import pytest

from actors.auth.keys import load_signing_key
from actors.auth.messages import ALGORITHM, AUDIENCE, ISSUER
from tests.integration.cli.program import run

pytestmark = pytest.mark.slow


def test_config_shows_where_every_value_came_from(tmp_path: Path) -> None:
    (tmp_path / "loyalnest.toml").write_text("http_drain_s = 3\n")
    done = run(
        "config", "--http-bind", "127.0.0.1:9", "--json", cwd=tmp_path, LOYALNEST_LOG_LEVEL="error"
    )
    table = json.loads(done.out)
    assert table["http_bind"] == {"value": "127.0.0.1:9", "source": "--http-bind"}
    assert table["log_level"] == {"value": "error", "source": "env LOYALNEST_LOG_LEVEL"}
    assert table["http_drain_s"] == {"value": "3.0", "source": "file:loyalnest.toml"}
    assert table["request_timeout_s"]["source"] == "default"


def test_config_as_a_table_masks_passwords(tmp_path: Path) -> None:
    done = run("config", cwd=tmp_path, LOYALNEST_REDIS_URL="redis://me:secret@cache/1")
    assert done.code == 0
    assert "redis://me:***@cache/1" in done.out
    assert "secret" not in done.out
    assert done.out.splitlines()[0].split() == ["NAME", "VALUE", "SOURCE"]


@pytest.mark.parametrize(
    ("arguments", "extra", "said"),
    [
        (("config", "--http-bind", "x"), {}, "http_bind (from --http-bind)"),
        (("serve",), {"LOYALNEST_HTTP_BIND": "x"}, "http_bind (from env LOYALNEST_HTTP_BIND)"),
        (("serve",), {"LOYALNEST_HTTP_BOND": "x"}, "did you mean LOYALNEST_HTTP_BIND?"),
        (("verify", "--merchant", "no good"), {}, "--merchant 'no good' is not a valid id"),
        (("config", "--config", "none.toml"), {}, "none.toml (--config): No such file"),
        (("token", "--role", "king"), {}, "'king' is not one of"),
        (("token", "--merchant", "m", "--ttl", "2d"), {}, "1 to 86400 seconds"),
        (("token", "--merchant", "m", "--ttl", "soon"), {}, "is not a duration"),
        (("token",), {}, "needs a merchant"),
        (("no-such-command",), {}, "No such command"),
        (
            ("serve", "--database-url", "postgresql://me:secret@db"),
            {},
            "postgresql://user:password@host:port/database",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...], extra: dict[str, str], said: str
) -> None:
    done = run(*arguments, cwd=tmp_path, file_max_bytes=None, **extra)
    assert (done.code, done.out, len(done.err_lines)) == (2, "", 1), done
    assert said in done.err
    assert "secret" not in done.err


def test_a_token_carries_what_was_asked_for(tmp_path: Path) -> None:
    done = run(
        *("token", "--merchant", "m1", "--role", "customer", "--customer", "c1", "--ttl", "15m"),
        cwd=tmp_path,
    )
    public = load_signing_key(tmp_path / "data").verification_key().public_pem
    claims = jwt.decode(
        done.out.strip(), public, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER
    )
    assert (claims["merchant_id"], claims["role"], claims["customer_id"]) == (
        "m1",
        "customer",
        "c1",
    )
    assert claims["exp"] - claims["iat"] == 15 * 60


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    assert run("token", "--merchant", "m", cwd=tmp_path).code == 0
    key_file = tmp_path / "data" / "signing-key.pem"
    key_file.chmod(0o644)
    done = run("token", "--merchant", "m", cwd=tmp_path)
    assert (done.code, len(done.err_lines)) == (1, 1)
    assert "readable by others" in done.err


def test_version_names_the_program(tmp_path: Path) -> None:
    done = run("version", cwd=tmp_path)
    assert done.code == 0
    assert done.out.startswith("loyalnest 0.")
