//! A PostgreSQL server of the tests' own: in a temporary folder, on a socket there, stopped when this process ends, however it ends.
//!
//! Where none is installed, what needs it is skipped, and says so; `PUNCTUAL_NEEDS_POSTGRES=1` makes that a failure (`tests/run` sets it).

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use punctual::outbox::postgres::{PostgresOutbox, Server};
use punctual::outbox::{Access, StoreKey};

use super::fixture::Store;

/// A running server.
pub(crate) struct Cluster {
    pub(super) folder: PathBuf,
    bin: PathBuf,
    /// Runs as this user, if it would be root else.
    pub(super) user: Option<(u32, u32)>,
    pub(super) port: u16,
    /// Its standard input is ours: when that ends, it stops the server, and removes its folder.
    _keeper: Child,
}

/// The one server of this process; `None`: there is none to be had.
pub(crate) fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start).as_ref()
}

/// Each test's practice is another one of the same database: none of them sees a row of another one's.
pub(crate) fn store(key: Option<&StoreKey>) -> Option<Store> {
    Some(store_on(&cluster()?.server("conformance"), key))
}

/// Likewise, by another way to it.
pub(super) fn store_on(server: &Server, key: Option<&StoreKey>) -> Store {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let practice = format!("practice {}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let outbox = PostgresOutbox::open(server, &practice, Access::Daemon, key).unwrap();
    Store { outbox: Arc::new(outbox), _folder: None }
}

/// The newest that is installed.
fn bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.max()?;
    Some(PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))).filter(|bin| bin.join("initdb").exists())
}

/// PostgreSQL does not run as root: then it is the user that Debian's package makes.
fn user() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = accounts.lines().find(|line| line.starts_with("postgres:"))?;
    let mut ids = account.split(':').skip(2).map(|id| id.parse().unwrap());
    is_root.then(|| (ids.next().unwrap(), ids.next().unwrap()))
}

