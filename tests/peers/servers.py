"""Real servers on loopback, at ports that the system gives out. Each is started for a test, waited for by connecting, and ended by its id."""
import contextlib
import http.server
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlencode

HERE = Path(__file__).resolve().parent
TOOLS = Path(os.environ.get("PUNCTUAL_TOOLS", HERE.parents[1] / "target" / "tools"))
NODE = TOOLS / "node"
# How fakesmsc writes a text down, UCS-2 and the headers of a long text's parts as percent-encoded bytes.
GOT = re.compile(r"Got message \d+: <\S+ (?P<number>\S+) (?:udh (?P<udh>\S+) )?(?P<kind>text|data) (?P<content>.*)>$")
END = "+15550199"  # whom the texts of the tests themselves go to
PATIENCE = 60  # seconds until a server that does not come up is a failure


def characters(data):
    """What the fake SMSC prints as data: UCS-2 as it came, in which every text of ours has zeros (blanks, digits); parts of a GSM text in UTF-8."""
    return data.decode("utf-16-be" if 0 in data else "utf-8")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process=None):
    """Until something listens there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens at port {port}")


def wait_until(true, what):
    """Until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise RuntimeError(f"not in {PATIENCE} s: {what}")
        time.sleep(0.05)


@contextlib.contextmanager
def process(*command, **options):
    """A process that ends with the block."""
    log = options.pop("log", subprocess.DEVNULL)
    child = subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, start_new_session=True, **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def unprivileged():
    """Options that let a server of Postfix run as root."""
    return ["-u", "nobody"] if os.geteuid() == 0 else []


