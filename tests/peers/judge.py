"""Everything that a mail system or a calendar may stumble over in one message, named; an empty list is a good message.

Stricter than `reading`, which stops at the first: headers twice, control characters behind encoded words, encoded words too long,
an attendee who is not the recipient, local times. The judge itself is tested in test_wire.py with planted defects.
"""

import email
import email.policy
import re
from email.utils import parsedate_to_datetime

import icalendar

LINE_LIMIT = 998  # RFC 5322 2.1.1, without CRLF
WORD_LIMIT = 75  # RFC 2047 2
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def parsed(raw):
    """By Python's email package."""
    return email.message_from_bytes(raw, policy=email.policy.default)


def bodies(message):
    """The text, HTML and calendar parts, decoded; a part that is missing or there twice is an error."""
    found = {}
    for part in message.walk():
        if not part.is_multipart():
            kind = part.get_content_type()
            assert kind not in found, f"two {kind} parts"
            found[kind] = part.get_content() if part.get_content_maintype() == "text" else part.get_payload(decode=True)
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in found.items()}


def calendar_part(message):
    """The one text/calendar part."""
    (part,) = [p for p in message.walk() if p.get_content_type() == "text/calendar"]
    return part


def problems(raw):
    """All that is wrong with a message, in words."""
    found = [*_on_the_wire(raw)]
    message = parsed(raw)
    for part in message.walk():
        found += [f"defect in {part.get_content_type()}: {d!r}" for d in part.defects]
        found += [f"defect in {k}: {v.defects}" for k, v in part.items() if getattr(v, "defects", None)]
    found += _headers(message)
    try:
        parts = bodies(message)
    except AssertionError as wrong:
        return [*found, str(wrong)]
    for kind in ("text/plain", "text/html", "text/calendar"):
        if not parts.get(kind, "").strip():
            found.append(f"no {kind}")
    if "text/calendar" in parts:
        found += _calendar(message, parts["text/calendar"])
    return found


def _on_the_wire(raw):
    if not raw.isascii():
        yield "not ASCII"
    for number, line in enumerate(re.split(rb"\r?\n", raw), 1):
        if len(line) > LINE_LIMIT:
            yield f"line {number} has {len(line)} bytes"
        if b"\r" in line:
            yield f"line {number} holds a lone CR"
    for word in re.findall(rb"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=", raw):
        if len(word) > WORD_LIMIT:
            yield f"encoded word of {len(word)} bytes"


def _headers(message):
    for name in ("Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"):
        values = message.get_all(name, [])
        if len(values) != 1:
            yield f"{len(values)} {name} headers"
        elif CONTROL.search(str(values[0])):
            yield f"control character in {name}"
    if not re.fullmatch(r"<[^\s<>@]+@[^\s<>@]+>", str(message["Message-ID"] or "")):
        yield f"Message-ID is {message['Message-ID']}"
    if message["Auto-Submitted"] != "auto-generated":
        yield f"Auto-Submitted is {message['Auto-Submitted']}"
    for name in ("Cc", "Bcc"):
        if message[name]:
            yield f"{name} header"
    if message["To"] and len(message["To"].addresses) != 1:
        yield f"{len(message['To'].addresses)} recipients in To"
    try:
        if parsedate_to_datetime(message["Date"]).tzinfo is None:
            yield "Date without zone"
    except (TypeError, ValueError):
        yield f"Date is {message['Date']}"


def _calendar(message, text):
    part = calendar_part(message)
    try:
        calendar = icalendar.Calendar.from_ical(text)
    except ValueError as wrong:
        yield f"calendar cannot be read: {wrong}"
        return
    for component in calendar.walk():
        yield from (f"calendar: {e}" for e in component.errors)
    method = str(calendar.get("METHOD", ""))
    if method not in ("REQUEST", "CANCEL"):
        yield f"METHOD is {method!r}"
    if part.get_param("method") != method:
        yield f"METHOD is {method}, but the MIME parameter is {part.get_param('method')}"
    if part.get_content_charset() != "utf-8":
        yield f"the calendar's charset is {part.get_content_charset()}"
    events = calendar.walk("VEVENT")
    if len(events) != 1:
        yield f"{len(events)} events"
        return
    (event,) = events
    attendees = event.get("ATTENDEE", [])
    attendees = attendees if isinstance(attendees, list) else [attendees]
    if len(attendees) != 1:
        yield f"{len(attendees)} attendees"
    elif message["To"] and str(attendees[0]).lower().removeprefix("mailto:") != message["To"].addresses[0].addr_spec.lower():
        yield "the attendee is not the recipient"
    for name in ("UID", "DTSTAMP", "DTSTART", "SEQUENCE", "ORGANIZER"):
        if event.get(name) is None:
            yield f"the event has no {name}"
    for name in ("DTSTART", "DTEND", "DTSTAMP"):
        if event.get(name) is not None and not event[name].to_ical().endswith(b"Z"):
            yield f"{name} is not UTC"
