//! The stream below lettre: everything that a hostile or dying server can do to a read or a write ends here.
//!
//! lettre reads replies and frames commands; it has no time-outs after the connect. This stream gives each reply one deadline for
//! all of it (so that a server cannot drip for ever), each block of a body another, and a size to everything that is read
//! between two writes. It also remembers what lettre does not tell: how many bytes of a body left, what came since, and whether
//! the server closed. After its first failure it fails for good, so that nothing waits for the same server twice.
//!
//! lettre reads replies by the letter of the standard: lines that end in CRLF, a code with a space or a hyphen behind it, UTF-8. Servers that
//! senders bear with do otherwise, so lettre is given their lines in that form, and what is judged is what they said ([`Normalizer`]).
//!
//! lettre owns one handle and the connection another; between two commands the connection starts TLS in place.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsConnector;

/// Bytes that a server may say between two things that we say: a long EHLO answer has 1 KiB.
const HEARD_MAX: usize = 64 * 1024;
/// Lines that it may say meanwhile: a long EHLO answer has 30. (lettre reads a reply anew with each line of it.)
const LINES_MAX: usize = 200;

/// Bytes that are read at once.
const READ: usize = 4096;

/// What the server says, in the form that lettre reads: `220` alone becomes `220 ok`, a line end of LF alone CRLF, and what is no ASCII `?`.
#[derive(Default)]
struct Normalizer {
    /// In form, and not given yet; the next is at `given`.
    ready: Vec<u8>,
    given: usize,
    /// How far the line has got.
    line: CodeProgress,
    after_cr: bool,
}

/// A line, as far as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeProgress {
    /// So many digits of a code.
    Code(usize),
    /// A code, and a space or a hyphen.
    Separated,
    /// Anything else.
    Text,
}

impl Default for CodeProgress {
    fn default() -> Self {
        Self::Code(0)
    }
}

impl Normalizer {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if matches!(byte, b'\r' | b'\n') && !self.after_cr {
                match self.line {
                    CodeProgress::Code(3) => self.ready.extend_from_slice(b" ok"),
                    CodeProgress::Separated => self.ready.extend_from_slice(b"ok"),
                    _ => {}
                }
            }
            if byte == b'\n' && !self.after_cr {
                self.ready.push(b'\r');
            }
            self.ready.push(if byte.is_ascii() { byte } else { b'?' });
            self.line = match (self.line, byte) {
                (_, b'\n') => CodeProgress::default(),
                (CodeProgress::Code(digits), b) if b.is_ascii_digit() => CodeProgress::Code(digits + 1),
                (CodeProgress::Code(3), b' ' | b'-') => CodeProgress::Separated,
                _ => CodeProgress::Text,
            };
            self.after_cr = byte == b'\r';
        }
    }

    /// As much as there is room for. `false`: there is nothing.
    fn give(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = &self.ready[self.given..];
        let some = &rest[..rest.len().min(buf.remaining())];
        buf.put_slice(some);
        let any = !some.is_empty();
        self.given += some.len();
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
        any
    }
}

/// A TCP stream, or TLS over one.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A handle on the stream.
#[derive(Clone)]
pub(super) struct Wire {
    line: Arc<Mutex<LineStream>>,
    peer: SocketAddr,
}

struct LineStream {
    io: Box<dyn Io>,
    reply_limit: Duration,
    block_limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: TimerFor,
    heard: Vec<u8>,
    form: Normalizer,
    said: u64,
    by_helo: bool,
    closed: bool,
    failed: Option<StreamFailure>,
}

/// What the timer runs for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimerFor {
    Nothing,
    SmtpReply,
    Room,
}

/// Why the stream is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamFailure {
    Silent(Duration),
    Stuck(Duration),
    Flood,
    Network(io::ErrorKind),
    GivenUp,
}

impl fmt::Display for StreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "no whole answer within {limit:?}"),
            Self::Stuck(limit) => write!(f, "the server took nothing for {limit:?}"),
            Self::Flood => write!(f, "the answer is longer than {HEARD_MAX} bytes or {LINES_MAX} lines"),
            Self::Network(kind) => write!(f, "network: {kind}"),
            Self::GivenUp => f.write_str("given up"),
        }
    }
}

impl Wire {
    /// Takes over a connected socket. A body's block must be taken within `block_limit`.
    pub(super) fn new(tcp: TcpStream, block_limit: Duration) -> io::Result<Self> {
        // Each command is one small write that waits for its answer: Nagle's algorithm and delayed ACKs cost 40 ms each time.
        tcp.set_nodelay(true)?;
        let peer = tcp.peer_addr()?;
        let line = LineStream {
            io: Box::new(tcp),
            reply_limit: block_limit,
            block_limit,
            timer: Box::pin(sleep(Duration::ZERO)),
            waiting: TimerFor::Nothing,
            heard: Vec::new(),
            form: Normalizer::default(),
            said: 0,
            by_helo: false,
            closed: false,
            failed: None,
        };
        Ok(Self { line: Arc::new(Mutex::new(line)), peer })
    }

    fn line(&self) -> MutexGuard<'_, LineStream> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server does not know EHLO, and lettre says nothing else: the word leaves as HELO.
    pub(super) fn greet_by_helo(&self) {
        self.line().by_helo = true;
    }

