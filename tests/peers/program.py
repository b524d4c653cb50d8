"""The program as a practice runs it: a folder with a configuration, a sessions file and a store, and the real binary."""

import json
import os
import pathlib
import signal
import subprocess
from dataclasses import dataclass

from servers import STOP_SECONDS, _end_with_parent

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PUNCTUAL_BIN", ROOT / "target" / "debug" / "punctual"))
RUN_SECONDS = 120

NOTHING_LEFT, FAILED, USAGE, ATTENTION, BAD_CONFIG = 0, 1, 2, 3, 78


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def lines(self):
        """Its output as JSON, one object a line."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]


class Practice:
    """One practice. Settings are TOML text; `configure` puts the file together."""

    def __init__(self, folder):
        self.folder = folder
        self.config, self.sessions_file = folder / "punctual.toml", folder / "sessions.json"

    def configure(self, *sections, reminders=(("24h", "24h"), ("1h", "1h")), settle="0s", adopt=True, hosts=True, practice=""):
        """Writes the configuration: a practice with one source, its rules, and the given further sections."""
        rules = "".join(f'[[reminder]]\nname = "{name}"\nbefore = "{before}"\n' for name, before in reminders)
        text = f"""
[practice]
name = "Lakeside Clinic"
contact = "404-555-0199"
region = "US"
locale = "en-US"
hosts = {str(hosts).lower()}
{practice}
[[source]]
name = "clinic"
kind = "file"
path = "sessions.json"
poll = "* * * * * *"
{rules}
[invite]
settle = "{settle}"
[adopt]
invites = {str(adopt).lower()}
[store]
url = "sqlite://punctual.db"
"""
        self.config.write_text(text.lstrip() + "\n".join(sections))
        self.config.chmod(0o600)
        return self

    def write_sessions(self, sessions):
        """Replaces the sessions file, in one step."""
        text = sessions if isinstance(sessions, bytes) else json.dumps(sessions, ensure_ascii=False, indent=1).encode()
        new = self.sessions_file.with_suffix(".new")
        new.write_bytes(text)
        new.replace(self.sessions_file)

    def argv(self, *words):
        """The command line of the program with this configuration."""
        assert BINARY.exists(), f"{BINARY} is missing: cargo build first (tests/run does)"
        return [str(BINARY), "--config", str(self.config), *map(str, words)]

    def call(self, *words, timeout=RUN_SECONDS, env=None, argv_prefix=()):
        """Runs a command to its end. Never with a panic."""
        done = subprocess.run(
            [*argv_prefix, *self.argv(*words)],
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        ended = Ended(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        assert "panicked" not in ended.err, ended.err[-4000:]
        return ended

    def run_once(self, **options):
        """`run --once`."""
        return self.call("run", "--once", **options)

    def outbox(self, *words):
        """`outbox list --json`: one entry a notice."""
        ended = self.call("outbox", "list", "--json", *words)
        assert ended.code == NOTHING_LEFT, ended
        return ended.lines()

    def daemon(self, **options):
        """`run`, until the `with` block ends."""
        return Daemon(self, **options)


class Daemon:
    """A running daemon: SIGTERM when the block ends, and it must end well; or `kill` before."""

    def __init__(self, practice, env=None):
        self.practice, self.env = practice, env
        self.log = practice.folder / "daemon.log"

    def __enter__(self):
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                self.practice.argv("run"),
                cwd=self.practice.folder,
                env={**os.environ, **(self.env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_end_with_parent,
            )
        return self

    def kill(self):
        """SIGKILL: what a power cut or the kernel's out-of-memory killer does to it."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def __exit__(self, kind, *rest):
        ended_before = self.child.poll()
        if ended_before is None:
            self.child.terminate()
            try:
                self.child.wait(30 + STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise AssertionError(f"did not stop on SIGTERM:\n{self.text()[-3000:]}") from None
        text = self.text()
        assert "panicked" not in text, text[-4000:]
        if kind is None and ended_before is None:
            assert self.child.returncode == 0, f"ended with {self.child.returncode} on SIGTERM:\n{text[-3000:]}"

    def text(self):
        """All that the daemons of this practice have said so far."""
        return self.log.read_text(errors="replace")
