"""`why`, `unreachable` and `diff`: what a front desk asks."""
from conftest import person, session


def test_why_tells_what_was_looked_at_said_and_done(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(7, person(701, zone="Nepal Standard Time"))])
    assert practice.once().code == 0
    done = practice.run("why", 7)
    assert done.code == 0
    for words in ("Asia/Kathmandu", "ShouldAutoDeliverCode", "invite", "accepted", "waiting -> claimed", "reminder 24h", "booked_late", "host_delivers"):
        assert words in done.out, words
    (one,) = practice.run("why", 7, 701, "--json").lines()
    (invite,) = [n for n in one["notices"] if n["what"] == "invite"]
    assert invite["state"] == "accepted" and invite["deliveries"][0]["outcome"] == "accepted" and invite["deliveries"][0]["reply"].startswith("250")
    assert {d["what"]: (d["verdict"], d["reason"]) for d in one["decisions"]} == {"reminder 24h": ("omit", "booked_late"), "reminder 1h": ("send", None)}
    assert "p701@" not in done.out + str(one)
    missing = practice.run("why", 8)
    assert missing.code == 1 and "knows no session 8" in missing.err


def test_unreachable_names_those_whom_somebody_must_call(practice, tmp_path):
    import servers

    with servers.Sink(tmp_path / "sink", ["-f", "rcpt"]).running() as refusing:
        practice.email(refusing.port)
        practice.sessions([session(1, person(11), person(12, email=""), person(13, email="nobody"), person(14, deliver="N"),
                                   person(15, RSVP="Declined"), {**person(16), "ConnectCode": None})])
        practice.once()
    done = practice.run("unreachable", "--json")
    assert done.code == 3
    found = {r["participation_id"]: r["reason"] for r in done.lines()}
    assert found == {12: "no_email", 13: "invalid_email", 16: "no_connect_code"}, "the host tells 14; what a relay refuses alike to everybody waits for it"


def test_diff_counts_who_gains_loses_and_moves(practice):
    practice.sessions([session(1, person(11), minutes=60 * 72)])
    old = practice.config.read_text()
    (practice.folder / "old.toml").write_text(old)
    (practice.folder / "new.toml").write_text(old.replace('name = "1h"\nbefore = "1h"', 'name = "evening-before"\ndays_before = 1\nat = "18:00"').replace('settle = "0s"', 'settle = "5m"'))
    done = practice.run("diff", "old.toml", "new.toml")
    assert done.code == 0 and done.out.startswith("1 gained, 1 lost, 1 moved"), done.out + done.err
    changes = {(r["change"], r["rule"] or r["occasion"]) for r in practice.run("diff", "old.toml", "new.toml", "--json").lines()}
    assert changes == {("gained", "evening-before"), ("lost", "1h"), ("moved", "invite")}


def test_simulate_plays_days_in_a_moment(practice, tmp_path):
    """An outage delays what falls into it, a move is told, a cancellation is told and ends the rest; nothing is stored or sent."""
    record = {**session(1, person(11)), "ScheduleTs": "2030-06-05T15:00:00"}
    other = {**session(2, person(21)), "ScheduleTs": "2030-06-07T15:00:00"}
    practice.sessions([record, other])
    script = tmp_path / "script.toml"
    script.write_text("""
[[event]]
at = "2030-06-04T14:30:00Z"
relay = "down"
[[event]]
at = "2030-06-04T17:30:00Z"
relay = "up"
[[event]]
at = "2030-06-05T06:00:00Z"
move = { session = 2, to = "2030-06-08T15:00:00" }
[[event]]
at = "2030-06-06T06:00:00Z"
cancel = 2
""")
    done = practice.run("simulate", "--from", "2030-06-03T12:00:00Z", "--until", "2030-06-09T00:00:00Z", "--script", script, "--json")
    assert done.code == 0, done.err
    went = [(m["session_id"], m["participation_id"], m["occasion"], m["rule"]) for m in done.lines() if m["outcome"] == "accepted"]
    assert sorted(map(str, went)) == sorted(map(str, [
        (1, 11, "invite", None), (1, 11, "reminder", "24h"), (1, 11, "reminder", "1h"),
        (2, 21, "invite", None), (2, 21, "rescheduled", None), (2, 21, "cancelled", None)]))
    (late,) = [m for m in done.lines() if m["outcome"] == "accepted" and m["rule"] == "24h"]
    assert "2030-06-04T17:30" <= late["at"] < "2030-06-04T19:00", late
    bad = tmp_path / "bad.toml"
    bad.write_text('[[event]]\nat = "2030-06-04T14:30:00Z"\nrelay = "sideways"\n')
    refused = practice.run("simulate", "--from", "2030-06-03T12:00:00Z", "--until", "2030-06-09T00:00:00Z", "--script", bad)
    assert refused.code != 0 and "bad.toml" in refused.err and "sideways" in refused.err
