//! The process itself: what it leaves of its memory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::servers::Gate;
use crate::servers::smtp::{Server, Step};

/// Nobody's.
const SOMEBODY: u32 = 65_534;

/// It writes no core file, whatever the limit was before; and nobody but root reads its memory, not even another process of its own account.
#[test]
fn it_leaves_no_core_and_nobody_reads_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let is_root = folder.path().metadata().unwrap().uid() == 0;
    // As an account that is not root: root's processes look the same either way.
    let program = folder.path().join("punctual");
    fs::copy(env!("CARGO_BIN_EXE_punctual"), &program).unwrap();
    for path in [folder.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        if is_root {
            chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
    }
    let start = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("sh");
        // (As high as it may be.)
        command.args(["-c", "ulimit -S -c $(ulimit -H -c); exec \"$@\"", "sh", program]).args(arguments).current_dir(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        if is_root {
            command.uid(SOMEBODY);
        }
        command.spawn().unwrap()
    };
    // What is looked at differs from what another program has.
    for (program, arguments, ours) in [(program.to_str().unwrap(), &["bounce"][..], true), ("sleep", &["1000"][..], false)] {
        let mut child = start(program, arguments);
        let id = child.id();
        let about = |what: &str| format!("/proc/{id}/{what}");
        let name = if ours { "punctual" } else { "sleep" };
        while fs::read_to_string(about("comm")).unwrap().trim() != name {
            std::thread::yield_now();
        }
        let limit = || {
            let limits = fs::read_to_string(about("limits")).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
            line.split_whitespace().skip(4).take(2).map(str::to_owned).collect::<Vec<_>>()
        };
        let owner = || fs::metadata(about("environ")).unwrap().uid();
        if ours {
            // Its first act, once it has begun.
            while limit() != ["0", "0"] || owner() != 0 {
                assert_eq!(child.try_wait().unwrap(), None, "it waits for its input");
                std::thread::yield_now();
            }
        } else {
            assert_ne!(owner(), 0, "the test sees a difference");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A stop of `run --once`: what is on the wire gets its answer, and nothing else leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_one_run_finishes_what_is_on_the_wire() {
    let gate = Gate::shut();
    let held = Arc::clone(&gate);
    let relay = Server::start(move |at| (at.verb == ".").then(|| Step::Gate(Arc::clone(&held), "250 2.0.0 Ok: queued as 4F1A22"))).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n[invite]\nsettle = \"0s\"\n[store]\nurl = \"sqlite://punctual.db\"\n\
         [email]\nfrom = \"a@example.org\"\n[[email.relay]]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = 1\n\
         [[source]]\nname = \"file\"\nkind = \"file\"\npath = \"sessions.json\"\n",
        relay.port
    );
    fs::write(folder.path().join("punctual.toml"), config).unwrap();
    let sessions: Vec<_> = (1..=3).map(|id| crate::push::session(id, 333_333_000 + id)).collect();
    fs::write(folder.path().join("sessions.json"), serde_json::json!(sessions).to_string()).unwrap();
    let log = folder.path().join("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_punctual"));
    command.args(["run", "--once"]).current_dir(folder.path()).stderr(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    gate.is_reached().await;
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    while !fs::read_to_string(&log).unwrap().contains("stopping: what is in hand is finished") {
        assert_eq!(child.try_wait().unwrap(), None, "{}", fs::read_to_string(&log).unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    (0..3).for_each(|_| gate.open());
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", fs::read_to_string(&log).unwrap());
    assert_eq!(relay.bodies().len(), 1);
    let listed = |state: &str| {
        let mut list = Command::new(env!("CARGO_BIN_EXE_punctual"));
        let done = list.args(["--json", "outbox", "list", "--state", state]).current_dir(folder.path()).output().unwrap();
        String::from_utf8(done.stdout).unwrap().matches("\"invite\"").count()
    };
    assert_eq!((listed("accepted"), listed("unknown")), (1, 0), "{}", fs::read_to_string(&log).unwrap());
}

/// What was deleted is overwritten in the file; a stop leaves no copy of it in the log beside.
#[test]
fn a_clean_stop_leaves_nothing_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[practice]\nname = \"Lakeside\"\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"a@example.org\"\n\
                  [[email.relay]]\nkind = \"folder\"\npath = \"outbox\"\n[server]\nlisten = \"127.0.0.1:0\"\nusers_file = \"users.toml\"\n\
                  [[source]]\nname = \"file\"\nkind = \"file\"\npath = \"sessions.json\"\n";
    fs::write(folder.path().join("punctual.toml"), config).unwrap();
    fs::write(folder.path().join("sessions.json"), "[]").unwrap();
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_punctual")).arg("run").current_dir(folder.path()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains(" ready ")), "it begins");
    let log = || fs::metadata(folder.path().join("punctual.db-wal")).map_or(0, |file| file.len());
    assert_ne!(log(), 0, "the test sees a difference");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    assert_eq!(log(), 0);
}

/// A reload that systemd, or a script, asks for in the very first moment is heard: it does not end the process.
#[test]
fn a_reload_may_come_before_the_configuration_is_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sessions.json"), "[]").unwrap();
    let place = folder.path().join("punctual.toml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &place, rustix::fs::Mode::RWXU).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_punctual"))
        .args(["--config", "punctual.toml", "run"])
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let config = "[practice]\nname = \"Lakeside\"\n[store]\nurl = \"sqlite://punctual.db\"\n[email]\nfrom = \"a@example.org\"\n\
                  [[email.relay]]\nkind = \"folder\"\npath = \"outbox\"\n[[source]]\nname = \"file\"\nkind = \"file\"\npath = \"sessions.json\"\n";
    let id = rustix::process::Pid::from_child(&child);
    let signal = |signal| rustix::process::kill_process(id, signal).unwrap();
    {
        // Opened only once the program reads it.
        let mut read = fs::OpenOptions::new().write(true).open(&place).unwrap();
        signal(rustix::process::Signal::HUP);
        read.write_all(config.as_bytes()).unwrap();
    }
    fs::remove_file(&place).unwrap();
    fs::write(&place, config).unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    assert!(lines.any(|line| line.contains("the new configuration is taken")), "it reloads");
    assert!(lines.any(|line| line.contains(" ready ")), "and goes on");
    signal(rustix::process::Signal::TERM);
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
}

/// The service says the same, and keeps its memory out of swap.
#[test]
fn the_unit_leaves_no_copy_of_its_memory() {
    let unit = include_str!("../../config/punctual.service");
    for line in ["LimitCORE=0", "MemorySwapMax=0", "UMask=0077", "NoNewPrivileges=yes", "MemoryDenyWriteExecute=yes"] {
        assert!(unit.lines().any(|l| l == line), "{line}");
    }
}
