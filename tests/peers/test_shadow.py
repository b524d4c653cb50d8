"""Shadow mode: all is decided, rendered and recorded, nothing is sent; and what was rehearsed is told once only when it goes live."""
import json
import time
import urllib.request
from datetime import datetime, timezone

from conftest import person, session
from test_stop import daemon, logged

import servers

HOOK = "hook-0123456789abcdef0123456789"


def wait(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


# A report that is repeated is the same one, with the same time.
SAID_AT = {}


def report(port, status, ident, start, email="", number=""):
    """The provider reports a message of its own."""
    attributes = {"RecipientName": "Trevor", "RecipientEmailAddress": email, "RecipientSmsNumber": number, "SessionTimeUtc": start}
    event = {"WebhookType": "NOTIFY_PUBLIC_USER", "ID": ident, "Status": status,
             "EventTs": SAID_AT.setdefault(ident, datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")),
             "Attributes": [{"AttributeName": name, "AttributeValue": value} for name, value in attributes.items()]}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/hooks/securevideo/{HOOK}", json.dumps(event).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 204


def test_a_rehearsal_sends_nothing_is_compared_and_goes_live(practice, sink):
    practice.email(sink.port)
    port = servers.free_port()
    practice.sections["run"] = 'mode = "shadow"'
    practice.sections["server"] = f'listen = "127.0.0.1:{port}"\nwebhook_token = "{HOOK}"'
    one = session(1, person(11), person(12), person(13, deliver="N"))
    practice.sessions([one])
    practice.config.chmod(0o600)
    start = one["ScheduleTs"]
    child = daemon(practice)
    try:
        wait(lambda: sorted(r["participation_id"] for r in practice.outbox() if r["state"] == "accepted") == [11, 12], "both are rehearsed")
        report(port, "Invite", 1, start, email="P11@example.org")
        report(port, "Invite", 1, start, email="P11@example.org")
        report(port, "Invite", 2, start, email="p13@example.org")
        report(port, "Invite", 3, start, email="stranger@example.org")
        rows = practice.run("shadow", "--json")
        assert rows.code == 3
        found = {(r["participation_id"], r["verdict"]): r["not_sent_because"] for r in rows.lines()}
        assert set(found) == {(11, "same"), (12, "extra"), (13, "missing"), (None, "missing")}
        assert any("host_delivers" in why for why in found[13, "missing"])
        shown = practice.run("shadow")
        assert shown.out.startswith("1 the same, 0 at another time, 2 missing here, 1 extra here"), shown.out
        (status,) = practice.run("status", "--json").lines()
        assert status["mode"] == "shadow"
        assert {r["server_reply"] for r in practice.outbox() if r["state"] == "accepted"} == {"not sent: shadow mode"}
    finally:
        child.terminate()
        child.wait(30)
    told = logged(practice) + "".join(p.read_bytes().decode("latin-1") for p in practice.folder.glob("punctual.db*")).replace("p11@example.org", "")
    assert "shadow mode" in told and "stranger@" not in told and "P11@" not in told
    assert sink.messages() == []
    practice.sections["run"] = 'mode = "live"'
    practice.config.chmod(0o600)
    practice.once()
    assert sink.messages() == [], "what was rehearsed was told by the provider"
    practice.sessions([{**one, "Participants": one["Participants"] + [person(14)]}])
    practice.once()
    assert [to for to, _ in sink.messages()] == ["p14@example.org"]
