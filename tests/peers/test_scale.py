"""10,000 sessions with one bad record among them: 9,999 are planned, and the bad one is named by its path."""
from conftest import person, session

COUNT = 10_000
BAD = 4321


def test_one_bad_record_among_ten_thousand(practice):
    made = [session(n + 1, person(n * 10 + 1), minutes=60 * 48) for n in range(COUNT)]
    made[BAD]["ScheduleTs"] = "not a time"
    practice.email(0, kind="folder", path="mail")
    practice.sections["invite"] = 'settle = "1h"'
    practice.sessions(made)
    done = practice.run("preview", "--format", "json", timeout=400)
    assert done.code == 3
    lines = done.lines()
    assert len({l["session_id"] for l in lines if l["verdict"] == "send"}) == COUNT - 1
    (bad,) = [l for l in lines if l["reason"] == "quarantined"]
    assert bad["detail"].startswith(f"[{BAD}].ScheduleTs: ") and bad["session_id"] == BAD + 1 and bad["occasion"] is None
    assert practice.once(timeout=400).code == 3
    rows = practice.outbox()
    assert len(rows) == 3 * (COUNT - 1)
