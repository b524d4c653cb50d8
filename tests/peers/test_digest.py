"""The daily letter to the practice, at smtp-sink: once for each scheduled time, across restarts, and nothing private in it."""
import contextlib
import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone

import pytest
from conftest import PROGRAM, person, session

import reading
import servers

DESK = "front-desk@lakeside.example"


@contextlib.contextmanager
def daemon(practice):
    with open(practice.folder / "log", "ab") as out:
        child = subprocess.Popen([PROGRAM, "--config", practice.config, "run"], cwd=practice.folder, stdout=out, stderr=out)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 0, (practice.folder / "log").read_text()


@pytest.fixture
def troubled(practice):
    """A practice of which one will be told, and two will not; its letter fell due some minutes ago."""
    practice.sections["practice"] += '\ntime_zone = "America/New_York"'
    due = datetime.now(timezone.utc) - timedelta(minutes=7)
    practice.due = due.astimezone(__import__("zoneinfo").ZoneInfo("America/New_York"))
    practice.sections["digest"] = f'to = ["{DESK}"]\nat = "0 {practice.due.minute} {practice.due.hour} * * *"'
    practice.sessions([session(1, person(11), person(12, email=""), person(13, email="nobody"))])
    return practice


def letters(sink):
    return [raw for recipient, raw in sink.messages() if recipient == DESK]


def test_a_daemon_makes_a_missed_letter_up_once_across_restarts(troubled, sink):
    troubled.email(sink.port)
    with daemon(troubled):
        servers.wait_until(lambda: letters(sink), "the letter")
    for n in range(2):
        with daemon(troubled):
            servers.wait_until(lambda: (troubled.folder / "log").read_text().count("ready") > n + 1, "the daemon is ready")
            time.sleep(2)  # a second letter would be a defect, and would come now
    (raw,) = letters(sink)
    reading.check_wire(raw)
    message = reading.parse(raw)
    assert message["Subject"].startswith("2 people will not be reached") and message["Auto-Submitted"] == "auto-generated"
    kinds = [p.get_content_type() for p in message.walk() if not p.is_multipart()]
    assert kinds == ["text/plain", "text/html"]
    seen = reading.visible(raw)
    for words in ("There is no e-mail address", "session 1", "participation 12", "participation 13", "cannot be used"):
        assert words in seen, words
    for private in ("Trevor", "Ada Finch", "p11@example.org", "nobody", *(str(300_000_000 + n * 7) for n in (11, 12, 13))):
        assert private not in seen, private
    assert len([r for r in troubled.outbox() if r["state"] == "accepted"]) == 1, "a letter is no notice"


@pytest.mark.parametrize("flags,words", [(["-B", "552 5.2.2 mailbox full", "-f", "rcpt"], "is refused"), (["-q", "."], "may or may not have arrived")], ids=["refused", "unanswered"])
def test_a_refused_or_unanswered_letter_is_told_and_not_sent_twice(troubled, tmp_path, flags, words):
    """552 to RCPT: refused for good. No answer to the dot: nobody can know, so never again."""
    log = troubled.folder / "log"
    troubled.sessions([session(1, person(12, email=""))])
    with servers.Sink(tmp_path / "broken", flags).running() as broken:
        troubled.email(broken.port)
        with daemon(troubled):
            servers.wait_until(lambda: words in log.read_text(), words)
    with servers.Sink(tmp_path / "mended").running() as mended:
        troubled.email(mended.port)
        with daemon(troubled):
            servers.wait_until(lambda: log.read_text().count("ready") > 1, "the daemon is ready")
            time.sleep(2)  # a second letter would be a defect, and would come now
        assert letters(mended) == []


def test_by_hand_it_is_printed_or_sent(troubled, sink):
    troubled.email(sink.port)
    assert troubled.once().code == 0
    shown = troubled.run("digest")
    assert shown.code == 3 and "2 people will not be reached" in shown.out and "There is no e-mail address" in shown.out, shown.err
    assert letters(sink) == [], "nothing is sent without --send"
    (line,) = troubled.run("digest", "--json").lines()
    assert line["concerns"] == 2 and line["text"] in shown.out
    sent = troubled.run("digest", "--send")
    assert sent.code == 0 and "1 accepted" in sent.out, sent.err
    assert len(letters(sink)) == 1
    troubled.sessions([session(1, person(11), person(12), person(13))])
    assert troubled.once().code == 0
    nothing = troubled.run("digest", "--send")
    assert nothing.code == 0 and "nothing to tell" in nothing.out
    assert len(letters(sink)) == 1


def test_a_letter_needs_somebody_a_clock_and_a_relay(practice):
    none = practice.run("digest")
    assert none.code == 1 and "[digest] to" in none.err
    practice.sections["digest"] = 'to = ["front desk"]\nat = "0 7 * * *"'
    wrong = practice.run("check")
    assert wrong.code == 78
    for words in ("digest.to[0]: is no address", "digest.at: ", "digest.to: nothing can be sent", "practice.time_zone: is missing"):
        assert words in wrong.err, (words, wrong.err)
