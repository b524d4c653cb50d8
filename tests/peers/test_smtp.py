"""E-mail, against Postfix's smtp-sink and a real Postfix: every due message arrives once, and is what it should be."""
from datetime import datetime, timezone

import pytest
from conftest import person, session, start_in

import reading

NAMES = ["Trevor", "José Núñez", "李雷 🎉", "שרה כהן", 'Ann "Nan" O\'Brien', "<script>alert(1)</script>", "{{ 7*7 }} {% raw %}", "Eve\r\nBcc: evil@example.org", "N" * 300]
ZONES = ["Eastern Standard Time", "Nepal Standard Time", "Hawaiian Standard Time", "Europe/Berlin", "Line Islands Standard Time"]


def sessions():
    """A session for each name, in several zones; one with a deposit, one Meet Now, one N, one couple."""
    made = [session(n + 1, person(n * 100 + 1, name=name, zone=ZONES[n % len(ZONES)])) for n, name in enumerate(NAMES)]
    made.append(session(50, person(5001, SvcId=1037, DepositRequired=20.00), person(5002, name="Ray Chalk"), ConnectCode=981342223))
    made.append(session(51, person(5101, deliver="N")))
    now = datetime.now(timezone.utc)
    made.append({**session(52, person(5201)), "ScheduleTs": now.strftime("%Y-%m-%dT%H:%M:") + ("37" if now.second < 40 else "07")})
    return made


def emailed(all_sessions):
    return {p["ParticipantEmailAddress"]: p for s in all_sessions for p in s["Participants"] if p["ShouldAutoDeliverCode"] == "E"}


def check_all(raws, all_sessions, tmp_path):
    """Each message, by itself and by three readers."""
    people = emailed(all_sessions)
    secrets = {str(p["ConnectCode"]): p["ParticipationId"] for s in all_sessions for p in s["Participants"]}
    seen, ids = [], set()
    for raw in raws:
        reading.check_wire(raw)
        message = reading.parse(raw)
        (to,) = message["To"].addresses
        seen.append(to.addr_spec)
        ids.add(message["Message-ID"])
        person_ = people[to.addr_spec]
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Reply-To"].addresses[0].addr_spec == "front-desk@lakeside.example"
        assert "Bcc" not in message and "Cc" not in message
        text, html, ics = reading.parts(message)
        method, event = reading.calendar(ics)
        assert method == "REQUEST" and str(event["ATTENDEE"]).endswith(to.addr_spec)
        digits = reading.visible(raw).replace("-", "").replace(" ", "")
        found = {code for code in secrets if code in digits}
        assert found == {str(person_["ConnectCode"])}, f"{to.addr_spec} sees the codes of {[secrets[c] for c in found]}"
        others = {a for a in people if a != to.addr_spec and a in reading.visible(raw)}
        assert others == set()
        if person_.get("DepositRequired"):
            assert "$20.00" in text.get_content() and "$20.00" in html.get_content()
    assert sorted(seen) == sorted(people), "every due message arrives once"
    assert len(ids) == len(people)
    for read in reading.by_mailparser(raws, tmp_path / "read"):
        assert read["to"][0]["address"] in people and read["text"] and read["html"] and read["messageId"]
        assert "bcc" not in read["headers"]
        assert any(a["type"] == "text/calendar" for a in read["attachments"])
    return seen


def test_every_due_message_arrives_once_at_a_sink(practice, sink, tmp_path):
    practice.email(sink.port)
    practice.sessions(sessions())
    done = practice.once()
    assert done.code == 0, done.err
    arrived = sink.messages()
    check_all([raw for _, raw in arrived], sessions(), tmp_path)
    for recipient, raw in arrived:
        assert reading.parse(raw)["To"].addresses[0].addr_spec == recipient, "one envelope, one recipient"
    assert practice.once().code == 0
    assert len(sink.messages()) == len(arrived), "run again: nothing more"


def test_a_message_shows_its_readers_own_clock(practice, sink):
    practice.email(sink.port)
    practice.sessions([session(1, person(101, zone="Nepal Standard Time"), person(102, zone="Hawaiian Standard Time"), minutes=600)])
    assert practice.once().code == 0
    from zoneinfo import ZoneInfo

    start = datetime.fromisoformat(start_in(600) + "+00:00")
    for recipient, raw in sink.messages():
        zone = {"p101": "Asia/Kathmandu", "p102": "Pacific/Honolulu"}[recipient.split("@")[0]]
        local = start.astimezone(ZoneInfo(zone))
        text = reading.parts(reading.parse(raw))[0].get_content()
        assert local.strftime("%A, %B ") + str(local.day) in text
        assert local.strftime("%-I:%M %p") in text
        _, event = reading.calendar(reading.parts(reading.parse(raw))[2])
        assert event["DTSTART"].dt == start


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_every_due_message_arrives_once_at_a_real_postfix(practice, postfix, tmp_path, tls):
    """What a practice's own mail server delivers, in the clear and under TLS, is what was due, once each."""
    port = postfix.tls_port if tls == "implicit" else postfix.port
    practice.email(port, host="localhost", tls=tls, **({} if tls == "none" else {"ca_file": str(postfix.ca)}))
    practice.sessions(sessions())
    assert practice.run("check", "--online").code == 0
    done = practice.once()
    assert done.code == 0, done.err
    expected = len(emailed(sessions()))
    raws = [raw.split(b"\n\n", 1) for raw in postfix.messages(expected)]
    # Postfix puts Return-Path, Delivered-To and Received in front.
    check_all([b"\n".join([head, b"", body]) for head, body in raws], sessions(), tmp_path)
    assert practice.once().code == 0
    assert len(postfix.messages(expected)) == expected


def test_postfix_says_later_and_never(practice, postfix):
    practice.email(postfix.port)
    practice.sessions([session(1, person(1, email="tempfail@example.org")), session(2, person(2, email="nouser@example.org")), session(3, person(3))])
    assert practice.once().code == 1, "something due could not be handed over"
    rows = {r["session_id"]: r for r in practice.outbox() if r["occasion"] == "invite"}
    assert (rows[1]["state"], rows[1]["attempts"]) == ("waiting", 1) and rows[1]["next_attempt_at"] > rows[1]["due_at"]
    assert rows[2]["state"] == "rejected" and "5.1.1" in rows[2]["server_reply"] and "nouser" not in rows[2]["server_reply"]
    assert rows[3]["state"] == "accepted"
    assert len(practice.run("suppress", "list", "--json").lines()) == 1


def test_a_certificate_for_another_name_lets_nothing_out(practice, postfix):
    practice.email(postfix.port, host="127.0.0.1", tls="starttls", ca_file=str(postfix.ca))
    practice.sessions([session(1, person(1))])
    assert practice.once().code == 1
    assert practice.outbox()[0]["state"] == "waiting"
    practice.email(postfix.port, host="localhost", tls="starttls", ca_file=str(postfix.ca))
    assert practice.run("outbox", "retry", "--all").code == 0
    assert practice.once().code == 0
    assert len(postfix.messages(1)) == 1
