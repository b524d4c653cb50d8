//! The whole program on a store on PostgreSQL, with one daemon.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};

/// A practice in a folder of its own, on a database of its own.
struct Practice {
    folder: tempfile::TempDir,
    cluster: &'static Cluster,
    database: String,
}

impl Practice {
    /// With a database that has no schema yet; `None`: there is no server.
    fn open(database: &str, more: &str) -> Option<Self> {
        let cluster = cluster()?;
        cluster.create(database);
        let practice = Self { folder: tempfile::tempdir().unwrap(), cluster, database: database.to_owned() };
        let text = format!(
            "[practice]\nid = \"lakeside\"\nname = \"Lakeside\"\ntime_zone = \"UTC\"\n[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n[store]\nurl = \"{}\"\n{more}\
             [[source]]\nname = \"desk\"\nkind = \"file\"\npath = \"list\"\npoll = \"* * * * * *\"\n[email]\nfrom = \"desk@example.org\"\n\
             [[email.relay]]\nkind = \"folder\"\npath = \"out\"\n",
            cluster.url(database)
        );
        fs::write(practice.at("punctual.toml"), text).unwrap();
        practice.lists(&[1]);
        Some(practice)
    }

    /// From here on its store is that one.
    fn stands(&self, url: &str) {
        let text = fs::read_to_string(self.at("punctual.toml")).unwrap();
        let lines = text.lines().map(|line| if line.starts_with("url = ") { format!("url = \"{url}\"") } else { line.to_owned() });
        fs::write(self.at("punctual.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the source says.
    fn lists(&self, sessions: &[i64]) {
        let all: Vec<Value> = sessions.iter().map(|id| crate::push::session(*id, 111_111_110 + id)).collect();
        fs::write(self.at("part"), json!(all).to_string()).unwrap();
        fs::rename(self.at("part"), self.at("list")).unwrap();
    }

    fn output(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_punctual")).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    /// Its exit code, and all that it says.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let done = self.output(arguments);
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8_lossy(&done.stderr))
    }

    fn daemon(&self) -> Daemon {
        let log = fs::File::create(self.at("log")).unwrap();
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_punctual"));
        daemon.arg("run").current_dir(self.folder.path()).stdout(Stdio::null()).stderr(log);
        Daemon(daemon.spawn().unwrap())
    }

    /// Sessions whose invite was handed over, once there are so many.
    fn told(&self, sessions: usize) -> Vec<i64> {
        let since = Instant::now();
        loop {
            let lines = self.run(&["--json", "outbox", "list", "--state", "accepted"]).1;
            let mut told: Vec<i64> =
                lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["session_id"].as_i64()).collect();
            told.sort_unstable();
            if told.len() >= sessions || since.elapsed() > Duration::from_secs(30) {
                return told;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn mails(&self) -> usize {
        fs::read_dir(self.at("out")).map_or(0, Iterator::count)
    }
}

/// Ends with the test.
struct Daemon(Child);

impl Daemon {
    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap().success());
    }

    fn ends(&mut self) -> i32 {
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_practice_is_served_from_a_database() {
    let Some(practice) = Practice::open("served", "") else { return };
    let (code, said) = practice.run(&["check", "--offline"]);
    assert!(code != 0 && said.contains("say `punctual store migrate` once"), "{code}: {said}");
    assert_eq!(practice.run(&["run", "--once"]).0, 74, "a daemon makes no schema");
    let (code, said) = practice.run(&["store", "migrate"]);
    assert!(code == 0 && said.contains("the daemon can be started"), "{said}");
    assert!(practice.run(&["store", "migrate"]).1.contains("nothing was changed"));
    let (code, said) = practice.run(&["check", "--offline"]);
    assert!(code == 0 && said.contains("its schema is there"), "{code}: {said}");
    for _ in 0..2 {
        let (code, said) = practice.run(&["run", "--once"]);
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(practice.told(1), [1]);
    assert_eq!(practice.mails(), 1, "told once");
    let (code, said) = practice.run(&["check", "--offline"]);
    assert!(code == 0 && said.contains("opens"), "{code}: {said}");
    assert_eq!(practice.run(&["ledger", "verify"]).0, 0);
    assert!(practice.run(&["backup", "copy"]).1.contains("pg_basebackup or pg_dump"));
    assert!(practice.run(&["store", "rekey"]).1.contains("nothing in the store is sealed"));
    practice.cluster.sql("postgres", "ALTER DATABASE served SET synchronous_commit = off");
    for arguments in [&["check", "--offline"][..], &["run", "--once"]] {
        let (code, said) = practice.run(arguments);
        assert!(code != 0 && said.contains("synchronous_commit is off"), "{code}: {said}");
    }
}

/// All its connections are cut, again and again: each session is told, and told once; nothing ends.
#[test]
fn a_daemon_outlives_its_connections_and_takes_a_reload() {
    let Some(practice) = Practice::open("cut", "") else { return };
    assert_eq!(practice.run(&["store", "migrate"]).0, 0);
    let mut daemon = practice.daemon();
    assert_eq!(practice.told(1), [1]);
    for session in 2..=4_i64 {
        practice.lists(&(1..=session).collect::<Vec<_>>());
        for _ in 0..3 {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut' AND pid <> pg_backend_pid()";
            practice.cluster.sql("postgres", cut);
        }
        assert_eq!(practice.told(session as usize).len(), session as usize);
    }
    assert!(practice.run(&["--json", "status"]).1.contains("\"daemon\":true"));
    daemon.signal("HUP");
    practice.lists(&[1, 2, 3, 4, 5]);
    assert_eq!(practice.told(5), [1, 2, 3, 4, 5], "{}", fs::read_to_string(practice.at("log")).unwrap());
    assert_eq!(practice.mails(), 5);
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), 0);
    assert!(practice.run(&["--json", "status"]).1.contains("\"daemon\":false"));
    assert_eq!(practice.run(&["ledger", "verify"]).0, 0);
}

/// The second one ends; once the first is killed, another one takes its place, and what was told stays told.
#[test]
fn one_daemon_serves_a_practice() {
    let Some(practice) = Practice::open("single", "key_file = \"key\"\n") else { return };
    fs::write(practice.at("key"), "07".repeat(32)).unwrap();
    assert_eq!(practice.run(&["store", "migrate"]).0, 0);
    let mut daemon = practice.daemon();
    assert_eq!(practice.told(1), [1]);
    let (code, said) = practice.run(&["run", "--once"]);
    assert!(code == 74 && said.contains("another punctual serves this practice (process"), "{code}: {said}");
    daemon.signal("KILL");
    drop(daemon.0.wait());
    // (As after twenty seconds.)
    practice.cluster.sql(&practice.database, "UPDATE node SET alive_until = clock_timestamp()");
    practice.lists(&[1, 2]);
    assert_eq!(practice.run(&["run", "--once"]).0, 0);
    assert_eq!(practice.told(2), [1, 2]);
    assert_eq!(practice.mails(), 2);
    let (code, said) = practice.run(&["store", "rekey", "--to", "new"]);
    assert!(code == 0 && said.contains("Put new in place of key"), "{code}: {said}");
    let (code, said) = practice.run(&["run", "--once"]);
    assert!(code == 74 && said.contains("sealed with another key"), "{code}: {said}");
    fs::rename(practice.at("new"), practice.at("key")).unwrap();
    assert_eq!(practice.run(&["run", "--once"]).0, 0);
    assert_eq!(practice.mails(), 2, "nobody is told anything again");
}

/// From a file to a database, and back to another file: each session is told, and told once.
#[test]
fn a_practice_moves_to_a_database_and_back() {
    let Some(practice) = Practice::open("moving", "") else { return };
    let (file, back, database) = ("sqlite://punctual.db", "sqlite://back.db", practice.cluster.url("moving"));
    practice.stands(file);
    let mut daemon = practice.daemon();
    assert_eq!(practice.told(1), [1]);
    practice.stands(&database);
    let (code, said) = practice.run(&["store", "copy", file, &database]);
    assert!(code == 74 && said.contains("another punctual uses it"), "{code}: {said}");
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), 0);
    let (code, said) = practice.run(&["store", "copy", file, &database]);
    assert!(code == 74 && said.contains("punctual store migrate"), "{code}: {said}");
    assert_eq!(practice.run(&["store", "migrate"]).0, 0);
    let (code, said) = practice.run(&["store", "copy", file, &database]);
    assert!(code == 0 && said.contains("every row of that follows") && said.contains("set [store] url"), "{code}: {said}");
    practice.lists(&[1, 2]);
    assert_eq!(practice.run(&["run", "--once"]).0, 0);
    assert_eq!((practice.told(2), practice.mails()), (vec![1, 2], 2));
    practice.stands(file);
    let (code, said) = practice.run(&["run", "--once"]);
    assert!(code == 74 && said.contains("was copied to practice lakeside in the database moving"), "{code}: {said}");
    assert_eq!(practice.run(&["store", "copy", &database, back]).0, 0);
    practice.stands(back);
    practice.lists(&[1, 2, 3]);
    assert_eq!(practice.run(&["run", "--once"]).0, 0);
    assert_eq!((practice.told(3), practice.mails()), (vec![1, 2, 3], 3));
    assert_eq!(practice.run(&["ledger", "verify"]).0, 0);
    let (code, said) = practice.run(&["store", "copy", "punctual.db", back]);
    assert!(code == 2 && said.contains("expected sqlite://"), "{code}: {said}");
}