class Sink:
    """Postfix's smtp-sink: takes everything, and writes each message down."""

    def __init__(self, folder, flags=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        os.chmod(self.folder, 0o777)
        self.port = free_port()
        self.flags = list(flags)
        self.dump = self.folder / "sink.mbox"

    @contextlib.contextmanager
    def running(self):
        sink = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        command = [sink, *unprivileged(), *self.flags, "-D", self.dump.name, f"127.0.0.1:{self.port}", "200"]
        with process(*command, cwd=self.folder) as child:
            wait_for_port(self.port, child)
            yield self

    def messages(self):
        """(envelope recipient, bytes of the message) in the order of arrival."""
        if not self.dump.exists():
            return []
        found = []
        for raw in self.dump.read_bytes().split(b"X-Client-Addr: ")[1:]:
            head, _, rest = raw.partition(b"\nReceived: ")
            recipient = next(line for line in head.split(b"\n") if line.startswith(b"X-Rcpt-Args: "))
            # The Received header is the sink's; the message begins behind its three lines.
            body = rest.split(b"\n", 3)[3]
            found.append((recipient.split(b"<")[1].split(b">")[0].decode(), body))
        return found


class Postfix:
    """A Postfix of our own: its own configuration, queue and ports; mail ends in maildirs."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.port, self.tls_port = free_port(), free_port()
        self.mail = self.folder / "mail"

    def _certificate(self):
        ca, key, request, cert = (self.folder / n for n in ("ca.pem", "key.pem", "req.pem", "cert.pem"))
        ca_key = self.folder / "ca-key.pem"
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=Test CA",
                        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"], **quiet)
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", "/CN=localhost"], **quiet)
        extensions = self.folder / "ext"
        extensions.write_text("subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert, "-days", "2",
                        "-extfile", extensions], **quiet)
        self.ca = ca
        return cert, key

    @contextlib.contextmanager
    def running(self):
        conf, queue, data = (self.folder / n for n in ("conf", "queue", "data"))
        for path in (conf, queue, data, self.mail):
            path.mkdir(parents=True)
        for path in [self.folder, *self.folder.parents]:
            # Postfix's own users must reach their folders.
            with contextlib.suppress(PermissionError):
                os.chmod(path, os.stat(path).st_mode | 0o011)
        postfix = pwd.getpwnam("postfix")
        os.chown(data, postfix.pw_uid, postfix.pw_gid)
        os.chown(self.mail, 65534, 65534)
        cert, key = self._certificate()
        (conf / "main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = localhost
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
virtual_mailbox_base = {self.mail}
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:all/
virtual_transport = virtual
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
maillog_file = {data}/mail.log
maillog_file_prefixes = {data}
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{tempfail@example.org = 450 4.2.1 mailbox busy}}, {{nouser@example.org = 550 5.1.1 no such user}} }}, permit_mynetworks, reject
transport_maps = inline:{{ {{gone.example.org = error:5.1.1 no such user here}} }}
smtpd_reject_unlisted_recipient = no
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
""")
        master = Path("/usr/share/postfix/master.cf.dist").read_text()
        lines = []
        for line in master.splitlines():
            fields = line.split()
            if len(fields) > 7 and fields[0] == "smtp" and fields[1] == "inet":
                lines.append(f"127.0.0.1:{self.tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes")
                line = f"127.0.0.1:{self.port} inet n - n - - smtpd"
            elif len(fields) > 7 and not line.startswith(("#", " ")):
                line = " ".join(fields[:4] + ["n"] + fields[5:])
            lines.append(line)
        (conf / "master.cf").write_text("\n".join(lines) + "\n")
        control = ["postfix", "-c", str(conf)]
        subprocess.run([*control, "start"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_port(self.port)
            wait_for_port(self.tls_port)
            yield self
        finally:
            subprocess.run([*control, "abort"], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def messages(self, expected):
        """The delivered messages, once so many have arrived."""
        files = lambda: list(self.mail.glob("**/new/*"))
        wait_until(lambda: len(files()) >= expected, f"{expected} messages delivered")
        time.sleep(0.5)  # one more than expected would be a defect, and would come now
        return [f.read_bytes() for f in files()]


# Exim's own check of a log-in, by mechanism.
AUTHENTICATORS = {
    "PLAIN": """\
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{punctual}}{eq{$auth3}{let me in}}}}
  server_set_id = $auth2
""",
    "LOGIN": """\
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${if and{{eq{$auth1}{punctual}}{eq{$auth2}{let me in}}}}
  server_set_id = $auth1
""",
}


class Exim:
    """A real Exim from Debian's packages, unpacked beside Postfix (they cannot be installed together): requires a log-in under TLS, mail ends in a maildir."""

    def __init__(self, folder, size_limit="1M"):
        self.folder = Path(folder)
        self.port = free_port()
        self.mail = self.folder / "mail"
        self.size_limit = size_limit
        self.mechanisms = list(AUTHENTICATORS)

    @contextlib.contextmanager
    def running(self):
        root = TOOLS / "exim"  # where tests/run unpacks it
        for path in (self.folder / "spool", self.mail):
            path.mkdir(parents=True)
        certificates = Postfix(self.folder)
        cert, key = certificates._certificate()
        self.ca = certificates.ca
        user = pwd.getpwnam("Debian-exim")
        for path in [self.folder, *self.folder.parents]:
            with contextlib.suppress(PermissionError):
                os.chmod(path, os.stat(path).st_mode | 0o011)
        for path in (self.folder / "spool", self.mail, key, cert):
            os.chown(path, user.pw_uid, user.pw_gid)
        authenticators = "".join(AUTHENTICATORS[m] for m in self.mechanisms)
        conf = self.folder / "exim.conf"
        conf.write_text(f"""\
exim_path = {root}/usr/sbin/exim4
exim_user = Debian-exim
exim_group = Debian-exim
deliver_drop_privilege = true
primary_hostname = localhost
spool_directory = {self.folder}/spool
log_file_path = {self.folder}/spool/%slog
daemon_smtp_ports = {self.port}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
message_size_limit = {self.size_limit}
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
never_users =
begin acl
acl_rcpt:
  deny    !authenticated = *
          message = relay not permitted
  defer   local_parts = tempfail
          message = 4.2.1 mailbox busy
  deny    local_parts = nouser
          message = 5.1.1 no such user
  drop    local_parts = dropped
          message = 5.7.1 not from you
  accept
acl_data:
  deny    condition = ${{if match{{$h_to:}}{{spam}}}}
          message = 5.7.1 looks like spam
  accept
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {self.mail}
  maildir_format
  user = Debian-exim
begin retry
* * F,2h,15m
begin authenticators
{authenticators}""")
        libraries = {**os.environ, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu"}
        with process(root / "usr/sbin/exim4", "-C", conf, "-bdf", "-q10m", "-oP", self.folder / "pid", env=libraries) as child:
            wait_for_port(self.port, child)
            yield self

    def messages(self, expected):
        """The delivered messages, once so many have arrived."""
        files = lambda: list(self.mail.glob("new/*"))
        wait_until(lambda: len(files()) >= expected, f"{expected} messages delivered")
        time.sleep(0.5)  # one more than expected would be a defect, and would come now
        return [f.read_bytes() for f in files()]


class Prism:
    """A mock of Twilio's API made from its OpenAPI description, behind a proxy that writes down what was posted."""

    def __init__(self, token="test-token"):
        self.token = token
        self.posts = []
        self.fail_with = None

    @contextlib.contextmanager
    def running(self):
        mock = free_port()
        command = [NODE / "node_modules" / ".bin" / "prism", "mock", "-h", "127.0.0.1", "-p", str(mock), str(HERE / "twilio_api_v2010.json")]
        with process(*command) as child:
            wait_for_port(mock, child)
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(mock))
            self.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield self
            finally:
                server.shutdown()
                server.server_close()

    def _handler(self, mock):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts.append((self.path, {k.title(): v for k, v in self.headers.items()}, body.decode()))
                if outer.fail_with:
                    return self._answer(outer.fail_with, json.dumps({"code": 20003, "message": "Authenticate"}).encode())
                request = urllib.request.Request(f"http://127.0.0.1:{mock}{self.path}", data=body, method="POST")
                for name in ("Authorization", "Content-Type"):
                    request.add_header(name, self.headers[name])
                try:
                    with urllib.request.urlopen(request) as answer:
                        self._answer(answer.status, answer.read())
                except urllib.error.HTTPError as e:
                    self._answer(e.code, e.read())

            def _answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler


class Kannel:
    """A real Kannel: bearerbox and smsbox, and its fake SMSC, which is the phone's side. A phone says one text at the start; with `replies`, an
    address, Kannel hands on to it what phones say."""

    def __init__(self, folder, says="15551234567 12345 text hello", replies=None):
        self.says, self.replies = says, replies
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.admin, self.box, self.smsc, self.sendsms = (free_port() for _ in range(4))
        self.phone = self.folder / "phone.log"
        self._ends = 0

    @contextlib.contextmanager
    def running(self, phone=True):
        """Without a phone it takes texts, and keeps them. Run again, it goes on with what it kept."""
        (self.folder / "store").mkdir(exist_ok=True)
        service = 'text = "ok"\nmax-messages = 0'
        if self.replies:
            service = f'get-url = "{self.replies}?from=%p&text=%b&id=%I&charset=%C"\ncatch-all = true\nomit-empty = true\nmax-messages = 1'
        conf = self.folder / "kannel.conf"
        conf.write_text(f"""\
group = core
admin-port = {self.admin}
admin-password = adm
admin-deny-ip = "*.*.*.*"
admin-allow-ip = "127.0.0.1"
smsbox-port = {self.box}
box-allow-ip = "127.0.0.1"
dlr-storage = internal
store-type = spool
store-location = {self.folder}/store
log-file = {self.folder}/core.log
log-level = 1

group = smsc
smsc = fake
smsc-id = FAKE
host = 127.0.0.1
port = {self.smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {self.sendsms}
global-sender = 12345
log-file = {self.folder}/smsbox.log
log-level = 1

group = sendsms-user
username = punctual
password = kannel-secret
max-messages = 10
concatenation = true
user-allow-ip = "127.0.0.1"

group = sms-service
keyword = default
{service}
""")
        with contextlib.ExitStack() as stack:
            core = stack.enter_context(process("bearerbox", "-v", "4", conf, cwd=self.folder))
            wait_for_port(self.admin, core)
            box = stack.enter_context(process("smsbox", "-v", "4", conf, cwd=self.folder))
            wait_for_port(self.sendsms, box)
            self.boxes = [core, box]
            if not phone:
                yield self
                return
            log = stack.enter_context(open(self.phone, "wb"))
            fake = ["/usr/lib/kannel/test/fakesmsc", "-H", "127.0.0.1", "-r", str(self.smsc), "-i", "600", "-m", "1", self.says]
            stack.enter_context(process(*fake, cwd=self.folder, log=log))
            wait_until(lambda: b"FAKE" in self._status() and b"online" in self._status().split(b"FAKE", 1)[1], "the fake SMSC is connected")
            yield self

    def _status(self):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/status.txt?password=adm", timeout=5) as answer:
            return answer.read()
        return b""

    def texts(self):
        """What the phone's side got: (number, text, segments) in the order of arrival, the parts of a long text put together."""
        whole, parts = [], {}
        for line in self.phone.read_bytes().decode(errors="replace").splitlines():
            found = GOT.search(line)
            if not found:
                continue
            number, udh, kind, content = found.group("number", "udh", "kind", "content")
            text = content if kind == "text" else characters(unquote_to_bytes(content.replace("+", " ")))
            if udh is None:
                whole.append((number, text, 1))
                continue
            # 3GPP TS 23.040 9.2.3.24.1: 05 00 03, then reference, number of parts, part.
            *head, reference, count, part = unquote_to_bytes(udh.replace("+", " "))
            assert head == [5, 0, 3], head
            held = parts.setdefault((number, reference), {})
            assert part not in held, f"part {part} came twice"
            held[part] = text
            if len(held) == count:
                del parts[number, reference]
                whole.append((number, "".join(held[n] for n in sorted(held)), count))
        assert not parts, f"{len(parts)} texts of which parts are missing"
        return whole

    def settled(self):
        """All that the phone's side got up to now: a text of our own goes behind the others, and is waited for."""
        self._ends += 1
        end = (END, f"end {self._ends}", 1)
        query = urlencode({"username": "punctual", "password": "kannel-secret", "to": END, "text": end[1]})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sendsms}/cgi-bin/sendsms?{query}", timeout=10) as answer:
            assert answer.status == 202
        wait_until(lambda: f"{END} text {end[1]}>" in self.phone.read_text(errors="replace"), "the last text at the phone's side")
        return [text for text in self.texts() if text[0] != END]