    /// The next reply, whole, must come within `limit`.
    pub(super) fn expect_reply(&self, limit: Duration) {
        let mut line = self.line();
        line.reply_limit = limit;
        line.waiting = TimerFor::Nothing;
    }

    /// Starts TLS in place. What the server said before is no part of it.
    pub(super) async fn start_tls(&self, connector: &TlsConnector, name: ServerName<'static>, limit: Duration) -> Result<(), String> {
        let plain = std::mem::replace(&mut self.line().io, Box::new(tokio::io::empty()));
        let shaken = timeout(limit, connector.connect(name, plain)).await;
        let tls = shaken.map_err(|_| format!("the TLS handshake took longer than {limit:?}"))?.map_err(|e| format!("TLS: {e}"))?;
        let mut line = self.line();
        line.io = Box::new(tls);
        line.heard.clear();
        line.form = Normalizer::default();
        Ok(())
    }

    /// Bytes that were handed to the network so far.
    pub(super) fn sent_bytes(&self) -> u64 {
        self.line().said
    }

    /// What the server said since we last spoke.
    pub(super) fn received(&self) -> Vec<u8> {
        self.line().heard.clone()
    }

    /// Of no more use: whatever is tried on it fails.
    pub(super) fn give_up(&self) {
        self.line().failed.get_or_insert(StreamFailure::GivenUp);
    }

    /// What went wrong with the stream, in words without anything of the server's text; `None`: nothing.
    pub(super) fn failure(&self) -> Option<String> {
        let line = self.line();
        line.failed.map(|f| f.to_string()).or_else(|| line.closed.then(|| "the server closed the connection".to_owned()))
    }
}

impl LineStream {
    fn usable(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |failure| Err(io::Error::other(failure.to_string())))
    }

    fn fail<T>(&mut self, failure: StreamFailure) -> Poll<io::Result<T>> {
        self.failed = Some(failure);
        Poll::Ready(Err(io::Error::other(failure.to_string())))
    }

    /// Pending, until the time for what we wait for is over.
    fn wait<T>(&mut self, cx: &mut Context<'_>, waiting: TimerFor) -> Poll<io::Result<T>> {
        let (limit, failure) = match waiting {
            TimerFor::SmtpReply | TimerFor::Nothing => (self.reply_limit, StreamFailure::Silent(self.reply_limit)),
            TimerFor::Room => (self.block_limit, StreamFailure::Stuck(self.block_limit)),
        };
        if self.waiting != waiting {
            self.waiting = waiting;
            self.timer.as_mut().reset(Instant::now() + limit);
        }
        ready!(self.timer.as_mut().poll(cx));
        self.fail(failure)
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.usable()?;
        if self.form.give(buf) {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; READ];
        let mut read = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.io).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => return self.fail(StreamFailure::Network(e.kind())),
            Poll::Pending => return self.wait(cx, TimerFor::SmtpReply),
        }
        let new = read.filled();
        self.closed = new.is_empty();
        if self.heard.len() + new.len() > HEARD_MAX {
            return self.fail(StreamFailure::Flood);
        }
        self.heard.extend_from_slice(new);
        if self.heard.iter().filter(|&&b| b == b'\n').count() > LINES_MAX {
            return self.fail(StreamFailure::Flood);
        }
        self.form.take(new);
        self.form.give(buf);
        Poll::Ready(Ok(()))
    }

    fn poll_say(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.usable()?;
        let bytes = if self.by_helo && bytes.starts_with(b"EHLO ") { b"HELO" } else { bytes };
        match Pin::new(&mut self.io).poll_write(cx, bytes) {
            Poll::Ready(Ok(taken)) => {
                self.said += taken as u64;
                self.heard.clear();
                self.waiting = TimerFor::Nothing;
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(Err(e)) => self.fail(StreamFailure::Network(e.kind())),
            Poll::Pending => self.wait(cx, TimerFor::Room),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.usable()?;
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(e)) => self.fail(StreamFailure::Network(e.kind())),
            Poll::Pending => self.wait(cx, TimerFor::Room),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.line().poll_hear(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.line().poll_say(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line().io).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({})", self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_brought_into_form() {
        for (said, given) in [
            ("220 mx.example ESMTP\r\n", "220 mx.example ESMTP\r\n"),
            ("220\r\n", "220 ok\r\n"),
            ("220\n", "220 ok\r\n"),
            ("220 \r\n", "220 ok\r\n"),
            ("250-mx.example\n250\n", "250-mx.example\r\n250 ok\r\n"),
            ("250-\r\n250 ok\r\n", "250-ok\r\n250 ok\r\n"),
            ("220 Gr\u{fc}\u{df}e\r\n", "220 Gr????e\r\n"),
            ("2200\r\n", "2200\r\n"),
            ("220 see 550\r\n", "220 see 550\r\n"),
        ] {
            for piece in [1, 3, 100] {
                let mut form = Normalizer::default();
                let mut all = Vec::new();
                for bytes in said.as_bytes().chunks(piece) {
                    form.take(bytes);
                    let mut room = [0; 2];
                    let mut buf = ReadBuf::new(&mut room);
                    while form.give(&mut buf) {
                        all.extend_from_slice(buf.filled());
                        buf.clear();
                    }
                }
                assert_eq!(String::from_utf8(all).unwrap(), given, "{said:?} in pieces of {piece}");
            }
        }
    }
}
