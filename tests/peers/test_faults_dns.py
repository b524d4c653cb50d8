"""`check --online` about the sender's domain, against a DNS server that says what the test says."""
import contextlib
import socket
import socketserver
import struct
import subprocess
import threading

import pytest

import servers

DOMAIN = "lakeside.example"
GOOD_SPF, GOOD_DMARC = "v=spf1 ip4:127.0.0.1 -all", "v=DMARC1; p=reject"


def question(query):
    """The name that is asked for, and where the question ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), at + 5


def answer(query, zone):
    """RFC 1035 4: TXT records of a name, each in strings of 255 bytes; none: NXDOMAIN."""
    name, end = question(query)
    records = zone.get(name, [])
    head = query[:2] + struct.pack(">HHHHH", 0x8180 if records else 0x8183, 1, len(records), 0, 0)
    body = b""
    for text in records:
        raw = text.encode()
        data = b"".join(bytes([len(raw[i : i + 255])]) + raw[i : i + 255] for i in range(0, len(raw), 255))
        body += struct.pack(">HHHIH", 0xC00C, 16, 1, 60, len(data)) + data
    return head + query[12:end] + body


class Dns:
    """A name server on loopback, UDP and TCP at one port."""

    def __init__(self, zone, asked=None):
        outer, self.zone, self.asked = self, zone, [] if asked is None else asked

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                query, sock = self.request
                outer.asked.append(question(query)[0])
                said = answer(query, outer.zone)
                if len(said) > 512:  # truncated: asked again by TCP
                    said = said[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + query[12 : question(query)[1]]
                sock.sendto(said, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while length := self.rfile.read(2):
                    said = answer(self.rfile.read(struct.unpack(">H", length)[0]), outer.zone)
                    self.wfile.write(struct.pack(">H", len(said)) + said)

        class TcpServer(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        for _ in range(20):  # a port that is free for both
            self.tcp = TcpServer(("127.0.0.1", 0), Tcp)
            self.port = self.tcp.server_address[1]
            try:
                self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Udp)
                return
            except OSError:
                self.tcp.server_close()
        raise RuntimeError("no port is free for both UDP and TCP")

    @contextlib.contextmanager
    def running(self):
        both = (self.udp, self.tcp)
        for server in both:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield self
        finally:
            for server in both:
                server.shutdown()
                server.server_close()


@pytest.fixture
def signing(practice, sink):
    """A practice that signs, and the record that openssl makes of its key."""
    import base64

    subprocess.run(["openssl", "genrsa", "-out", "dkim.pem", "2048"], cwd=practice.folder, check=True, stderr=subprocess.DEVNULL)
    der = subprocess.run(["openssl", "pkey", "-in", "dkim.pem", "-pubout", "-outform", "DER"], cwd=practice.folder, check=True, capture_output=True).stdout
    practice.email(sink.port)
    practice.sections["email"] += '\n[email.dkim]\nselector = "punctual"\nkey_file = "dkim.pem"'
    practice.sessions([])
    practice.record = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
    return practice


def findings(practice, port):
    done = practice.run("check", "--online", "--name-server", f"127.0.0.1:{port}", "--json")
    found = {line["what"].split(" ")[0]: (line["level"], line["text"]) for line in done.lines() if line["what"].split(" ")[0] in ("SPF", "DKIM", "DMARC")}
    assert done.code == (3 if "error" in {level for level, _ in found.values()} else 0), done.out
    return found


def test_what_a_name_server_says_is_judged(signing):
    good = {DOMAIN: [GOOD_SPF, "some other text"], f"punctual._domainkey.{DOMAIN}": [signing.record], f"_dmarc.{DOMAIN}": [GOOD_DMARC]}
    other = signing.record[:-12] + "AAAA" + signing.record[-8:]
    for change, levels in [
        ({}, ("ok", "ok", "ok")),
        ({DOMAIN: []}, ("note", "ok", "ok")),
        ({DOMAIN: ["v=spf1 +all"]}, ("error", "ok", "ok")),
        ({DOMAIN: [GOOD_SPF, GOOD_SPF]}, ("error", "ok", "ok")),
        ({f"punctual._domainkey.{DOMAIN}": []}, ("ok", "error", "ok")),
        ({f"punctual._domainkey.{DOMAIN}": [other]}, ("ok", "error", "ok")),
        ({f"punctual._domainkey.{DOMAIN}": ["v=DKIM1; k=rsa; p="]}, ("ok", "error", "ok")),
        ({f"_dmarc.{DOMAIN}": []}, ("ok", "ok", "note")),
        ({f"_dmarc.{DOMAIN}": ["v=DMARC1; p=perhaps"]}, ("ok", "ok", "error")),
    ]:
        with Dns({**good, **change}).running() as dns:
            found = findings(signing, dns.port)
            assert tuple(found[k][0] for k in ("SPF", "DKIM", "DMARC")) == levels, (change, found)
            assert {DOMAIN, f"punctual._domainkey.{DOMAIN}", f"_dmarc.{DOMAIN}"} <= set(dns.asked)
    assert signing.record in findings_without_a_key(signing), "the record that must be set up is shown, ready to be copied"


def findings_without_a_key(practice):
    with Dns({}).running() as dns:
        return findings(practice, dns.port)["DKIM"][1]


def test_the_policy_of_the_domain_above_counts(signing):
    signing.sections["email"] = signing.sections["email"].replace("sessions@lakeside.example", "sessions@mail.lakeside.example")
    with Dns({f"_dmarc.{DOMAIN}": [GOOD_DMARC]}).running() as dns:
        assert findings(signing, dns.port)["DMARC"] == ("ok", GOOD_DMARC)
        assert "_dmarc.example" not in dns.asked, "a top-level domain is not asked"


def test_where_no_name_server_answers_that_is_what_is_said(signing):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        for port in (silent.getsockname()[1], servers.free_port()):
            found = findings(signing, port)
            assert {level for level, _ in found.values()} == {"note"} and len(found) == 3, found
            assert all("no name server answered" in text for _, text in found.values()), found
