"""The peers and the judges themselves: a judge that finds nothing in a bad message would let a bad message through to a patient."""

import base64
import smtplib
import ssl
import urllib.error
import urllib.parse
import urllib.request

import pytest

import judge
from servers import phone_texts, wait_until

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
    """The judges are content with a message that is as it should be."""
    assert judge.problems(GOOD.encode()) == []
    (seen,) = judge.by_mailparser([GOOD.encode()])
    assert (seen["subject"], seen["to"][0]["address"], seen["text"].strip(), seen["attachments"][0]["method"]) == (
        "caf\u00e9",
        "trevor@example.com",
        "text",
        "REQUEST",
    )


@pytest.mark.parametrize("find,plant,problem", PLANTED, ids=[p for _, _, p in PLANTED])
def test_each_planted_defect_is_found(find, plant, problem):
    """Each defect that could hurt a reader is seen when it is there."""
    assert GOOD.count(find) == 1 or find in ("text\r\n", "method=REQUEST")
    bad = GOOD.replace(find, plant, 1)
    assert any(problem in found for found in judge.problems(bad.encode())), judge.problems(bad.encode())


def test_smtp_sink_keeps_whole_messages_only(smtp_sink):
    """What arrived up to the final dot counts as received; what broke off before does not."""
    with smtplib.SMTP("127.0.0.1", smtp_sink.port) as client:
        client.sendmail("clinic@example.org", ["trevor@example.com"], GOOD)
        client.docmd("MAIL", "FROM:<clinic@example.org>")
        client.docmd("RCPT", "TO:<ray@example.com>")
        client.docmd("DATA")
        client.send(GOOD[:400])
        client.close()
    wait_until("the broken one is dropped", lambda: smtp_sink.count() == 1)
    (got,) = smtp_sink.received()
    assert (got.sender, got.recipients) == ("clinic@example.org", ["trevor@example.com"])
    assert judge.problems(got.raw) == []


def test_postfix_delivers_refuses_and_speaks_tls(postfix):
    """The real mail server delivers, answers 450 and 550 where it should, and shows the certificate of our authority."""
    trust = ssl.create_default_context(cafile=str(postfix.ca_file))
    with smtplib.SMTP("localhost", postfix.port) as client:
        client.starttls(context=trust)
        client.sendmail("clinic@example.org", ["trevor@example.com"], GOOD)
        for address, code in [("tempfail@lab.test", 450), ("nouser@lab.test", 550)]:
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                client.sendmail("clinic@example.org", [address], GOOD)
            assert refused.value.recipients[address][0] == code
    (got,) = postfix.received(1)
    assert (got.sender, got.recipients) == ("clinic@example.org", ["trevor@example.com"])
    assert judge.problems(got.raw) == []
    assert "TLS connection established" in postfix.log()


def test_raw_smtp_keeps_every_byte(raw_smtp, meter):
    """What the wire carried, line ends and all; the meter in front counts and passes on."""
    relay = meter(raw_smtp.port)
    with smtplib.SMTP("127.0.0.1", relay.port) as client:
        client.sendmail("clinic@example.org", ["trevor@example.com"], "Subject: x\r\n\r\n.dot\r\n")
    (got,) = raw_smtp.messages
    assert got.raw == b"Subject: x\r\n\r\n.dot\r\n"
    assert relay.chunks >= 4


def test_twilio_takes_right_and_refuses_wrong(twilio):
    """The mock of Twilio answers 201, 401 with code 20003, and 422 to a request that does not fit its description."""
    url = f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}/Messages.json"

    def post(form, token):
        request = urllib.request.Request(url, urllib.parse.urlencode(form).encode())
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{twilio.account_sid}:{token}".encode()).decode())
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as refused:
            return refused.code

    good = {"To": "+14045550101", "From": "+14045550100", "Body": "hello \u4f60\u597d"}
    assert post(good, twilio.auth_token) == 201
    assert post(good, "wrong") == 401
    assert post({"From": "+14045550100"}, twilio.auth_token) in (400, 422)
    assert twilio.accepted() == [good]


def test_kannel_carries_every_alphabet_to_the_phone(kannel):
    """The default alphabet, its extension, UCS-2 and long texts arrive whole at the phone's side."""
    sent = [
        ("+14045550101", "plain", {}),
        ("+14045550102", "extension {}[]~^|\\\u20ac \u00e0\u00f1", {}),
        ("+14045550103", "\u3053\u3093\u306b\u3061\u306f \U0001f600 x", {"coding": "2"}),
        ("+14045550104", "a long one \u20ac " * 20, {}),
        ("+14045550105", "\u9577\u3044 \U0001f600" * 40, {"coding": "2"}),
    ]
    for to, text, extra in sent:
        query = {"username": kannel.USER, "password": kannel.PASSWORD, "to": to, "text": text, "charset": "UTF-8", **extra}
        assert urllib.request.urlopen(f"{kannel.url}?{urllib.parse.urlencode(query)}").status == 202
    assert sorted(kannel.texts(5)) == [(to, text) for to, text, _ in sent]


def test_a_text_that_misses_a_part_is_seen():
    """Half a text is no text."""
    with pytest.raises(AssertionError, match="parts without the others"):
        phone_texts("2026-11-24 09:00:00 [1] [0] DEBUG: Got message 4: <12345 +14045550104 udh %05%00%03%03%02%01 data half>\n")
