"""Real servers on 127.0.0.1, each with its own folder, each ended by whoever started it.

Every server here is a context manager: entering it returns when the server answers, leaving it ends the process by its id. The
kernel ends it too if the test run dies first. What a server received is read from what the server itself wrote down.
"""

import base64
import contextlib
import ctypes
import http.client
import http.server
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
NODE = HERE.parents[1] / "target" / "peers" / "node"
START_SECONDS = 60  # prism reads its description for about 12 s on two cores
STOP_SECONDS = 10
POLL_SECONDS = 0.02


def wait_until(what, condition, seconds=30.0):
    """Returns what `condition` says once it is true; fails with `what` after `seconds`. For peers that send no signal."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(POLL_SECONDS)


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tool(name, *folders):
    """The path of a program, or a failure that says what is missing: nothing is skipped."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"], "/usr/sbin", "/usr/lib/kannel/test"]))
    assert found, f"{name} is not installed; tests/run installs it"
    return found


def as_root():
    """How a command becomes root's: Postfix's master must be."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def _end_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def process(argv, log, **options):
    """A running process, its output in the file `log`; ended by SIGTERM, then by SIGKILL."""
    with open(log, "ab") as out:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=_end_with_parent, **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for_port(port, child, log):
    """Returns when 127.0.0.1:`port` takes connections; fails with the log if the process ended before."""

    def answers():
        assert child.poll() is None, f"ended early with {child.returncode}:\n{pathlib.Path(log).read_text(errors='replace')[-2000:]}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True

    wait_until(f"port {port} of {child.args[0]}; see {log}", answers, START_SECONDS)


def open_folder(path):
    """A folder that servers with users of their own may enter."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)
    return path


# ---- e-mail --------------------------------------------------------------------------------------------------------------------


@dataclass
class Received:
    """One message as a server got it."""

    recipients: list  # of the envelope
    sender: str  # of the envelope
    raw: bytes  # from the first header that the client sent


class SmtpSink:
    """Postfix's smtp-sink: takes everything, one file for each message that it got up to the final dot."""

    HEADERS = re.compile(rb"\A(?:X-[A-Za-z-]+: [^\n]*\n)+Received: [^\n]*\n(?:[ \t][^\n]*\n)*")

    def __init__(self, folder, *options):
        self.folder, self.options, self.port = folder, options, free_port()

    def __enter__(self):
        self.messages = open_folder(self.folder / "messages")
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        argv = [tool("smtp-sink"), *user, *self.options, "-d", f"{self.messages}/m.", f"127.0.0.1:{self.port}", "256"]
        log = self.folder / "smtp-sink.log"
        self._stack = contextlib.ExitStack()
        wait_for_port(self.port, self._stack.enter_context(process(argv, log, cwd=self.folder)), log)
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def count(self):
        """How many messages it got."""
        return len(list(self.messages.iterdir()))

    def received(self):
        """All that it got. Ask when the client has ended: a message that is just arriving has a file too."""
        return [self._read(path) for path in sorted(self.messages.iterdir())]

    def _read(self, path):
        text = path.read_bytes()
        head = self.HEADERS.match(text)
        assert head, f"no dump of smtp-sink: {text[:200]!r}"
        field_of = lambda name: [a.decode() for a in re.findall(rb"^X-%s-Args: <([^>\n]*)>" % name, head.group(), re.M)]
        return Received(field_of(b"Rcpt"), field_of(b"Mail")[0], text[head.end() :])


