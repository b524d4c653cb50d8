//! A PostgreSQL server of the demo's own: in a temporary folder, on a socket there. It ends with the demo.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::outbox::postgres::{PostgresOutbox, Server};

/// Its only database, and its owner.
const NAME: &str = "punctual";

/// A server that runs until it is dropped.
pub(super) struct DemoDatabase {
    bin: PathBuf,
    folder: PathBuf,
    /// PostgreSQL does not run as root: as whom it does then.
    user: Option<(u32, u32)>,
}

impl DemoDatabase {
    /// Starts one whose schema is today's.
    pub(super) fn start() -> anyhow::Result<Self> {
        let bin = programs().context("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")?;
        let mut drawn = [0; 6];
        getrandom::fill(&mut drawn).map_err(|e| anyhow::anyhow!("the system gives no random bytes: {e}"))?;
        // A socket's path is short, and whoever runs the server must reach it.
        let folder = std::env::temp_dir().join(format!("punctual-demo-{}", data_encoding::HEXLOWER.encode(&drawn)));
        fs::DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let database = Self { bin, folder, user: account()? };
        if let Some((uid, gid)) = database.user {
            chown(&database.folder, Some(uid), Some(gid))?;
        }
        database.run("initdb", &["-D", "data", "-U", NAME, "--auth=trust", "--locale=C.UTF-8", "-E", "UTF8", "--no-sync"])?;
        let settings = format!("listen_addresses = ''\nunix_socket_directories = '{}'\n", database.folder.display());
        fs::write(database.folder.join("data/postgresql.auto.conf"), settings)?;
        database.run("pg_ctl", &["-D", "data", "-l", "log", "-w", "-s", "start"])?;
        database.run("createdb", &["-h", &database.folder.display().to_string(), "-U", NAME, NAME])?;
        PostgresOutbox::migrate(&database.server()?)?;
        Ok(database)
    }

    /// As `[store] url` names it.
    pub(super) fn url(&self) -> String {
        format!("postgres://{NAME}@{}/{NAME}", self.folder.display().to_string().replace('/', "%2F"))
    }

    fn server(&self) -> anyhow::Result<Server> {
        Server::parse(&self.url(), None, None).map_err(anyhow::Error::msg)
    }

    fn run(&self, program: &str, args: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.bin.join(program));
        command.args(args).current_dir(&self.folder).env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        // Into a file: a pipe would stay open as long as the server runs.
        let said = fs::File::create(self.folder.join("said"))?;
        let status = command.stderr(said).status().with_context(|| format!("cannot run {}", self.bin.join(program).display()))?;
        ensure!(status.success(), "{program}: {}", fs::read_to_string(self.folder.join("said")).unwrap_or_default().trim());
        Ok(())
    }
}

impl Drop for DemoDatabase {
    fn drop(&mut self) {
        drop(self.run("pg_ctl", &["-D", "data", "-w", "-s", "-m", "immediate", "stop"]));
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// The folder of the newest server that is installed: where Debian puts it, or on the path.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()).max();
    let debian = newest.map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.into_iter().chain(std::env::split_paths(&path)).find(|bin| bin.join("initdb").exists() && bin.join("pg_ctl").exists())
}

fn account() -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string(Path::new("/etc/passwd"))?;
    let ids = accounts.lines().find_map(|line| line.strip_prefix("postgres:")).map(|rest| rest.split(':').skip(1));
    let mut ids = ids.into_iter().flatten().map_while(|id| id.parse().ok());
    match (ids.next(), ids.next()) {
        (Some(uid), Some(gid)) => Ok(Some((uid, gid))),
        _ => bail!("PostgreSQL does not run as root, and there is no user postgres: start the demo as somebody else"),
    }
}
