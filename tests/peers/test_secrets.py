"""A daemon at its most talkative, through good and bad days: nothing private in its log, in what it answers, in what it tells the service manager,
or where other accounts of the host can read. (Commands and tables: test_privacy.)"""
import base64
import contextlib
import html
import http.cookiejar
import http.server
import json
import quopri
import re
import socket
import socketserver
import sqlite3
import subprocess
import threading
import urllib.error
import urllib.request
from urllib.parse import quote, quote_plus, urljoin

import pytest
from conftest import PROGRAM, person, session
from manager import Manager
from reading import visible
from scan import found

import servers

NAMES = {101: "Zebulon Quuxington", 102: "Żofia Ødegård-Tæst", 103: "Xanthippe O'Rarely & Co", 104: "Baltasar Unsaid", 201: "Wilhelmina Oddname"}
HOST = "Dr. Quirina Hostwright"
ADDRESSES = {101: "zebulon.quux+refused@example.org", 103: "xanthippe.rarely=hang@example.org", 104: "baltasar.unsaid@example.net", 201: "later.oddname@example.org"}
NUMBERS = {102: "(212) 555-0142"}
CODES = {101: 817_263_549, 102: 726_354_918, 103: 635_491_827, 104: 594_837_261, 201: 549_182_736}
PASSKEY = "9bff60df-2fe6-4c33-9b49-123456789abc"
SECRETS = {
    "relay": "relay-Tr0ubadour&3", "gateway": "gateway-s3cret/plus+it", "vendor": "vendor-k3y-sEcReT", "push": "push-4f1c7a90b2d84e55a1c09f7d",
    "webhook": "hook-7a90b24f1cd84e55a1c09f7d", "ping": "ping-a1c09f7d-7a90-4f1c", "password": "correct horse battery staple 77",
    "callback": "callback-b24f1cd84e55a1c09f7d7a90",
    "store": "c0ffee5e1f7a90b24f1cd84e55a1c09f7d0b24f1cd84e55a1c09f7d7a90b24f1",
}
TALKATIVE = "trace,lettre=trace,hyper=trace,reqwest=trace,rustls=trace"  # what libraries say may hold anything
PEOPLE = [*NAMES.values(), HOST]
REST = [*ADDRESSES.values(), *NUMBERS.values(), "+12125550142", *map(str, CODES.values()), PASSKEY, *SECRETS.values()]


def read_if_allowed(path):
    """What another process of this account sees of it: nothing, where the kernel keeps it for root."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except PermissionError:
        return b""


def written(secret):
    """As programs write it."""
    raw = secret.encode()
    yield "plain", raw
    yield "upper", secret.upper().encode()
    yield "quoted-printable", quopri.encodestring(raw)
    yield "every byte quoted", b"".join(b"=%02X" % b for b in raw)
    yield "base64", base64.encodebytes(b"a few words before: " + raw + b" and after")
    yield "base64 of another place", base64.b64encode(b"\0name\0" + raw)
    yield "URL-safe base64", base64.urlsafe_b64encode(b"x" + raw + b"x")
    yield "URL", quote(secret, safe="").encode()
    yield "form", quote_plus(secret).encode()
    yield "HTML", "".join(f"&#{ord(c)};" for c in secret).encode()
    yield "JSON", json.dumps(secret).encode()[1:-1]
    yield "hexadecimal", raw.hex().encode()
    if re.fullmatch(r"[\d ()+-]{9,}", secret):
        digits = re.sub(r"\D", "", secret)
        yield "digits", digits.encode()
        yield "grouped", "-".join([digits[:3], digits[3:6], digits[6:]]).encode()


@pytest.mark.parametrize("secret", [*PEOPLE, *REST])
def test_the_scan_finds_each_secret_in_each_form(secret):
    for form, planted in written(secret):
        noise = b"2026-11-24T16:20:31.123456Z TRACE punctual: key=" + b"0123456789abcdef" * 20 + b" "
        assert found(noise + planted + b" " + noise, [secret]), (form, planted)
        assert not found(noise + noise, [secret])


class Echo(socketserver.StreamRequestHandler):
    """A relay that repeats in its answers whatever it hears; one refuses log-ins, one takes mails: some not, some later, some without an answer."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 echo")
        with contextlib.suppress(OSError):
            while line := self.rfile.readline().decode().strip():
                self.server.heard.append(line)
                if not self.answer(line):
                    return

    def answer(self, line):
        if line.startswith("EHLO"):
            self.say("250-echo\r\n250 AUTH PLAIN LOGIN")
        elif line.startswith("AUTH"):
            self.say(f"535 5.7.8 refused: {line}" if self.server.refuses else "235 2.7.0 ok")
        elif line.startswith("RCPT"):
            answers = {"refused": "550 5.1.1 no such user", "later": "450 4.2.1 busy"}
            self.say(f"{next((a for w, a in answers.items() if w in line), '250 2.1.5 ok')} {line}")
            self.recipient = line
        elif line == "DATA":
            self.say("354 go")
            mail = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                mail.append(line)
            if "hang" in self.recipient:
                self.server.over.wait()
                return False
            self.server.mails.append(b"".join(mail))
            self.say(f"250 2.0.0 taken {self.recipient}")
        else:
            self.say("221 bye" if line == "QUIT" else "250 ok")
        return line != "QUIT"


