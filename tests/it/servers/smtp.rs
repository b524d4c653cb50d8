//! An SMTP server that does what the test says at each step, and writes down what it took.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::Gate;

/// What the server does at a step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Answers so.
    Say(String),
    /// Sends this, without a line end, and closes.
    Last(&'static str),
    /// Answers with these bytes.
    Raw(Vec<u8>),
    /// Sends these bytes, and closes.
    Bytes(Vec<u8>),
    /// Closes.
    Close,
    /// Answers so, once the test opens the gate.
    Gate(Arc<Gate>, &'static str),
    /// Says nothing any more.
    Hang,
    /// Sends a byte a moment, and never ends the line.
    Drip,
    /// Sends so many bytes without an end.
    Flood(usize),
    /// Sends so many lines of a reply that does not end.
    Lines(usize),
}

/// What a step depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    /// `banner`, `EHLO`, `STARTTLS`, `AUTH`, `MAIL`, `RCPT`, `DATA`, `.`, `RSET`, `QUIT`.
    pub(crate) verb: String,
    /// 1 for the first.
    pub(crate) connection: usize,
    /// Messages that this connection has taken.
    pub(crate) taken: usize,
}

type Script = dyn Fn(&At) -> Option<Step> + Send + Sync;

/// The server.
pub(crate) struct Server {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<Script>,
    acceptor: Option<TlsAcceptor>,
    /// TLS from the first byte.
    implicit: bool,
    bodies: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    /// Connections that are open, and the most that were at a time.
    open: Mutex<(usize, usize)>,
    verbs: Mutex<Vec<String>>,
    commands: Mutex<Vec<String>>,
    said: Notify,
}

impl Server {
    /// Listens; where the script says nothing, it is a good server that offers PIPELINING.
    pub(crate) async fn start(script: impl Fn(&At) -> Option<Step> + Send + Sync + 'static) -> Self {
        Self::with_tls(None, script).await
    }

    /// Offers STARTTLS if it has an acceptor.
    pub(crate) async fn with_tls(acceptor: Option<TlsAcceptor>, script: impl Fn(&At) -> Option<Step> + Send + Sync + 'static) -> Self {
        Self::serving(acceptor, false, script).await
    }

    /// TLS from the first byte.
    pub(crate) async fn implicit(acceptor: TlsAcceptor, script: impl Fn(&At) -> Option<Step> + Send + Sync + 'static) -> Self {
        Self::serving(Some(acceptor), true, script).await
    }

    async fn serving(acceptor: Option<TlsAcceptor>, implicit: bool, script: impl Fn(&At) -> Option<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            acceptor,
            implicit,
            bodies: Mutex::default(),
            connections: Mutex::default(),
            open: Mutex::default(),
            verbs: Mutex::default(),
            commands: Mutex::default(),
            said: Notify::new(),
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    shared.opens();
                    shared.serve(stream).await;
                    shared.open.lock().unwrap().0 -= 1;
                });
            }
        });
        Self { port, shared }
    }

    /// The bodies that were answered with 2yz, or whose dot was seen at all if the answer was lost.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.shared.bodies.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }

    /// The most that were open at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.open.lock().unwrap().1
    }

    /// Waits until a client has said this.
    pub(crate) async fn heard(&self, verb: &str) {
        while !self.verbs().iter().any(|v| v == verb) {
            self.shared.said.notified().await;
        }
    }

    /// What clients said, whole.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }

    pub(crate) fn verbs(&self) -> Vec<String> {
        self.shared.verbs.lock().unwrap().clone()
    }
}

impl Shared {
    fn opens(&self) {
        let mut open = self.open.lock().unwrap();
        *open = (open.0 + 1, open.1.max(open.0 + 1));
    }

