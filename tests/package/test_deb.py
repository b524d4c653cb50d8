"""The Debian package: what is in it, and a life from installation to purge on this machine (as root; nothing of systemd need run).

PUNCTUAL_DIST is the folder of what config/release made.
"""
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

DEB = str(next(Path(os.environ["PUNCTUAL_DIST"]).glob("*.deb")))
CONFIG = Path("/etc/punctual/punctual.toml")
STATE = Path("/var/lib/punctual")


def run(*command, code=0, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def installed():
    return subprocess.run(["dpkg-query", "-W", "-f", "${Status}", "punctual"], capture_output=True, text=True).stdout


@pytest.fixture(scope="module", autouse=True)
def this_machine_has_none():
    if os.geteuid() != 0:
        pytest.fail("a package is installed as root")
    for path in (Path("/usr/bin/punctual"), CONFIG, STATE):
        if path.exists():
            pytest.fail(f"{path} is there already: this test would take it away")
    yield
    subprocess.run(["dpkg", "--purge", "punctual"], capture_output=True)
    CONFIG.unlink(missing_ok=True)
    shutil.rmtree(STATE, ignore_errors=True)
    shutil.rmtree("/etc/punctual", ignore_errors=True)
    subprocess.run(["userdel", "punctual"], capture_output=True)


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_what_is_in_it():
    listed = {}
    for line in run("dpkg-deb", "-c", DEB).splitlines():
        rights, owner, *_, name = line.split()
        listed[name.removeprefix(".")] = (rights, owner)
    for name in (
        "/usr/bin/punctual",
        "/usr/share/man/man1/punctual.1.gz",
        "/usr/share/man/man1/punctual-outbox-list.1.gz",
        "/usr/share/bash-completion/completions/punctual",
        "/usr/share/zsh/vendor-completions/_punctual",
        "/usr/share/fish/vendor_completions.d/punctual.fish",
        "/usr/lib/systemd/system/punctual.service",
        "/usr/lib/sysusers.d/punctual.conf",
        "/etc/default/punctual",
        "/usr/share/doc/punctual/copyright",
    ):
        assert name in listed, sorted(listed)
    assert {owner for _, owner in listed.values()} <= {"root/root", "0/0"}
    assert not [name for name, (rights, _) in listed.items() if rights[8] == "w"], "nobody else may write"
    assert "/etc/punctual/punctual.toml" not in listed, "it must not start before somebody has configured it"
    assert run("dpkg-deb", "--info", DEB, "conffiles").split() == ["/etc/default/punctual"]
    assert "libc6" in run("dpkg-deb", "--field", DEB, "Depends")


def test_from_installation_to_purge():
    said = run("dpkg", "--install", DEB)
    assert "is not configured yet" in said
    user = pwd.getpwnam("punctual")
    assert user.pw_shell.endswith("nologin") and user.pw_uid < 1000 and user.pw_dir == str(STATE)
    assert mode("/etc/punctual/secrets") == 0o700 and Path("/etc/punctual/secrets").owner() == "root"
    assert re.match(r"punctual [\d.]+ \(tzdata 20\d\d", run("punctual", "--version"))
    run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "/usr/lib/systemd/system/punctual.service")

    works_for_its_user(user)

    run("dpkg", "--install", DEB)  # the same again, as an upgrade does
    assert CONFIG.exists()
    run("dpkg", "--remove", "punctual")
    assert not Path("/usr/bin/punctual").exists() and Path("/etc/default/punctual").exists() and CONFIG.exists()
    kept = run("dpkg", "--purge", "punctual")
    assert "store stays in /var/lib/punctual" in kept and (STATE / "punctual.db").exists()
    assert not Path("/etc/default/punctual").exists() and not Path("/etc/punctual/secrets").exists()
    assert "installed" not in installed()


def works_for_its_user(user):
    """What systemd does: the state folder, the check, and the program, as the user, in a folder that is not its own."""
    run("punctual", "init", CONFIG)
    text = CONFIG.read_text()
    text = text.replace('path = "sessions.json"', 'path = "/var/lib/punctual/sessions.json"').replace('path = "outbox"', 'path = "/var/lib/punctual/outbox"')
    CONFIG.write_text(text.replace("sqlite://punctual.db", "sqlite:///var/lib/punctual/punctual.db").replace("invites = false", "invites = true"))
    STATE.mkdir(mode=0o700)
    os.chown(STATE, user.pw_uid, user.pw_gid)
    start = (datetime.now(timezone.utc) + timedelta(hours=30)).strftime("%Y-%m-%dT%H:%M:00")
    person = {"ParticipationId": 11, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": "p11@example.org", "ConnectCode": 300000077,
              "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ShouldAutoDeliverCode": "E"}
    (STATE / "sessions.json").write_text(json.dumps([{"SessionId": 1, "ScheduleTs": start, "Participants": [person]}]))
    (STATE / "sessions.json").chmod(0o644)
    as_user = ["runuser", "-u", "punctual", "--", "/usr/bin/punctual"]
    run(*as_user, "check", "--offline", cwd="/")
    run(*as_user, "run", "--once", cwd="/")
    assert mode(STATE / "punctual.db") == 0o600 and (STATE / "punctual.db").owner() == "punctual"
    assert len(run(*as_user, "outbox", "list", "--json", cwd="/").splitlines()) >= 2
    run(*as_user, "ledger", "verify", cwd="/")
