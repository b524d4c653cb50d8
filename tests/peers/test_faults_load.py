"""Servers that say 421, hang, or never end what they say, while much is due: each message once, no channel delayed by another, no memory lost.

PUNCTUAL_STORM=10000 tries the long storm; CI sends 1,000 messages.
"""
import collections
import contextlib
import json
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time

import pytest
from conftest import PROGRAM, Practice, person, session

import servers

STORM = int(os.environ.get("PUNCTUAL_STORM", "1000"))
MEMORY = 32 << 20  # what a hostile server may add, in bytes
USUAL = 40 << 20  # what a run with good servers takes at most


class Script(socketserver.ThreadingTCPServer):
    """An SMTP server that does what `step(server, verb, connection)` says: text to answer, None for a good server's answer, or a function of the socket."""

    allow_reuse_address, daemon_threads, request_queue_size = True, True, 512

    def __init__(self, step):
        self.step, self.lock = step, threading.Lock()
        self.taken, self.connections, self.heard = [], 0, collections.Counter()
        super().__init__(("127.0.0.1", 0), Conversation)

    @property
    def port(self):
        return self.server_address[1]

    @contextlib.contextmanager
    def running(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()

    def handle_error(self, *_):
        pass  # whoever asked has gone


class Conversation(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    usual = {b"EHLO": "250-script\r\n250 PIPELINING", b"DATA": "354 go", b"QUIT": "221 bye", b"banner": "220 script", b".": "250 2.0.0 Ok: queued as 4F1A22"}

    def handle(self):
        self.messages = 0  # of this connection
        with self.server.lock:
            self.server.connections += 1
        with contextlib.suppress(ConnectionError, OSError):
            self.converse()

    def converse(self):
        recipient = None
        if not self.act(b"banner"):
            return
        while line := self.rfile.readline():
            verb = line.split()[0].upper()
            if verb == b"RCPT":
                recipient = line.split(b"<")[1].split(b">")[0].decode()
            if not self.act(verb) or verb == b"QUIT":
                return
            if verb == b"DATA":
                while (line := self.rfile.readline()) != b".\r\n":
                    if not line:
                        return
                if not self.act(b".", recipient):
                    return

    def act(self, verb, recipient=None):
        """Whether the connection goes on. A recipient's message counts if it is answered with 250."""
        with self.server.lock:
            self.server.heard[verb] += 1
            step = self.server.step(self.server, verb, self)
            text = step or self.usual.get(verb, "250 2.0.0 Ok")
            if recipient and isinstance(text, str) and text.startswith("250"):
                self.messages += 1
                self.server.taken.append(recipient)
        if not isinstance(text, str):
            text(self.request)
            return False
        self.wfile.write(text.encode() + b"\r\n")
        return not text.startswith("421")


def due(count):
    return [session(n + 1, person(n * 10 + 1)) for n in range(count)]


def recipients(count):
    return sorted(f"p{n * 10 + 1}@example.org" for n in range(count))


def states(practice):
    return collections.Counter(r["state"] for r in practice.outbox() if r["occasion"] == "invite")


def test_a_server_that_says_421_after_every_fifth_message_of_a_connection_gets_all_once(practice):
    """As a relay that takes so many a connection: a fresh connection costs the message nothing, not even an attempt."""
    fifth = lambda server, verb, connection: "421 4.7.0 too many for one connection" if verb == b"MAIL" and connection.messages == 5 else None
    with Script(fifth).running() as server:
        practice.email(server.port)
        practice.sessions(due(STORM))
        done = practice.once(log="error", timeout=900)
        assert (done.code, sorted(server.taken)) == (0, recipients(STORM)), done.err
        print(json.dumps({"messages": STORM, "421s": server.heard[b"MAIL"] - STORM, "connections": server.connections, "twice": 0, "lost": 0}))
        assert server.connections >= STORM // 5
    assert {r["attempts"] for r in practice.outbox() if r["occasion"] == "invite"} == {1}


def test_a_server_that_answers_every_fifth_dot_with_421_gets_all_once(practice):
    """Each such message was refused for now: it waits for its back-off, the others go on; nothing is taken for accepted or in doubt."""
    dots = lambda server, verb, connection: "421 4.3.2 shutting down" if verb == b"." and server.heard[b"."] % 5 == 0 else None
    with Script(dots).running() as server:
        practice.email(server.port)
        practice.sessions(due(STORM))
        runs = 0
        while (code := practice.once(log="error", timeout=900).code) == 1:
            runs += 1
            assert set(states(practice)) <= {"accepted", "waiting"}
            assert runs < 30
            practice.run("outbox", "retry", "--all")
        assert (code, sorted(server.taken)) == (0, recipients(STORM))
        print(json.dumps({"messages": STORM, "421s after the dot": server.heard[b"."] - STORM, "runs": runs + 1, "twice": 0, "lost": 0}))
    assert states(practice) == {"accepted": STORM}


@contextlib.contextmanager
def daemon(practice):
    with open(practice.folder / "log", "ab") as log:
        child = subprocess.Popen([PROGRAM, "--config", practice.config, "--log", "error", "run"], cwd=practice.folder, stdout=log, stderr=log)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()


def hang(_socket):
    threading.Event().wait(120)


@pytest.mark.parametrize("where", [b"banner", b"MAIL", b"."])
def test_a_relay_that_hangs_delays_no_text(practice, tmp_path, where):
    """E-mail stands still for the whole test; texts go out as if it were not there."""
    texts = 100

    def mixed():
        made = due(texts)
        return made + [session(5000 + n, person(50_000 + n, deliver="S", email="", sms=f"+1404555{n:04}")) for n in range(texts)]

    def time_of_texts(folder, relay, met=lambda: True):
        practice = Practice(folder)
        practice.email(relay, connections=4)
        practice.gateway(kind="folder", path="texts")
        practice.sessions(mixed())
        began = time.monotonic()
        with daemon(practice):
            arrived = lambda: len(list((practice.folder / "texts").glob("*.txt")))
            servers.wait_until(lambda: arrived() == texts, f"{texts} texts beside a relay that hangs at {where}")
            taken = time.monotonic() - began
            # On a quick machine the texts are gone before the first connection to the relay.
            servers.wait_until(met, "the relay was met, and hung")
            # A text is in its folder before its acceptance is in the store.
            servers.wait_until(lambda: states(practice)["accepted"] >= texts, "every text is known as accepted")
        return taken, states(practice)

    with Script(lambda *_: None).running() as good:
        usual, _ = time_of_texts(tmp_path / "good", good.port)
    hanging = lambda server, verb, connection: hang if verb == where else None
    with Script(hanging).running() as server:
        beside, found = time_of_texts(tmp_path / "hanging", server.port, lambda: server.heard[where] > 0)
    print(json.dumps({"hangs at": where.decode(), "seconds": round(beside, 2), "beside a good relay": round(usual, 2)}))
    assert found["accepted"] == texts, "no e-mail went out"
    assert beside < usual * 2 + 3, (beside, usual)


def endless(piece):
    """Sends without an end, as fast as it is taken."""

    def send(connection):
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(piece)

    return send


# A process begins with the peak of the one that started it, so a small one does: this test itself is larger than the program.
LAUNCHER = "import os, sys; child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); print(os.wait4(child, 0)[2].ru_maxrss)"


def peak_memory(practice):
    """`run --once`, its peak memory in bytes, and how long it took. It ends by itself."""
    command = [sys.executable, "-ISc", LAUNCHER, PROGRAM, "--config", practice.config, "--log", "info", "run", "--once"]
    began = time.monotonic()
    done = subprocess.run(command, cwd=practice.folder, capture_output=True, text=True, timeout=120)
    assert "panicked" not in done.stderr, done.stderr
    return int(done.stdout) * 1024, time.monotonic() - began


ENDLESS = [(verb, name, piece) for verb in (b"banner", b"EHLO", b"MAIL", b"RCPT", b"DATA", b".")
           for name, piece in (("line", b"2" * 65536), ("lines", b"250-more of the same\r\n" * 3000), ("NULs", bytes(65536)))]


def test_a_relay_that_never_ends_its_answer_costs_no_memory(tmp_path):
    def run(step, folder):
        practice = Practice(folder)
        with Script(step).running() as server:
            practice.email(server.port)
            practice.sessions(due(20))
            memory, taken = peak_memory(practice)
        return memory, taken, states(practice)

    usual, _, found = run(lambda *_: None, tmp_path / "good")
    assert found == {"accepted": 20}
    print("\n| endless | at | more memory, KiB | seconds | states |\n|---|---|---|---|---|")
    for verb, name, piece in ENDLESS:
        memory, taken, found = run(lambda server, v, connection: endless(piece) if v == verb else None, tmp_path / f"{verb.decode()}-{name}")
        print(f"| {name} | {verb.decode()} | {(memory - usual) // 1024} | {taken:.1f} | {dict(found)} |")
        assert memory - usual < MEMORY and taken < 30
        # After the dot, `250-` says what it says, whatever follows; everything else is no answer, and risks a few messages alone.
        if verb == b"." and name != "lines":
            assert few_in_doubt(found, 20, 8), name
        else:
            assert found == {"accepted" if verb == b"." else "waiting": 20}, (verb, name)


def few_in_doubt(found, total, connections):
    """The channel paused once three messages were in doubt in the same words: those, what was on its way on other connections, and no more."""
    return set(found) <= {"unknown", "waiting"} and 3 <= found["unknown"] <= 3 + connections and sum(found.values()) == total


def bomb():
    """A gzip member of 64 MiB of zeros, as an answer says it."""
    import gzip

    return gzip.compress(bytes(64 << 20), 9)


class Gateway(socketserver.ThreadingTCPServer):
    """Reads a request, and answers with what it was made with: bytes, and then one piece for ever."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, head, piece):
        class Answer(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError, ValueError):
                    length = 0
                    while (line := self.rfile.readline()) not in (b"\r\n", b""):
                        found = re.match(rb"(?i)content-length: (\d+)", line)
                        length = int(found[1]) if found else length
                    self.rfile.read(length)
                    self.wfile.write(head)
                    while piece:
                        self.wfile.write(piece)

        super().__init__(("127.0.0.1", 0), Answer)

    def handle_error(self, *_):
        pass


CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


@pytest.mark.parametrize("name,head,piece,state", [
    ("good", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{\"id\":\"m1\"}", b"", "accepted"),
    ("endless body", b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, "accepted"),
    ("endless chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNK, "accepted"),
    ("endless headers", b"HTTP/1.1 200 OK\r\n", b"X-More: of the same\r\n" * 100, "unknown"),
    ("endless status line", b"HTTP/1.1 200 ", b"x" * 65536, "unknown"),
    ("gzip bomb", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\n\r\n" + bomb(), b"", "accepted"),
    ("no HTTP", b"", b"220 smtp\r\n" * 100, "unknown"),
])
def test_a_gateway_that_never_ends_its_answer_costs_no_memory(tmp_path, name, head, piece, state):
    practice = Practice(tmp_path / "practice")
    gateway = Gateway(head, piece)
    threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        body = '{"to": {{ to | json_encode }}, "text": {{ text | json_encode }}}'
        practice.gateway(kind="http", url=f"http://127.0.0.1:{gateway.server_address[1]}/", body=body)
        practice.sessions([session(n + 1, person(n * 10 + 1, deliver="S", email="", sms=f"+1404555{n:04}")) for n in range(20)])
        memory, taken = peak_memory(practice)
    finally:
        gateway.shutdown()
        gateway.server_close()
    found = states(practice)
    print(json.dumps({"answer": name, "peak MiB": memory >> 20, "seconds": round(taken, 1), **found}))
    assert few_in_doubt(found, 20, 4) if state == "unknown" else found == {state: 20}
    assert memory < USUAL + MEMORY and taken < 60