impl Cluster {
    fn start() -> Option<Self> {
        let Some(bin) = bin() else {
            assert!(std::env::var_os("PUNCTUAL_NEEDS_POSTGRES").is_none(), "no PostgreSQL is installed: apt-get install postgresql");
            eprintln!("SKIPPED: everything on PostgreSQL. There is none here: apt-get install postgresql");
            return None;
        };
        let (folder, user) = (tempfile::Builder::new().prefix("punctual-pg-").tempdir().unwrap().keep(), user());
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let initdb = run_as(user, &bin.join("initdb"), &folder)
            .args(["-D", "data", "-U", "punctual", "--auth=trust", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8"])
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        // From the network it is asked with a password and by TLS, whose certificate is its own.
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let data = folder.join("data");
        for (name, text) in [("server.crt", made.cert.pem()), ("server.key", made.signing_key.serialize_pem())] {
            fs::write(data.join(name), text).unwrap();
            fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = user {
                chown(data.join(name), Some(uid), Some(gid)).unwrap();
            }
        }
        fs::write(
            data.join("pg_hba.conf"),
            "local all all trust\nlocal replication all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        fs::write(
            data.join("postgresql.auto.conf"),
            format!(
                "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nmax_connections = 200\nssl = on\n",
                folder.display()
            ),
        )
        .unwrap();
        let cluster = Self { _keeper: keep(&folder, &bin, user), folder, bin, user, port };
        cluster.create("conformance");
        PostgresOutbox::migrate(&cluster.server("conformance")).unwrap();
        Some(cluster)
    }

    /// Another one, for who changes its settings or ends it.
    pub(crate) fn another() -> Option<Self> {
        cluster()?;
        Self::start()
    }

    /// A standby of it, which runs.
    pub(crate) fn standby(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("punctual-pg-").tempdir().unwrap().keep();
        if let Some((uid, gid)) = self.user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        let mut copy = run_as(self.user, &self.bin.join("pg_basebackup"), &folder);
        copy.args(["-D", "data", "-R", "-X", "stream", "-c", "fast", "-U", "punctual"]);
        let copied = copy.env("PGHOST", &self.folder).env("PGPORT", self.port.to_string()).output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = folder.join("data/postgresql.auto.conf");
        let text = fs::read_to_string(&settings).unwrap();
        fs::write(&settings, format!("{text}port = {port}\nunix_socket_directories = '{}'\n", folder.display())).unwrap();
        Self { _keeper: keep(&folder, &self.bin, self.user), folder, bin: self.bin.clone(), user: self.user, port }
    }

    /// From here on it takes writes.
    pub(crate) fn promote(&self) {
        let promoted = run_as(self.user, &self.bin.join("pg_ctl"), &self.folder).args(["-D", "data", "-w", "promote"]).output().unwrap();
        assert!(promoted.status.success(), "{}", String::from_utf8_lossy(&promoted.stderr));
    }

    /// Ends it at once, as a power cut does.
    pub(crate) fn crash(&self) {
        let stopped =
            run_as(self.user, &self.bin.join("pg_ctl"), &self.folder).args(["-D", "data", "-w", "-m", "immediate", "stop"]).output();
        assert!(stopped.unwrap().status.success());
    }

    /// After a crash.
    pub(crate) fn start_again(&self) {
        let mut start = run_as(self.user, &self.bin.join("pg_ctl"), &self.folder);
        start.args(["-D", "data", "-w", "-t", "60", "-l", "log", "start"]).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(start.status().unwrap().success(), "{}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
    }

    /// Both of them, whichever takes writes.
    pub(crate) fn or(&self, other: &Self, database: &str) -> Server {
        let place = |one: &Self| (one.folder.to_str().unwrap().replace('/', "%2F"), one.port);
        let ((one, port), (second, its)) = (place(self), place(other));
        Server::parse(&format!("postgres://punctual@{one}:{port},{second}:{its}/{database}"), None, None).unwrap()
    }

    /// A new database, with nothing in it.
    pub(crate) fn create(&self, database: &str) {
        self.sql("postgres", &format!("CREATE DATABASE {database}"));
    }

    pub(crate) fn url(&self, database: &str) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://punctual@{folder}:{}/{database}", self.port)
    }

    /// Over the network, as the user `remote`; and what its certificate is verified by.
    pub(crate) fn remote(&self, database: &str) -> (String, PathBuf) {
        (format!("postgres://remote@localhost:{}/{database}?sslmode=require", self.port), self.folder.join("data/server.crt"))
    }

    pub(super) fn socket(&self) -> String {
        format!(".s.PGSQL.{}", self.port)
    }

    pub(crate) fn server(&self, database: &str) -> Server {
        Server::parse(&self.url(database), None, None).unwrap()
    }

    /// Says something to the server, as its owner; `database`: its name, or a URL by another way. What it answers.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Likewise, of what it refuses: why.
    pub(crate) fn refused(&self, database: &str, sql: &str) -> String {
        let output = self.psql(database, sql);
        assert!(!output.status.success(), "{sql}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn psql(&self, database: &str, sql: &str) -> std::process::Output {
        self.speaks(database).args(["-c", sql]).output().unwrap()
    }

    fn speaks(&self, database: &str) -> Command {
        let mut psql = run_as(self.user, &self.bin.join("psql"), &self.folder);
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "punctual", "-d", database]);
        psql.env("PGHOST", &self.folder).env("PGPORT", self.port.to_string());
        psql
    }

    /// Somebody else's connection, in a transaction: what it says holds its locks until it ends it.
    pub(crate) fn session(&self, database: &str) -> Session {
        let mut psql = self.speaks(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(psql.stdout.take().unwrap());
        let mut session = Session { psql, answers };
        session.say("BEGIN");
        session
    }

    /// Plans in its log that say so.
    pub(crate) fn plans_with(&self, what: &str) -> Vec<String> {
        let log = fs::read(self.folder.join("log")).unwrap();
        let log = String::from_utf8_lossy(&log);
        log.split("LOG:  duration:").skip(1).filter(|plan| plan.contains(what)).map(|plan| plan.chars().take(1500).collect()).collect()
    }

    /// All of it, as `pg_dump` writes it.
    pub(crate) fn dump(&self, database: &str) -> String {
        let mut dump = run_as(self.user, &self.bin.join("pg_dump"), &self.folder);
        let output = dump
            .args(["-U", "punctual", "-d", database])
            .env("PGHOST", &self.folder)
            .env("PGPORT", self.port.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The server is stopped by its own pid file.
fn keep(folder: &Path, bin: &Path, user: Option<(u32, u32)>) -> Child {
    let script = r#""$1/pg_ctl" -D data -w -t 60 -l log start >/dev/null || exit 1
        echo; read -r _; "$1/pg_ctl" -D data -w -m immediate stop >/dev/null; cd / && rm -rf "$2""#;
    keeper(user, folder, script, &[bin, folder])
}

/// A script that writes a line once what it starts is there, and then reads one: whatever ends this process closes the pipe.
pub(super) fn keeper(user: Option<(u32, u32)>, folder: &Path, script: &str, arguments: &[&Path]) -> Child {
    let mut keeper = run_as(user, Path::new("/bin/sh"), folder)
        .args(["-c", script, "keeper"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut started = [0];
    let read = keeper.stdout.as_mut().unwrap().read(&mut started).unwrap();
    assert_eq!(read, 1, "{}", fs::read_to_string(folder.join("log")).unwrap_or_default());
    keeper
}

/// See [`Cluster::session`].
pub(crate) struct Session {
    psql: Child,
    answers: BufReader<ChildStdout>,
}

impl Session {
    /// Says something, and waits until it is done.
    pub(crate) fn say(&mut self, sql: &str) {
        writeln!(self.psql.stdin.as_mut().unwrap(), "{sql}; \\echo done").unwrap();
        let mut line = String::new();
        while line.trim() != "done" {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "{sql}: it was refused");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.psql.stdin.take());
        drop(self.psql.wait());
    }
}

/// Stands before a server, and swallows answers to commits.
pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    port: u16,
    asked: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn before(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(cluster.socket())).unwrap();
        let (asked, done) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (there, counts) = (cluster.folder.join(cluster.socket()), (Arc::clone(&asked), Arc::clone(&done)));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, counts) = (UnixStream::connect(&there).unwrap(), counts.clone());
                std::thread::spawn(move || drop(forward(&client, &server, &counts)));
            }
        });
        Self { folder, port: cluster.port, asked, done }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://punctual@{}:{}/{database}", self.folder.path().to_str().unwrap().replace('/', "%2F"), self.port)
    }

