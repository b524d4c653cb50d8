"""Yesterday's backup, put back: nothing is sent twice, and what may have been sent waits for a person, with a report."""
import hashlib
import json
import os
import shutil
from collections import Counter

from conftest import person, session


def arrived(sink):
    return Counter((recipient, headers(mail)["subject"]) for recipient, mail in sink.messages())


def headers(mail):
    head = mail.split(b"\n\n", 1)[0].replace(b"\r", b"").decode()
    return {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in head.splitlines() if ":" in line and line[0] != " ")}


def verify(practice, *args):
    return practice.run("ledger", "verify", "--json", *args)


def test_a_restored_backup_sends_nothing_twice(practice, sink, tmp_path):
    practice.email(sink.port)
    kept, moved, unsent = (session(n, person(n * 10 + 1), minutes=300) for n in (1, 2, 3))
    practice.sessions([kept, moved])
    assert practice.once().code == 0
    backup = tmp_path / "yesterday.db"
    made = practice.run("backup", backup, "--json")
    assert made.code == 0 and made.lines()[0]["ledger_rows"] > 0 and os.stat(backup).st_mode & 0o777 == 0o600

    # The day goes on: one session moves, one is added, and both are told.
    later = {**moved, "ScheduleTs": session(2, minutes=420)["ScheduleTs"]}
    practice.sessions([kept, later, unsent])
    assert practice.once().code == 0
    lost = verify(practice).lines()[0]["head"]
    before = arrived(sink)
    assert len(before) == 4 and set(before.values()) == {1}

    # The disk dies, and yesterday's copy is put back.
    for name in ("punctual.db", "punctual.db-wal", "punctual.db-shm"):
        (practice.folder / name).unlink(missing_ok=True)
    shutil.copy(backup, practice.folder / "punctual.db")
    done = practice.once()
    assert done.code == 3 and "the store is an older copy" in done.err, done.err
    assert arrived(sink) == before, "nothing is sent twice"
    held = [(r["session_id"], r["occasion"], r["reason"]) for r in practice.outbox() if r["state"] == "held"]
    assert sorted(held) == [(2, "rescheduled", "restored"), (3, "invite", "restored")]
    waiting = {(r["session_id"], r["occasion"]) for r in practice.outbox() if r["state"] == "waiting"}
    assert waiting == {(n, "reminder") for n in (1, 2, 3)}, "what is still to come is not held"
    assert verify(practice).code == 0
    assert verify(practice, "--anchor", made.lines()[0]["ledger_head"]).code == 0, "what the copy knows is what was noted before"
    assert verify(practice, "--anchor", lost).code == 3, "and what was lost with the disk is missed"

    # It stays so, and a person decides.
    again = practice.once()
    assert again.code == 3 and "older copy" not in again.err and arrived(sink) == before
    assert practice.run("outbox", "cancel", "--session", "2", "--state", "held", "--all").code == 0
    assert practice.run("outbox", "release", "--session", "3", "--state", "held", "--all").code == 0
    assert practice.once().code == 0
    assert sum(arrived(sink).values()) == 5, "what was released goes"


def test_an_auditor_recomputes_the_ledger_from_its_export(practice, sink):
    """With nothing but the export and docs/security.md."""
    practice.email(sink.port)
    practice.sessions([session(1, person(11)), session(2, person(21))])
    assert practice.once().code == 0
    exported = practice.run("ledger", "export").out
    link = "0" * 64
    for line in exported.splitlines():
        row = json.loads(line)
        chain = row.pop("chain")
        row.pop("notice")
        bare = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
        link = hashlib.sha256(f"{link}\n{bare}".encode()).hexdigest()
        assert link == chain, line
    assert "p11@" not in exported and "p*****@example.org" in exported, "addresses are masked"

    record = practice.run("ledger", "export", "--session", "2", "--format", "csv").out
    rows = [line.split(",") for line in record.splitlines()]
    assert rows[0][:4] == ["seq", "at", "key", "session_id"] and {row[3] for row in rows[1:]} == {"2"}
    assert any("settled" in row and "accepted" in row for row in rows)


def test_prune_removes_codes_and_keeps_the_chain(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(11), minutes=300)])
    assert practice.once().code == 0
    removed = practice.run("prune", "--json").lines()[0]
    assert removed == {"contents": 0, "records": 0, "notices": 0, "ledger_rows": 0}, "nothing is past its time"
    practice.sections["retention"] = 'content = "9y"'
    refused = practice.run("prune")
    assert refused.code == 78 and "retention.ledger" in refused.err
