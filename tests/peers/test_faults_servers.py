"""What servers answer, and what becomes of the invite: Postfix's smtp-sink with each of its faults, a real Postfix, a real Exim that wants a log-in.

Each test prints its table (pytest -s): the fault, the outcome of the one attempt that was expected, and the one that was seen.
"""
import pytest
from conftest import Practice, person, session

import servers

PASSWORD = "let me in"


def outcome(practice):
    """How the one attempt ended, as the outbox tells it, and the code of `run --once`."""
    practice.sessions([session(1, person(1))])
    return of_one(practice)


def of_one(practice):
    code = practice.once().code
    (row,) = [r for r in practice.outbox() if r["occasion"] == "invite"]
    (delivery,) = practice.run("outbox", "show", row["key"], "--json").lines()[0]["deliveries"]
    assert code == {"accepted": 0, "rejected": 3, "unknown": 3}.get(delivery["outcome"], 1)
    bad = ("p1@", "tempfail", "nouser", PASSWORD)
    assert not any(word in (delivery["reply"] or "") for word in bad), "an answer names nobody"
    return delivery["outcome"], delivery["reply"]


def show_and_check(rows):
    """Prints (fault, expected, seen, the server's words) and holds the two against each other."""
    print("\n| fault | expected | seen | what is told |\n|---|---|---|---|")
    for fault, expected, seen, told in rows:
        print(f"| {fault} | {expected} | {seen} | {told or ''} |")
    assert [(f, s, t) for f, e, s, t in rows if s not in e.split(" or ")] == []


# smtp-sink's flags by phase, and the outcome. A channel fault is no attempt of the message's; a retry is.
SINK = [
    ("-q connect", "channel_fault"),
    ("-q ehlo", "channel_fault"),
    ("-q mail", "retry"),
    ("-q rcpt", "retry"),
    ("-q data", "retry"),
    ("-q .", "unknown"),
    ("-Q connect", "channel_fault"),
    ("-Q ehlo", "channel_fault"),
    ("-Q mail", "channel_fault"),
    ("-Q rcpt", "channel_fault"),
    ("-Q data", "channel_fault"),
    ("-Q .", "retry"),
    ("-r connect", "channel_fault"),
    ("-r ehlo", "channel_fault"),
    ("-r mail", "channel_fault"),
    ("-r rcpt", "retry"),
    ("-r data", "retry"),
    ("-r .", "retry"),
    ("-f connect", "channel_fault"),
    ("-f ehlo", "accepted"),  # "500": greeted by HELO
    ("-f ehlo,helo", "channel_fault"),
    ("-f mail", "channel_fault"),
    ("-f rcpt", "channel_fault"),  # 500: a matter of the protocol, here and after the dot
    ("-f data", "channel_fault"),
    ("-f .", "channel_fault"),
    ("-B 554 5.7.1 no -f data", "rejected"),
    ("-B 552 5.3.4 large -f mail", "rejected"),
    ("-p -W mail:1", "accepted"),  # with pipelining, the sink itself falls out of order
    ("-W data:1", "accepted"),
    ("-W .:2", "accepted"),
    ("-H 2", "accepted"),
    # The sink refuses before it has read the message. With the 354 in one segment that is one answer too many, and nothing is sent; a moment
    # later it is the answer to the body. Either way the message is not accepted.
    ("-A 0", "retry or rejected"),
    ("-p -A 0", "rejected or unknown or retry"),
    ("-e", "accepted"),
    ("-P", "accepted"),
    ("-8 -E -a -N", "accepted"),
    ("-p", "accepted"),
]


def words(flags):
    """`-B 554 5.7.1 no -f data` as arguments."""
    found = []
    for word in flags.split():
        if word.startswith("-") or found[-1].startswith("-"):
            found.append(word)
        else:
            found[-1] += " " + word
    return found


def test_each_flag_of_smtp_sink_has_its_outcome(tmp_path):
    rows = []
    for n, (flags, expected) in enumerate(SINK):
        practice = Practice(tmp_path / f"practice{n}")
        with servers.Sink(tmp_path / f"sink{n}", words(flags)).running() as sink:
            practice.email(sink.port)
            seen, told = outcome(practice)
            # The sink writes a message down when it has it whole.
            assert seen in ("unknown", "retry", "rejected", "channel_fault") or len(sink.messages()) == (seen == "accepted"), flags
        rows.append((f"smtp-sink {flags}", expected, seen, told))
    show_and_check(rows)


