"""A PostgreSQL server of the tests' own, with a synchronous standby that can take its place: in temporary folders, on sockets there, stopped when this
process ends, however it ends."""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PATIENCE = 60  # seconds that any of it may take
OWNER = "punctual"
LOST = 1.5  # seconds of commits that a standby which nobody waits for has not got when it is promoted


def programs():
    """The folder of the newest that is installed."""
    versions = sorted((int(p.name), p) for p in Path("/usr/lib/postgresql").glob("*") if p.name.isdigit())
    if not versions:
        raise SystemExit("no PostgreSQL is installed: apt-get install postgresql")
    return versions[-1][1] / "bin"


def account():
    """PostgreSQL does not run as root: then as the user that Debian's package makes."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A place for a server: its folder and its port stay, what runs there changes."""

    def __init__(self, settings=()):
        self.bin, self.account, self.port = programs(), account(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="punctual-pg-"))
        if self.account:
            os.chown(self.folder, self.account["user"], self.account["group"])
        self.data, self.settings = self.folder / "data", list(settings)
        # Its standard input is ours: when that ends, it stops the server, and removes its folder.
        script = 'cat >/dev/null; "$1/pg_ctl" -D "$2/data" -m immediate stop >/dev/null 2>&1; rm -rf "$2"'
        self.keeper = subprocess.Popen(["sh", "-c", script, "keeper", str(self.bin), str(self.folder)], stdin=subprocess.PIPE,
                                       start_new_session=True, **self.account)

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait(PATIENCE)

    def run(self, program, *arguments, timeout=PATIENCE, **options):
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": OWNER, **options.pop("env", {})}
        done = subprocess.run([str(self.bin / program), *map(str, arguments)], cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout, **self.account, **options)
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(map(str, arguments))}: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    def control(self, *arguments):
        """pg_ctl; what the server says goes into `log`, for a pipe would not end."""
        with (self.folder / "control").open("a") as said:
            subprocess.run([str(self.bin / "pg_ctl"), "-D", "data", "-w", "-s", *arguments], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said,
                           stderr=said, timeout=PATIENCE, check=True, **self.account)

    def make(self):
        self.run("initdb", "-D", "data", "-U", OWNER, "--auth=trust", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8")
        (self.data / "pg_hba.conf").write_text("local all all trust\nlocal replication all trust\n")
        self.configure()
        self.start()

    def configure(self):
        lines = [*self.settings, "listen_addresses = ''", f"port = {self.port}", f"unix_socket_directories = '{self.folder}'"]
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write("".join(f"{line}\n" for line in lines))

    def start(self):
        self.control("-l", "log", "start")

    def crash(self):
        """Ends it at once, as a power cut does."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.control("-m", "immediate", "stop")

    def copy_of(self, primary):
        """Becomes a standby of that one."""
        self.run("pg_basebackup", "-D", "data", "-R", "-X", "stream", "-c", "fast", "-U", OWNER,
                 env={"PGHOST": str(primary.folder), "PGPORT": str(primary.port)})
        self.configure()
        self.start()

    def empty(self):
        """What ran here is gone for good."""
        subprocess.run(["rm", "-rf", str(self.data)], check=True, **self.account)

    def promote(self):
        self.control("promote")

    def sql(self, text, database="postgres", timeout=PATIENCE):
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text,
                        timeout=timeout, env={"PGCONNECT_TIMEOUT": "5"})

    def set(self, name, value):
        self.sql(f"ALTER SYSTEM SET {name} = {value}")
        self.sql("SELECT pg_reload_conf()")

    def await_standby(self):
        """Until a standby confirms what is committed; if none has to, until one follows."""
        since = time.monotonic()
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') "
                       "OR state = 'streaming' AND current_setting('synchronous_standby_names') = ''") == "0":
            if time.monotonic() - since > PATIENCE:
                raise RuntimeError("no standby came")
            time.sleep(0.05)


class Pooler:
    """PgBouncer before a server, which gives each transaction another connection; it can be led to another server, and whoever is connected stays so."""

    def __init__(self, server, connections=10):
        self.account, self.port, self.connections = server.account, free_port(), connections
        self.folder = Path(tempfile.mkdtemp(prefix="punctual-pool-"))
        if self.account:
            os.chown(self.folder, self.account["user"], self.account["group"])
        self.write(server)
        program = os.environ.get("PUNCTUAL_PGBOUNCER", "/usr/sbin/pgbouncer")
        if not Path(program).exists():
            raise SystemExit("no PgBouncer is there: name it by PUNCTUAL_PGBOUNCER, or apt-get install pgbouncer")
        # Whoever runs it may not reach the place where it lies.
        program = shutil.copy(program, self.folder / "pgbouncer")
        script = '"$1" -q "$2/pgbouncer.ini" & pooler=$!; cat >/dev/null; kill $pooler; wait $pooler; rm -rf "$2"'
        self.keeper = subprocess.Popen(["sh", "-c", script, "keeper", str(program), str(self.folder)], stdin=subprocess.PIPE, start_new_session=True,
                                       **self.account)
        since = time.monotonic()
        while not (self.folder / f".s.PGSQL.{self.port}").exists():
            if time.monotonic() - since > PATIENCE:
                raise RuntimeError("PgBouncer did not start")
            time.sleep(0.05)

    def write(self, server):
        (self.folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.folder} port={server.port} user={OWNER}\n[pgbouncer]\nlisten_port = {self.port}\n"
            f"unix_socket_dir = {self.folder}\nlogfile = {self.folder}/log\nauth_type = any\nadmin_users = {OWNER}\npool_mode = transaction\n"
            f"default_pool_size = {self.connections}\nmax_client_conn = 500\nserver_login_retry = 1\n")

    def lead(self, server):
        self.write(server)
        for says in ("RELOAD", "RECONNECT"):
            server.run("psql", "-X", "-q", "-d", "pgbouncer", "-c", says, env={"PGHOST": str(self.folder), "PGPORT": str(self.port)})

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait(PATIENCE)


class Pair:
    """A primary and its standby, which has what is committed before that is answered; not so if it is not `sync`. Perhaps with a pooler before them."""

    def __init__(self, settings=("shared_buffers = '64MB'", "max_connections = 120"), standby=True, sync=True):
        self.sync = sync
        self.places = [Server(settings), Server(settings)] if standby else [Server(settings)]
        self.primary = self.places[0]
        self.primary.make()
        self.pooler = None
        if standby:
            self.attach()

    def pool(self):
        """From here on they are reached by a pooler, which leads to the primary."""
        self.pooler = Pooler(self.primary)

    def doors(self):
        """Where they are reached: what has a folder and a port."""
        return [self.pooler] if self.pooler else self.places

    @property
    def standby(self):
        return next(place for place in self.places if place is not self.primary)

    def attach(self):
        """The other place gets a standby. Nothing is committed without the word of one, at no time: where there is none, each commit waits."""
        if self.sync and self.primary.sql("SHOW synchronous_standby_names") == "":
            self.primary.set("synchronous_standby_names", "'ANY 1 (walreceiver)'")
        self.standby.copy_of(self.primary)
        self.primary.await_standby()

    def restart(self):
        """The primary ends as by a power cut, and comes back."""
        self.primary.crash()
        self.primary.start()

    def promote(self):
        """The primary is gone, and the standby takes its place. When that could end a commit, which waits for a new standby."""
        if not self.sync:
            self.fall_behind()
        self.primary.crash()
        gone, self.primary = self.primary, self.standby
        self.primary.promote()
        if self.pooler:
            self.pooler.lead(self.primary)
        gone.empty()
        self.attach()
        return time.time()

    def fall_behind(self):
        """The last that is committed and answered does not reach the standby any more."""
        for pid in self.primary.sql("SELECT pid FROM pg_stat_replication").split():
            os.kill(int(pid), signal.SIGSTOP)
        time.sleep(LOST)

    def url(self, database, folders=None):
        """Both, whichever takes writes, or the pooler; behind other sockets, if folders are given."""
        hosts = ",".join(f"{str(folder).replace('/', '%2F')}:{place.port}"
                         for place, folder in zip(self.doors(), folders or [place.folder for place in self.doors()]))
        return f"postgres://{OWNER}@{hosts}/{database}"

    def close(self):
        if self.pooler:
            self.pooler.close()
        for place in self.places:
            place.close()
