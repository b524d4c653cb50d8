"""What config/release makes beside the Debian package: checksums, the .rpm, and the static program in a root that has nothing else.

PUNCTUAL_DIST is the folder of what config/release made, PUNCTUAL_TOOLS that of the linters.
"""
import hashlib
import json
import os
import shutil
import socketserver
import stat
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

DIST = Path(os.environ["PUNCTUAL_DIST"])
NODE = Path(os.environ["PUNCTUAL_TOOLS"]) / "node"
ROOT = Path(__file__).parents[2]
CONTAINER = ROOT / "config/container"


def one(pattern):
    (found,) = DIST.glob(pattern)
    return found


def run(*command, code=0, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_each_file_has_its_checksum():
    listed = dict(reversed(line.split("  ")) for line in (DIST / "SHA256SUMS").read_text().splitlines())
    assert set(listed) == {path.name for path in DIST.iterdir()} - {"SHA256SUMS"}
    kinds = ("*_amd64.deb", "*.x86_64.rpm", "*-x86_64-linux.tar.gz", "*-container.tar.gz", "*.debug.gz", "punctual.cdx.json")
    assert len(listed) == len(kinds) and all(one(kind) for kind in kinds)
    for name, sum in listed.items():
        assert hashlib.sha256((DIST / name).read_bytes()).hexdigest() == sum, name


def test_what_is_missing_is_said_before_anything_is_built(tmp_path):
    done = subprocess.run([ROOT / "config/release"], capture_output=True, text=True, env={**os.environ, "PATH": "/usr/bin:/bin"})
    assert done.returncode == 1 and "cargo-deb is missing: cargo install cargo-deb" in done.stderr
    done = subprocess.run([ROOT / "config/release", "release", "other"], capture_output=True, text=True)
    assert done.returncode == 1 and ("expected musl or glibc" in done.stderr or "is missing" in done.stderr)
    assert one("*.deb"), "nothing was taken away"


def test_the_rpm_has_what_the_debian_package_has(tmp_path):
    rpm = one("*.rpm")
    asked = lambda query: run("rpm", "-qp", "--qf", query, rpm)
    assert asked("%{NAME} %{ARCH} %{LICENSE}") == "punctual x86_64 MIT"
    assert "systemd" in run("rpm", "-qp", "--requires", rpm) and "libc.so.6" in run("rpm", "-qp", "--requires", rpm)
    assert run("rpm", "-qpc", rpm).split() == ["/etc/default/punctual"]
    scripts = run("rpm", "-qp", "--scripts", rpm)
    assert "systemd-sysusers punctual.conf" in scripts and "disable --now" in scripts
    root = tmp_path / "rpm"
    # Laid as it would be, of nobody else's: into a root and a list of packages of its own.
    run("rpm", "--root", root, "--initdb")
    run("rpm", "--root", root, "--install", "--nodeps", "--noscripts", rpm)
    debian = tmp_path / "deb"
    run("dpkg-deb", "-x", one("*.deb"), debian)
    for where in ("usr/bin/punctual", "usr/lib/systemd/system/punctual.service", "usr/lib/sysusers.d/punctual.conf", "etc/default/punctual"):
        ours, theirs = root / where, debian / where
        assert ours.stat().st_mode == theirs.stat().st_mode, where
        if where != "usr/bin/punctual":
            assert ours.read_bytes() == theirs.read_bytes(), where
    pages = lambda at: {path.name.removesuffix(".gz") for path in (at / "usr/share/man/man1").iterdir()}
    assert pages(root) == pages(debian) and "punctual-run.1" in pages(root)
    assert run(root / "usr/bin/punctual", "--version").startswith("punctual ")


def test_the_manual_leads_to_pages_that_are_there(tmp_path):
    run("dpkg-deb", "-x", one("*.deb"), tmp_path)
    pages = {path.name for path in (tmp_path / "usr/share/man/man1").iterdir()}
    main = run("zcat", tmp_path / "usr/share/man/man1/punctual.1.gz").replace("\\-", "-")
    named = {word.split("(1)")[0] for word in main.split() if word.startswith("punctual-") and "(1)" in word}
    assert len(named) > 20 and {f"{name}.1.gz" for name in named} <= pages


def test_the_debug_symbols_are_those_of_the_program(tmp_path):
    symbols = tmp_path / "punctual.debug"
    symbols.write_bytes(subprocess.run(["zcat", one("*.debug.gz")], capture_output=True, check=True).stdout)
    run("dpkg-deb", "-x", one("*.deb"), tmp_path)
    built = lambda path: run("readelf", "--notes", path).split("Build ID: ")[1].split()[0]
    assert built(symbols) == built(tmp_path / "usr/bin/punctual")


def unpacked(pattern, folder):
    with tarfile.open(one(pattern)) as archive:
        assert all(member.uid == 0 and member.gid == 0 and not member.mode & 0o022 for member in archive)
        archive.extractall(folder, filter="data")
    (inside,) = folder.iterdir()
    return inside


def test_the_static_program_needs_nothing_of_its_host(tmp_path):
    inside = unpacked("*-x86_64-linux.tar.gz", tmp_path)
    program = inside / "punctual"
    assert "NEEDED" not in run("readelf", "--dynamic", program) and "INTERP" not in run("readelf", "--segments", program)
    assert {"LICENSE", "punctual.toml", "punctual.service", "man", "completions"} <= {path.name for path in inside.iterdir()}
    out = run(program, "demo", "--once", cwd=tmp_path)
    assert "invite" in out.lower()


class Mailpit(socketserver.StreamRequestHandler):
    """As much of a mail server as is needed to take a message."""

    def handle(self):
        say = lambda text: self.wfile.write(text.encode() + b"\r\n")
        say("220 mailpit ESMTP")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                say("354 go on")
                body = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.taken.append(body.decode())
                say("250 taken")
            elif word == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 mailpit")


def instructions():
    lines = (CONTAINER / "Dockerfile").read_text().splitlines()
    return [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]


def laid(root, context):
    """The root that the Dockerfile describes: FROM scratch, and each COPY."""
    for word, rest in instructions():
        if word == "FROM":
            assert rest == "scratch"
        if word == "COPY":
            owner = 0
            if rest.startswith("--chown="):
                flag, rest = rest.split(maxsplit=1)
                owner = int(flag.split("=")[1].split(":")[0])
            source, to = (context / rest.split()[0], root / rest.split()[1].lstrip("/"))
            to.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, to)
            for path in [to, *to.rglob("*")] if to.is_dir() else [to]:
                os.chown(path, owner, owner)


