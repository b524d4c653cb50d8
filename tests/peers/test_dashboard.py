"""The pages in a real browser: looked at as a front desk does, on a desk and on a phone, in light and dark; judged by axe-core and html-validate."""
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
import servers
from conftest import PROGRAM, ROOT, person, session

TOOLS = os.environ.get("PUNCTUAL_TOOLS", str(ROOT / "target" / "tools"))
PASSWORD = "correct horse battery"
# No schema says what an address is: one that cannot be used is refused.
ADDRESSES = """
[[operations]]
include-name = ["POST /api/v1/suppressions", "POST /api/v1/notices/{key}/resend"]
checks.positive_data_acceptance.enabled = false
# A whole number written as 7.0 is none.
[[operations]]
include-name = "POST /api/v1/sessions/{session}/remind"
checks.positive_data_acceptance.enabled = false
# Records are judged one by one: what the schema allows may be none, and one that is none is named in a success.
[[operations]]
include-operation-id = ["pushSessions", "pushSession"]
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false
"""
PICTURES = ROOT / "target" / "pictures"


class Doubtful(http.server.BaseHTTPRequestHandler):
    """A gateway of which nobody knows whether it took the text."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500)
        self.end_headers()

    def log_message(self, *_):
        pass


class Daemon:
    """A practice's daemon, with its pages."""

    def __init__(self, practice):
        self.practice, self.port = practice, servers.free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        practice.sections["server"] = f'listen = "127.0.0.1:{self.port}"\nusers_file = "users.toml"'

    def command(self, *args, stdin=None):
        command = [str(PROGRAM), "--config", str(self.practice.config), *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    @contextmanager
    def running(self):
        for name, role in [("jane", "operator"), ("victor", "viewer")]:
            self.command("user", "add", name, "--role", role, stdin=PASSWORD + "\n")
        self.command("user", "add", "tess", "--role", "viewer", stdin=PASSWORD + "\n")
        uri = self.command("user", "totp", "tess")
        assert re.fullmatch(r"otpauth://totp/Lakeside%20Telehealth:tess\?secret=[A-Z2-7]{32}&issuer=Lakeside%20Telehealth&algorithm=SHA1&digits=6&period=30", uri)
        self.secret = uri.split("secret=")[1][:32]
        log = open(self.practice.folder / "daemon.log", "w")
        child = subprocess.Popen([str(PROGRAM), "--config", str(self.practice.config), "run"], stderr=log, cwd=self.practice.folder)
        self.process = child
        try:
            servers.wait_until(self.answers, "the server listens")
            yield self
        finally:
            child.terminate()
            assert child.wait(timeout=60) == 0
            log.close()
            assert "panicked" not in (self.practice.folder / "daemon.log").read_text()

    def answers(self):
        try:
            return urllib.request.urlopen(self.base + "/login", timeout=5).status == 200
        except OSError:
            return False

    def rows(self, *filters):
        return self.practice.run("outbox", "list", "--json", *filters).lines()


@pytest.fixture
def daemon(practice):
    practice.sections["[source]"] += '\npoll = "* * * * * *"'
    practice.sections["practice"] += '\ntime_zone = "America/New_York"'
    practice.email(0, kind="folder", path="out")
    (practice.folder / "own").mkdir()
    practice.sections["templates"] = 'dir = "own"'
    return Daemon(practice)


def week():
    """Sessions of some days: all that a front desk may meet."""
    people = [
        person(101, zone="Pacific Standard Time"),
        person(102, deliver="S", email="", sms="(212) 555-0142"),
        person(103, deliver="E", email=""),
        person(104, deliver="E", zone="Lakeside Time"),
        person(105, deliver="N", email=""),
        person(106, email="sam at example.com", name="Samantha Long-Name"),
    ]
    some = [session(1, *people, minutes=55), session(2, person(201), minutes=300), session(3, person(301, RSVP="Declined"), minutes=1500)]
    later = [session(n, person(n * 100 + 1), minutes=1500 + 30 * n) for n in range(10, 18)]
    later[0]["Participants"].append(person(1002, deliver="S", email="", sms="(212) 555-0143"))
    return some + later


def test_a_front_desk_at_work(daemon):
    gateway = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Doubtful)
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    daemon.practice.gateway(kind="http", url=f"http://127.0.0.1:{gateway.server_port}/send", body='{"to": {{ to | json_encode }}}')
    sessions = week()
    daemon.practice.sessions(sessions)
    try:
        with daemon.running():
            servers.wait_until(lambda: daemon.rows("--state", "unknown"), "the text is in doubt")
            held = daemon.rows("--session", "2", "--state", "waiting")[0]["key"]
            daemon.command("outbox", "hold", held)
            mail = daemon.rows("--session", "11", "--state", "waiting")[0]
            # Six of the eight sessions of later days are gone at once: the guard.
            daemon.practice.sessions([s for s in sessions if s["SessionId"] < 12])
            servers.wait_until(lambda: daemon.practice.run("guard", "show", "--json").lines(), "the guard trips")
            text = daemon.rows("--participant", "1002", "--state", "waiting")
            plan = {
                "base": daemon.base, "user": "jane", "password": PASSWORD, "totp": {"user": "tess", "secret": daemon.secret}, "held": held, "mail": mail["key"], "session": 1, "person": 101,
                "text": text[0]["key"], "pictures": str(PICTURES), "chromium": shutil.which("chromium"),
            }
            (daemon.practice.folder / "plan.json").write_text(json.dumps(plan))
            command = ["node", str(ROOT / "tests/peers/browse.mjs"), str(daemon.practice.folder / "plan.json")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "PUNCTUAL_TOOLS": TOOLS})
            assert done.returncode == 0, done.stderr
            seen = json.loads(done.stdout)
            assert len(seen["pages"]) == 76
            assert seen["axe"] == []
            assert seen["html"] == []
            assert seen["wide"] == [], "a page is wider than its screen"
            assert [line for line in seen["console"] if "404" not in line] == []
            deeds = seen["deeds"]
            assert (deeds["sentTo"], deeds["refused"], deeds["inside"]) == ("/login", "Name, password or code is wrong. A code can be used once.", "Sessions")
            assert (deeds["withoutCode"], deeds["withCode"], deeds["sameCode"]) == ("/login", "/", "/login")
            assert deeds["asked"] == "Send this message?"
            assert deeds["skipped"] and deeds["afterRelease"] == "/attention" and deeds["afterAccept"] == "/attention"
            code = f"{300_000_000 + mail['participation_id'] * 7:09}"
            code = "-".join([code[:3], code[3:6], code[6:]])
            assert "***-***-***" in deeds["masked"] and code not in deeds["masked"]
            assert code in deeds["revealed"]
            assert "***-***-***" in deeds["bubble"] or "*********" in deeds["bubble"], deeds["bubble"]
            assert "segment" in deeds["segments"]
            assert (deeds["found"], deeds["loggedOut"]) == ("/sessions/1/101", "/login")
            assert daemon.rows("--session", "2", "--state", "held") == [], "it was released"
            servers.wait_until(lambda: not daemon.practice.run("guard", "show", "--json").lines(), "the walk takes what was accepted")
            why = daemon.practice.run("why", "2", "201", "--json").lines()[0]
            released = [row for notice in why["notices"] for row in notice["history"] if row["event"] == "release"]
            assert [row["detail"] for row in released] == ["by jane"]
    finally:
        gateway.shutdown()
        gateway.server_close()


