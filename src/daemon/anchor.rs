//! The ledger's anchor, handed outside: to a command of the practice's, which keeps it where nobody who can write the store can write.
//!
//! In: how far the ledger has got. Out: one line on the command's standard input, `TIME NUMBER:LINK`. The command gets none of the daemon's
//! environment, and what it prints goes nowhere. Failures: told in the log when they begin and end, and by `/healthz` and `/metrics` as long as
//! they last; nothing waits for it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// A command that takes longer hangs, and is killed: less than the time to the next anchor.
const WITHIN: Duration = Duration::from_secs(60);
/// From one look whether it has ended to the next.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Where its programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `[ledger] anchor_command`, and how it last went.
#[derive(Default)]
pub(super) struct Outside {
    /// The program and its arguments; empty: there is none.
    command: Vec<String>,
    fault: Mutex<Option<String>>,
    /// One that still runs is not started twice.
    turn: tokio::sync::Mutex<()>,
}

impl Outside {
    pub(super) fn new(command: Vec<String>) -> Self {
        Self { command, ..Self::default() }
    }

    /// What is at fault since it was tried last.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands a line over, and notes how that went.
    pub(super) async fn hand(&self, line: String) {
        if self.command.is_empty() {
            return;
        }
        let Ok(_turn) = self.turn.try_lock() else { return };
        let (tell, told) = oneshot::channel();
        let command = self.command.clone();
        // By a thread of its own: an end of the process waits for none that a command keeps.
        let begun = std::thread::Builder::new().name("anchor".to_owned()).spawn(move || drop(tell.send(run(&command, &line, WITHIN))));
        let went = match begun {
            Ok(_) => told.await.unwrap_or_else(|_| Err("its thread ended".to_owned())),
            Err(e) => Err(e.to_string()),
        };
        self.note(went.err());
    }

    fn note(&self, fault: Option<String>) {
        let mut noted = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match &fault {
            Some(why) => {
                tracing::error!(why, "the ledger's anchor was not handed outside: what is cut off the ledger's end would not show there");
            }
            None if noted.is_some() => tracing::info!("the ledger's anchor is handed outside again"),
            None => {}
        }
        *noted = fault;
    }
}

/// Runs it to its end, or kills it.
fn run(command: &[String], line: &str, within: Duration) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("it names no program")?;
    let begun = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = begun.map_err(|e| format!("[ledger] anchor_command cannot be started: {e}"))?;
    // A line fits into the pipe: this waits for nobody. One that does not read it may still succeed.
    drop(child.stdin.take().map(|mut stdin| writeln!(stdin, "{line}")));
    let until = Instant::now() + within;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("[ledger] anchor_command ended with {status}")),
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("[ledger] anchor_command did not end within {} seconds", within.as_secs()));
            }
            Err(e) => return Err(format!("[ledger] anchor_command: {e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn the_line_is_handed_outside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("anchors");
        let outside = Outside::new(shell(&format!("cat >> {}; echo shown nowhere; env >> {0}.env", file.display())));
        for n in 1..=2 {
            outside.hand(format!("2026-11-28T17:00:00Z {n}:ab")).await;
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "2026-11-28T17:00:00Z 1:ab\n2026-11-28T17:00:00Z 2:ab\n");
        assert_eq!(outside.fault(), None);
        let seen = std::fs::read_to_string(folder.path().join("anchors.env")).unwrap();
        assert!(!seen.contains("CARGO"), "none of the daemon's environment: {seen}");
    }

    #[tokio::test]
    async fn a_fault_is_told_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let mended = folder.path().join("mended");
        let outside = Outside::new(shell(&format!("test -e {}", mended.display())));
        outside.hand("1:ab".to_owned()).await;
        assert!(outside.fault().is_some_and(|why| why.contains("ended with exit status: 1")));
        std::fs::write(&mended, "").unwrap();
        outside.hand("2:ab".to_owned()).await;
        assert_eq!(outside.fault(), None);
        let missing = Outside::new(vec![folder.path().join("nowhere").display().to_string()]);
        missing.hand("1:ab".to_owned()).await;
        assert!(missing.fault().is_some_and(|why| why.contains("cannot be started")));
        Outside::default().hand("1:ab".to_owned()).await;
    }

    /// One that hangs is killed; one that reads nothing is fine.
    #[test]
    fn it_ends_in_time() {
        assert!(run(&shell("exec sleep 1000"), "1:ab", Duration::ZERO).unwrap_err().contains("did not end within 0 seconds"));
        assert_eq!(run(&shell("exec <&-; exit 0"), "1:ab", WITHIN), Ok(()));
    }
}
