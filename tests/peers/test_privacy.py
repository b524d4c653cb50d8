"""No name, address, number, code, passkey or password is ever logged, at any level; and what commands print is masked."""
import json
import signal
import subprocess

from conftest import EXAMPLE, PROGRAM, person, session

import servers

PASSKEY = "9bff60df-2fe6-4c33-9b49-123456789abc"
PASSWORD = "hunter2-correct-horse"


def corpus():
    """Sessions with everything that is private, and the list of it."""
    made = json.loads(EXAMPLE.read_text())
    for s in made:
        s["ScheduleTs"] = session(1)["ScheduleTs"]
    made.append(session(1, person(1, name="Zebulon Quux", sms="2125550142", deliver="S"), person(2, name="Wilhelmina Oddname", Passkey=PASSKEY),
                        person(3, name="Baxter Unusual", email="baxter at nowhere.example"), person(4, name="Xanthippe Rare", zone="Lakeside Time")))
    private = {PASSKEY, PASSWORD, "2125550142", "555-0142", "baxter at"}
    for s in made:
        for p in s["Participants"]:
            code = str(p["ConnectCode"])
            private |= {code, "-".join([code[:3], code[3:6], code[6:]]), p["ParticipantFullName"]}
            private |= {c for c in (p["ParticipantEmailAddress"], p["ParticipantSmsNumber"]) if c}
        if "ConnectCode" in s:
            private.add(str(s["ConnectCode"]))
    # Too short to be told from other text.
    return made, {p for p in private if len(p) > 4} - {"Trevor"} | {"trevor@"}


def found_in(text, private):
    return sorted(p for p in private if p.lower() in text.lower())


def test_logs_and_tables_hold_nothing_private(practice, tmp_path):
    sessions, private = corpus()
    (practice.folder / "password").write_text(PASSWORD)
    practice.gateway(kind="kannel", url=f"http://127.0.0.1:{servers.free_port()}/cgi-bin/sendsms", username="punctual", password_file="password")
    practice.sessions(sessions)
    # A server that refuses every recipient, and repeats the address in its answer; and one that is not there.
    with servers.Sink(tmp_path / "sink", ["-f", "rcpt"]).running() as sink:
        practice.email(sink.port, username="punctual", password_file="password")
        first = practice.once(log="trace")
    second = practice.once(log="trace")
    assert "rejected" in first.err and first.code in (1, 3)
    printed = [first.err, first.out, second.err, second.out]
    for command in (["status"], ["status", "--json"], ["outbox", "list"], ["outbox", "list", "--json"], ["check"], ["check", "--online"], ["config", "print"],
                    ["suppress", "list"], ["guard", "show"], ["unreachable"], ["unreachable", "--json"], ["why", "1"], ["why", "1", "--json"], ["why", "9718"],
                    ["diff", "punctual.toml", "punctual.toml"], ["preview", "--format", "table"]):
        done = practice.run(*command, log="trace")
        assert done.code in (0, 1, 3), (command, done.err)
        printed += [done.err] + ([] if command[0] == "preview" else [done.out])
    for row in practice.outbox():
        done = practice.run("outbox", "show", row["key"], log="trace")
        printed += [done.out, done.err]
    text = "\n".join(printed)
    assert len(text) > 5000
    assert found_in(text, private) == []


def test_a_revealed_preview_logs_nothing_and_is_noted(practice):
    sessions, private = corpus()
    practice.sessions(sessions)
    practice.once()
    done = practice.run("preview", "--reveal", "--format", "json", log="trace")
    assert found_in(done.out, private) != [], "the test looks for what is there"
    assert found_in(done.err, private) == []


def test_a_daemon_logs_nothing_private(practice, sink):
    """The daemon, from its start through every hand-over to its stop, at the most talkative level."""
    sessions, private = corpus()
    practice.email(sink.port)
    practice.gateway(kind="folder", path="texts")
    practice.sessions(sessions)
    with open(practice.folder / "log", "wb") as log:
        child = subprocess.Popen([PROGRAM, "--config", practice.config, "--log", "trace", "run"], cwd=practice.folder, stdout=log, stderr=log)
        try:
            servers.wait_until(sink.messages, "a message")
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(30)
    text = (practice.folder / "log").read_text()
    assert child.returncode == 0 and "accepted" in text and "panicked" not in text
    assert found_in(text, private) == []
