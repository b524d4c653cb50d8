"""Text messages: to a mock of Twilio made from its API description, and through a real Kannel to a phone's side."""
import base64
import re
from urllib.parse import parse_qs

import pytest
from conftest import person, session


def texted(number, name, sms):
    return session(number, person(number * 10 + 1, name=name, deliver="S", sms=sms, email=""))


def test_every_due_text_is_posted_once_to_twilio(practice, prism):
    """Numbers as front desks write them reach Twilio in E.164, once each, in a request that its API description accepts."""
    (practice.folder / "twilio-token").write_text("test-token\n")
    practice.gateway(kind="twilio", url=f"http://127.0.0.1:{prism.port}", account_sid="AC" + "0" * 32, auth_token_file="twilio-token", **{"from": "+15550100"},
                     callback_url="https://practice.example/hooks/twilio")
    practice.sessions([texted(1, "Trevor", "4045550133"), texted(2, "José", "(404) 555-0134"), texted(3, "李雷", "+1 404 555 0135")])
    prism.posts.clear()
    done = practice.once()
    assert done.code == 0, done.err
    forms = {parse_qs(body)["To"][0]: (path, headers, parse_qs(body)) for path, headers, body in prism.posts}
    assert sorted(forms) == ["+14045550133", "+14045550134", "+14045550135"] and len(prism.posts) == 3
    for path, headers, form in forms.values():
        assert path == f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json"
        assert headers["Authorization"] == "Basic " + base64.b64encode(f"AC{'0' * 32}:test-token".encode()).decode()
        assert form["From"] == ["+15550100"] and "Lakeside Telehealth" in form["Body"][0]
        assert re.fullmatch(r"https://practice\.example/hooks/twilio\?ref=[a-z2-7]+", form["StatusCallback"][0])
    rows = practice.outbox()
    assert {r["state"] for r in rows if r["occasion"] == "invite"} == {"accepted"}
    assert practice.once().code == 0
    assert len(prism.posts) == 3, "run again: nothing more"


def test_a_refused_log_in_loses_nothing(practice, prism):
    """A token that was changed at Twilio and not here: texts wait, and go out once it is put right."""
    (practice.folder / "twilio-token").write_text("wrong\n")
    practice.gateway(kind="twilio", url=f"http://127.0.0.1:{prism.port}", account_sid="AC" + "0" * 32, auth_token_file="twilio-token", **{"from": "+15550100"})
    practice.sessions([texted(1, "Trevor", "4045550133"), texted(2, "Ray Chalk", "4045550134")])
    prism.posts.clear()
    prism.fail_with = 401
    try:
        done = practice.once()
    finally:
        prism.fail_with = None
    assert done.code == 1
    assert {r["state"] for r in practice.outbox()} == {"waiting"}
    before = len(prism.posts)
    assert practice.run("outbox", "retry", "--all").code == 0
    assert practice.once().code == 0
    assert len(prism.posts) == before + 2
    assert {r["state"] for r in practice.outbox() if r["occasion"] == "invite"} == {"accepted"}


def through(practice, kannel, password="kannel-secret"):
    (practice.folder / "kannel-password").write_text(password)
    practice.gateway(kind="kannel", url=f"http://127.0.0.1:{kannel.sendsms}/cgi-bin/sendsms", username="punctual", password_file="kannel-password")


def test_every_due_text_reaches_the_phone_through_kannel(practice, kannel):
    """Each phone gets one text, with the code of the person who owns it and of nobody else; a second run sends nothing."""
    through(practice, kannel)
    numbers = ["+14045550133", "+14045550134", "+14045550135"]
    sessions = [texted(n + 1, "Trevor", sms) for n, sms in enumerate(numbers)]
    practice.sessions(sessions)
    assert practice.run("check", "--online").code == 0
    done = practice.once()
    assert done.code == 0, done.err
    got = kannel.settled()
    assert sorted(number for number, _, _ in got) == numbers
    codes = {p["ParticipantSmsNumber"]: str(p["ConnectCode"]) for s in sessions for p in s["Participants"][1:]}
    for number, text, _ in got:
        assert text.startswith("Lakeside Telehealth: your video session is ")
        assert {c for c in codes.values() if c in text} == {codes[number]}
        assert f"https://hub.securevideo.com/Pass/Join/{codes[number]}" in text
    assert practice.once().code == 0
    assert kannel.settled() == got, "run again: nothing more"


# The practice's name stands in each text; a participant's own name never does.
ALPHABETS = [
    ("Lake [Side] {Health} ^~| €", "gsm7", 2),  # extension characters: two septets each
    ("Clinique Éñüà", "gsm7", 2),  # the accents that GSM 03.38 has
    ("Клиника", "ucs2", 2),
    ("湖畔 🎉 诊所", "ucs2", 2),  # a surrogate pair; of a name that is partly Latin, that part alone would fit
]


@pytest.mark.parametrize("name,encoding,segments", ALPHABETS, ids=["gsm7-extension", "gsm7-accents", "cyrillic", "cjk-emoji"])
def test_a_text_arrives_letter_by_letter_as_preview_showed_it(practice, kannel, name, encoding, segments):
    """What staff see in `preview` is what the patient reads, whatever the alphabet, and has as many segments as were counted."""
    through(practice, kannel)
    practice.sections["practice"] = practice.sections["practice"].replace("Lakeside Telehealth", name)
    practice.sessions([texted(1, "Trevor", "+14045550133")])
    (shown,) = [l for l in practice.run("preview", "--reveal", "--format", "json").lines() if l["sms"] and l["occasion"] == "invite"]
    assert name in shown["sms"] and (shown["encoding"], shown["segments"]) == (encoding, segments)
    done = practice.once()
    assert done.code == 0, done.err
    assert kannel.settled() == [("+14045550133", shown["sms"], segments)]


def test_a_wrong_password_loses_nothing(practice, kannel):
    """Kannel refuses the log-in: the text waits, the password is not logged, and after correcting it the text arrives."""
    through(practice, kannel, password="wrong-horse-battery")
    practice.sessions([texted(1, "Trevor", "+14045550133")])
    done = practice.once(log="trace")
    assert done.code == 1 and "wrong-horse-battery" not in done.err + done.out
    assert practice.outbox()[0]["state"] == "waiting"
    assert practice.run("check", "--online").code == 3
    assert kannel.settled() == []
    through(practice, kannel)
    assert practice.run("outbox", "retry", "--all").code == 0
    assert practice.once().code == 0
    assert [number for number, _, _ in kannel.settled()] == ["+14045550133"]
