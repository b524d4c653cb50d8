"""A practice that a bench gives something to do: reminders that are all due at one moment, and nothing beside."""
import json
import os
import time
from datetime import datetime, timezone

from .node import Desk

OF_SESSION = 4
BEFORE = 3600  # seconds from a reminder to its session

CONFIG = """\
[practice]
id = "lakeside"
name = "Lakeside"
time_zone = "UTC"
[invite]
settle = "0s"
min_gap = "0s"
[[reminder]]
name = "near"
before = "{before}s"
[node]
name = "{name}"
[store]
url = "{url}"
[[source]]
name = "listed"
kind = "file"
path = "{folder}/list"
poll = "* * * * * *"
[email]
from = "desk@example.org"
[[email.relay]]
kind = "smtp"
host = "127.0.0.1"
port = {relay}
tls = "none"
connections = {connections}
[log]
level = "{level}"
"""


class Work:
    def __init__(self, folder, url, relay, connections=4, level="info"):
        self.folder, self.url, self.relay, self.connections, self.level = folder, url, relay, connections, level
        folder.mkdir()
        self.sessions = []

    def node(self, name):
        folder = self.folder / name
        folder.mkdir()
        text = CONFIG.format(before=BEFORE, name=name, url=self.url, folder=self.folder, relay=self.relay, connections=self.connections,
                             level=self.level)
        (folder / "punctual.toml").write_text(text)
        (folder / "punctual.toml").chmod(0o600)
        return folder

    def desk(self, program):
        return Desk(program, self.node("desk"))

    def lists(self, count, seconds, more=False):
        """Sessions of so many people in all, whose reminders are due in so many seconds. When that is."""
        due = int(time.time() + seconds) + 1
        start = datetime.fromtimestamp(due + BEFORE, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        self.sessions = self.sessions if more else []
        while count > 0:
            id = len(self.sessions) + 1
            host = {"ParticipationId": id * 10, "ParticipantFullName": "A. MacGuffin", "ShouldAutoDeliverCode": "N"}
            people = [{"ParticipationId": id * 10 + n, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": f"p{id}.{n}@example.com",
                       "ParticipantTimeZoneWindowsId": "UTC", "ConnectCode": 100_000_000 + id * 70 + n, "ShouldAutoDeliverCode": "E", "RSVP": "Unknown"}
                      for n in range(1, min(OF_SESSION, count) + 1)]
            count -= len(people)
            self.sessions.append({"SessionId": id, "ScheduleTs": start, "Participants": [host, *people]})
        (self.folder / "part").write_text(json.dumps(self.sessions))
        os.replace(self.folder / "part", self.folder / "list")
        return due