    /// Of the next commit.
    pub(crate) fn swallow(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    /// How many were.
    pub(crate) fn swallowed(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

/// Until one of them ends. Readers commit, too, of transactions that change nothing: theirs are answered.
fn forward(mut client: &UnixStream, mut server: &UnixStream, (asked, done): &(Arc<AtomicUsize>, Arc<AtomicUsize>)) -> std::io::Result<()> {
    let (back, to) = (server.try_clone()?, client.try_clone()?);
    let swallows = Arc::new(AtomicBool::new(false));
    let (heard, swallowing) = (Arc::clone(done), Arc::clone(&swallows));
    std::thread::spawn(move || {
        let (mut back, mut to, mut bytes) = (back, to, [0; 8192]);
        while let Ok(read @ 1..) = back.read(&mut bytes) {
            if swallowing.load(Ordering::SeqCst) {
                heard.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        drop((back.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
    });
    let (mut bytes, mut writes) = ([0; 8192], false);
    while let read @ 1.. = client.read(&mut bytes)? {
        let said = &bytes[..read];
        let says = |text: &[u8]| said.windows(text.len()).any(|part| part == text);
        writes |= says(b"BEGIN; SELECT");
        if writes && says(b"COMMIT\0") && asked.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            swallows.store(true, Ordering::SeqCst);
        }
        server.write_all(said)?;
    }
    server.shutdown(Shutdown::Both)
}

pub(super) fn run_as(user: Option<(u32, u32)>, program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C.UTF-8");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}