def test_slow_connections_and_guesses_keep_nobody_waiting(daemon):
    daemon.practice.sessions(week())
    with daemon.running():
        slow, stop, guessed = [], threading.Event(), []
        for n in range(400):
            stream = socket.create_connection(("127.0.0.1", daemon.port))
            stream.sendall([b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-"][n % 2])
            slow.append(stream)

        def guess():
            while not stop.is_set():
                browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
                try:
                    form = re.search('name="token" value="([0-9a-f]+)"', browser.open(daemon.base + "/login", timeout=30).read().decode())
                    guessed_at = f"name=jane&password=a+guess+of+it&token={form[1]}".encode()
                    browser.open(daemon.base + "/login", data=guessed_at, timeout=30)
                except urllib.error.HTTPError as refused:
                    guessed.append(refused.code)
                except OSError:
                    guessed.append(0)

        guessers = [threading.Thread(target=guess) for _ in range(4)]
        for one in guessers:
            one.start()
        took = []
        for path in ["/login", "/healthz"] * 10:
            began = time.monotonic()
            assert urllib.request.urlopen(daemon.base + path, timeout=30).status == 200
            took.append(time.monotonic() - began)
        stop.set()
        for one in guessers:
            one.join()
        for stream in slow:
            stream.close()
    print(json.dumps({"slowest": round(max(took), 3), "guesses": len(guessed), "looked_at": guessed.count(401)}))
    assert set(guessed) <= {401, 429} and guessed.count(401) <= 10, guessed
    assert max(took) < 1, took


def test_log_ins_leave_no_memory_behind(daemon):
    """A password takes 19 MiB to look at: once, and not once more for each log-in."""
    daemon.practice.sessions(week())
    with daemon.running() as running:
        resident = lambda: int(re.search(r"VmRSS:\s+(\d+) kB", open(f"/proc/{running.process.pid}/status").read())[1]) / 1024

        def log_in():
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            token = re.search('name="token" value="([0-9a-f]+)"', browser.open(daemon.base + "/login", timeout=30).read().decode())[1]
            form = urllib.parse.urlencode({"name": "jane", "password": PASSWORD, "token": token}).encode()
            assert b"Sessions" in browser.open(daemon.base + "/login", data=form, timeout=30).read()

        for _ in range(10):
            log_in()
        before = resident()
        for _ in range(50):
            log_in()
        after = resident()
    print(json.dumps({"before MiB": round(before), "after MiB": round(after)}))
    assert after - before < 40


def test_the_api_is_what_it_says(daemon):
    """schemathesis makes requests out of the description, right and wrong ones, and looks whether each answer is one that was described."""
    daemon.practice.sessions(week())
    (daemon.practice.folder / "pushed").write_text("the-token-of-the-front-desk-1\n")
    daemon.practice.sections["[source]"] += '\n[[source]]\nname = "desk"\nkind = "push"\ntoken_file = "pushed"'
    with daemon.running():
        servers.wait_until(lambda: daemon.rows("--state", "waiting"), "sessions are planned")
        token = daemon.command("token", "add", "robot", "--scope", "read", "--scope", "write", "--scope", "push")
        # Twice: with whatever comes to its mind, and with a notice and a session that are there.
        there = f'[parameters]\n"path.key" = "{daemon.rows("--state", "waiting")[0]["key"]}"\n"path.session" = 1\n"path.name" = "desk"\n'
        for parameters in ["", there]:
            config = daemon.practice.folder / "schemathesis.toml"
            config.write_text(parameters + ADDRESSES)
            command = [
                f"{TOOLS}/python/bin/schemathesis", "--config-file", str(config), "run", f"{daemon.base}/api/v1/openapi.json",
                "--header", f"Authorization: Bearer {token}", "--max-examples", "25", "--seed", "7", "--no-color",
                "--phases", "examples,coverage,fuzzing",
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=80, cwd=daemon.practice.folder)
            assert done.returncode == 0, done.stdout[-6000:]
            print([line.strip() for line in done.stdout.splitlines() if "generated" in line])
