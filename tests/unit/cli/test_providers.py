"""The provider of texts as the settings say: none, one, and one whose token is replaced."""

from pathlib import Path
from random import Random

import pytest
import trio

from actors.outgoing.absent import NoTexter
from actors.outgoing.sms import SmsTexter
from actors.outgoing.twilio import signature_of
from cli.errors import CommandFailed
from cli.providers import texts
from config import InsecureSettings, Settings, load_settings
from config.policies import SMS
from config.production import check_production
from runtime.policies import Policies, PolicyMetrics
from supervisors.policies import declared

URL, FORM = "https://loyalty.example/v1/x", (("MessageSid", "SM1"),)


def settings(**chosen: str) -> Settings:
    return load_settings(chosen, {})


def policies() -> Policies:
    return declared({SMS: settings().policies[SMS]}, Random(1), PolicyMetrics())


@pytest.fixture(autouse=True)
def _empty_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_an_account_there_is_no_provider_and_nothing_is_signed() -> None:
    made = texts(settings(), policies())
    assert isinstance(made.texter, NoTexter)
    assert not made.signed(signature_of("", URL, FORM), URL, FORM)
    assert made.watched == ()


@pytest.mark.parametrize("missing", ["sms_sender", "sms_token_file"])
def test_an_account_needs_a_sender_and_a_token(tmp_path: Path, missing: str) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    chosen = {"sms_account": "AC1", "sms_sender": "+1555", "sms_token_file": str(token)}
    del chosen[missing]
    with pytest.raises(CommandFailed, match="needs"):
        texts(settings(**chosen), policies())


async def test_a_token_is_replaced_while_the_old_one_still_counts(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    made = texts(
        settings(sms_account="AC1", sms_sender="+1555", sms_token_file=str(token)), policies()
    )
    assert isinstance(made.texter, SmsTexter)
    (watched,) = made.watched
    accepted = []
    for content in ("old", "new old", "new"):
        token.write_text(f"{content}\n")
        with trio.fail_after(60):
            value = await watched.read()
        assert value is not None
        watched.secret.replace(value)
        accepted.append(
            [made.signed(signature_of(each, URL, FORM), URL, FORM) for each in ("old", "new")]
        )
    assert accepted == [[True, False], [True, True], [False, True]]
    assert "old" not in repr(made)
    assert "new" not in repr(made)
    await made.close()


def test_in_production_the_token_is_for_its_owner_alone(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o644)
    chosen = settings(environment="production", sms_token_file=str(token))
    with pytest.raises(InsecureSettings) as caught:
        check_production(chosen, key_needed=False)
    assert "token: readable by others" in str(caught.value)
