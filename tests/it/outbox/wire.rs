//! A wire between a node and its database: it breaks where a test says so, or holds back what is said until it is mended.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Condvar, Mutex};

use super::cluster::Cluster;

#[derive(Default)]
struct State {
    /// The next connection that says the first of these breaks, and it is one less.
    breaks: Vec<&'static str>,
    /// Nothing goes through.
    holds: bool,
    /// From the first connection on that says this, nothing does.
    falls_silent_at: Option<&'static str>,
}

pub(super) struct Wire {
    folder: tempfile::TempDir,
    port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Wire {
    pub(super) fn before(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(cluster.socket())).unwrap();
        let (there, state) = (cluster.folder.join(cluster.socket()), Arc::<(Mutex<State>, Condvar)>::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, state) = (UnixStream::connect(&there).unwrap(), Arc::clone(&shared));
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || drop(back(from, to)));
                std::thread::spawn(move || drop(forth(client, server, &state)));
            }
        });
        Self { folder, port: cluster.port, state }
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://punctual@{}:{}/{database}", self.folder.path().to_str().unwrap().replace('/', "%2F"), self.port)
    }

    /// The first connection that says the first of these breaks; then the next one that says the second one.
    pub(super) fn breaks_at(&self, said: &[&'static str]) {
        self.state.0.lock().unwrap().breaks = said.to_vec();
    }

    /// How many breaks are to come.
    pub(super) fn to_break(&self) -> usize {
        self.state.0.lock().unwrap().breaks.len()
    }

    /// Nothing goes through, until it is mended.
    pub(super) fn holds(&self) {
        self.state.0.lock().unwrap().holds = true;
    }

    /// Nothing goes through from the moment on at which a connection says that, until it is mended.
    pub(super) fn falls_silent_at(&self, said: &'static str) {
        self.state.0.lock().unwrap().falls_silent_at = Some(said);
    }

    /// Whether it holds back what is said.
    pub(super) fn is_silent(&self) -> bool {
        self.state.0.lock().unwrap().holds
    }

    pub(super) fn mend(&self) {
        self.state.0.lock().unwrap().holds = false;
        self.state.1.notify_all();
    }
}

fn says(said: &[u8], text: &str) -> bool {
    said.windows(text.len()).any(|part| part == text.as_bytes())
}

/// What the client says.
fn forth(mut client: UnixStream, mut server: UnixStream, (state, changed): &(Mutex<State>, Condvar)) -> std::io::Result<()> {
    let mut bytes = [0; 8192];
    while let read @ 1.. = client.read(&mut bytes)? {
        let said = &bytes[..read];
        let mut now = state.lock().unwrap();
        if now.breaks.first().is_some_and(|first| says(said, first)) {
            now.breaks.remove(0);
            break;
        }
        if now.falls_silent_at.is_some_and(|text| says(said, text)) {
            (now.falls_silent_at, now.holds) = (None, true);
        }
        drop(changed.wait_while(now, |state| state.holds).unwrap());
        server.write_all(said)?;
    }
    drop((server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both)));
    Ok(())
}

/// What the server says.
fn back(mut server: UnixStream, mut client: UnixStream) -> std::io::Result<()> {
    std::io::copy(&mut server, &mut client)?;
    drop(client.shutdown(Shutdown::Both));
    Ok(())
}
