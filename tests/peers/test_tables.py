"""Every table that the command line prints, on a terminal of 80 columns: no line is longer, no word is broken, and each reads as its golden file says.

`UPDATE_GOLDEN=1` writes the files under `golden/tables` anew; read them before they are committed.
"""
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import PROGRAM, person, session

GOLDEN = Path(__file__).parent / "golden" / "tables"
COLUMNS = 80
NOW = "2026-11-25 15:00:00"
SCRIPT = """
[[event]]
at = "2026-11-26T16:30:00Z"
relay = "down"
[[event]]
at = "2026-11-26T19:30:00Z"
relay = "up"
[[event]]
at = "2026-11-26T20:30:00Z"
move = { session = 1, to = "2026-11-29T15:00:00" }
"""
TABLES = {
    "status": "status",
    "preview": "preview --at 2026-11-25T20:00:00Z",
    "outbox": "outbox list",
    "unreachable": "unreachable",
    "why": "why 1 13",
    "guard": "guard show",
    "suppress": "suppress list",
    "users": "user list",
    "tokens": "token list",
    "ledger": "ledger verify",
    "check": "check",
    "diff": "diff punctual.toml other.toml --at 2026-11-25T20:00:00Z",
    "simulate": "simulate --from 2026-11-25T20:00:00Z --until 2026-11-27T20:00:00Z --script script.toml",
    "shadow": "shadow",
    "replies": "replies list",
    "config": "config print",
}
# What is other with each run: keys, the chain's links, and attempts' times.
CHANGES = [(r"\b[0-9a-f]{64}\b", "LINK"), (r"\b[0-9a-f]{32}\b", "KEY"), (r"^(\d+) rows, up to row \d+", "N rows, up to row N"), (r"^\d+:LINK", "N:LINK"),
           (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"), (r"\b\d{4} bytes", "N bytes")]


def on_a_terminal(practice, command):
    """At a moment that stands still, on the practice's terminal."""
    typed = f"stty cols {COLUMNS} rows 50; exec {shlex.quote(str(PROGRAM))} --color never --log error --config punctual.toml {command}"
    done = subprocess.run(["faketime", "-f", NOW, "script", "-qec", typed, "/dev/null"], capture_output=True, text=True, timeout=120, cwd=practice.folder,
                          stdin=subprocess.DEVNULL, env={**os.environ, "TZ": "UTC", "TERM": "dumb", "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    assert "panicked" not in done.stdout, done.stdout
    return done.stdout.replace("\r", "")


@pytest.fixture
def desk(practice):
    """A practice with something for each table to show."""
    assert shutil.which("faketime") and shutil.which("script"), "faketime and script (util-linux) are needed"
    if "INTERP" not in subprocess.run(["readelf", "-lW", PROGRAM], capture_output=True, text=True, check=True).stdout:
        pytest.skip("a static program takes no other clock from libfaketime: its tables are those of the other build")
    practice.sections["practice"] += '\ntime_zone = "America/New_York"'
    practice.sections["server"] = 'listen = "127.0.0.1:18765"\nusers_file = "users.toml"'
    practice.email(0, kind="folder", path="out")
    practice.gateway(kind="folder", path="texts")
    at = "2026-11-26T17:00:00"
    people = [person(11, name="Sam Johnson"), person(12, email=""), person(13, email="jane.doe.with.a.long.address at example.org"), person(14, deliver="N"),
              person(15, zone="Lakeside Time"), person(16, deliver="S", sms="(212) 555-0142"), person(17, RSVP="Declined")]
    sessions = [{**session(1, *people), "ScheduleTs": at}, {**session(2, person(21, email="somebody.with.a.rather.long.name@a-long-domain.example.org")), "ScheduleTs": "2026-11-25T15:30:00"}]
    sessions += [{**session(n, person(n * 10 + 1)), "ScheduleTs": f"2026-11-28T{n:02}:00:00"} for n in range(10, 20)]
    practice.sessions(sessions)
    config = practice.config.read_text()
    (practice.folder / "other.toml").write_text(config.replace('name = "1h"\nbefore = "1h"', 'name = "evening-before"\ndays_before = 1\nat = "18:00"'))
    (practice.folder / "script.toml").write_text(SCRIPT)

    def run(*args, given=None):
        command = ["faketime", "-f", NOW, str(PROGRAM), "--config", "punctual.toml", "--log", "error", *args]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, cwd=practice.folder, env={**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"})
        assert done.returncode in (0, 3), done.stderr
        return done.stdout

    run("run", "--once")
    run("user", "add", "jane", "--role", "operator", given="correct horse battery\n")
    run("token", "add", "reports", "--scope", "read")
    run("suppress", "add", "somebody.else.with.a.long.address@example.org")
    practice.sessions([s for s in sessions if s["SessionId"] < 13])
    run("run", "--once")
    held = [line for line in run("outbox", "list", "--json", "--state", "waiting").splitlines()][0]
    run("outbox", "hold", re.search(r'"key":"([0-9a-f]{32})"', held)[1])
    return practice


def test_every_table_fits_a_terminal_and_breaks_no_word(desk):
    wide = {}
    for name, command in TABLES.items():
        shown = on_a_terminal(desk, command)
        wide[name] = [line for line in shown.splitlines() if len(line) > COLUMNS]
        for pattern, word in CHANGES:
            shown = re.sub(pattern, word, shown, flags=re.M)
        shown = "\n".join(line.rstrip() for line in shown.splitlines()) + "\n"
        file = GOLDEN / f"{name}.txt"
        if os.environ.get("UPDATE_GOLDEN"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(shown)
        assert shown == file.read_text(), f"{command} reads differently now:\n{shown}"
    del wide["config"]  # is a file for programs
    assert {name: lines for name, lines in wide.items() if lines} == {}


def commands(arguments=()):
    """Every command that --help names, and those below it."""
    done = subprocess.run([PROGRAM, *arguments, "--help"], capture_output=True, text=True, timeout=60, check=True)
    yield list(arguments), done.stdout
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", done.stdout, re.M)
    for name in re.findall(r"^  (\w[\w-]*) ", listed[1], re.M) if listed else []:
        if name != "help":
            yield from commands([*arguments, name])


def test_each_command_has_examples_and_a_manual_page(tmp_path):
    found = list(commands())
    assert len(found) > 45
    without = [" ".join(names) for names, text in found if "Example" not in text]
    assert without == []
    subprocess.run([PROGRAM, "man", "--dir", tmp_path], capture_output=True, timeout=60, check=True)
    for names, _ in found:
        page = (tmp_path / ("-".join(["punctual", *names]) + ".1")).read_text()
        for section in ('.SH "EXIT STATUS"', ".SH FILES", ".SH ENVIRONMENT", ".SH EXAMPLES"):
            assert section in page, f"{names}: {section}"
