"""A node: a real process, which is started again when it ends, as systemd would."""
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from .practice import TOKEN

AGAIN = 1.0  # seconds from an end to the next start
ASKED = 5  # seconds for one question


def ask(port, path, method="GET", body=None, headers=None):
    """Status and text; status 0: nobody answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ASKED) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, ValueError):
        return 0, ""


def wrong_clock(ahead):
    """The environment of a process whose clock is so many seconds ahead. The time that the machine has run is the true one, and so are the times of files."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise SystemExit("no libfaketime is installed: apt-get install faketime")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"{ahead:+}", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


class Node:
    """`down_until`: somebody has ended it, until then; `killed`, `told`: by which signal; `stopped`: it sleeps; `ahead`: so many seconds its clock is from
    its next start on; `skews`: its lives with a clock that was not right."""

    def __init__(self, name, program, folder, port):
        self.name, self.program, self.folder, self.port = name, program, folder, port
        self.process, self.stopped, self.killed, self.told, self.down_until = None, False, False, False, 0.0
        self.starts, self.ends = 0, []
        self.ahead, self.skews = 0, []

    def start(self):
        with (self.folder / "log").open("a") as log:
            environment = os.environ | (wrong_clock(self.ahead) if self.ahead else {})
            begun, logged = time.time(), log.tell()
            self.process = subprocess.Popen([str(self.program), "run"], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log)
        if self.ahead:
            self.skews.append({"node": self.name, "pid": self.process.pid, "ahead": self.ahead, "since": begun, "until": None, "from": logged, "log": "",
                               "asked": None, "readyz": "", "status": ""})
        self.starts += 1
        self.killed, self.told, self.stopped = False, False, False

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self, until):
        self.killed, self.down_until = True, until
        self.signal(signal.SIGKILL)

    def terminate(self, until):
        self.told, self.down_until = True, until
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)

    def stop(self):
        self.stopped = True
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.stopped = False
        self.signal(signal.SIGCONT)

    def look(self):
        """Starts it again if it ended. Asked often."""
        if self.process is not None and self.process.poll() is not None:
            self.close_skew()
            said = self.log().strip().splitlines()
            self.ends.append({"node": self.name, "code": self.process.returncode, "at": time.time(), "killed": self.killed, "told": self.told,
                              "said": said[-1] if said else ""})
            self.down_until = max(self.down_until, time.time() + AGAIN)
            self.process = None
        if self.process is None and time.time() >= self.down_until:
            self.start()

    def close_skew(self):
        """A life with a wrong clock is over: what it said."""
        if self.skews and self.skews[-1]["until"] is None:
            self.skews[-1] |= {"until": time.time(), "log": (self.folder / "log").read_bytes()[self.skews[-1]["from"]:].decode(errors="replace")}

    def ask_skewed(self, desk):
        """What it says of itself just now, if its clock is not right, and what the others see of it."""
        if self.alive() and self.skews and self.skews[-1]["until"] is None:
            skew = self.skews[-1]
            code, text, _ = desk.run("--json", "status")
            seen = json.loads(text)["nodes"] if code in (0, 3) else []
            readyz = ask(self.port, "/readyz")[1]
            if readyz and seen:
                skew |= {"asked": time.time(), "readyz": readyz, "status": "; ".join(node["idle"] for node in seen if node["name"] == self.name and "idle" in node)}

    def close(self):
        if self.process is not None:
            self.go_on()
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def push(self, source, path, body):
        return ask(self.port, f"/api/v1/sources/{source}/sessions{path}", "PUT", json.dumps(body).encode(), {"Authorization": f"Bearer {TOKEN}"})

    def reply(self, number, text, id):
        told = json.dumps({"id": id, "reply": id, "from": number, "text": text}).encode()
        return ask(self.port, f"/hooks/sms/{TOKEN}", "POST", told)

    def metrics(self):
        status, text = ask(self.port, "/metrics")
        if status != 200:
            return None
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")}


class Desk:
    """The command line, from a machine whose way to the database is a good one."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, *arguments, timeout=120):
        done = subprocess.run([str(self.program), "--log", "error", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout)
        return done.returncode, done.stdout, done.stderr

    def lines(self, *arguments):
        """What a question prints, an object a line. The database may be on its way."""
        for _ in range(20):
            code, text, error = self.run("--json", *arguments)
            if code in (0, 3):
                return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
            time.sleep(1)
        raise RuntimeError(f"{arguments}: {code} {error}")
