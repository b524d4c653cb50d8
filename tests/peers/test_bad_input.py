"""Bad inputs: each with a clear message, the right exit code, and nothing lost. (That nothing panics is asserted for every command.)"""
import json
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from conftest import EXAMPLE, PROGRAM, Practice, person, session

GOOD = [session(1, person(1)), session(2, person(2))]


def refused(practice, body, *words):
    """The body is refused whole: the last good snapshot stays in force, and its messages go."""
    practice.sessions(GOOD)
    practice.sections["invite"] = 'settle = "1h"'
    assert practice.once().code == 0
    practice.sessions(body)
    done = practice.once()
    assert done.code == 1
    for word in words:
        assert word in done.err, done.err
    assert {r["state"] for r in practice.outbox()} == {"waiting"}, "what was planned stays planned"
    check = practice.run("check")
    assert check.code == 3 and all(word in check.out for word in words), check.out


def test_a_truncated_file(practice):
    half = EXAMPLE.read_bytes()[:1000]
    refused(practice, half, "sessions.json", f"line {half.count(bytes([10])) + 1}, ", "ends too early")


def test_invalid_utf8(practice):
    refused(practice, b'[{"SessionId": 1,\n"Topic": "caf\xe9"}]', "sessions.json", "line 2", "not UTF-8")


def test_nesting_a_hundred_thousand_deep(practice):
    refused(practice, b"[" * 100_000, "sessions.json", "ends too early")
    practice.sessions(b"[" * 100_000 + b"]" * 100_000)
    done = practice.once()
    assert done.code == 3 and "[0]: found an array; expected an object" in done.err


def test_a_file_of_33_mib(practice):
    refused(practice, b"[" + b" " * (33 << 20) + b"]", "sessions.json", "32 MiB")


def test_an_error_message_in_place_of_sessions(practice):
    refused(practice, '{"Message": "Authorization has been denied for this request."}', "error message")


def test_one_bad_record_never_stops_another(practice, sink):
    practice.email(sink.port)
    bad = [
        session(11, {**person(11), "ConnectCode": "not a code"}),
        session(12, person(12, zone="Lakeside Time")),
        session(13, person(13, name="half \ud800")),
        session(14, {**person(14), "ShouldAutoDeliverCode": "X"}),
        {**session(15, person(15)), "ScheduleTs": "tomorrow"},
        {"SessionId": 16},
        17,
    ]
    practice.sessions(json.dumps(GOOD[:1] + bad + GOOD[1:]))
    done = practice.once()
    assert done.code == 3
    for path in ("[1].Participants[1].ConnectCode", "[3].Participants[1].ParticipantFullName", "[4].Participants[1].ShouldAutoDeliverCode", "[5].ScheduleTs",
                 "[6].ScheduleTs", "[7]"):
        assert path + ": " in done.err, f"{path} not in {done.err}"
    assert "surrogate" in done.err and "not a code" not in done.err
    assert {recipient for recipient, _ in sink.messages()} == {"p1@example.org", "p2@example.org"}
    status = practice.run("status", "--json")
    assert status.code == 3 and len(status.lines()[0]["quarantined"]) == 6
    check = practice.run("check")
    assert check.code == 3 and "[2].Participants[1].ParticipantTimeZoneWindowsId" in check.out and "Lakeside Time" in check.out


def test_contacts_that_cannot_be_used(practice, sink):
    practice.email(sink.port)
    practice.gateway(kind="folder", path="texts")
    practice.sessions([session(1, person(1, email="trevor at example.org"), person(2, email=""), person(3, deliver="S", sms="911"), person(4, deliver="S", sms=""),
                               person(5))])
    assert practice.once().code == 0
    assert [recipient for recipient, _ in sink.messages()] == ["p5@example.org"]
    status = practice.run("status", "--json").lines()[0]["omissions"]
    assert {k: v for k, v in status.items() if k in ("invalid_email", "no_email", "invalid_number", "no_number")} == {
        "invalid_email": 3, "no_email": 3, "invalid_number": 3, "no_number": 3}
    check = practice.run("check")
    assert check.code == 3 and "invalid_email" in check.out and "trevor at" not in check.out


