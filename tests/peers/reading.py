"""Reads messages with libraries that are not the program's: Python's email, npm's mailparser, Python's icalendar."""
import email
import email.policy
import json
import os
import subprocess
from pathlib import Path

import icalendar

import servers

HERE = Path(__file__).resolve().parent


def parse(raw):
    """By Python's email, without a defect in any part."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for part in message.walk():
        assert part.defects == [], part.defects
        for value in part.values():
            assert not getattr(value, "defects", ()), (value, value.defects)
    return message


def parts(message):
    """The text, the HTML and the calendar part."""
    found = {p.get_content_type(): p for p in message.walk() if not p.is_multipart()}
    assert set(found) == {"text/plain", "text/html", "text/calendar"}, set(found)
    return [found[t] for t in ("text/plain", "text/html", "text/calendar")]


def calendar(part):
    """The one event of a calendar part, and its method."""
    parsed = icalendar.Calendar.from_ical(part.get_content())
    assert parsed.get_missing_tzids() == set()
    assert parsed["METHOD"] == part["Content-Type"].params["method"].upper()
    (event,) = parsed.walk("VEVENT")
    assert event.errors == []
    return parsed["METHOD"], event


def visible(raw):
    """All that a reader could see: headers and bodies, decoded."""
    message = parse(raw)
    texts = [str(v) for v in message.values()]
    texts += [p.get_content() for p in message.walk() if not p.is_multipart()]
    return "\n".join(texts)


def by_mailparser(raws, folder):
    """What npm's mailparser makes of them."""
    folder.mkdir(exist_ok=True)
    files = []
    for n, raw in enumerate(raws):
        files.append(folder / f"{n}.eml")
        files[-1].write_bytes(raw)
    environment = {**os.environ, "PUNCTUAL_NODE": str(servers.NODE)}
    done = subprocess.run(["node", HERE / "read_mail.mjs"], input="\n".join(map(str, files)), capture_output=True, text=True, env=environment, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_wire(raw):
    """ASCII, CRLF where the carrier keeps it, and lines within RFC 5322's 998 bytes."""
    assert raw.isascii()
    assert max(len(line) for line in raw.replace(b"\r\n", b"\n").split(b"\n")) <= 998
