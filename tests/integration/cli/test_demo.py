"""The demo, as a person sees it once."""

from pathlib import Path

import pytest

from tests.integration.cli.program import run


@pytest.mark.slow
def test_the_story_is_told_to_its_end_and_its_mail_can_be_read(tmp_path: Path) -> None:
    done = run("demo", "--keep", str(tmp_path / "shop"), cwd=tmp_path)
    assert done.code == 0, done.err
    assert "she has 168 points (84, doubled)" in done.out
    assert "the referral is" in done.out
    assert "A broadcast goes out" in done.out
    mails = sorted((tmp_path / "shop" / "outbox").iterdir())
    assert [mail.name for mail in mails] != []
    assert any("ada-lindqvist@example.com" in mail.name for mail in mails)
    assert list(tmp_path.iterdir()) == [tmp_path / "shop"]
