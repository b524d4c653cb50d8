"""Bounces that a real Postfix makes: sent with the return path of VERP, or without, and read by `punctual bounce` and from a maildir."""
import subprocess

from conftest import PROGRAM, person, session

import servers


def bounces(postfix):
    return [f for f in postfix.mail.glob("**/new/*") if b"multipart/report" in f.read_bytes()]


def test_bounces_of_postfix_suppress_their_addresses_alone(practice, postfix):
    """It takes both mails, and cannot deliver the one: its report comes back to the envelope sender."""
    practice.email(postfix.port)
    practice.sections["email"] += '\nreturn_path = "bounces@lakeside.example"'
    practice.sessions([session(1, person(101, email="nobody@gone.example.org")), session(2, person(201, email="there@example.com"))])
    assert practice.once().code == 0
    servers.wait_until(lambda: bounces(postfix), "Postfix's report")
    (report,) = (f.read_bytes() for f in bounces(postfix))
    assert b"bounces+" in report
    for wanted in ["undelivered", "nothing new"]:
        done = subprocess.run([PROGRAM, "--config", practice.config, "bounce"], input=report, capture_output=True, timeout=60)
        assert done.returncode == 0 and wanted in done.stdout.decode(), (done.stdout, done.stderr)
        assert b"nobody@" not in done.stdout + done.stderr
    (suppressed,) = practice.run("suppress", "list", "--json").lines()
    assert suppressed["kind"] == "bounced"
    (row,) = practice.run("unreachable", "--json").lines()
    assert row["session_id"] == 1
    states = {row["session_id"]: row["state"] for row in practice.outbox() if row["occasion"] == "invite"}
    assert states == {1: "accepted", 2: "accepted"}


    # Without a return path of its own, by the Message-ID of the mail that came back, from a maildir.
    gone = session(3, person(301, email="nobody-else@gone.example.org"))
    practice.sessions([session(1, person(101, email="nobody@gone.example.org")), session(2, person(201, email="there@example.com")), gone])
    practice.sections["email"] = practice.sections["email"].replace('\nreturn_path = "bounces@lakeside.example"', "")
    practice.once()
    plain = lambda: [f for f in bounces(postfix) if b"bounces+" not in f.read_bytes()]
    servers.wait_until(plain, "Postfix's second report")
    maildir = practice.folder / "Maildir"
    for part in ("new", "cur"):
        (maildir / part).mkdir(parents=True)
    (maildir / "new" / "1.report").write_bytes(plain()[0].read_bytes())
    practice.sections["email"] += '\nbounce_maildir = "Maildir"'
    practice.once()
    assert [f.name for f in (maildir / "cur").iterdir()] == ["1.report:2,S"]
    assert len(practice.run("suppress", "list", "--json").lines()) == 2
    assert {row["session_id"] for row in practice.run("unreachable", "--json").lines()} == {1, 3}