    async fn serve(&self, stream: TcpStream) {
        let connection = {
            let mut n = self.connections.lock().unwrap();
            *n += 1;
            *n
        };
        let mut at = At { verb: "banner".to_owned(), connection, taken: 0 };
        let mut stream: Box<dyn Duplex> = match &self.acceptor {
            Some(acceptor) if self.implicit => match acceptor.accept(stream).await {
                Ok(encrypted) => Box::new(encrypted),
                Err(_) => return,
            },
            _ => Box::new(stream),
        };
        if !self.act(&mut stream, &at, "220 test ESMTP").await {
            return;
        }
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            at.verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            self.verbs.lock().unwrap().push(at.verb.clone());
            self.commands.lock().unwrap().push(line.trim_end().to_owned());
            self.said.notify_one();
            let usual = match at.verb.as_str() {
                "EHLO" if self.acceptor.is_some() && !self.implicit => "250-test\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING",
                "EHLO" => "250-test\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING",
                "STARTTLS" => "220 go",
                "AUTH" => "235 welcome",
                "DATA" => "354 go",
                "QUIT" => "221 bye",
                _ => "250 2.0.0 Ok",
            };
            if !self.act(reader.get_mut(), &at, usual).await {
                return;
            }
            match at.verb.as_str() {
                "STARTTLS" => match self.encrypt(reader).await {
                    Some(encrypted) => reader = encrypted,
                    None => return,
                },
                "DATA" => {
                    let Some(body) = read_body(&mut reader).await else { return };
                    self.bodies.lock().unwrap().push(body);
                    ".".clone_into(&mut at.verb);
                    at.taken += 1;
                    if !self.act(reader.get_mut(), &at, "250 2.0.0 Ok: queued as 4F1A22").await {
                        return;
                    }
                }
                "QUIT" => return,
                _ => {}
            }
        }
    }

    async fn encrypt(&self, reader: BufReader<Box<dyn Duplex>>) -> Option<BufReader<Box<dyn Duplex>>> {
        let stream = self.acceptor.as_ref()?.accept(reader.into_inner()).await.ok()?;
        Some(BufReader::new(Box::new(stream)))
    }

    /// Takes the step; `false`: the connection is over. A DATA that was not answered with 354 is no DATA.
    async fn act(&self, stream: &mut Box<dyn Duplex>, at: &At, usual: &str) -> bool {
        match (self.script)(at).unwrap_or_else(|| Step::Say(usual.to_owned())) {
            Step::Say(text) => {
                let sent = stream.write_all(format!("{text}\r\n").as_bytes()).await.is_ok() && stream.flush().await.is_ok();
                sent && !(at.verb == "DATA" && !text.starts_with("354")) && !text.starts_with("421")
            }
            Step::Gate(gate, text) => {
                gate.pass().await;
                stream.write_all(format!("{text}\r\n").as_bytes()).await.is_ok() && stream.flush().await.is_ok()
            }
            Step::Raw(bytes) => stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok(),
            Step::Last(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
                false
            }
            Step::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                false
            }
            Step::Close => false,
            Step::Hang => {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                false
            }
            Step::Drip => {
                while stream.write_all(b"2").await.is_ok() && stream.flush().await.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                false
            }
            Step::Lines(lines) => {
                let chunk = "250-more of the same\r\n".repeat(1000);
                let mut left = lines;
                while left > 0 && stream.write_all(chunk.as_bytes()).await.is_ok() {
                    left = left.saturating_sub(1000);
                }
                false
            }
            Step::Flood(bytes) => {
                let chunk = vec![b'x'; 64 * 1024];
                let mut left = bytes;
                while left > 0 && stream.write_all(&chunk).await.is_ok() {
                    left = left.saturating_sub(chunk.len());
                }
                false
            }
        }
    }
}

/// A body up to its final dot, dots unstuffed; `None`: the connection ended before.
async fn read_body(reader: &mut BufReader<Box<dyn Duplex>>) -> Option<String> {
    let mut body = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.as_str() {
            ".\r\n" => return Some(body),
            other => body.push_str(other.strip_prefix('.').unwrap_or(other)),
        }
    }
}

trait Duplex: tokio::io::AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