def test_the_image_runs_as_its_dockerfile_says(tmp_path):
    if os.geteuid() != 0:
        pytest.fail("a root is changed as root")
    said = dict((word, rest) for word, rest in instructions())
    context = unpacked("*-container.tar.gz", tmp_path / "context")
    assert {path.name for path in CONTAINER.iterdir()} <= {path.name for path in context.iterdir()}
    root = tmp_path / "root"
    laid(root, context)
    # What every engine gives a container, and what compose.yaml adds: a name on its network, and the configuration.
    (root / "dev").mkdir()
    for name, number in (("null", 3), ("random", 8), ("urandom", 9)):
        os.mknod(root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, number))
        (root / "dev" / name).chmod(0o666)
    (root / "etc/punctual").mkdir(parents=True)
    (root / "etc/hosts").write_text("127.0.0.1 localhost mailpit\n")
    shutil.copy(context / "punctual.toml", root / "etc/punctual/punctual.toml")
    config = (root / "etc/punctual/punctual.toml").read_text()
    assert "port = 1025" in config and 'listen = "0.0.0.0:8080"' in config
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailpit) as server:
        server.taken = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # Ports that are free here.
        with socketserver.TCPServer(("127.0.0.1", 0), None) as free:
            port = free.server_address[1]
        config = config.replace("port = 1025", f"port = {server.server_address[1]}").replace("0.0.0.0:8080", f"0.0.0.0:{port}")
        (root / "etc/punctual/punctual.toml").write_text(config + '[invite]\nsettle = "0s"\n')
        user = int(said["USER"].split(":")[0])

        def inside():
            os.chroot(root)
            os.chdir(said["WORKDIR"])
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)

        def command(words):
            return subprocess.Popen(words, preexec_fn=inside, env={}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        def ended(words):
            child = command(words)
            out, _ = child.communicate(timeout=60)
            return child.returncode, out

        entry = json.loads(said["ENTRYPOINT"])
        health = json.loads(said["HEALTHCHECK"].split(" CMD ")[1])
        code, out = ended([*entry, "init", "--user", "jane"])
        assert code == 0 and "users.toml: jane may use the pages" in out, out
        code, out = ended([*entry, "check"])
        assert code == 0, out
        code, out = ended(health)
        assert code == 1 and f"does not listen at 127.0.0.1:{port}" in out, out
        daemon = command([*entry, *json.loads(said["CMD"])])
        try:
            until = time.monotonic() + 60
            while ended(health)[0] != 0 or not server.taken:
                assert time.monotonic() < until and daemon.poll() is None, ended(health)
                time.sleep(0.2)
            assert ended([*health, "--alive"]) == (0, "healthy\n")
            assert any("Lakeside Telehealth" in message for message in server.taken)
        finally:
            daemon.terminate()
            out, _ = daemon.communicate(timeout=60)
        assert daemon.returncode == 0, out


def test_dockerfile_and_compose_file_are_clean():
    run(NODE / "node_modules/.bin/dockerfile-utils", "lint", CONTAINER / "Dockerfile")
    run(NODE / "node_modules/.bin/dclint", "--max-warnings", "0", CONTAINER / "compose.yaml")


def test_the_linters_see_mistakes(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text((CONTAINER / "Dockerfile").read_text().replace("--interval=30s", "--interval=soon"))
    assert run(NODE / "node_modules/.bin/dockerfile-utils", "lint", bad, code=1)
    bad = tmp_path / "compose.yaml"
    bad.write_text((CONTAINER / "compose.yaml").read_text().replace("restart:", "restarts:"))
    done = subprocess.run([NODE / "node_modules/.bin/dclint", bad], capture_output=True, text=True)
    assert done.returncode != 0
