//! What the service manager is told: ready, reloading, stopping, a line of status, and that the engine is well.
//!
//! The protocol of sd_notify(3): a datagram of `NAME=VALUE` lines to the socket that the environment names. Without that variable nothing is
//! sent: the program was started by hand. A manager that does not listen is no fault of ours, and changes nothing.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A minute.
const EXTENDED_USEC: u64 = 60_000_000;
/// As long as the unit gives a start.
const START_USEC: u64 = 600_000_000;

/// Where to, and how often it wants to hear that all is well.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if that is meant for this process.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        Self::new(variable("NOTIFY_SOCKET").as_deref(), watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"), std::process::id()))
    }

    fn new(address: Option<&str>, watchdog: Option<Duration>) -> Self {
        let opened = address.map(|address| {
            let socket = UnixDatagram::unbound()?;
            // A manager that has stopped reading must not stop us.
            socket.set_nonblocking(true)?;
            let to = match address.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(address)?,
            };
            std::io::Result::Ok((socket, to))
        });
        let socket = opened.transpose().unwrap_or_else(|why| {
            tracing::warn!(%why, "the service manager cannot be told anything");
            None
        });
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// How long the manager waits for [`Notifier::well`] before it kills; `None`: it does not.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The first walks are done: what is due goes out.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// A start waits for something: the manager had better not end it meanwhile. To be said again before [`EXTENDED_USEC`] are over.
    pub fn waits(&self, why: &str) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={EXTENDED_USEC}\nWATCHDOG=1\nSTATUS={}", why.replace('\n', " ")));
    }

    /// It waits no more: the start has as long as any.
    pub fn goes_on(&self) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={START_USEC}\nSTATUS=starting"));
    }

    /// A reload begins; [`Notifier::ready`] ends it. systemd wants to know by its own clock that this is not the end of an earlier one.
    pub fn reloading(&self, monotonic_usec: u64) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={monotonic_usec}"));
    }

    /// Tells systemd that the stop begins.
    pub fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping: what is in hand is finished");
    }

    /// The engine is well.
    pub fn well(&self) {
        self.send("WATCHDOG=1");
    }

    /// One line for people.
    pub fn status(&self, line: &str) {
        self.send(&format!("STATUS={}", line.replace('\n', " ")));
    }

    fn send(&self, text: &str) {
        if let Some((socket, to)) = &self.socket {
            socket.send_to_addr(text.as_bytes(), to).ok();
        }
    }
}

fn watchdog(usec: Option<String>, pid: Option<String>, own: u32) -> Option<Duration> {
    let meant = pid.is_none_or(|pid| pid.parse() == Ok(own));
    usec.filter(|_| meant).and_then(|usec| usec.parse().ok()).filter(|usec| *usec > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_those_of_the_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("@punctual-test-{}", std::process::id());
        let named = SocketAddr::from_abstract_name(&abstract_name[1..]).unwrap();
        for (manager, address) in
            [(UnixDatagram::bind(&path), path.to_str().unwrap()), (UnixDatagram::bind_addr(&named), abstract_name.as_str())]
        {
            let manager = manager.unwrap();
            let notifier = Notifier::new(Some(address), None);
            notifier.ready();
            notifier.reloading(17);
            notifier.stopping();
            notifier.well();
            notifier.status("2 due\ntoday");
            for said in [
                "READY=1",
                "RELOADING=1\nMONOTONIC_USEC=17",
                "STOPPING=1\nSTATUS=stopping: what is in hand is finished",
                "WATCHDOG=1",
                "STATUS=2 due today",
            ] {
                let mut buffer = [0; 200];
                let length = manager.recv(&mut buffer).unwrap();
                assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), said);
            }
        }
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        Notifier::new(None, Some(Duration::from_secs(1))).ready();
        assert_eq!(Notifier::new(None, Some(Duration::from_secs(1))).watchdog(), None);
        Notifier::new(Some("/nowhere/at/all"), None).ready();
        Notifier::new(Some(&"x".repeat(200)), None).ready();
    }

    #[test]
    fn the_watchdog_may_be_meant_for_another_process() {
        let text = |s: &str| Some(s.to_owned());
        assert_eq!(watchdog(text("3000000"), None, 7), Some(Duration::from_secs(3)));
        assert_eq!(watchdog(text("3000000"), text("7"), 7), Some(Duration::from_secs(3)));
        for (usec, pid) in [(text("3000000"), text("8")), (text("0"), None), (text("x"), None), (None, text("7"))] {
            assert_eq!(watchdog(usec, pid, 7), None);
        }
    }
}
