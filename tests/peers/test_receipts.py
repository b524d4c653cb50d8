"""A real Kannel tells the daemon's own server what became of a text, and hands on what people write back."""
import contextlib
import json
import subprocess
import time
import urllib.request
from urllib.parse import urlencode

import servers
from conftest import PROGRAM, person, session

TOKEN = "kannel-0123456789abcdef0123456789"
NUMBER = "+14045550133"


@contextlib.contextmanager
def daemon(practice):
    """Ends with the block, and says why if it does not come up."""
    log = practice.folder / "daemon.log"
    with open(log, "w") as out:
        child = subprocess.Popen([PROGRAM, "--config", practice.config, "run"], cwd=practice.folder, stdout=out, stderr=out)
        try:
            servers.wait_for_port(practice.listen, child)
            yield child
        finally:
            child.terminate()
            assert child.wait(timeout=60) == 0, log.read_text()
    assert NUMBER[1:] not in log.read_text() and "panicked" not in log.read_text()


def through(practice, kannel):
    (practice.folder / "kannel-password").write_text("kannel-secret")
    (practice.folder / "kannel-callback").write_text(TOKEN)
    practice.gateway(kind="kannel", url=f"http://127.0.0.1:{kannel.sendsms}/cgi-bin/sendsms", username="punctual", password_file="kannel-password",
                     callback_url=f"http://127.0.0.1:{practice.listen}/hooks/kannel", callback_token_file="kannel-callback")


def listening(practice):
    practice.listen = servers.free_port()
    practice.sections["server"] = f'listen = "127.0.0.1:{practice.listen}"'
    return f"http://127.0.0.1:{practice.listen}/hooks/kannel/{TOKEN}"


def receipts(practice):
    """What the deliveries of participation 11 say became of them, by what was told."""
    (told,) = practice.run("why", "1", "11", "--json").lines()
    return {notice["what"]: [d["receipt"] for d in notice["deliveries"]] for notice in told["notices"] if notice["deliveries"]}


def text(number, sms):
    return session(number, person(number * 10 + 1, deliver="S", sms=sms, email=""))


def test_kannels_receipts_are_taken_and_noted(practice, kannel):
    """The phone's side has the text: Kannel calls the address that it was told with it, and `why`, `outbox show` and the ledger say so."""
    listening(practice)
    through(practice, kannel)
    practice.sessions([text(1, NUMBER)])
    with daemon(practice):
        servers.wait_until(lambda: practice.run("outbox", "list", "--json", "--state", "accepted").lines(), "the text is accepted")
        servers.wait_until(lambda: receipts(practice) == {"invite": ["delivered"]}, "Kannel's receipt")
        assert [number for number, _, _ in kannel.settled()] == [NUMBER]
        figures = urllib.request.urlopen(f"http://127.0.0.1:{practice.listen}/metrics", timeout=10).read().decode()
        assert '\npunctual_receipts_total{channel="sms",fate="delivered"} 1\n' in figures and "\npunctual_undelivered_messages 0\n" in figures
    (invite,) = [row for row in practice.outbox() if row["occasion"] == "invite"]
    shown = practice.run("outbox", "show", invite["key"])
    assert "receipt at " in shown.out and ": delivered" in shown.out, shown.out
    rows = practice.run("ledger", "export").lines()
    noted = [row["detail"] for row in rows if row["event"] == "receipt"]
    assert noted[-1] == "delivered" and len(noted) == len(set(noted)) <= 2, noted
    assert practice.run("ledger", "verify").code == 0
    assert NUMBER[1:] not in json.dumps(rows)


def test_a_kannel_that_is_killed_after_its_202_gets_no_second_copy(practice, tmp_path):
    """It has the text: it is not sent again while Kannel is away, nor after, and the receipt that comes a life later is noted."""
    kannel = servers.Kannel(tmp_path / "kannel")
    listening(practice)
    through(practice, kannel)
    practice.sections["[source]"] += '\npoll = "* * * * * *"'
    practice.sessions([text(1, NUMBER)])
    with contextlib.ExitStack() as alive:
        with kannel.running(phone=False):
            alive.enter_context(daemon(practice))
            servers.wait_until(lambda: practice.run("outbox", "list", "--json", "--state", "accepted").lines(), "the text is taken")
            for box in kannel.boxes:
                box.kill()
                box.wait()
        assert receipts(practice) == {"invite": [None]}
        time.sleep(3)
        with kannel.running():
            servers.wait_until(lambda: receipts(practice) == {"invite": ["delivered"]}, "the receipt")
            assert [number for number, _, _ in kannel.settled()] == [NUMBER]


def test_what_a_phone_answers_comes_back_through_kannel(practice, tmp_path):
    """STOP: remembered as its owner's word, confirmed by one text to that phone, and nothing after it; START takes it back."""
    hook = listening(practice)
    kannel = servers.Kannel(tmp_path / "kannel", says=f"{NUMBER} 12345 text STOP", replies=hook)
    through(practice, kannel)
    practice.sessions([text(2, "+14045550134")])
    with daemon(practice), kannel.running():
        listed = lambda: practice.run("suppress", "list", "--json").lines()
        servers.wait_until(listed, "the opt-out")
        servers.wait_until(lambda: [n for n, _, _ in kannel.texts() if n == NUMBER], "its confirmation")
        assert [(row["kind"], row["said_by"]) for row in listed()] == [("opted_out", "reply")]
        assert "its owner, by text" in practice.run("suppress", "list", "--wide").out
        practice.sessions([text(1, NUMBER), text(2, "+14045550134")])
        assert [said for number, said, _ in kannel.settled() if number == NUMBER] == [
            "Lakeside Telehealth: You will get no more texts from us. To get them again, reply START."
        ]
    # The daemon begins before Kannel: the other text may still wait for the gateway's pause to end, which counts as undone.
    assert practice.once().code in (0, 1)
    assert {row["session_id"] for row in practice.outbox()} == {2}, "nothing is planned for whoever opted out"
    with daemon(practice):
        start = urlencode({"from": NUMBER, "text": "Start", "id": "another", "charset": "UTF-8"})
        assert urllib.request.urlopen(f"{hook}?{start}", timeout=10).status == 200
        assert listed() == []
        figures = urllib.request.urlopen(f"http://127.0.0.1:{practice.listen}/metrics", timeout=10).read().decode()
        assert '\npunctual_replies_total{word="start"} 1\n' in figures and '\npunctual_replies_total{word="stop"} 0\n' in figures
    practice.once()
    assert {row["session_id"] for row in practice.outbox()} == {1, 2}, "the next walk plans for them again"
