"""What monitors are told: /healthz, /readyz, /metrics, the dead-man's ping, and the rules and the dashboard that go with them."""
import contextlib
import http.server
import json
import re
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request

from conftest import ROOT, person, session

import servers
from test_stop import daemon, logged


def get(port, path):
    """Status, body, and how long it took."""
    began = time.monotonic()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode(), time.monotonic() - began
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(), time.monotonic() - began


@contextlib.contextmanager
def running(practice, port):
    practice.sections["server"] = f'listen = "127.0.0.1:{port}"\n' + practice.sections.get("server", "")
    child = daemon(practice)
    try:
        servers.wait_until(lambda: "ready" in logged(practice) or child.poll() is not None, "the daemon is ready")
        assert child.poll() is None, logged(practice)
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
        child.wait(40)


def sample(text, name, **labels):
    """The value of one sample."""
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and all(f'{k}="{v}"' in (found[2] or "") for k, v in labels.items()):
            return float(found[3])
    raise AssertionError(f"no {name} {labels} in\n{text}")


def test_a_monitor_sees_what_goes_out_and_what_waits(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(n, person(n * 10 + 1)) for n in range(1, 6)])
    port = servers.free_port()
    with running(practice, port):
        servers.wait_until(lambda: len(sink.messages()) == 5, "the invites arrive")
        assert get(port, "/healthz")[:2] == (200, '{"healthy":true}')
        assert get(port, "/readyz")[:2] == (200, '{"ready":true,"reasons":[]}')
        accepted = lambda: sample(get(port, "/metrics")[1], "punctual_attempts_total", channel="email", outcome="accepted")
        servers.wait_until(lambda: accepted() == 5, "all are settled")
        text = get(port, "/metrics")[1]
        assert sample(text, "punctual_notices", state="accepted") == 5
        assert sample(text, "punctual_lateness_seconds_count", channel="email") == 5
        assert sample(text, "punctual_lateness_seconds_bucket", channel="email", le="+Inf") == 5
        assert sample(text, "punctual_transport_paused", channel="email") == 0
        assert sample(text, "punctual_source_age_seconds", source="sessions") < 60
        assert re.search(r'punctual_build_info\{version="[\d.]+",tzdata="20\d\d[a-z]+"', text)
        practice.run("outbox", "hold", "--session", "3", "--all")
        held = get(port, "/metrics")[1]
        assert sample(held, "punctual_notices_held", reason="operator") == 1
        assert get(port, "/readyz")[0] == 200, "what waits for a person is no fault of the program"
        for secret in ("p11@", "Trevor", "300000077", "example.org"):
            assert secret not in held
        if promtool():
            checked = subprocess.run(["promtool", "check", "metrics"], input=held, capture_output=True, text=True)
            assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_store_that_does_not_answer_is_told_within_two_seconds(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(11))])
    port = servers.free_port()
    with running(practice, port):
        locked = sqlite3.connect(practice.folder / "punctual.db", isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        for path in ("/healthz", "/readyz"):
            status, body, took = get(port, path)
            assert status == 503 and "the store does not answer" in body and took < 2, (path, status, body, took)
        locked.execute("ROLLBACK")
        locked.close()
        servers.wait_until(lambda: get(port, "/readyz")[0] == 200, "it is ready again")


def test_a_source_that_cannot_be_read_and_a_relay_at_fault_are_not_ready(practice):
    practice.sections["[source]"] += '\npoll = "* * * * * *"'
    port = servers.free_port()
    # Bound, and nobody listens: nobody else gets the port, and whoever connects is refused.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        practice.email(closed.getsockname()[1])
        is_told(practice, port)


def is_told(practice, port):
    with running(practice, port):
        status, body, _ = get(port, "/readyz")
        assert status == 503 and "source sessions has never been read" in body
        assert get(port, "/healthz")[0] == 200
        practice.sessions([session(1, person(11))])
        servers.wait_until(lambda: "every transport of email is at fault" in get(port, "/readyz")[1], "the relay's fault is told")
        assert sample(get(port, "/metrics")[1], "punctual_transport_paused", channel="email") == 1


class Monitor(http.server.ThreadingHTTPServer):
    """Counts pings."""

    daemon_threads = True

    def __init__(self):
        self.pings = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.pings.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)


def test_the_ping_stays_away_when_all_is_not_well(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(11))])
    monitor = Monitor()
    threading.Thread(target=monitor.serve_forever, daemon=True).start()
    try:
        (practice.folder / "ping").write_text(f"http://127.0.0.1:{monitor.server_port}/ping/0123456789\n")
        practice.sections["server"] = 'ping_url_file = "ping"\nping = "* * * * * *"'
        with running(practice, servers.free_port()):
            servers.wait_until(lambda: len(monitor.pings) >= 3, "it pings")
            assert set(monitor.pings) == {"/ping/0123456789"}
            locked = sqlite3.connect(practice.folder / "punctual.db", isolation_level=None)
            locked.execute("BEGIN IMMEDIATE")
            time.sleep(1.5)
            before = len(monitor.pings)
            time.sleep(3)
            assert len(monitor.pings) <= before + 1, "one may have been on its way"
            locked.execute("ROLLBACK")
            locked.close()
        assert "0123456789" not in logged(practice), "whoever knows the address can silence the alarm"
    finally:
        monitor.shutdown()
        monitor.server_close()


def promtool():
    return subprocess.run(["which", "promtool"], capture_output=True).returncode == 0


def test_the_alert_rules_are_rules_and_fire():
    assert promtool(), "promtool comes with Debian's prometheus: tests/run peers installs it"
    for arguments in (["check", "rules", "config/alerts.yml"], ["test", "rules", "tests/alerts/punctual_test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_dashboard_ask_for_figures_that_there_are(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(11))])
    port = servers.free_port()
    with running(practice, port):
        practice.run("outbox", "hold", "--all")
        text = get(port, "/metrics")[1]
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.M))
    known = families | {f"{f}_{part}" for f in families for part in ("bucket", "sum", "count")}
    rules = (ROOT / "config" / "alerts.yml").read_text()
    panels = json.loads((ROOT / "config" / "grafana.json").read_text())["panels"]
    asked = "".join(re.findall(r"expr: (.*)", rules)) + " ".join(t["expr"] for p in panels for t in p["targets"])
    used = set(re.findall(r"\bpunctual_\w+", asked))
    assert len(used) > 10 and used <= known, used - known
