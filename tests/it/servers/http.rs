//! An HTTP server that answers with bytes of the test's choosing, and writes down what was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::Gate;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// This body with an ETag; or 304, if the request names it.
    Tagged(&'static str, String),
    /// These bytes, and the connection stays: for the next request, or for what never comes.
    Keep(Vec<u8>),
    /// The end, when there is a head and before there is a body.
    CloseAtHead,
    /// These bytes after a while, then the end.
    Late(Duration, Vec<u8>),
    /// These bytes once as many others are being asked as the meeting wants, then the end.
    Together(Arc<Meeting>, Vec<u8>),
    /// These bytes once the test opens the gate, then the end.
    Gate(Arc<Gate>, Vec<u8>),
    /// Nothing, for ever.
    Hang,
    /// The end, without an answer.
    Close,
}

/// Where requests wait for each other.
#[derive(Debug)]
pub(crate) struct Meeting {
    wanted: usize,
    /// How many are here, and how often all were.
    here: watch::Sender<(usize, usize)>,
}

impl Meeting {
    pub(crate) fn of(wanted: usize) -> Arc<Self> {
        Arc::new(Self { wanted, here: watch::channel((0, 0)).0 })
    }

    /// How often all were here at a time.
    pub(crate) fn met(&self) -> usize {
        self.here.borrow().1
    }

    /// Waits until all have been here at a time so often.
    pub(crate) async fn have_met(&self, times: usize) {
        let mut changes = self.here.subscribe();
        let meet = changes.wait_for(|(_, met)| *met >= times);
        tokio::time::timeout(Duration::from_secs(60), meet).await.expect("they are asked beside each other").unwrap();
    }

    /// Whether all come before the other side of this connection goes.
    async fn join(&self, stream: &mut TcpStream) -> bool {
        let mut round = 0;
        self.here.send_modify(|(here, met)| {
            round = *met;
            *here += 1;
            if *here == self.wanted {
                (*here, *met) = (0, *met + 1);
            }
        });
        let (mut changes, mut rest) = (self.here.subscribe(), [0]);
        tokio::select! {
            _ = changes.wait_for(|(_, met)| *met > round) => return true,
            _ = stream.read(&mut rest) => {}
        }
        self.here.send_modify(|(here, met)| *here -= usize::from(*met == round));
        false
    }
}

/// A status, headers and a body.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Reply {
    Reply::Bytes(
        format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len()).into_bytes(),
    )
}

/// The server.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Seen>,
}

/// What happened, in order.
struct Seen {
    connections: Mutex<usize>,
    requests: Mutex<Vec<String>>,
    /// What came on connections that ended inside a request.
    cut: Mutex<Vec<String>>,
    /// One permit for each connection that has ended.
    ended: Semaphore,
}

impl Server {
    /// Every connection gets this reply.
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::script(vec![reply]).await
    }

    /// The first connection gets the first reply, and so on; the last reply is for all that follow.
    pub(crate) async fn script(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen =
            Arc::new(Seen { connections: Mutex::default(), requests: Mutex::default(), cut: Mutex::default(), ended: Semaphore::new(0) });
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            let mut replies = replies.into_iter();
            let mut reply = replies.next().unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock().unwrap() += 1;
                let (now, seen) = (reply.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    serve(stream, now, &seen).await;
                    seen.ended.add_permits(1);
                });
                reply = replies.next().unwrap_or(reply);
            }
        });
        Self { port, seen }
    }

    /// Heads and bodies, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.seen.connections.lock().unwrap()
    }

    /// Waits until a further connection has ended, and gives what came on those that ended inside a request.
    pub(crate) async fn ended(&self) -> Vec<String> {
        self.seen.ended.acquire().await.unwrap().forget();
        self.seen.cut.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, seen: &Seen) {
    while let Some(request) = read(&mut stream, matches!(reply, Reply::CloseAtHead), seen).await {
        match &reply {
            Reply::Bytes(bytes) => {
                let _ = stream.write_all(bytes).await;
                return;
            }
            Reply::Keep(bytes) => {
                let _ = stream.write_all(bytes).await;
            }
            Reply::Tagged(tag, body) => {
                let known = request.to_ascii_lowercase().contains(&format!("if-none-match: {tag}").to_ascii_lowercase());
                let (status, body) = if known { (304, "") } else { (200, body.as_str()) };
                if let Reply::Bytes(bytes) = answer(status, &format!("ETag: {tag}\r\n"), body) {
                    let _ = stream.write_all(&bytes).await;
                }
                return;
            }
            Reply::Late(pause, bytes) => {
                tokio::time::sleep(*pause).await;
                let _ = stream.write_all(bytes).await;
                return;
            }
            Reply::Together(meeting, bytes) => {
                if meeting.join(&mut stream).await {
                    let _ = stream.write_all(bytes).await;
                }
                return;
            }
            Reply::Gate(gate, bytes) => {
                gate.pass().await;
                let _ = stream.write_all(bytes).await;
                return;
            }
            Reply::Hang => {
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Reply::Close | Reply::CloseAtHead => return,
        }
    }
}

/// One request, written down; `None`: the connection ended, or it is to end at the head.
async fn read(stream: &mut TcpStream, head_is_enough: bool, seen: &Seen) -> Option<String> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse().ok()));
            if !head_is_enough && body.len() >= length.unwrap_or(0) {
                seen.requests.lock().unwrap().push(text.clone());
                return Some(text);
            }
            if head_is_enough {
                seen.cut.lock().unwrap().push(text);
                return None;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => {
                if !text.is_empty() {
                    seen.cut.lock().unwrap().push(text);
                }
                return None;
            }
            Ok(n) => request.extend_from_slice(&chunk[..n]),
        }
    }
}
