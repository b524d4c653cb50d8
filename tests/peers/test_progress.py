"""Long work shows how far it has got to whoever looks at a terminal, and to nobody else."""
import json
import os
import pty
import subprocess
from datetime import datetime, timezone

import pytest
from conftest import PROGRAM, person, session

FILES = 3000


@pytest.fixture
def large(practice):
    folder = practice.folder / "many"
    folder.mkdir()
    for n in range(1, FILES + 1):
        (folder / f"{n:05}.json").write_text(json.dumps([session(n, person(n * 10 + 1))]))
    return folder


def on_terminal(practice, *arguments, **environment):
    """What standard error shows on a terminal; standard output is a file."""
    ours, theirs = pty.openpty()
    command = [PROGRAM, "--config", practice.config, *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, cwd=practice.folder, env={**os.environ, "TERM": "xterm", **environment})
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed: Linux says EIO
            break
        if not part:
            break
        shown += part
    out = child.communicate()[0].decode()
    os.close(ours)
    return child.returncode, out, shown.decode()


def test_reading_a_large_folder_shows_a_bar_on_a_terminal_only(practice, large):
    arguments = ("preview", "--sessions", large, "--session", 1, "--json", "--at", datetime.now(timezone.utc).isoformat())
    code, out, shown = on_terminal(practice, *arguments)
    assert code == 0 and "files read [" in shown and "%" in shown, shown[:400]
    assert all(line.startswith("{") for line in out.splitlines()), "the facts stay clean"
    assert "\x1b[3" not in shown, "no colours"
    quiet = practice.run(*arguments)
    assert quiet.code == 0 and "files read" not in quiet.err and quiet.out == out


def test_a_backup_is_quiet_in_a_pipe(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(11))])
    assert practice.once().code == 0
    code, out, shown = on_terminal(practice, "backup", practice.folder / "one.db", "--json", NO_COLOR="1")
    assert code == 0 and json.loads(out)["bytes"] > 0 and "\x1b[3" not in shown
    piped = practice.run("backup", practice.folder / "two.db", "--json")
    assert piped.code == 0 and piped.err == ""