def test_names_are_data(practice, sink):
    import reading

    practice.email(sink.port)
    names = ["<script>alert(1)</script>", "{{ 7*7 }}{% if 1 %}x{% endif %}", "Eve\r\nBcc: evil@example.org", "\u202eTrevor\u202c", 'Ann "Nan" O\'Brien']
    practice.sessions([session(n + 1, person(n + 1, name=name)) for n, name in enumerate(names)])
    assert practice.once().code == 0
    found = {recipient: raw for recipient, raw in sink.messages()}
    assert len(found) == len(names)
    script = reading.parts(reading.parse(found["p1@example.org"]))
    assert "<script>alert" in script[0].get_content() and "<script>" not in script[1].get_content()
    braces = reading.visible(found["p2@example.org"])
    assert "{{ 7*7 }}{% if 1 %}x{% endif %}" in braces and "49" not in reading.parts(reading.parse(found["p2@example.org"]))[0].get_content().split("When")[0]
    eve = reading.parse(found["p3@example.org"])
    assert "Bcc" not in eve and eve["To"].addresses[0].display_name == "Eve Bcc: evil@example.org"
    assert "\u202e" not in reading.visible(found["p4@example.org"])


def test_a_source_that_cannot_be_read(practice):
    done = practice.once()
    assert done.code == 1 and "sessions.json" in done.err and "cannot be read" in done.err
    os.mkfifo(practice.folder / "sessions.json")
    done = practice.once()
    assert done.code == 1 and "neither a file nor a folder" in done.err


def test_a_bad_file_in_a_folder_takes_nothing_away(practice, sink):
    practice.email(sink.port)
    folder = practice.folder / "export"
    folder.mkdir()
    practice.sections["[source]"] = 'name = "sessions"\nkind = "file"\npath = "export"'
    (folder / "a.json").write_text(json.dumps(GOOD[:1]))
    (folder / "b.json").write_text(json.dumps(GOOD[1:]))
    (folder / "notes.txt").write_text("not ours")
    assert practice.once().code == 0
    (folder / "b.json").write_text("[{")
    done = practice.once()
    assert done.code == 1 and "b.json" in done.err
    assert all(r["state"] in ("accepted", "waiting") for r in practice.outbox()), "what stood in the bad file counts as unchanged"


def test_a_store_without_permission(practice):
    """Root reads and writes everything, so the program runs as nobody."""
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        shutil.copy(PROGRAM, folder / "punctual")
        private = Practice(folder)
        private.email(0, kind="folder", path="mail")
        private.sessions(GOOD)
        assert private.once().code == 0
        database = folder / "punctual.db"
        database.chmod(0o444)
        as_nobody = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        done = subprocess.run([folder / "punctual", "--config", private.config, "run", "--once"], capture_output=True, text=True, cwd=folder, **as_nobody)
        assert done.returncode == 74 and "punctual.db" in done.stderr and "panicked" not in done.stderr, done.stderr
    finally:
        shutil.rmtree(folder)


def test_stores_that_cannot_be_used(practice):
    practice.sessions(GOOD)
    database = practice.folder / "punctual.db"
    database.write_bytes(b"this is no database, and it is long enough to be looked at as one" * 100)
    before = database.read_bytes()
    done = practice.once()
    assert done.code == 74 and "punctual.db" in done.err
    assert database.read_bytes() == before, "what is not ours is left as it is"
    practice.sections["store"] = 'url = "sqlite://missing/folder/punctual.db"'
    done = practice.once()
    assert done.code == 74 and "missing/folder" in done.err


def test_the_store_is_private(practice):
    practice.email(0, kind="folder", path="mail")
    practice.sessions(GOOD)
    assert practice.once().code == 0
    assert stat.S_IMODE((practice.folder / "punctual.db").stat().st_mode) == 0o600


def test_a_configuration_with_five_mistakes(practice):
    bad = practice.folder / "bad.toml"
    bad.write_text("""[practice]
nmae = "Lakeside"
region = "Atlantis"
hosts = "yes"
[[reminder]]
name = "24h"
before = "1 day"
[quiet_hours]
from = "25:00"
""")
    for command in (["run", "--once"], ["check"], ["preview"]):
        done = practice.run(*command, config=bad)
        assert done.code == 78
        told = done.err.splitlines()
        assert len(told) == 5, done.err
        for line, key in [(2, "practice.nmae"), (3, "practice.region"), (4, "practice.hosts"), (7, "reminder[0].before"), (9, "quiet_hours.from")]:
            assert any(t.startswith(f"{bad}:{line}: {key}: ") for t in told), (key, told)
    missing = practice.run("check", config=practice.folder / "none.toml")
    assert missing.code == 78 and "none.toml" in missing.err
