"""DKIM: what leaves the program is verified by dkimpy, with the key that the program says must stand in the DNS."""
import socketserver
import subprocess
import threading

import dkim
import pytest
from conftest import person, session

KEYS = {
    "rsa": ["genrsa", "-out", "dkim.pem", "2048"],
    "rsa pkcs1": ["genrsa", "-traditional", "-out", "dkim.pem", "3072"],
    "ed25519": ["genpkey", "-algorithm", "ed25519", "-out", "dkim.pem"],
}
NAMES = ["Trevor", "José Núñez", "李雷 🎉", "N" * 300, 'Ann "Nan" O\'Brien', "   spaces   within  ", "."]
FROM = "lakeside.example"


def key(practice, *command):
    subprocess.run(["openssl", *command], cwd=practice.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def public(practice, kind):
    """The record as anybody would make it of the private key, by openssl alone."""
    command = ["openssl", "pkey", "-in", "dkim.pem", "-pubout", "-outform", "DER"]
    der = subprocess.run(command, cwd=practice.folder, check=True, capture_output=True).stdout
    import base64

    # RFC 8463 4: of Ed25519 the 32 bytes alone.
    return b"v=DKIM1; k=" + kind.split()[0].encode() + b"; p=" + base64.b64encode(der[-32:] if kind == "ed25519" else der)


def signed(practice, sink, kind, domain=FROM):
    key(practice, *KEYS[kind])
    practice.email(sink.port)
    practice.sections["email"] += f'\n[email.dkim]\nselector = "punctual"\ndomain = "{domain}"\nkey_file = "dkim.pem"'
    practice.sessions([session(n + 1, person(n * 10 + 1, name=name)) for n, name in enumerate(NAMES)])
    done = practice.once()
    assert done.code == 0, done.err
    # The sink's mailbox has line feeds alone, and an empty line behind each message.
    return [raw.rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n" for _, raw in sink.messages()]


def verify(raw, name, record):
    asked = []

    def dns(asked_name, **_):
        asked.append(asked_name.rstrip(b".").decode())
        return record

    good = dkim.verify(raw, dnsfunc=dns)
    assert asked == [name]
    return good


@pytest.mark.parametrize("kind", list(KEYS))
def test_each_message_verifies_and_a_changed_one_does_not(practice, sink, kind):
    raws = signed(practice, sink, kind)
    assert len(raws) == len(NAMES)
    record, name = public(practice, kind), f"punctual._domainkey.{FROM}"
    for raw in raws:
        assert raw.startswith(b"DKIM-Signature: v=1; a=" + kind.split()[0].encode() + b"-sha256;")
        assert max(map(len, raw.split(b"\r\n"))) <= 998
        assert verify(raw, name, record)
        # What relays may do: fold anew, put headers in front.
        assert verify(b"Received: from x\r\n\tby y\r\n" + raw.replace(b"Auto-Submitted: auto", b"Auto-Submitted:\r\n\t auto"), name, record)
        head, body = raw.split(b"\r\n\r\n", 1)
        for changed in [
            head.replace(b"Subject: ", b"Subject: Re ") + b"\r\n\r\n" + body,
            head + b"\r\n\r\n" + body.replace(b"http", b"hxxp", 1),
            head.replace(b"auto-generated", b"no") + b"\r\n\r\n" + body,
            b"From: Evil <evil@example.org>\r\n" + raw,
            b"Subject: another\r\n" + raw,
        ]:
            assert changed != raw and not verify(changed, name, record)


def test_a_key_of_the_domain_above_signs_for_it(practice, sink):
    raws = signed(practice, sink, "ed25519", domain="LAKESIDE.example")
    assert all(b" d=lakeside.example;" in raw for raw in raws)


class Forgetful(socketserver.StreamRequestHandler):
    """Takes a whole message, and the first time it is gone before it answers."""

    def handle(self):
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go\r\n")
                body = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    body += line
                self.server.bodies.append(body)
                if len(self.server.bodies) == 1:
                    return
            self.wfile.write(b"250 ok\r\n")


def test_a_resend_is_the_same_signature(practice):
    """The answer to the dot is lost; a person says "again": the bytes are the same, signature and all."""
    key(practice, *KEYS["rsa"])
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forgetful) as server:
        server.bodies, server.daemon_threads = [], True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        practice.email(server.server_address[1])
        practice.sections["email"] += '\n[email.dkim]\nselector = "punctual"\nkey_file = "dkim.pem"'
        practice.sessions([session(1, person(1))])
        assert practice.once().code == 3
        assert practice.run("outbox", "retry", "--all").code == 0
        assert practice.once().code == 0
        server.shutdown()
    first, second = server.bodies
    assert first == second and first.startswith(b"DKIM-Signature: ")


@pytest.mark.parametrize("command,domain,said", [
    (["genrsa", "-out", "dkim.pem", "1024"], FROM, "key_file"),
    (["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "dkim.pem"], FROM, "neither RSA nor Ed25519"),
    (["genrsa", "-out", "other.pem", "2048"], FROM, "cannot be read"),
    (["genrsa", "-out", "dkim.pem", "2048"], "other.example", "email.dkim.domain"),
    (["genrsa", "-out", "dkim.pem", "2048"], "akeside.example", "email.dkim.domain"),
])
def test_a_key_that_cannot_sign_is_a_mistake_of_the_configuration(practice, command, domain, said):
    key(practice, *command)
    practice.email(0, kind="folder", path="mail")
    practice.sections["email"] += f'\n[email.dkim]\nselector = "punctual"\ndomain = "{domain}"\nkey_file = "dkim.pem"'
    practice.sessions([])
    done = practice.run("check")
    assert done.code == 78 and said in done.err, done.err
