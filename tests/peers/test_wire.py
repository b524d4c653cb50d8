"""The bytes on the wire, kept as they came: smtp-sink and Postfix both rewrite line ends, this server does not."""
import re
import socketserver
import threading

import pytest
from conftest import person, session
from test_smtp import sessions

import judge

GOOD = (
    "From: Clinic <clinic@example.org>\r\nTo: Trevor <trevor@example.com>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
    "Message-ID: <one@example.org>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ntext\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>html\r\n"
    "--b\r\nContent-Type: text/calendar; charset=utf-8; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//a//b\r\nMETHOD:REQUEST\r\n"
    "BEGIN:VEVENT\r\nUID:1\r\nSEQUENCE:0\r\nDTSTAMP:20261124T100000Z\r\nDTSTART:20261125T100000Z\r\nORGANIZER:mailto:clinic@example.org\r\n"
    "ATTENDEE:mailto:trevor@example.com\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--b--\r\n"
)

PLANTED = [
    ("text\r\n", "t\u00e9xt\r\n", "not ASCII"),
    ("text\r\n", "x" * 999 + "\r\n", "line 13 has 999 bytes"),
    ("text\r\n", "te\rxt\r\n", "lone CR"),
    ("=?utf-8?q?caf=C3=A9?=", "=?utf-8?q?" + "a" * 70 + "?=", "encoded word of"),
    ("=?utf-8?q?caf=C3=A9?=", "=?utf-8?b?R3LDvMOfZQ0KQmNjOg==?=", "control character in Subject"),
    ("To: Trevor", "Bcc: evil@example.com\r\nTo: Trevor", "Bcc header"),
    ("<trevor@example.com>", "<trevor@example.com>, other@example.com", "2 recipients"),
    ("Message-ID: <one@example.org>\r\n", "", "0 Message-ID headers"),
    ("Subject:", "Subject: again\r\nSubject:", "2 Subject headers"),
    ("auto-generated", "no", "Auto-Submitted is no"),
    ("Tue, 24 Nov 2026 10:00:00 +0000", "yesterday", "Date"),
    ("Content-Type: text/html", "Content-Type: text/plain", "two text/plain"),
    ("boundary=b", "boundary=c", "defect in"),
    ("method=REQUEST", "method=CANCEL", "MIME parameter is CANCEL"),
    ("DTSTART:20261125T100000Z", "DTSTART:20261125T100000", "DTSTART is not UTC"),
    ("ATTENDEE:mailto:trevor@", "ATTENDEE:mailto:ray@", "the attendee is not the recipient"),
    ("SEQUENCE:0\r\n", "", "no SEQUENCE"),
    ("ORGANIZER", "ATTENDEE:mailto:ray@example.com\r\nORGANIZER", "2 attendees"),
]


def test_a_good_message_has_no_problems():
    """The judge is content with a message that is as it should be."""
    assert judge.problems(GOOD.encode()) == []


@pytest.mark.parametrize("find,plant,problem", PLANTED, ids=[p for _, _, p in PLANTED])
def test_each_planted_defect_is_found(find, plant, problem):
    """Each defect that could hurt a reader is seen when it is there."""
    assert find in GOOD
    found = judge.problems(GOOD.replace(find, plant, 1).encode())
    assert any(problem in text for text in found), found


class RawSmtp:
    """A small SMTP server that keeps every byte as it came: the judge of what is on the wire."""

    def __init__(self):
        self.messages = []

    def __enter__(self):
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer._talk(self.rfile, self.wfile)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, reader, writer):
        def say(line):
            writer.write(line.encode() + b"\r\n")
            writer.flush()

        say("220 raw.lab.test ESMTP")
        sender, recipients = None, []
        while line := reader.readline():
            verb = line.upper().split(b":")[0].split()[0] if line.strip() else b""
            if verb == b"EHLO":
                say("250-raw.lab.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
            elif verb == b"MAIL":
                sender, recipients = line.split(b"<")[1].split(b">")[0].decode(), []
                say("250 2.1.0 ok")
            elif verb == b"RCPT":
                recipients.append(line.split(b"<")[1].split(b">")[0].decode())
                say("250 2.1.5 ok")
            elif verb == b"DATA":
                say("354 go on")
                body = self._body(reader)
                if body is None:
                    return
                self.messages.append((recipients, sender, body))
                say("250 2.0.0 kept")
            elif verb == b"QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")

    @staticmethod
    def _body(reader):
        """Up to the line with the dot, as it came but for the dots that transparency added; `None` if the client left."""
        lines = []
        while line := reader.readline():
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        return None


@pytest.fixture
def wire():
    with RawSmtp() as server:
        yield server


def test_what_is_on_the_wire_has_no_problems(practice, wire):
    """Difficult names in several zones: one recipient each, CRLF alone ends lines, and no judge finds anything."""
    practice.email(wire.port)
    practice.sessions(sessions())
    done = practice.once()
    assert done.code == 0, done.err
    expected = [p["ParticipantEmailAddress"] for s in sessions() for p in s["Participants"] if p["ShouldAutoDeliverCode"] == "E"]
    assert sorted(r for recipients, _, _ in wire.messages for r in recipients) == sorted(expected)
    for recipients, sender, raw in wire.messages:
        assert len(recipients) == 1 and sender == "sessions@lakeside.example"
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw), "a line end that is not CRLF"
        assert judge.problems(raw) == [], recipients


def test_nobody_reads_another_participants_name_or_the_sessions_own_code(practice, wire):
    """The host's name is shown, other participants' names are not, nor a topic, nor the code that is nobody's."""
    couple = [person(101, name="Xanthippe Quill"), person(102, name="Ferdinand Moss"), person(103, name="Oswaldo Pike")]
    practice.email(wire.port)
    practice.sessions([session(1, *couple, ConnectCode=981342223, Topic="Grief counselling")])
    assert practice.once().code == 0
    assert len(wire.messages) == 3
    for recipients, _, raw in wire.messages:
        message = judge.parsed(raw)
        seen = "\n".join([*(f"{k}: {v}" for k, v in message.items()), *judge.bodies(message).values()])
        others = [p["ParticipantFullName"] for p in couple if p["ParticipantEmailAddress"] != recipients[0]]
        for name in others:
            assert not any(word in seen for word in name.split()), f"{recipients} reads the name of another"
        assert "981342223" not in re.sub(r"[ -]", "", seen) and "Grief" not in seen
        assert "Ada Finch" in seen


def test_a_name_that_looks_like_an_encoded_word_is_read_as_it_was_written(practice, wire):
    """`=?utf-8?q?...?=` in a name is text: no reader may decode it into something that the practice never wrote."""
    practice.email(wire.port)
    practice.sessions([session(1, person(101, name="=?utf-8?q?not_encoded?="))])
    assert practice.once().code == 0
    ((_, _, raw),) = wire.messages
    assert judge.problems(raw) == []
    assert judge.parsed(raw)["To"].addresses[0].display_name == "=?utf-8?q?not_encoded?="
