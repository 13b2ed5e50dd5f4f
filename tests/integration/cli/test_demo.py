"""The demo, as a person sees it once."""

from pathlib import Path

import pytest

from tests.integration.cli.program import run


@pytest.mark.slow
def test_the_story_is_told_to_its_end_and_its_mail_can_be_read(tmp_path: Path) -> None:
    done = run("demo", "--keep", str(tmp_path / "shop"), cwd=tmp_path)
    assert done.code == 0, done.err
    assert "she has 168 points (84, doubled)" in done.out
    assert "Ada is in the segment “prospect”" in done.out
    assert "Ada has 668 points, Ben 348" in done.out
    assert "Ada moves from “prospect” to “new”" in done.out
    assert "8/8  A broadcast goes out" in done.out
    assert "│ peonies have come in, and you see them first." in done.out
    assert "warning" not in (done.out + done.err).lower()
    mails = sorted((tmp_path / "shop" / "outbox").iterdir())
    assert [mail.name for mail in mails] != []
    assert any("ada-lindqvist@example.com" in mail.name for mail in mails)
    assert list(tmp_path.iterdir()) == [tmp_path / "shop"]
    again = run("demo", "--keep", str(tmp_path / "shop"), cwd=tmp_path)
    assert (again.code, "played in this directory before" in again.err) == (1, True)
