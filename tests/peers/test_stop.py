"""What stops the program, or tries to: a full disk, a reload, kills while texts go out."""
import collections
import contextlib
import http.server
import json
import random
import resource
import signal
import socket
import subprocess
import threading
import time
from urllib.parse import parse_qs

import pytest
from conftest import PROGRAM, person, session

import servers

SEED = 20261124


def daemon(practice, log="info"):
    out = open(practice.folder / "log", "ab")
    return subprocess.Popen([PROGRAM, "--config", practice.config, "--log", log, "run"], cwd=practice.folder, stdout=out, stderr=out)


def logged(practice):
    return (practice.folder / "log").read_text()


@pytest.mark.parametrize("limit", [300_000, 900_000, 1_600_000])
def test_a_full_disk_stops_the_program_and_loses_and_repeats_nothing(practice, sink, limit):
    """Writing fails somewhere on the way: the program ends with 74 for systemd to start it again; once there is room, each message has gone out once."""
    practice.email(sink.port)
    practice.sessions([session(n + 1, person(n * 10 + 1)) for n in range(400)])

    def no_file_grows_beyond_the_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    command = [PROGRAM, "--config", practice.config, "run", "--once"]
    full = subprocess.run(command, capture_output=True, text=True, cwd=practice.folder, preexec_fn=no_file_grows_beyond_the_limit, timeout=120)
    assert full.returncode == 74 and "punctual.db" in full.stderr and "panicked" not in full.stderr, full.stderr
    done = practice.once()
    rows = [r for r in practice.outbox() if r["occasion"] == "invite"]
    arrived = collections.Counter(recipient for recipient, _ in sink.messages())
    doubtful = {f"p{r['participation_id']}@example.org" for r in rows if r["state"] == "unknown"}
    assert len(rows) == 400 and {r["state"] for r in rows} <= {"accepted", "unknown"}
    assert done.code == (3 if doubtful else 0)
    assert max(arrived.values()) == 1 and set(arrived) | doubtful == {f"p{n * 10 + 1}@example.org" for n in range(400)}


def test_a_reload_takes_a_good_configuration_and_refuses_a_bad_one(practice, sink):
    """An administrator's slip must not stop reminders: the old configuration stays in force, and the log names the mistake."""
    practice.email(sink.port)
    practice.sessions([session(1, person(11))])
    config = practice.config
    config.chmod(0o600)
    good = config.read_text()
    child = daemon(practice)
    try:
        servers.wait_until(lambda: "ready" in logged(practice), "the daemon is ready")
        (practice.folder / "key").write_text("0123456789abcdef" * 4)
        (practice.folder / "key").chmod(0o600)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = f'[server]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\nwebhook_token = "{"0" * 32}"\n'
            for bad, told in [
                (good + "\n[nonsense]\nx = 1\n", "nonsense"),
                (good.replace("punctual.db", "another.db"), "the same store"),
                (good + listen, "in use (os error 98)"),
                (good.replace('tls = "none"', 'tls = "starttls"\nca_file = "nowhere.pem"'), "nowhere.pem"),
                (good.replace('[store]', '[store]\nkey_file = "key"'), "made without a key"),
                (good + '\n[log]\nlevel = "warning"\n', "is no log level"),
            ]:
                config.write_text(bad)
                child.send_signal(signal.SIGHUP)
                servers.wait_until(lambda: told in logged(practice) or child.poll() is not None, f"the mistake is told: {told}")
                assert child.poll() is None, "the daemon goes on"
        practice.sections["[reminder]"] = practice.sections["[reminder]"].replace("1h", "2h")
        assert practice.config.read_text() != good
        child.send_signal(signal.SIGHUP)
        # Nothing writes the file (as asking for the outbox would) while it is read.
        servers.wait_until(lambda: logged(practice).count("ready") == 2 or child.poll() is not None, "it begins anew")
        rules = lambda: {r["rule"] for r in practice.outbox() if r["state"] == "waiting"}
        servers.wait_until(lambda: rules() == {"2h"} or child.poll() is not None, "the new rule is planned")
        assert child.poll() is None
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        child.wait(30)
    assert child.returncode == 0


def test_what_a_reload_looked_at_takes_over_whatever_is_in_the_file_by_then(practice, tmp_path):
    """A reload waits for what is in hand. Whoever saves half a change meanwhile must not stop reminders: the file is read again at the next reload."""
    sink = servers.Sink(tmp_path / "slow", ["-w", "3"])
    with sink.running():
        practice.email(sink.port)
        practice.sessions([session(1, person(11))])
        child = daemon(practice)
        try:
            servers.wait_until(lambda: "ready" in logged(practice), "the daemon is ready")
            servers.wait_until(lambda: any(r["state"] == "sending" for r in practice.outbox()), "the invite is in hand")
            practice.sections["[reminder]"] = practice.sections["[reminder]"].replace("1h", "2h")
            practice.config.touch()
            child.send_signal(signal.SIGHUP)
            servers.wait_until(lambda: "stopping: what is in hand" in logged(practice), "it waits for what is in hand")
            good = practice.sections
            practice.sections = {**good, "nonsense": "x = 1"}
            practice.config.touch()
            child.send_signal(signal.SIGHUP)
            servers.wait_until(lambda: "nonsense" in logged(practice), "the mistake is told")
            servers.wait_until(lambda: logged(practice).count("ready") == 2 or child.poll() is not None, "it begins anew")
            assert child.poll() is None, logged(practice)
            practice.sections = good
            servers.wait_until(lambda: {r["rule"] for r in practice.outbox() if r["state"] == "waiting"} == {"2h"}, "the rule that was looked at is planned")
            assert [to for to, _ in sink.messages()] == ["p11@example.org"]
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            child.wait(30)
    assert child.returncode == 0


