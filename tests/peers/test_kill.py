"""SIGKILL at random moments while 500 messages go out: none is lost, and none comes twice but what the outbox reports as having been in doubt."""
import collections
import json
import os
import random
import signal
import subprocess
import time

from conftest import PROGRAM, Practice, person, session

import servers

KILLS = int(os.environ.get("PUNCTUAL_KILLS", "100"))
MESSAGES = 500
SEED = int(os.environ.get("PUNCTUAL_SEED", "20261124"))


def start(practice):
    return subprocess.Popen([PROGRAM, "--config", practice.config, "--log", "error", "run"], cwd=practice.folder, stderr=subprocess.PIPE, text=True)


def kill(child):
    child.send_signal(signal.SIGKILL)
    _, err = child.communicate()
    assert "panicked" not in err, err


def time_to_first_message(folder):
    """How long the daemon needs on this machine until it sends: the kills are aimed around it."""
    practice = Practice(folder / "practice")
    with servers.Sink(folder / "sink").running() as sink:
        practice.email(sink.port)
        practice.sessions([session(1, person(1))])
        began = time.monotonic()
        child = start(practice)
        while not sink.messages():
            time.sleep(0.002)
        taken = time.monotonic() - began
        kill(child)
    return taken


def one_round(folder, dice, around, kills):
    """500 messages, with kills while some are not sent yet. Returns the kills, the messages sent between them, those that came twice, those in doubt."""
    practice = Practice(folder / "practice")
    with servers.Sink(folder / "sink").running() as sink:
        practice.email(sink.port, connections=2)
        practice.sessions([session(n + 1, person(n * 10 + 1)) for n in range(MESSAGES)])
        killed = before = 0
        while killed < kills and before < MESSAGES:
            child = start(practice)
            time.sleep(around * dice.uniform(0.8, 1.2))
            kill(child)
            killed += 1
            now = len(sink.messages())
            # Aimed at the sending itself: later if nothing went out, earlier if much did.
            around *= 1.05 if now == before else 0.97 if now - before > 10 else 1
            before = now
        final = practice.once()
        assert final.code in (0, 3), final.err
        assert before >= MESSAGES / 4 or killed < 50, f"only {before} messages went out between {killed} kills: they were aimed too early"
        return (killed, before, *check(practice, sink))


def check(practice, sink):
    """Nothing lost, nothing repeated but what the outbox reports as having been in doubt."""
    rows = [r for r in practice.outbox() if r["occasion"] == "invite"]
    assert len(rows) == MESSAGES and {r["state"] for r in rows} <= {"accepted", "unknown"}, collections.Counter(r["state"] for r in rows)
    arrived = collections.Counter(recipient for recipient, _ in sink.messages())
    by_recipient = {f"p{r['participation_id']}@example.org": r for r in rows}
    assert set(arrived) <= set(by_recipient)
    assert [a for a, r in by_recipient.items() if arrived[a] == 0 and r["state"] == "accepted"] == [], "accepted, and never received"
    assert [a for a, r in by_recipient.items() if arrived[a] == 0 and r["state"] != "unknown"] == [], "neither received nor reported as in doubt"

    def doubted(row):
        deliveries = practice.run("outbox", "show", row["key"], "--json").lines()[0]["deliveries"]
        return any(d["phase"] == "doubt" and d["outcome"] in ("crashed", "unknown") for d in deliveries)

    twice = [a for a, n in arrived.items() if n > 1]
    assert all(n <= 2 for n in arrived.values())
    assert all(doubted(by_recipient[a]) for a in twice), "a second copy without a doubt"
    unknown = [r for r in rows if r["state"] == "unknown"]
    assert all(doubted(r) for r in unknown)
    copies = collections.defaultdict(set)
    for recipient, raw in sink.messages():
        copies[recipient].add(raw)
    assert all(len(c) == 1 for c in copies.values()), "a copy is the same, byte for byte"
    return len(twice), len(unknown)


def test_a_hundred_kills_lose_nothing_and_repeat_only_what_was_in_doubt(tmp_path):
    dice = random.Random(SEED)
    around = time_to_first_message(tmp_path / "aim")
    kills = between = twice = unknown = rounds = 0
    while kills < KILLS:
        rounds += 1
        more = one_round(tmp_path / f"round{rounds}", dice, around, KILLS - kills)
        kills, between, twice, unknown = kills + more[0], between + more[1], twice + more[2], unknown + more[3]
    figures = {"kills": kills, "messages": rounds * MESSAGES, "sent between kills": between, "lost": 0, "twice": twice, "reported in doubt": unknown}
    print(json.dumps(figures))


def test_a_stop_finishes_what_is_in_hand(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(n + 1, person(n * 10 + 1)) for n in range(MESSAGES)])
    child = subprocess.Popen([PROGRAM, "--config", practice.config, "--log", "error", "run"], cwd=practice.folder, stderr=subprocess.PIPE, text=True)
    while not sink.messages():
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 0, err
    states = collections.Counter(r["state"] for r in practice.outbox() if r["occasion"] == "invite")
    assert set(states) <= {"accepted", "waiting"}, states
    assert states["accepted"] == len(sink.messages())
    assert practice.once().code == 0
    assert len(sink.messages()) == MESSAGES


def test_a_second_daemon_is_refused(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(1))])
    child = subprocess.Popen([PROGRAM, "--config", practice.config, "--log", "info", "run"], cwd=practice.folder, stderr=subprocess.PIPE, text=True)
    try:
        for line in child.stderr:
            if "ready" in line:
                break
        second = practice.once()
        assert second.code == 74, second.err
        assert "another" in second.err.lower() or "in use" in second.err.lower(), second.err
        assert practice.run("status").code == 0, "commands work beside the daemon"
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
