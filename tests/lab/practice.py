"""A practice of the lab: its sessions, which come and change along the run, and the configuration that each of its nodes has."""
import json
import os
import time
from datetime import datetime, timezone

AREAS = [202, 212, 213, 214, 215, 216, 217, 303, 305, 312, 404, 415, 503, 602, 617, 702, 713, 808, 904, 919]
TOKEN = "5d7c0f5e2b9a4c1d8e3f6a7b0c9d2e1f"
LEAD = 600  # seconds before a session's start: the reminder
HEARD_WITHIN = 180  # seconds from a change until the nodes have walked it, whatever goes wrong
OF_SESSION = 3  # participants who are told, beside the host
PUSHED = 0.5  # of all sessions
TEXTS = 0.15  # of all participants
FRONT_DESK = "front-desk@example.com"

CONFIG = """\
[practice]
id = "lakeside"
name = "Lakeside"
time_zone = "UTC"
[adopt]
invites = true
[invite]
settle = "0s"
min_gap = "0s"
[[reminder]]
name = "near"
before = "{lead}s"
[quiet_hours]
from = "00:00"
to = "00:00"
[digest]
to = ["{front_desk}"]
at = "0 * * * * *"
always = true
[node]
name = "{name}"
[server]
listen = "127.0.0.1:{listen}"
ping_url = "http://127.0.0.1:{gateway}/ping/{name}"
ping = "*/5 * * * * *"
[store]
url = "{url}"
{pooler}
[[source]]
name = "listed"
kind = "file"
path = "{folder}/list"
poll = "* * * * * *"
[[source]]
name = "pushed"
kind = "push"
token = "{token}"
[email]
from = "desk@example.org"
[[email.relay]]
kind = "smtp"
host = "127.0.0.1"
port = {relay}
tls = "none"
helo = "{name}"
connections = 4
rate = "{rate}/min"
[[sms.gateway]]
kind = "http"
url = "http://127.0.0.1:{gateway}/messages"
connections = 2
headers = {{ Content-Type = "application/json", X-Node = "{name}" }}
body = '{{"to": {{{{ to | json_encode }}}}, "text": {{{{ text | json_encode }}}}, "ref": {{{{ reference | json_encode }}}}}}'
reference_pointer = "/id"
callback_url = "http://127.0.0.1:{gateway}/hooks/sms"
callback_token = "{token}"
[sms.gateway.callback]
message = "/id"
status = "/status"
statuses = {{ DELIVRD = "delivered" }}
reply = "/reply"
from = "/from"
text = "/text"
reply_when = {{ pointer = "/text" }}
"""


class Practice:
    """What its list says now; which part of it is pushed, and what each push was answered."""

    def __init__(self, folder, chance, notices, seconds):
        self.folder, self.chance, self.seconds = folder, chance, seconds
        self.sessions, self.people, self.number, self.numbers = {"listed": {}, "pushed": {}}, {}, 0, 0
        # An invite and a reminder for each of them.
        self.wanted = max(1, round(notices / 2 / OF_SESSION))
        self.changes, self.stops = [], []

    def begin(self):
        self.began = time.time()
        self.write()

    def due_sessions(self):
        """How many there should be by now: they come in the first three quarters of the run, a third of them at once."""
        share = min(1.0, (time.time() - self.began) / (self.seconds * 0.75))
        return min(self.wanted, round(self.wanted * (0.33 + 0.67 * share)))

    def grow(self):
        """The sessions that are new since the last look, by source."""
        new = {"listed": [], "pushed": []}
        while self.number < self.due_sessions():
            self.number += 1
            source = "pushed" if self.chance.random() < PUSHED else "listed"
            session = self.session(self.number)
            self.sessions[source][self.number] = session
            new[source].append(session)
        return new

    def session(self, n):
        elapsed = time.time() - self.began
        due = self.chance.uniform(elapsed + 2, max(elapsed + 4, self.seconds * 0.9))
        start = datetime.fromtimestamp(self.began + due + LEAD, timezone.utc)
        people = [{"ParticipationId": n * 10, "ParticipantFullName": "A. MacGuffin", "ShouldAutoDeliverCode": "N"}]
        return {"SessionId": n, "ScheduleTs": start.strftime("%Y-%m-%dT%H:%M:%S"),
                "Participants": people + [self.person(n * 10 + i) for i in range(1, OF_SESSION + 1)]}

    def person(self, participation):
        count, index = len(self.people), self.numbers
        texts = self.chance.random() < TEXTS and index < len(AREAS) * 100
        self.numbers += texts
        to = f"+1{AREAS[index // 100]}55501{index % 100:02}" if texts else f"p{participation}@example.com"
        code = 100_000_000 + count * 7
        self.people[participation] = {"to": to, "codes": [code]}
        return {"ParticipationId": participation, "ParticipantFullName": "Trevor", "ParticipantEmailAddress": "" if texts else to,
                "ParticipantSmsNumber": to if texts else "", "ParticipantTimeZoneWindowsId": "UTC", "ConnectCode": code,
                "ShouldAutoDeliverCode": "S" if texts else "E", "RSVP": "Unknown"}

    def change(self, source):
        """Somebody's code is another one from now on: the session, and who."""
        # The guard waits for a person where more than ten, and more than a fifth, change within ten minutes; one or two of them are enough here.
        so_far = sum(1 for change in self.changes if change["source"] == source)
        if so_far >= max(8, len(self.sessions[source]) / 8):
            return None
        # Of a session that has begun by the time that somebody hears of it nothing is told any more.
        soon = datetime.fromtimestamp(time.time() + HEARD_WITHIN, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
        ahead = [session for session in self.sessions[source].values() if session["ScheduleTs"] > soon]
        if not ahead:
            return None
        session = self.chance.choice(ahead)
        who = self.chance.choice(session["Participants"][1:])
        codes = self.people[who["ParticipationId"]]["codes"]
        codes.append(600_000_000 + len(self.changes) * 7)
        who["ConnectCode"] = codes[-1]
        self.changes.append({"participation": who["ParticipationId"], "old": codes[-2], "new": codes[-1], "source": source, "acknowledged": None})
        return session, self.changes[-1]

    def write(self):
        part = self.folder / "part"
        part.write_text(json.dumps(list(self.sessions["listed"].values())))
        part.chmod(0o644)
        os.replace(part, self.folder / "list")

    def configure(self, folder, url, pooled=False, **values):
        folder.mkdir(exist_ok=True)
        file = folder / "punctual.toml"
        file.write_text(CONFIG.format(url=url, pooler='pooler = "transaction"' if pooled else "", folder=self.folder, token=TOKEN, lead=LEAD, front_desk=FRONT_DESK, **values))
        file.chmod(0o600)