def test_a_reload_that_changes_much_waits_for_somebody_who_has_seen_it(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(n, person(n * 10 + 1)) for n in range(1, 11)])
    old = practice.config.read_text()
    (practice.folder / "old.toml").write_text(old)
    child = daemon(practice)
    rules = lambda: {r["rule"] for r in practice.outbox() if r["state"] == "waiting"}
    try:
        servers.wait_until(lambda: "ready" in logged(practice) and rules() == {"1h"}, "the daemon is ready")
        practice.sections["[reminder]"] = practice.sections["[reminder]"].replace("1h", "2h")
        practice.config.touch()
        child.send_signal(signal.SIGHUP)
        servers.wait_until(lambda: "accept_change" in logged(practice) or child.poll() is not None, "it is refused")
        assert "it changes 20 messages where 10 are planned" in logged(practice)
        assert child.poll() is None and rules() == {"1h"}
        shown = practice.run("diff", practice.folder / "old.toml", practice.config)
        assert shown.out.startswith("10 gained, 10 lost, 0 moved")
        word = shown.out.split('accept_change = "')[1].split('"')[0]
        practice.sections["run"] = f'accept_change = "{word}"'
        practice.config.touch()
        child.send_signal(signal.SIGHUP)
        servers.wait_until(lambda: logged(practice).count("ready") == 2 or child.poll() is not None, "it begins anew")
        servers.wait_until(lambda: rules() == {"2h"} or child.poll() is not None, "the new rule is planned")
        assert child.poll() is None
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        child.wait(30)
    assert child.returncode == 0


class Gateway(http.server.ThreadingHTTPServer):
    """Takes every text as Twilio does, and writes down to whom."""

    daemon_threads = True

    def __init__(self):
        self.posted = []
        super().__init__(("127.0.0.1", 0), self._handler())

    def _handler(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.posted.append(form["To"][0])
                time.sleep(0.005)  # a gateway that answers at once leaves no moment of doubt
                body = json.dumps({"sid": "SM" + f"{len(outer.posted):032x}", "status": "queued", "error_code": None}).encode()
                with contextlib.suppress(ConnectionError):  # the one who asked was killed
                    self.send_response(201)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler


def test_kills_while_texts_go_out_repeat_none(practice):
    """A text in doubt is not sent again by itself when its session is hours away: nobody's phone rings twice, and what nobody can know is reported."""
    dice, texts = random.Random(SEED), 150
    gateway = Gateway()
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    try:
        (practice.folder / "token").write_text("test-token")
        practice.gateway(kind="twilio", url=f"http://127.0.0.1:{gateway.server_port}", account_sid="AC" + "0" * 32, auth_token_file="token", **{"from": "+15550100"})
        numbers = {n * 10 + 1: f"+1404555{n:04}" for n in range(texts)}
        practice.sessions([session(n + 1, person(n * 10 + 1, deliver="S", email="", sms=numbers[n * 10 + 1])) for n in range(texts)])
        kills = 0
        while len(gateway.posted) < texts * 3 // 4:
            before, child = len(gateway.posted), daemon(practice, "error")
            try:
                servers.wait_until(lambda: len(gateway.posted) > before, "a text goes out")
                time.sleep(dice.uniform(0, 0.03))
            finally:
                child.send_signal(signal.SIGKILL)
                child.wait()
            kills += 1
        final = practice.once()
    finally:
        gateway.shutdown()
        gateway.server_close()
    assert "panicked" not in logged(practice) and final.code in (0, 3), final.err
    rows = {numbers[r["participation_id"]]: r for r in practice.outbox() if r["occasion"] == "invite"}
    posted = collections.Counter(gateway.posted)
    assert len(rows) == texts and set(posted) <= set(rows)
    assert [n for n, count in posted.items() if count > 1] == [], "a text came twice"
    states = collections.Counter(r["state"] for r in rows.values())
    assert set(states) <= {"accepted", "unknown"}, states
    assert {n for n, r in rows.items() if r["state"] == "accepted"} <= set(posted), "accepted, and never posted"
    assert kills >= 3 and states["unknown"] > 0, "the kills met a moment of doubt"
    print(json.dumps({"kills": kills, "texts": texts, "posted": len(posted), **states}))
