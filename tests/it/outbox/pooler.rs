//! PgBouncer before a cluster of the tests', on a socket in a temporary folder: each transaction gets one of a few connections, whichever is free.
//!
//! It is taken from `PUNCTUAL_PGBOUNCER`, or from where Debian puts it. Without one, what needs it is skipped as without PostgreSQL.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::OnceLock;

use punctual::outbox::postgres::Server;

use super::cluster::{self, Cluster, keeper, run_as};

/// The name of its socket: nobody listens on a port.
const SOCKET: &str = ".s.PGSQL.6432";

/// A pooler that runs.
pub(crate) struct Pooler {
    folder: PathBuf,
    /// Its standard input is ours: when that ends, so does the pooler.
    _keeper: Child,
}

/// The one before the one server of this process.
pub(crate) fn pooler() -> Option<&'static Pooler> {
    static POOLER: OnceLock<Option<Pooler>> = OnceLock::new();
    POOLER.get_or_init(|| Pooler::before(cluster::cluster()?, 12)).as_ref()
}

fn program() -> Option<PathBuf> {
    let named = std::env::var_os("PUNCTUAL_PGBOUNCER").map(PathBuf::from);
    let found = named.into_iter().chain([PathBuf::from("/usr/sbin/pgbouncer")]).find(|program| program.exists());
    if found.is_none() {
        assert!(std::env::var_os("PUNCTUAL_NEEDS_POSTGRES").is_none(), "no PgBouncer is there: name it by PUNCTUAL_PGBOUNCER");
        eprintln!("SKIPPED: everything behind a pooler. There is none here: apt-get install pgbouncer");
    }
    found
}

impl Pooler {
    /// With so many connections for everybody.
    pub(crate) fn before(cluster: &Cluster, connections: usize) -> Option<Self> {
        Self::in_mode("transaction", cluster, connections)
    }

    /// Likewise, `session` or `statement`.
    pub(crate) fn in_mode(mode: &str, cluster: &Cluster, connections: usize) -> Option<Self> {
        let program = program()?;
        let folder = tempfile::Builder::new().prefix("punctual-pool-").tempdir().unwrap().keep();
        if let Some((uid, gid)) = cluster.user {
            chown(&folder, Some(uid), Some(gid)).unwrap();
        }
        lead(&folder, cluster, (mode, connections));
        // Whoever runs it may not reach the place where it lies.
        let own = folder.join("pgbouncer");
        fs::copy(program, &own).unwrap();
        let script = r#""$1" -q pgbouncer.ini & pooler=$!
            until [ -S "$2" ]; do kill -0 $pooler || exit 1; sleep 0.05; done
            echo; read -r _; kill $pooler; wait $pooler; cd / && rm -rf "$3""#;
        let keeper = keeper(cluster.user, &folder, script, &[&own, Path::new(SOCKET), &folder]);
        Some(Self { folder, _keeper: keeper })
    }

    /// From the next transaction on it leads there, whoever is connected to it.
    pub(crate) fn leads_to(&self, cluster: &Cluster, connections: usize) {
        lead(&self.folder, cluster, ("transaction", connections));
        let admin = |says: &str| {
            let mut psql = run_as(cluster.user, Path::new("psql"), &self.folder);
            psql.args(["-X", "-q", "-U", "punctual", "-d", "pgbouncer", "-c", says]).env("PGHOST", &self.folder).env("PGPORT", "6432");
            let output = psql.output().unwrap();
            assert!(output.status.success(), "{says}: {}", String::from_utf8_lossy(&output.stderr));
        };
        admin("RELOAD");
        admin("RECONNECT");
    }

    /// As one who says that a pooler is there.
    pub(crate) fn server(&self, database: &str) -> Server {
        self.unnamed(database).behind(true)
    }

    /// As one who does not.
    pub(crate) fn unnamed(&self, database: &str) -> Server {
        Server::parse(&self.url(database), None, None).unwrap()
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://punctual@{}:6432/{database}", self.folder.to_str().unwrap().replace('/', "%2F"))
    }
}

fn lead(folder: &Path, cluster: &Cluster, (mode, connections): (&str, usize)) {
    let text = format!(
        "[databases]\n* = host={} port={} user=punctual\n[pgbouncer]\nlisten_port = 6432\nunix_socket_dir = {}\nlogfile = {}/log\nauth_type = any\n\
         admin_users = punctual\npool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 2000\nserver_login_retry = 1\n",
        cluster.folder.display(),
        cluster.port,
        folder.display(),
        folder.display()
    );
    fs::write(folder.join("pgbouncer.ini"), text).unwrap();
}
