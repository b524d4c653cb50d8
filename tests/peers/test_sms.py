"""Text messages: to a mock of Twilio made from its API description, and through a real Kannel to a phone's side."""
import base64
import re
from urllib.parse import parse_qs, unquote_plus

from conftest import person, session


def texted(number, name, sms):
    return session(number, person(number * 10 + 1, name=name, deliver="S", sms=sms, email=""))


def test_every_due_text_is_posted_once_to_twilio(practice, prism):
    (practice.folder / "twilio-token").write_text("test-token\n")
    practice.gateway(kind="twilio", url=f"http://127.0.0.1:{prism.port}", account_sid="AC" + "0" * 32, auth_token_file="twilio-token", **{"from": "+15550100"},
                     callback_url="https://practice.example/hooks/twilio")
    practice.sessions([texted(1, "Trevor", "4041113333"), texted(2, "José", "(404) 111-3334"), texted(3, "李雷", "+1 404 111 3335")])
    prism.posts.clear()
    done = practice.once()
    assert done.code == 0, done.err
    forms = {parse_qs(body)["To"][0]: (path, headers, parse_qs(body)) for path, headers, body in prism.posts}
    assert sorted(forms) == ["+14041113333", "+14041113334", "+14041113335"] and len(prism.posts) == 3
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
    (practice.folder / "twilio-token").write_text("wrong\n")
    practice.gateway(kind="twilio", url=f"http://127.0.0.1:{prism.port}", account_sid="AC" + "0" * 32, auth_token_file="twilio-token", **{"from": "+15550100"})
    practice.sessions([texted(1, "Trevor", "4041113333"), texted(2, "Ray Chalk", "4041113334")])
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


def test_every_due_text_reaches_the_phone_through_kannel(practice, kannel):
    (practice.folder / "kannel-password").write_text("kannel-secret")
    practice.gateway(kind="kannel", url=f"http://127.0.0.1:{kannel.sendsms}/cgi-bin/sendsms", username="punctual", password_file="kannel-password")
    people = {"+14041113333": "Trevor", "+14041113334": "李雷 🎉", "+14041113335": "[Ann] {N} ^~|"}
    practice.sessions([texted(n + 1, name, sms) for n, (sms, name) in enumerate(people.items())])
    assert practice.run("check", "--online").code == 0
    done = practice.once()
    assert done.code == 0, done.err
    import servers

    servers.wait_until(lambda: sum(sms.lstrip("+") in " ".join(kannel.received()) for sms in people) == len(people), "three texts at the phone's side")
    lines = kannel.received()
    for number in people:
        mine = [line for line in lines if number.lstrip("+") in line]
        assert mine, f"nothing for {number}"
    text = unquote_plus(" ".join(lines))
    assert "Lakeside Telehealth" in text
    count = len(lines)
    assert practice.once().code == 0
    assert len(kannel.received()) == count, "run again: nothing more"


def test_kannel_refuses_a_wrong_password(practice, kannel):
    (practice.folder / "kannel-password").write_text("wrong")
    practice.gateway(kind="kannel", url=f"http://127.0.0.1:{kannel.sendsms}/cgi-bin/sendsms", username="punctual", password_file="kannel-password")
    practice.sessions([texted(1, "Trevor", "+14041113333")])
    done = practice.once(log="trace")
    assert done.code == 1 and "wrong" not in done.err.replace("wrong password", "")
    assert practice.outbox()[0]["state"] == "waiting"
    assert practice.run("check", "--online").code == 3