@contextlib.contextmanager
def relay(refuses):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads, server.refuses, server.over, server.mails, server.heard = True, refuses, threading.Event(), [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


class Outside(http.server.BaseHTTPRequestHandler):
    """A gateway, the vendor's API and a monitor: each repeats in its refusal what it was asked."""

    def do_GET(self):
        self.server.asked.append(self.path)
        first = self.path.startswith("/session") and self.server.asked.count(self.path) == 1
        self.reply(200 if first else 503, "[]" if first else f"refused: {self.path} {self.headers}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(self.path)
        self.reply(400, json.dumps({"error": {"message": f"invalid number: {json.loads(body)['to']} {body} {self.headers}"}}))

    def reply(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def outside():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outside)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def corpus():
    people = [person(n, name=NAMES[n], deliver="S" if n in NUMBERS else "E", email=ADDRESSES.get(n, ""), sms=NUMBERS.get(n, ""), ConnectCode=CODES[n]) for n in NAMES]
    people[3] |= {"Passkey": PASSKEY}
    broken = person(105, name=NAMES[101], email=ADDRESSES[104], ConnectCode="817-263-54x")
    made = [session(1, *people[:4], broken, minutes=50), session(2, people[4], minutes=1500)]
    for one in made:
        one["Participants"][0] |= {"ParticipantFullName": HOST, "ConnectCode": 300_000_000 + one["SessionId"]}
    return made


def set_up(practice, port, out, first, second):
    for name, secret in SECRETS.items():
        (practice.folder / name).write_text(secret + "\n")
    (practice.folder / "ping").write_text(f"http://127.0.0.1:{out.server_port}/{SECRETS['ping']}\n")
    practice.sections["[source]"] += (
        f'\npoll = "* * * * * *"\n[[source]]\nname = "vendor"\nkind = "http"\nurl = "http://127.0.0.1:{out.server_port}"\nidentifier = "lakeside"\n'
        'secret_file = "vendor"\npoll = "* * * * * *"\n[[source]]\nname = "desk"\nkind = "push"\ntoken_file = "push"'
    )
    relays = [f'host = "127.0.0.1"\nport = {s.server_address[1]}\ntls = "none"\nusername = "punctual"\npassword_file = "relay"' for s in (first, second)]
    practice.email(0)
    practice.sections["[email.relay]"] = "\n[[email.relay]]\n".join(relays)
    practice.gateway(kind="http", url=f"http://127.0.0.1:{out.server_port}/send", secret_file="gateway",
                     body='{"to": {{ to | json_encode }}, "text": {{ text | json_encode }}, "secret": {{ secret | json_encode }}}')
    practice.sections["[sms.gateway]"] += f'\ncallback_url = "http://127.0.0.1:{port}/hooks/sms"\ncallback_token_file = "callback"'
    practice.sections["sms.gateway.callback"] = (
        'message = "/id"\nstatus = "/status"\ndetail = "/error"\nreply = "/id"\nfrom = "/from"\ntext = "/text"\nstatuses = { BAD = "undelivered" }\nreply_when = { pointer = "/text" }'
    )
    practice.sections["server"] = f'listen = "127.0.0.1:{port}"\nusers_file = "users.toml"\nwebhook_token_file = "webhook"\nping_url_file = "ping"\nping = "* * * * * *"'
    practice.sections["daemon"] = 'stop_within = "1s"'
    practice.sections["store"] += '\nkey_file = "store"'


class Visitor:
    """Asks, and keeps what is answered: [(how it was asked, status, head and body)]."""

    def __init__(self, port):
        self.base, self.port, self.seen = f"http://127.0.0.1:{port}", port, []
        self.cookies = http.cookiejar.CookieJar()
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def ask(self, path, method="GET", body=None, **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.base + path, data=body, method=method, headers=names)
        try:
            with self.browser.open(request, timeout=30) as answer:
                status, url, text = answer.status, answer.url, answer.read()
        except urllib.error.HTTPError as refused:
            status, url, text = refused.code, refused.url, str(refused.headers).encode() + refused.read()
        self.seen.append((f"{method} {path}", status, text))
        return status, url, text.decode(errors="replace")

    def bytes(self, raw):
        with socket.create_connection(("127.0.0.1", self.port), 10) as stream:
            stream.sendall(raw)
            text = b"".join(iter(lambda: stream.recv(65536), b""))
        self.seen.append((raw[:40].decode(errors="replace"), int((text.split() + [b"0", b"0"])[1]), text))
        return text

    def post(self, page, path, **fields):
        token = re.search('name="token" value="([0-9a-f]+)"', self.ask(page)[2])[1]
        return self.ask(path, "POST", "&".join(f"{k}={quote_plus(v)}" for k, v in {"token": token, **fields}.items()).encode())

    def crawl(self, start, limit=200):
        """All pages that links and frames lead to."""
        waiting, known = [start], {start}
        while waiting and len(known) < limit:
            _, url, text = self.ask(waiting.pop(0))
            for link in re.findall(r'(?:href|src)="([^"#]+)', text):
                to = urljoin(url, html.unescape(link)).removeprefix(self.base)
                if to.startswith("/") and to not in known:
                    known.add(to)
                    waiting.append(to)
        return known


def refused_requests(visitor, tokens):
    """Every kind of refusal, each with secrets in what is asked."""
    reader, writer, push = (f"Bearer {t}" for t in tokens)
    records = json.dumps([{**corpus()[0], "ScheduleTs": ADDRESSES[101]}]).encode()
    sessions, plain = "/api/v1/sources/desk/sessions", {"Content_Type": "application/json"}
    asked = [
        visitor.ask("/" + quote(PASSKEY)), visitor.ask("/sessions/" + quote(ADDRESSES[101])), visitor.ask("/notices/" + str(CODES[101])),
        visitor.ask("/healthz", "POST", ADDRESSES[101].encode()), visitor.ask("/attention", "DELETE"),
        visitor.ask("/login", "POST", f"name={quote(NAMES[101])}&password={'x' * 9000}{PASSKEY}".encode()),
        visitor.ask("/hooks/securevideo/" + SECRETS["webhook"] + "x", "POST", records, **plain),
        visitor.ask("/hooks/securevideo/" + SECRETS["webhook"], "POST", b'{"type": "' + NAMES[101].encode(), **plain),
        visitor.ask(sessions, "PUT", records, **plain), visitor.ask(sessions, "PUT", records, Authorization="Bearer " + PASSKEY, **plain),
        visitor.ask(sessions, "PUT", records[:-9], Authorization=push, **plain), visitor.ask(sessions, "PUT", records, Authorization=push, Content_Type="text/plain"),
        visitor.ask("/api/v1/sources/other/sessions", "PUT", records, Authorization=push, **plain),
        visitor.ask(sessions + "/77", "PUT", json.dumps(corpus()[0]).encode(), Authorization=push, **plain),
        visitor.ask(sessions + "/1", "DELETE", Authorization=push),
        visitor.ask("/api/v1/status"), visitor.ask("/api/v1/status", Authorization=writer.replace("Bearer", "Basic")),
        visitor.ask("/api/v1/suppressions", "POST", json.dumps({"address": ADDRESSES[104]}).encode(), Authorization=reader, **plain),
        visitor.ask("/api/v1/suppressions", "POST", b'{"address": "' + NAMES[104].encode() + b'", "kind": "bounced"}', Authorization=writer, **plain),
        visitor.ask("/api/v1/suppressions", "POST", b'{"address": ' + ADDRESSES[104].encode(), Authorization=writer, **plain),
        visitor.ask("/api/v1/notices?session=" + quote(ADDRESSES[104]), Authorization=reader), visitor.ask("/api/v1/notices?cursor=" + PASSKEY, Authorization=reader),
        visitor.ask("/api/v1/notices/" + PASSKEY + "/preview", Authorization=reader),
    ]
    hook = "/hooks/sms/" + SECRETS["callback"]
    for number, text in enumerate([f"Where do I enter {CODES[102]}?", "STOP", "STOP"]):
        event = {"id": f"SM{number}", "from": "+12125550142", "text": text}
        assert visitor.ask(hook, "POST", json.dumps(event).encode(), **plain)[0] in (200, 204)
    receipt = json.dumps({"id": NAMES[102], "status": "BAD", "error": f"{NUMBERS[102]} of {NAMES[102]}"}).encode()
    asked += [
        visitor.ask(hook, "POST", receipt, **plain), visitor.ask(hook + "x", "POST", receipt, **plain), visitor.ask(hook, "POST", receipt[:-5], **plain),
        visitor.ask("/hooks/kannel/" + PASSKEY + "?from=%2B12125550142&text=" + quote(NAMES[102])), visitor.ask("/hooks/twilio", "POST", b"From=%2B12125550142"),
    ]
    long = f"PUT {sessions} HTTP/1.1\r\nHost: x\r\nAuthorization: {push}\r\nContent-Type: application/json\r\nContent-Length: {40 << 20}\r\n\r\n"
    visitor.bytes(long.encode())
    visitor.bytes(f"GET /{PASSKEY} HTTP/9.9\r\nX: {ADDRESSES[101]}\r\n\r\n".encode())
    visitor.bytes(f"GET / HTTP/1.1\r\nHost: x\r\nX: {ADDRESSES[101] * 2000}\r\n\r\n".encode())
    visitor.bytes(f"{NAMES[104]} {ADDRESSES[104]}\r\n\r\n".encode())
    return {status for status, *_ in asked}


def test_nothing_private_is_logged_answered_or_readable_by_others(practice):
    port, stranger_told = servers.free_port(), {400, 401, 403, 404, 405, 409, 413, 415, 422}
    with outside() as out, relay(refuses=True) as first, relay(refuses=False) as second:
        set_up(practice, port, out, first, second)
        practice.sessions(corpus())
        tokens = []
        for name, scopes in [("reader", ["read"]), ("writer", ["write"]), ("pusher", ["push"])]:
            done = practice.run("token", "add", name, *[a for s in scopes for a in ("--scope", s)])
            tokens.append(done.out.strip().split()[-1])
        tokens[2] = SECRETS["push"]
        add_user(practice)
        service = Manager([PROGRAM, "--config", practice.config, "--log", TALKATIVE, "run"], practice.folder)
        with service.running() as manager:
            manager.wait_for("READY")
            stranger, jane = Visitor(port), Visitor(port)
            pushed = {"Authorization": "Bearer " + SECRETS["push"], "Content_Type": "application/json"}
            one = json.dumps(corpus()[0] | {"SessionId": 3}).encode()
            assert stranger.ask("/api/v1/sources/desk/sessions/3", "PUT", one, **pushed)[0] == 409, "there is no list yet"
            assert stranger.ask("/api/v1/sources/desk/sessions", "PUT", b"[]", **pushed)[0] == 200
            servers.wait_until(lambda: second.mails and "/send" in out.asked and any(SECRETS["ping"] in p for p in out.asked), "mails, texts and pings")
            states = lambda: {(r["participation_id"], r["state"]) for r in practice.outbox() if r["occasion"] == "invite"}
            servers.wait_until(lambda: {(101, "rejected"), (104, "accepted"), (102, "rejected")} <= states(), "hand-overs have ended")
            assert any("AUTH" in line for line in first.heard), "the first relay refused our log-in, and repeated it"
            public = [read_if_allowed(f"/proc/{manager.child.pid}/{name}") for name in ("cmdline", "environ", "status", "comm")]

            stranger.crawl("/")
            for path in ("/healthz", "/readyz", "/metrics", "/punctual.css", "/api/v1/openapi.json"):
                assert stranger.ask(path)[0] in (200, 503), path
            assert stranger_told <= refused_requests(stranger, tokens) | {s for _, s, _ in stranger.seen}
            assert jane.post("/login", "/login", name=ADDRESSES[101], password=SECRETS["password"])[0] == 401
            jane.seen.pop()  # the form keeps the name that was typed, for whoever typed it
            assert jane.post("/login", "/login", name="jane", password=PASSKEY)[0] == 401
            assert jane.post("/login", "/login", name="jane", password=SECRETS["password"])[:2] == (200, jane.base + "/")
            visit = [cookie.value for cookie in jane.cookies]
            for start in ("/", "/?days=7", "/attention", "/unreachable", "/search?q=nobody"):
                known = jane.crawl(start)
            assert any(path.startswith("/notices/") for path in known) and len(jane.seen) > 25
            for path in ["/status", "/notices", "/unreachable", "/guard", "/suppressions", "/sessions/1/participants", "/sessions/2/participants"]:
                assert stranger.ask("/api/v1" + path, Authorization=f"Bearer {tokens[0]}")[0] == 200, path
                assert stranger.ask("/api/v1" + path, Authorization=f"Bearer {tokens[1]}")[0] == 403, path
            keys = [row["key"] for row in practice.outbox()]
            for key in keys:
                for what in ("", "/preview"):
                    stranger.ask(f"/api/v1/notices/{key}{what}", Authorization=f"Bearer {tokens[0]}")
            jane.ask("/search?q=" + quote(ADDRESSES[101]))
            jane.seen.pop()  # likewise what was looked for

            for how, status, text in stranger.seen:
                # A message that is not revealed names its host, and nobody else.
                people = NAMES.values() if re.search(r"/notices/\w", how) else PEOPLE
                assert found(text, [*REST, *people, *tokens]) == [], f"{how}: {status}"
            # Whoever is logged in sees names, and the contacts of those who must be called; nobody's code, and no contact that nobody needs.
            hidden = [*map(str, CODES.values()), PASSKEY, *SECRETS.values(), ADDRESSES[201], *tokens]
            for how, status, text in jane.seen:
                assert found(text, hidden) == [], f"{how}: {status}"
            named = {secret for _, _, text in jane.seen for _, secret in found(text, [NAMES[101], ADDRESSES[101]])}
            assert named == {NAMES[101], ADDRESSES[101]}, "the refused one is to be called"

            # The same scan of what an operator reveals finds it: it does look.
            jane.post("/sessions/1/101", "/sessions/1/101/reveal")
            shown = {secret for _, secret in found(jane.ask("/sessions/1/101")[2], [*REST, *PEOPLE])}
            assert {NAMES[101], ADDRESSES[101], str(CODES[101])} <= shown and not shown & {*map(str, [*CODES.values()][1:]), PASSKEY, *SECRETS.values()}
            jane.post("/", "/logout")
            copy = practice.folder / "copy.db"
            assert practice.run("backup", copy).code == 0
            stored = {path.name: path.read_bytes() for path in [*practice.folder.glob("punctual.db*"), copy]}
            told = json.dumps([fields for *_, fields in manager.said])
            manager.stop(30)
    secrets = [*REST, *PEOPLE, *tokens, *visit]
    assert len(stored["punctual.db"]) > 50_000 and {name: found(data, secrets) for name, data in stored.items()} == dict.fromkeys(stored, [])
    log = (practice.folder / "log").read_bytes()
    assert found(told, secrets) == [] and [found(text, secrets) for text in public] == [[]] * 4
    assert b"DEBUG" in log and log.count(b"\n") > 25 and b"panicked" not in log
    assert found(log, secrets) == []
    assert found(log + b"to=zebulon.quux%2Brefused@example.org", secrets), "it looks into the log"


@pytest.mark.parametrize("sealed", [False, True])
def test_a_sealed_store_shows_nobody_and_a_plain_one_would(practice, tmp_path, sealed):
    (practice.folder / "store").write_text(SECRETS["store"])
    practice.email(0, kind="folder", path="out")
    practice.gateway(kind="folder", path="out")
    practice.sections["store"] += '\nkey_file = "store"' * sealed
    practice.sessions(corpus())
    assert practice.once().code == 3, "a record is at fault"
    practice.run("suppress", "add", ADDRESSES[104])
    practice.run("suppress", "add", NUMBERS[102], "--kind", "bounced")
    assert practice.run("backup", tmp_path / "copy.db").code == 0
    files = [*practice.folder.glob("punctual.db*"), tmp_path / "copy.db"]
    people = [*PEOPLE, *ADDRESSES.values(), "+12125550142", *map(str, CODES.values()), PASSKEY]
    shown = {secret for path in files for _, secret in found(path.read_bytes(), people)}
    assert shown == (set() if sealed else set(people))

    # It goes on with its key, and with no other, and so does what is restored.
    assert practice.once().code == 3 and practice.run("ledger", "verify").code == 0
    for path in practice.folder.glob("punctual.db*"):
        path.unlink()
    (tmp_path / "copy.db").rename(practice.folder / "punctual.db")
    assert "the store is an older copy" in practice.once().err
    (practice.folder / "store").write_text(SECRETS["store"][::-1])
    other = practice.run("status")
    assert (other.code, "another key" in other.err) == ((74, True) if sealed else (3, False)), other.err
    practice.sections["store"] = 'url = "sqlite://punctual.db"' + '\nkey_file = "store"' * (not sealed)
    refused = practice.once()
    assert refused.code == 74 and ("it is sealed" if sealed else "made without a key") in refused.err, refused.err


def test_opt_outs_are_taken_over_into_a_new_sealed_store(practice):
    """Before its first start, so that nobody who opted out hears from it."""
    (practice.folder / "store").write_text(SECRETS["store"])
    practice.email(0, kind="folder", path="out")
    practice.sessions([session(1, person(11, email=ADDRESSES[104]), person(12))])
    practice.once()
    assert practice.run("suppress", "add", ADDRESSES[104]).out.strip() == "added"
    for path in practice.folder.glob("punctual.db*"):
        path.rename(path.with_name("old" + path.name))
    practice.sections["store"] += '\nkey_file = "store"'
    done = practice.run("suppress", "import", practice.folder / "oldpunctual.db")
    assert (done.code, done.out.startswith("1 of 1 addresses taken over")) == (0, True), done.err
    practice.once()
    states = {r["participation_id"]: r["state"] for r in practice.outbox() if r["occasion"] == "invite"}
    assert states == {12: "accepted"}
    assert [r["reason"] for r in practice.run("unreachable", "--json").lines()] == ["opted_out"]
    files = list(practice.folder.glob("punctual.db*"))
    assert files and all(found(path.read_bytes(), [ADDRESSES[104]]) == [] for path in files)
    again = practice.run("suppress", "import", practice.folder / "oldpunctual.db")
    assert again.out.startswith("0 of 1")


def test_addresses_that_were_swapped_in_a_sealed_store_send_nobody_anothers_code(practice, sink):
    """They can be searched, so they are not bound to their rows: where a message goes is read from the record, which is."""
    (practice.folder / "store").write_text(SECRETS["store"])
    practice.sections["store"] += '\nkey_file = "store"'
    practice.email(servers.free_port())
    practice.sessions([session(1, person(11, name="Ray Chalk"), minutes=300), session(2, person(21, name="Sue Slate"), minutes=300)])
    assert practice.once().code == 1, "there is no relay yet"
    with contextlib.closing(sqlite3.connect(practice.folder / "punctual.db")) as store:
        swapped = "UPDATE notice SET address = (SELECT other.address FROM notice AS other WHERE other.session_id = 3 - notice.session_id LIMIT 1)"
        assert store.execute(swapped).rowcount == 4
        store.commit()
    practice.email(sink.port)
    practice.run("outbox", "retry", "--state", "waiting", "--occasion", "invite", "--all")
    practice.once()
    arrived = {recipient: "Ray Chalk" in visible(mail) for recipient, mail in sink.messages()}
    assert arrived == {"p11@example.org": True, "p21@example.org": False}


def add_user(practice):
    command = [str(PROGRAM), "--config", str(practice.config), "user", "add", "jane", "--role", "operator"]
    subprocess.run(command, input=SECRETS["password"] + "\n", text=True, check=True, capture_output=True, timeout=60)
