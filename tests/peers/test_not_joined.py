"""Whoever has not connected to a session that runs is told once more, by a daemon that reads its source as it goes."""
import signal
import subprocess
import time
from datetime import datetime, timezone

from conftest import PROGRAM, person, session, start_in

import reading


def test_who_has_not_joined_is_told_once_and_who_has_is_not(practice, sink):
    practice.email(sink.port)
    practice.sections["[source]"] += '\npoll = "* * * * * *"'
    practice.sections["not_joined"] = 'after = "2s"\nuntil = "5m"'
    # The next full minute, or the one after it if that is too near for the invites.
    minutes = 1 if datetime.now(timezone.utc).second < 45 else 2
    start = start_in(minutes)
    made = session(1, person(11), person(12), person(13, RSVP="Declined"))
    made["ScheduleTs"] = start
    practice.sessions([made])
    with open(practice.folder / "log", "ab") as out:
        child = subprocess.Popen([PROGRAM, "--config", practice.config, "run"], cwd=practice.folder, stdout=out, stderr=out)
    try:
        until = datetime.fromisoformat(start + "+00:00").timestamp()
        while time.time() < until:
            time.sleep(0.2)
        invited = sorted(to for to, _ in sink.messages())
        assert invited == ["p11@example.org", "p12@example.org", "p13@example.org"], (practice.folder / "log").read_text()
        made["Participants"][2]["ConnectionTs"] = start
        practice.sessions([made])
        while time.time() < until + 30 and len(sink.messages()) < 4:
            time.sleep(0.2)
        time.sleep(3)  # one more would be a defect, and would come now
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(60) == 0
    more = sink.messages()[3:]
    assert [to for to, _ in more] == ["p11@example.org"], (practice.folder / "log").read_text()
    seen = reading.visible(more[0][1])
    assert "Your video session has started" in seen and "300-000-077" in seen
    rows = {r["participation_id"]: (r["state"], r["reason"]) for r in practice.outbox() if r["occasion"] == "not_joined"}
    assert rows == {11: ("accepted", None), 12: ("cancelled", "already_connected")}, rows
