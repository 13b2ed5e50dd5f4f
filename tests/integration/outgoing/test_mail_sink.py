"""The mail server of the demo takes what our own mailer sends."""

from email import message_from_bytes
from email.policy import default
from pathlib import Path
from random import Random

import attrs
import pytest
import trio

from actors.outgoing.policies import SMTP
from actors.outgoing.ports import Accepted, Mail
from actors.outgoing.smtp import SmtpMailer
from cli import mail_sink as sinks
from cli.mail_sink import mail_sink
from runtime.policies import Pipeline
from runtime.rotation import RotatingSecret

PATIENCE_S = 60.0


@pytest.mark.trio
async def test_every_mail_is_a_file_and_only_so_many_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "KEPT_MAX", 3)
    for start in (0, 4):
        async with mail_sink(tmp_path / "outbox") as sink:
            patient = attrs.evolve(SMTP, deadline_s=PATIENCE_S, attempt_s=PATIENCE_S)
            pipeline = Pipeline("smtp", patient, Random(1))
            mailer = SmtpMailer(RotatingSecret(sink.url), "a@b.example", pipeline, threads_max=2)
            for number in range(start, start + 4):
                mail = Mail(to=f"c{number}@example.com", subject="Hi", text=f".{number}\nümläut\n")
                assert isinstance(await mailer.send(mail, f"key-{number}"), Accepted)
            await mailer.close()
    files = sorted((tmp_path / "outbox").iterdir())
    names = ["000006-c5@example.com.eml", "000007-c6@example.com.eml", "000008-c7@example.com.eml"]
    assert [file.name for file in files] == names
    kept = message_from_bytes(files[-1].read_bytes(), policy=default)
    assert kept["To"] == "c7@example.com"
    assert kept.get_content().splitlines() == [".7", "ümläut"]


@pytest.mark.trio
async def test_nonsense_is_answered_and_ends_nothing(tmp_path: Path) -> None:
    async with mail_sink(tmp_path) as sink:
        port = int(sink.url.rpartition(":")[2].partition("?")[0])
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        async with stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nQUIT\r\n")
            said = b""
            while data := await stream.receive_some():
                said += data
        assert b"502" in said
        assert b"221" in said