class Postfix:
    """A private Postfix: its own configuration and queue, delivering to maildirs, with STARTTLS by its own authority.

    tempfail@lab.test is busy for now, nouser@lab.test does not exist, every other address of `DOMAINS` gets its mail.
    """

    DOMAINS = "lab.test, example.com, example.org, example.net, clinic.example"

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.ca_file = folder / "ca.pem"

    def __enter__(self):
        for name in ("conf", "queue", "data", "mail"):
            open_folder(self.folder / name)
        self._make_certificates()
        (self.folder / "conf" / "main.cf").write_text(self._main_cf())
        (self.folder / "conf" / "master.cf").write_text(self._master_cf())
        root = as_root()
        subprocess.run([*root, "chown", "postfix:", self.folder / "data"], check=True)
        subprocess.run([*root, "chown", "nobody:", self.folder / "mail"], check=True)
        subprocess.run([*root, "chown", "-R", "root:", self.folder / "conf", self.folder / "queue"], check=True)
        subprocess.run([*root, "chmod", "755", self.folder / "conf", self.folder / "queue", self.folder / "data"], check=True)
        log = self.folder / "start.log"
        self._stack = contextlib.ExitStack()
        child = self._stack.enter_context(process([*root, *self._command("start-fg")], log))
        self._stack.callback(self._stop)
        wait_for_port(self.port, child, log)
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def _command(self, *words):
        return [tool("postfix"), "-c", str(self.folder / "conf"), *words]

    def _stop(self):
        subprocess.run([*as_root(), *self._command("stop")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def _make_certificates(self):
        """An authority, and a certificate for `localhost` that it signed."""

        def openssl(*words):
            subprocess.run([tool("openssl"), *words], cwd=self.folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Lab authority", "-keyout", "ca.key", "-out", "ca.pem")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.csr")
        (self.folder / "names.cnf").write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
        openssl(*"x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names.cnf -out cert.pem".split())

    def _main_cf(self):
        here = self.folder
        return f"""
compatibility_level = 3.6
queue_directory = {here}/queue
data_directory = {here}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.lab.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
default_transport = error:this is a laboratory
relay_transport = error:this is a laboratory
virtual_mailbox_domains = {self.DOMAINS}
virtual_mailbox_base = {here}/mail
virtual_mailbox_maps = static:all/
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
maillog_file = {here}/data/mail.log
maillog_file_prefixes = {here}
smtputf8_enable = yes
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{tempfail@lab.test = 450 4.2.1 mailbox busy}}, {{nouser@lab.test = 550 5.1.1 no such user}} }}, permit_mynetworks, reject
smtpd_tls_cert_file = {here}/cert.pem
smtpd_tls_key_file = {here}/key.pem
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
message_size_limit = 200000
""".lstrip()

    def _master_cf(self):
        """The shipped services, none in a chroot, with smtpd on our port alone."""
        lines = []
        for line in pathlib.Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
            words = line.split()
            if len(words) >= 8 and not line.startswith(("#", " ", "\t")):
                if words[7] == "pipe":
                    break
                words[4] = "n"
                if words[:2] == ["smtp", "inet"]:
                    words[0] = f"127.0.0.1:{self.port}"
                line = " ".join(words)
            lines.append(line)
        return "\n".join(lines) + "\n"

    def log(self):
        """Postfix's own log."""
        return subprocess.run([*as_root(), "cat", self.folder / "data" / "mail.log"], check=True, capture_output=True).stdout.decode(errors="replace")

    def received(self, expected):
        """All that reached a maildir, at least `expected` of them: delivery follows Postfix's 250 by a moment."""
        new = self.folder / "mail" / "all" / "new"
        find = [*as_root(), "find", new, "-type", "f"]
        listing = lambda: subprocess.run(find, capture_output=True, check=False).stdout.decode().split()
        wait_until(f"{expected} messages in {new}", lambda: len(listing()) >= expected)
        read = lambda path: subprocess.run([*as_root(), "cat", path], check=True, capture_output=True).stdout
        return [self._parse(read(path)) for path in listing()]

    def queued(self):
        """How many messages are still on their way inside Postfix."""
        out = subprocess.run([*as_root(), tool("postqueue"), "-c", str(self.folder / "conf"), "-j"], check=True, capture_output=True).stdout
        return len(out.splitlines())

    @staticmethod
    def _parse(text):
        fields = dict(re.findall(rb"^(Return-Path|X-Original-To): <?([^>\n]*)>?\n", text, re.M))
        start = re.search(rb"^Received: [^\n]*\n(?:[ \t][^\n]*\n)*", text, re.M)
        return Received([fields[b"X-Original-To"].decode()], fields[b"Return-Path"].decode(), text[start.end() :])


class RawSmtp:
    """A small SMTP server that keeps every byte as it came: the judge of what is on the wire."""

    def __init__(self):
        self.messages, self.seen = [], queue.Queue()

    def __enter__(self):
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer._talk(self.rfile, self.wfile)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, reader, writer):
        def say(line):
            writer.write(line.encode() + b"\r\n")
            writer.flush()

        say("220 raw.lab.test ESMTP")
        sender, recipients = None, []
        while line := reader.readline():
            verb = line.upper().split(b":")[0].split()[0] if line.strip() else b""
            if verb == b"EHLO":
                say("250-raw.lab.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
            elif verb == b"MAIL":
                sender, recipients = line.split(b"<")[1].split(b">")[0].decode(), []
                say("250 2.1.0 ok")
            elif verb == b"RCPT":
                recipients.append(line.split(b"<")[1].split(b">")[0].decode())
                say("250 2.1.5 ok")
            elif verb == b"DATA":
                say("354 go on")
                body = self._body(reader)
                if body is None:
                    return
                self.messages.append(Received(recipients, sender, body))
                say("250 2.0.0 kept")
            elif verb == b"QUIT":
                say("221 2.0.0 bye")
                return
            else:
                say("250 2.0.0 ok")

    @staticmethod
    def _body(reader):
        """Up to the line with the dot, as it came but for the dots that transparency added; `None` if the client left."""
        lines = []
        while line := reader.readline():
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
        return None


class Meter:
    """A relay of bytes in front of a server that counts what the client sent, and can tell when it has sent so much.

    `on_chunk`, if set, is called with the running number of each chunk before the chunk is passed on.
    """

    def __init__(self, target_port):
        self.target_port, self.chunks, self.on_chunk, self._lock = target_port, 0, None, threading.Lock()

    def __enter__(self):
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer._relay(self.request)

        class Server(socketserver.ThreadingTCPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A client that was killed leaves a reset connection behind: expected."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()

    def _relay(self, client):
        with socket.create_connection(("127.0.0.1", self.target_port)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server, counted=True)
            back.join()

    def _copy(self, source, sink, counted=False):
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if counted:
                    with self._lock:
                        self.chunks += 1
                        number, hook = self.chunks, self.on_chunk
                    if hook:
                        hook(number)
                sink.sendall(chunk)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


# ---- texts ---------------------------------------------------------------------------------------------------------------------


@dataclass
class Exchange:
    """One request to the gateway and its answer."""

    method: str
    path: str
    authorization: str
    form: dict
    status: int


@dataclass
class Twilio:
    """Prism, which plays Twilio's API from its published description, behind a recorder that knows the right token.

    Prism checks each request against the description (422 if it does not fit); the recorder refuses wrong credentials the way
    that Twilio does (401, code 20003), which Prism cannot, and keeps what was asked and answered.
    """

    folder: pathlib.Path
    account_sid: str = "AC" + "0123456789abcdef" * 2
    auth_token: str = "lab-token-of-twilio"
    exchanges: list = field(default_factory=list)

    def __enter__(self):
        prism_port, log = free_port(), self.folder / "prism.log"
        argv = [tool("prism", NODE / "node_modules" / ".bin"), "mock", "-p", str(prism_port), str(HERE / "twilio_api_v2010.json")]
        self._stack = contextlib.ExitStack()
        wait_for_port(prism_port, self._stack.enter_context(process(argv, log)), log)
        self._stack.enter_context(self._recorder(prism_port))
        return self

    def __exit__(self, *exc):
        self._stack.close()

    @property
    def url(self):
        """Where the gateway is."""
        return f"http://127.0.0.1:{self.port}"

    def accepted(self):
        """The forms of the messages that were answered with 201."""
        return [e.form for e in self.exchanges if e.method == "POST" and e.path.endswith("/Messages.json") and e.status == 201]

    @contextlib.contextmanager
    def _recorder(self, prism_port):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._pass_on()

            def do_POST(self):
                self._pass_on()

            def log_message(self, *words):
                """Not to the terminal."""

            def _pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = outer._ask(prism_port, self.command, self.path, dict(self.headers), body)
                form = {k: v[-1] for k, v in urllib.parse.parse_qs(body.decode(), keep_blank_values=True).items()}
                path, authorization = urllib.parse.urlsplit(self.path).path, self.headers.get("Authorization", "")
                outer.exchanges.append(Exchange(self.command, path, authorization, form, status))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield
            finally:
                server.shutdown()

    def _ask(self, prism_port, method, path, headers, body):
        right = "Basic " + base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        given = {k.lower(): v for k, v in headers.items()}.get("authorization")
        if given != right:
            return 401, b'{"code":20003,"message":"Authenticate","more_info":"https://www.twilio.com/docs/errors/20003","status":401}'
        kept = {k: v for k, v in headers.items() if k.lower() in ("authorization", "content-type", "accept")}
        connection = http.client.HTTPConnection("127.0.0.1", prism_port, timeout=30)
        connection.request(method, path, body, kept)
        answer = connection.getresponse()
        return answer.status, answer.read()


class Kannel:
    """Kannel's bearerbox and smsbox, with its fakesmsc as the network: what that prints is what a phone would get."""

    USER, PASSWORD = "lab", "lab-password-of-kannel"

    def __init__(self, folder):
        self.folder = folder
        self.admin_port, self.smsbox_port, self.smsc_port, self.port = (free_port() for _ in range(4))

    def __enter__(self):
        conf = self.folder / "kannel.conf"
        conf.write_text(self._conf())
        open_folder(self.folder / "store")
        self.phone_log = self.folder / "phone.log"
        self._stack = contextlib.ExitStack()
        start = lambda argv, log: self._stack.enter_context(process(argv, self.folder / log))
        wait_for_port(self.smsbox_port, start([tool("bearerbox"), "-v", "4", str(conf)], "bearerbox.out"), self.folder / "bearerbox.out")
        wait_for_port(self.port, start([tool("smsbox"), "-v", "4", str(conf)], "smsbox.out"), self.folder / "smsbox.out")
        # One message of its own in a day: fakesmsc wants at least one.
        start([tool("fakesmsc"), "-H", "127.0.0.1", "-r", str(self.smsc_port), "-i", "86400", "-m", "1", "15550100 12345 text hello"], "phone.log")
        wait_until("Kannel's network is up", self._online)
        return self

    def __exit__(self, *exc):
        self._stack.close()

    @property
    def url(self):
        """Where texts are submitted."""
        return f"http://127.0.0.1:{self.port}/cgi-bin/sendsms"

    def _online(self):
        with contextlib.suppress(OSError):
            status = urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/status.txt?password=adm", timeout=5).read().decode()
            return re.search(r"FAKE.*\(online", status) and "smsbox" in status

    def _conf(self):
        here = self.folder
        return f"""
group = core
admin-port = {self.admin_port}
admin-password = adm
admin-deny-ip = "*.*.*.*"
admin-allow-ip = "127.0.0.1"
smsbox-port = {self.smsbox_port}
box-allow-ip = "127.0.0.1"
dlr-storage = internal
store-type = spool
store-location = {here}/store
log-file = {here}/bearerbox.log
log-level = 0

group = smsc
smsc = fake
smsc-id = FAKE
host = 127.0.0.1
port = {self.smsc_port}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {self.port}
global-sender = 12345
log-file = {here}/smsbox.log
log-level = 0

group = sendsms-user
username = {self.USER}
password = {self.PASSWORD}
max-messages = 10
concatenation = true
user-allow-ip = "127.0.0.1"

group = sms-service
keyword = default
text = "ok"
max-messages = 0
"""

    def texts(self, expected):
        """What the phones got, parts put together: (number, text) pairs, at least `expected` of them."""
        return wait_until(f"{expected} texts in {self.phone_log}", lambda: self._texts_if(expected))

    def _texts_if(self, expected):
        texts = phone_texts(self.phone_log.read_text(errors="replace"))
        return texts if len(texts) >= expected else None


PHONE_LINE = re.compile(r"Got message \d+: <(\S+) (\S+) (?:udh (\S+) )?(text|data|ucs-2) (.*?)>(?=\n\d{4}-\d\d-\d\d |\n?\Z)", re.S)


def phone_texts(log):
    """Reads fakesmsc's log: (number, text) pairs in the order of their last parts. A text of which parts are missing is a failure."""
    whole, parts = [], {}
    for _sender, number, header_text, kind, body in PHONE_LINE.findall(log):
        raw = body.encode() if kind == "text" else urllib.parse.unquote_to_bytes(body.replace("+", " "))
        if not header_text:
            whole.append((number, _decoded(raw)))
            continue
        header = urllib.parse.unquote_to_bytes(header_text.replace("+", " "))
        assert header[1:3] == b"\x00\x03", f"no concatenation header: {header!r}"
        reference, total, index = header[3:6]
        group = parts.setdefault((number, reference), {})
        group[index] = raw
        if len(group) == total:
            del parts[(number, reference)]
            whole.append((number, _decoded(b"".join(group[i] for i in sorted(group)))))
    assert not parts, f"parts without the others: {sorted(parts)}"
    return whole


def _decoded(raw):
    """UCS-2, which has a zero byte in each ASCII character, or else UTF-8: fakesmsc does not name the coding of a part."""
    return raw.decode("utf-16-be" if b"\0" in raw else "utf-8")
