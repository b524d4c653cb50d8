"""`preview` on the vendor's own example, as its contract says."""
import json
import os
import re
import subprocess

from conftest import EXAMPLE, PROGRAM

AT = "2014-04-16T12:00:00Z"
FIELDS = ("session_id participation_id role occasion rule channel verdict reason due_at useful_until time_zone local_start locale to message_id subject text html "
          "sms encoding segments detail").split()


def lines(practice, *more):
    done = practice.run("preview", "--sessions", EXAMPLE, "--at", AT, "--format", "json", *more)
    assert done.code == 0, done.err
    return [json.loads(line, object_pairs_hook=lambda pairs: dict(pairs)) for line in done.out.splitlines()], done.out


def content(line):
    return "\n".join(line[part] or "" for part in ("subject", "text", "html", "sms"))


def test_one_line_for_each_participant_and_occasion(practice):
    found, _ = lines(practice, "--reveal")
    people = [p["ParticipationId"] for s in json.loads(EXAMPLE.read_text()) for p in s["Participants"]]
    assert sorted((l["participation_id"], l["rule"] or l["occasion"]) for l in found) == sorted((p, o) for p in people for o in ("invite", "24h", "1h"))
    assert all(list(l) == FIELDS for l in found)
    dues = [l["due_at"] for l in found if l["due_at"]]
    assert dues == sorted(dues)


def test_the_examples_facts(practice):
    found, _ = lines(practice, "--reveal")
    of = lambda **want: [l for l in found if all(l[k] == v for k, v in want.items())]
    for line in of(session_id=9636, verdict="send"):
        assert line["participation_id"] in (18619, 18620)
        assert "11:00 AM Eastern Daylight Time" in line["text"] and "11:00 AM Eastern Daylight Time" in line["html"]
        assert line["local_start"] == "2014-04-16T11:00:00-04:00" and line["time_zone"] == "America/New_York"
    assert len(of(session_id=9636, verdict="send")) == 4
    assert {(l["verdict"], l["reason"]) for l in of(participation_id=18630)} == {("omit", "host_delivers")}
    for line in of(participation_id=18786):
        assert (line["channel"], line["to"]) == ("sms", "+14045550133")
        assert line["encoding"] == "gsm7" and line["segments"] in (1, 2) and "STOP" in line["sms"] and line["html"] is None
    for line in of(participation_id=18784):
        assert "$20.00" in line["text"]
    assert {(l["verdict"], l["reason"]) for l in of(session_id=9636, rule="24h")} == {("omit", "booked_late")}
    assert {l["verdict"] for l in of(session_id=9718, rule="24h")} == {"send"}


def test_no_code_but_the_recipients_own(practice):
    found, _ = lines(practice, "--reveal")
    sessions = json.loads(EXAMPLE.read_text())
    own = {p["ParticipationId"]: str(p["ConnectCode"]) for s in sessions for p in s["Participants"]}
    codes = set(own.values()) | {str(s["ConnectCode"]) for s in sessions if "ConnectCode" in s}
    for line in found:
        digits = re.sub(r"[ -]", "", content(line))
        expected = {own[line["participation_id"]]} if line["verdict"] == "send" else set()
        assert {c for c in codes if c in digits} == expected


def test_without_reveal_there_is_no_code_and_no_address(practice):
    _, out = lines(practice)
    for session in json.loads(EXAMPLE.read_text()):
        for p in session["Participants"]:
            code = str(p["ConnectCode"])
            assert code not in out and "-".join([code[:3], code[3:6], code[6:]]) not in out
            assert not p["ParticipantEmailAddress"] or p["ParticipantEmailAddress"] not in out
            assert not p["ParticipantSmsNumber"] or p["ParticipantSmsNumber"] not in out


def test_table_gallery_and_files(practice):
    table = practice.run("preview", "--sessions", EXAMPLE, "--at", AT)
    assert table.code == 0 and "booked_late" in table.out and "host_delivers" in table.out
    gallery = practice.run("preview", "--sessions", EXAMPLE, "--at", AT, "--format", "html", "--out", "gallery")
    page = (practice.folder / "gallery" / "index.html").read_text()
    assert gallery.code == 0 and "20 messages would be sent" in page and "701678455" not in page
    assert practice.run("preview", "--sessions", EXAMPLE, "--at", AT, "--format", "eml", "--out", "eml").code == 1, "files hold codes: they need --reveal"
    assert practice.run("preview", "--sessions", EXAMPLE, "--at", AT, "--format", "eml", "--out", "eml", "--reveal").code == 0
    assert len(list((practice.folder / "eml").iterdir())) == 20


def test_a_reader_that_has_seen_enough_ends_it_quietly_and_a_full_disk_is_told(practice):
    for command in (["preview", "--sessions", str(EXAMPLE), "--at", AT], ["completions", "bash"], ["man"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run([PROGRAM, *command], stdout=writing, stderr=subprocess.PIPE, text=True, cwd=practice.folder)
        os.close(writing)
        said = [line for line in done.stderr.splitlines() if not line.startswith("Configuration: ")]
        assert (done.returncode, said) == (0, []), command
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "preview", "--sessions", str(EXAMPLE), "--at", AT], stdout=full, stderr=subprocess.PIPE, text=True, cwd=practice.folder)
    assert done.returncode == 74 and "standard output" in done.stderr