def test_each_refusal_of_a_real_postfix(tmp_path, postfix):
    rows = []
    for n, (fault, to, keys, expected) in enumerate([
        ("none, in clear text", "p1", {}, "accepted"),
        ("none, STARTTLS", "p1", {"tls": "starttls", "ca_file": str(postfix.ca)}, "accepted"),
        ("450 4.2.1 to RCPT", "tempfail", {}, "retry"),
        ("550 5.1.1 to RCPT", "nouser", {}, "rejected"),
        ("certificate of another name", "p1", {"host": "127.0.0.1", "tls": "starttls", "ca_file": str(postfix.ca)}, "channel_fault"),
        ("certificate that nobody signed", "p1", {"tls": "starttls"}, "channel_fault"),
        ("TLS from the first byte to a port without", "p1", {"tls": "implicit", "ca_file": str(postfix.ca)}, "channel_fault"),
        ("a log-in that it does not offer", "p1", {"username": "punctual", "password_file": "secret"}, "channel_fault"),
    ]):
        practice = Practice(tmp_path / f"practice{n}")
        (practice.folder / "secret").write_text(PASSWORD)
        practice.email(postfix.port, **{"host": "localhost", **keys})
        practice.sessions([session(1, person(1, email=f"{to}@example.org"))])
        rows.append((f"Postfix: {fault}", expected, *of_one(practice)))
    show_and_check(rows)
    assert len(postfix.messages(2)) == 2


def test_each_refusal_of_a_real_exim(tmp_path, exim):
    """Log-in by PLAIN under STARTTLS, as a provider's submission port has it; and all that it refuses."""
    good = {"tls": "starttls", "ca_file": str(exim.ca), "username": "punctual", "password_file": "secret"}
    rows = []
    for n, (fault, to, keys, expected) in enumerate([
        ("none, STARTTLS and log-in", "p1", good, "accepted"),
        ("wrong password", "p1", {**good, "password_file": "wrong"}, "channel_fault"),
        ("log-in in clear text", "p1", {**good, "tls": "none"}, "channel_fault"),
        ("550 relay not permitted", "p1", {"tls": "starttls", "ca_file": str(exim.ca)}, "channel_fault"),
        ("certificate of another name", "p1", {**good, "host": "127.0.0.1"}, "channel_fault"),
        ("451 to RCPT", "tempfail", good, "retry"),
        ("550 5.1.1 to RCPT", "nouser", good, "rejected"),
        ("550 5.7.1 to RCPT, and the connection ends", "dropped", good, "rejected"),
        ("550 5.7.1 after the dot", "spam", good, "rejected"),
    ]):
        practice = Practice(tmp_path / f"practice{n}")
        (practice.folder / "secret").write_text(PASSWORD)
        (practice.folder / "wrong").write_text("not " + PASSWORD)
        practice.email(exim.port, **{"host": "localhost", **keys})
        practice.sessions([session(1, person(1, email=f"{to}@example.org"))])
        online = practice.run("check", "--online")
        assert (online.code == 0) == (expected not in ("channel_fault",) or "relay" in fault), online.out
        rows.append((f"Exim: {fault}", expected, *of_one(practice)))
    show_and_check(rows)
    assert len(exim.messages(1)) == 1


def test_a_message_beyond_exims_size_is_not_offered(tmp_path):
    with servers.Exim(tmp_path / "exim", size_limit="2K").running() as exim:
        practice = Practice(tmp_path / "practice")
        (practice.folder / "secret").write_text(PASSWORD)
        practice.email(exim.port, host="localhost", tls="starttls", ca_file=str(exim.ca), username="punctual", password_file="secret")
        seen, told = outcome(practice)
        assert seen == "rejected" and "not asked" in told and "takes 2" in told, told
        assert practice.run("suppress", "list", "--json").lines() == [], "the address is as good as before"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_exims_own_check_of_our_log_in(tmp_path, mechanism):
    """Exim offers this mechanism alone, and takes the message from nobody else."""
    exim = servers.Exim(tmp_path / "exim")
    exim.mechanisms = [mechanism]
    with exim.running():
        practice = Practice(tmp_path / "practice")
        (practice.folder / "secret").write_text(PASSWORD)
        practice.email(exim.port, host="localhost", tls="starttls", ca_file=str(exim.ca), username="punctual", password_file="secret")
        assert outcome(practice)[0] == "accepted"
        assert b"A=" + mechanism.lower().encode() in (exim.folder / "spool" / "mainlog").read_bytes()
