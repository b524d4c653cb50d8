"""The daemon under a service manager: ready, status, reload, watchdog, stop."""
import collections
import re
import socket
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest
from conftest import PROGRAM, ROOT, person, session

import servers
from manager import Manager

UNIT = ROOT / "config" / "punctual.service"


def manager(practice, **options):
    return Manager([PROGRAM, "--config", practice.config, "run"], practice.folder, **options)


def monotonic_usec():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_it_is_ready_when_what_is_due_can_go_out_and_says_what_comes_next(practice, sink):
    practice.email(sink.port)
    practice.sections["practice"] += '\nfallback_time_zone = "America/New_York"'
    practice.sessions([session(1, person(11), minutes=5)])
    with manager(practice).running() as service:
        service.wait_for("READY")
        line = service.wait_for("STATUS")
        assert re.fullmatch(r"[01] due today, (next (\d{4}-\d\d-\d\d )?\d\d:\d\d E[SD]T|nothing waits)", line), line
        names = [name for _, _, fields in service.said for name in fields]
        assert names.index("STATUS") < names.index("READY"), "whoever looks at a ready service sees its status"
        code, took = service.stop(limit=30)
        assert code == 0 and took < 10
        servers.wait_until(lambda: service.heard("STOPPING"), "the stop is told")


def test_a_reload_keeps_the_process_and_a_bad_file_keeps_the_configuration(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(11))])
    config = practice.config
    good = config.read_text()
    with manager(practice, watchdog=5).running() as service:
        service.wait_for("READY")
        main = service.child.pid
        asked = monotonic_usec()
        config.write_text(good + "\n[nonsense]\nx = 1\n")
        service.reload()
        assert int(service.wait_for("MONOTONIC_USEC")) >= asked, "not the end of an earlier reload"
        service.wait_for("READY", 2)
        servers.wait_until(lambda: any("is not taken" in line for _, line in service.heard("STATUS")), "the mistake is shown")
        config.write_text(good.replace('"1h"', '"2h"'))
        service.reload()
        service.wait_for("READY", 3)
        assert [value for _, value in service.heard("RELOADING")] == ["1", "1"]
        assert service.child.pid == main and service.child.poll() is None and service.starts[1:] == []
        assert not service.heard("STOPPING"), "a reload is no stop"
        assert {pid for _, pid, _ in service.said} == {main}, "the new image has the old one's number"
        told = len(service.heard("WATCHDOG"))
        servers.wait_until(lambda: len(service.heard("WATCHDOG")) > told + 2, "the watchdog is fed after a reload too")
        assert service.kills == [] and service.stop(limit=30)[0] == 0
    rules = {row["rule"] for row in practice.outbox() if row["state"] == "waiting"}
    assert rules == {"2h"}


def test_an_engine_whose_store_does_not_answer_is_killed_and_starts_again(practice, sink):
    """The process lives and its timers run: only its work does not go on. That must not look well."""
    practice.email(sink.port)
    practice.sessions([session(n, person(n * 10 + 1)) for n in range(1, 21)])
    with manager(practice, watchdog=3).running() as service:
        service.wait_for("READY")
        servers.wait_until(lambda: len(sink.messages()) == 20, "all invites arrive")
        servers.wait_until(lambda: len(service.heard("WATCHDOG")) >= 3, "it says that it is well")
        locked = sqlite3.connect(practice.folder / "punctual.db", isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        servers.wait_until(lambda: service.kills, "the watchdog kills it")
        last = max(at for at, _ in service.heard("WATCHDOG"))
        assert service.kills[0] - last >= 3
        locked.execute("ROLLBACK")
        locked.close()
        servers.wait_until(lambda: len(service.heard("READY")) == 2, "it starts again")
        servers.wait_until(lambda: service.heard("WATCHDOG")[-1][0] > service.starts[-1], "it is well again")
        assert service.exits[0] == -6 and len(service.kills) == 1
        assert service.stop(limit=30)[0] == 0
    arrived = collections.Counter(recipient for recipient, _ in sink.messages())
    assert len(arrived) == 20 and set(arrived.values()) == {1}


def test_a_hung_server_does_not_outlast_the_stop(practice):
    """A relay that takes the connection and never speaks: the stop ends inside its limit, and the message goes with the next start."""
    practice.sections["daemon"] = 'stop_within = "2s"'
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken = []
        threading.Thread(target=lambda: taken.append(silent.accept()), daemon=True).start()
        practice.email(silent.getsockname()[1])
        practice.sessions([session(1, person(11))])
        with manager(practice).running() as service:
            service.wait_for("READY")
            servers.wait_until(lambda: taken, "the relay is spoken to")
            code, took = service.stop(limit=10)
            assert code == 0 and took < 5, took
        taken[0][0].close()
    states = {row["state"] for row in practice.outbox() if row["occasion"] == "invite"}
    assert states <= {"claimed", "sending", "waiting"}


@pytest.mark.parametrize("name", ["ExecStartPre", "ExecStart", "ExecReload"])
def test_the_units_commands_are_ones_that_the_program_has(practice, name):
    commands = [line.split("=", 1)[1].split() for line in UNIT.read_text().splitlines() if line.startswith(name + "=")]
    ours = [command[command.index("/usr/bin/punctual") + 1:] for command in commands if "/usr/bin/punctual" in command]
    assert ours
    for arguments in ours:
        assert arguments[:2] == ["--config", "/etc/punctual/punctual.toml"]
        shown = subprocess.run([PROGRAM, *arguments[2:], "--help"], capture_output=True, text=True)
        assert shown.returncode == 0, shown.stderr


def test_the_sandbox_is_tight():
    """`systemd-analyze security` counts what a broken-into daemon could reach: 10 is all of it."""
    analyzed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", str(UNIT)], capture_output=True, text=True
    )
    assert analyzed.returncode == 0, analyzed.stdout[-300:] + analyzed.stderr
    assert float(re.search(r"exposure level for punctual.service: ([\d.]+)", analyzed.stdout)[1]) <= 1.2


def test_the_unit_is_one_that_systemd_understands(tmp_path):
    """With the program at its place in a folder, so that nothing need be installed."""
    root = Path(tmp_path)
    unit = root / "punctual.service"
    unit.write_text(UNIT.read_text().replace("/usr/bin/punctual", str(PROGRAM)))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)], capture_output=True, text=True)
    complaints = [line for line in (verified.stdout + verified.stderr).splitlines() if "punctual.service" in line]
    assert complaints == [], complaints
