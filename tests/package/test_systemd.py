"""The package's unit under a real systemd, in a machine of its own (tests/package/machine): what the sandbox lets it do, and how it begins and ends.

Where this kernel gives no namespaces, nothing is started, and the skipped test says so.
"""
import os
import subprocess
from pathlib import Path

import pytest

DEB = str(next(Path(os.environ["PUNCTUAL_DIST"]).glob("*.deb")))
NAMESPACES = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child", "--propagation", "private"]

CONFIG = """
[practice]
name = "Lakeside Telehealth"
[store]
url = "sqlite:///var/lib/punctual/punctual.db"
key_file = "secret_store-key"
[email]
from = "sessions@example.org"
[[email.relay]]
kind = "folder"
path = "/var/lib/punctual/outbox"
[[source]]
name = "desk"
kind = "push"
token_file = "secret_token"
[server]
listen = "127.0.0.1:8080"
"""

# What it prints: one word and what it found, a line each.
SCRIPT = r"""#!/bin/bash
shown() { systemctl show punctual --property="$1" --value; }
echo "began $(shown ActiveState)/$(shown SubState)"
pid=$(shown MainPID)
for what in Uid CapEff CapBnd NoNewPrivs Seccomp; do echo "$what $(grep "^$what:" /proc/$pid/status | cut -f2- | tr '\t' ' ')"; done
echo "user $(id -u punctual)"
echo "core $(awk '/^Max core file size/ {print $5, $6}' /proc/$pid/limits)"
echo "memory $(stat -c %U /proc/$pid/environ)"
echo "store $(stat -c '%a %U' /var/lib/punctual/punctual.db)"
echo "folder $(stat -c '%a' /var/lib/punctual)"
echo "writes $(nsenter -t $pid -m -- touch /etc/punctual/x /usr/x /home/x /var/x 2>&1 | grep -c 'Read-only\|No such\|denied')"
systemctl reload punctual && echo "reloaded $([ "$(shown MainPID)" = "$pid" ] && echo same)"
sed -i 's/^name = .*/name = 7/' /etc/punctual/punctual.toml
systemctl reload punctual 2>/dev/null; echo "bad $? $(shown ActiveState) $([ "$(shown MainPID)" = "$pid" ] && echo same)"
sed -i 's/^name = .*/name = "Lakeside Telehealth"/' /etc/punctual/punctual.toml
kill -ABRT "$pid"
for _ in $(seq 100); do [ "$(shown MainPID)" != "$pid" ] && [ "$(shown ActiveState)" = active ] && break; sleep 0.2; done
echo "again $(shown ActiveState) $(shown NRestarts)"
echo "cores $(find / -xdev -name 'core*' -newer /script -size +1M 2>/dev/null | wc -l)"
systemctl stop punctual; echo "stopped $? $(shown Result)"
echo "log $(stat -c %s /var/lib/punctual/punctual.db-wal 2>/dev/null || echo 0)"
"""


def namespaces():
    tried = subprocess.run([*NAMESPACES, "mount", "-t", "proc", "proc", "/proc"], capture_output=True, text=True)
    return tried.returncode == 0, tried.stderr.strip()


def test_it_lives_under_systemd(tmp_path):
    possible, why = namespaces()
    if not possible or not Path("/lib/systemd/systemd").exists():
        pytest.skip(f"NOT STARTED under systemd: this machine gives no namespaces ({why})")
    (tmp_path / "punctual.toml").write_text(CONFIG)
    (tmp_path / "script").write_text(SCRIPT)
    results = tmp_path / "results"
    results.mkdir()
    machine = [*NAMESPACES, Path(__file__).with_name("machine"), DEB, tmp_path / "punctual.toml", tmp_path / "script", results]
    done = subprocess.run([str(word) for word in machine], capture_output=True, text=True, timeout=300)
    report = (results / "report").read_text() if (results / "report").exists() else ""
    found = dict(line.split(" ", 1) for line in report.splitlines() if " " in line)
    told = f"{report}\n{done.stdout}{done.stderr}{(results / 'errors').read_text() if (results / 'errors').exists() else ''}"
    user = found.get("user")
    assert found.get("began") == "active/running", told
    assert found["Uid"].split() == [user] * 4 and user != "0", told
    assert {int(found[what], 16) for what in ("CapEff", "CapBnd")} == {0}, told
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2"), told
    assert (found["core"], found["memory"]) == ("0 0", "root"), told
    assert (found["store"], found["folder"]) == ("600 punctual", "700"), told
    assert found["writes"] == "4", told
    assert found.get("reloaded") == "same", told
    assert found["bad"].startswith("1 active same"), told
    assert (found["again"], found["cores"]) == ("active 1", "0"), told
    assert (found["stopped"], found["log"]) == ("0 success", "0"), told
