//! What an operator, or systemd, sends to a daemon.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears signals from the first moment of a daemon to the last, whichever configuration is in force: none of them ends it unheard.
pub(super) struct Hearing {
    pub(super) hearing: Runtime,
    pub(super) signals: Signals,
}

impl Hearing {
    /// They are caught from here on.
    pub(super) fn begin() -> std::io::Result<Self> {
        let hearing = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = hearing.block_on(async { Signals::new() })?;
        Ok(Self { hearing, signals })
    }
}

pub(super) struct Signals {
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    pub(super) hangup: Signal,
}

impl Signals {
    /// It is told to end.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}
