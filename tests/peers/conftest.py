"""What the tests of the whole program share: the program itself, a practice to run it in, and the servers."""
import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import servers

ROOT = Path(__file__).resolve().parents[2]
# Another build of it may be tried: the static one.
PROGRAM = ROOT / os.environ.get("PUNCTUAL_PROGRAM", "target/debug/punctual")
EXAMPLE = ROOT / "tests" / "fixtures" / "sessions.json"


class Result:
    """How a command ended."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert "panicked" not in self.err and "panicked" not in self.out, self.err

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Practice:
    """A folder with a configuration and a sessions file."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.sections = {
            "practice": 'name = "Lakeside Telehealth"\ncontact = "+1 555-0100"\nregion = "US"\nlocale = "en-US"',
            "[source]": 'name = "sessions"\nkind = "file"\npath = "sessions.json"',
            "[reminder]": 'name = "24h"\nbefore = "24h"\n[[reminder]]\nname = "1h"\nbefore = "1h"',
            "invite": 'settle = "0s"',
            "adopt": "invites = true",
            "quiet_hours": "channels = []",
            "store": 'url = "sqlite://punctual.db"',
        }

    def email(self, port, **keys):
        if keys.get("kind") != "folder":
            keys = {"host": "127.0.0.1", "port": port, "tls": "none", "connections": 8, **keys}
        self.sections["email"] = 'from = "Lakeside Telehealth <sessions@lakeside.example>"\nreply_to = "front-desk@lakeside.example"'
        self.sections["[email.relay]"] = "\n".join(f"{k} = {json.dumps(v)}" for k, v in keys.items())

    def gateway(self, **keys):
        self.sections["[sms.gateway]"] = "\n".join(f"{k} = {json.dumps(v)}" for k, v in keys.items())

    @property
    def config(self):
        """Whole at every moment: a daemon may read it just now."""
        path, part = self.folder / "punctual.toml", self.folder / "punctual.part"
        part.write_text("\n".join(f"[{name}]\n{body}\n" for name, body in self.sections.items()))
        if path.exists():
            part.chmod(path.stat().st_mode)
        part.rename(path)
        return path

    def sessions(self, sessions):
        body = sessions if isinstance(sessions, (bytes, str)) else json.dumps(sessions)
        part = self.folder / "sessions.part"
        part.write_bytes(body if isinstance(body, bytes) else body.encode())
        part.rename(self.folder / "sessions.json")

    def run(self, *args, log="info", config=None, timeout=120):
        command = [str(PROGRAM), "--config", str(config or self.config), "--log", log, *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=self.folder)
        return Result(done)

    def once(self, **options):
        return self.run("run", "--once", **options)

    def outbox(self):
        return self.run("outbox", "list", "--json").lines()


def start_in(minutes):
    """A full minute, as ScheduleTs is written."""
    at = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    return at.replace(second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%S")


def person(number, name="Trevor", deliver="E", email=None, sms="", zone="Eastern Standard Time", **more):
    return {
        "ParticipationId": number,
        "ParticipantFullName": name,
        "SecureVideoUserId": None,
        "ParticipantEmailAddress": f"p{number}@example.org" if email is None else email,
        "ParticipantSmsNumber": sms,
        "ParticipantTimeZoneWindowsId": zone,
        "ConnectCode": 300_000_000 + number * 7,
        "ShouldAutoDeliverCode": deliver,
        "RSVP": "Unknown",
        **more,
    }


def session(number, *people, minutes=300, **more):
    """Participant 0 is the host, who delivers to nobody here unless given."""
    host = person(number * 100, name="Dr. Ada Finch", deliver="N", email="", zone="Eastern Standard Time")
    return {"SessionId": number, "ScheduleTs": start_in(minutes), "Participants": [host, *people], **more}


@pytest.fixture
def practice(tmp_path):
    return Practice(tmp_path / "practice")


@pytest.fixture
def sink(tmp_path):
    with servers.Sink(tmp_path / "sink").running() as running:
        yield running


@pytest.fixture
def postfix(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("a Postfix of our own is started as root")
    with servers.Postfix(tmp_path_factory.mktemp("postfix")).running() as running:
        yield running


@pytest.fixture
def exim(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("an Exim of our own is started as root")
    with servers.Exim(tmp_path_factory.mktemp("exim")).running() as running:
        yield running


@pytest.fixture(scope="session")
def prism():
    with servers.Prism().running() as running:
        yield running


@pytest.fixture
def kannel(tmp_path):
    with servers.Kannel(tmp_path / "kannel").running() as running:
        yield running
