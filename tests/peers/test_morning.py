"""The morning of a front desk, as a story: the mail server was down overnight, a record has an error, an address came back, a session was moved, and
somebody has not come. She opens the pages, sees it, calls, takes back, and sends again; and what she did stands in the ledger."""
import email.message
import json
import os
import shutil
import signal
import subprocess
import time

import servers
from conftest import PROGRAM, ROOT, person, session, start_in
from test_dashboard import PASSWORD, PICTURES, TOOLS, Daemon


def returned(message_id, address):
    """What a mail server sends back (RFC 3464)."""
    report = email.message.EmailMessage()
    report["From"], report["To"], report["Subject"] = "MAILER-DAEMON@mx.example.org", "sessions@lakeside.example", "Undelivered Mail Returned to Sender"
    lines = ["From: MAILER-DAEMON@mx.example.org", "To: sessions@lakeside.example", "Subject: Undelivered Mail Returned to Sender", "MIME-Version: 1.0",
             'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "", "--b", "Content-Type: text/plain", "", "It did not arrive.", "",
             "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example.org", "", f"Final-Recipient: rfc822; {address}",
             "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 no such user", "", "--b", "Content-Type: text/rfc822-headers", "",
             f"Message-ID: {message_id}", f"To: {address}", "", "--b--", ""]
    return "\r\n".join(lines)


def browse(daemon, plan):
    (daemon.practice.folder / "plan.json").write_text(json.dumps(plan))
    command = ["node", str(ROOT / "tests/peers/morning.mjs"), str(daemon.practice.folder / "plan.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, env={**os.environ, "PUNCTUAL_TOOLS": TOOLS})
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["axe"], seen["html"], seen["wide"], seen["console"]) == ([], [], [], [])
    return seen


def where_it_is_morning():
    """A zone of whole hours in which it is eight in the morning: what starts in an hour is today, whenever this runs."""
    ahead = (8 - time.gmtime().tm_hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def test_the_morning_of_a_front_desk(practice, tmp_path):
    practice.sections["[source]"] += '\npoll = "* * * * * *"'
    practice.sections["practice"] += f'\ntime_zone = "{where_it_is_morning()}"'
    practice.sections["adopt"] = "invites = true"
    sink = servers.Sink(tmp_path / "sink")
    practice.email(sink.port)
    daemon = Daemon(practice)
    absent = session(1, person(11, name="Omar Said"), minutes=2)
    moved = session(2, person(21, name="Tess Moreau"), minutes=600)
    gone = session(3, person(31, name="Lia Park", email="lia@old.example.org"), minutes=900)
    soon = session(4, person(41, name="Rosa Herrera"), minutes=55)
    bad = session(5, person(51, name="Sam Johnson", email="jane.doe", sms="(212) 555-0177"), minutes=400)
    practice.sessions([absent, moved, gone])
    plan = {"base": daemon.base, "user": "jane", "password": PASSWORD, "pictures": str(PICTURES), "chromium": shutil.which("chromium"),
            "at_hand": {"session": 4}, "bad": {"session": 5, "name": "Sam Johnson"}, "absent": {"session": 1, "person": 11}}
    invite = lambda number: [row for row in daemon.rows("--session", str(number)) if row["occasion"] == "invite"]
    with daemon.running():
        with sink.running():
            servers.wait_until(lambda: len(daemon.rows("--state", "accepted")) >= 3, "the invites are sent")
        # The night: the server is down, one session is moved, two are booked, and a mail comes back.
        moved["ScheduleTs"] = start_in(700)
        practice.sessions([absent, moved, gone, soon, bad])
        servers.wait_until(lambda: [row for row in daemon.rows("--session", "2") if row["occasion"] == "rescheduled"], "the move is planned")
        mail = next(body for to, body in sink.messages() if to == "lia@old.example.org")
        message_id = next(line.split(b": ", 1)[1].strip().decode() for line in mail.split(b"\n") if line.lower().startswith(b"message-id: "))
        subprocess.run([PROGRAM, "--config", practice.config, "bounce"], input=returned(message_id, "lia@old.example.org"), text=True, check=True, timeout=60)
        time.sleep(62)  # so long, and what is due is overdue
        (news,) = [row for row in daemon.rows("--session", "2") if row["occasion"] == "rescheduled"]
        plan |= {"part": "down", "moved": {"key": news["key"]}, "returned": {"key": invite(3)[0]["key"], "to": "lia@new.example.org"}}
        seen = browse(daemon, plan)
        pages = seen["pages"]
        assert seen["looked"] == 20
        assert "E-mail has not gone out since" in pages["sessions"] and "Needs somebody" in pages["sessions"], pages["sessions"]
        for who in ["Rosa Herrera", "Sam Johnson", "Lia Park"]:
            assert who in pages["unreached"], (who, pages["unreached"])
        assert "tel:+12125550177" in pages["tel"]
        to_call, called = pages["called"].split("Called by" if "Called by" in pages["called"] else " Called ", 1)
        assert "Sam Johnson" in called and "new address by phone" in called
        assert "You told them by phone?" in pages["asked"] and "counts as told" in pages["asked"]
        assert "Undo" in pages["told"] and "Cancelled" in pages["told"], pages["told"]
        assert "Undo" not in pages["undone"] and ("Planned" in pages["undone"] or "Overdue" in pages["undone"]), pages["undone"]
        assert "Overdue" in pages["left"] or "Planned" in pages["left"], "she left it as it is"
        assert "jane.doe" in pages["bad"] and "Sam Johnson" in pages["bad"]
        # The server is back.
        with sink.running():
            # Nobody waits for the next attempt, nor for the end of the relay's pause: whoever mended it has the daemon begin anew.
            daemon.command("outbox", "retry", "--all", "--state", "waiting")
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(5)  # each command of ours writes the configuration anew, which it reads now
            servers.wait_until(lambda: invite(4)[0]["state"] == "accepted", "what waited goes out")
            servers.wait_until(lambda: not json.loads(practice.run("status", "--json").out)["outages"], "nothing is at fault")
            seen = browse(daemon, {**plan, "part": "up"})
            pages = seen["pages"]
            assert seen["looked"] == 12
            assert "has not gone out" not in pages["sessions"]
            assert all(word in pages["returned"] for word in ("Came back: 5.1.1", "Send again")), pages["returned"]
            servers.wait_until(lambda: "lia@new.example.org" in [to for to, _ in sink.messages()], "it went to the other address")
            assert "Omar Said" in pages["absent"] and "Joined" not in pages["absent"]
            assert "They were told a moment ago" in pages["reminded"], "nobody is told twice in a moment"
            assert "comes in five minutes" in pages["rung"]
            for deed in ["new address by phone", "comes in five minutes", "sent again"]:
                assert deed in pages["history"].lower(), (deed, pages["history"])
