//! Connections: each carries one request, within limits, and none that dawdles keeps another out.
//!
//! When all places are taken, the oldest connection whose request is not here yet makes room: whoever opens hundreds and sends a byte now and then
//! (slow-loris) drives out their own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::auth::Peer;
use super::{Limits, stopped};

/// When the system can give no more connections, the next attempt.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
/// Largest head of a request, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// Serves until `stop` is raised, and finishes what is in hand then. Dropped earlier, it drops the connections too.
pub(super) async fn serve(listener: TcpListener, routes: Router, limits: Limits, stop: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    let mut waiting = Unfinished::default();
    let mut stopping = pin!(stopped(stop.clone()));
    loop {
        tokio::select! {
            () = &mut stopping => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    if open.len() >= limits.connections {
                        waiting.drop_oldest();
                        // That one ends now; or, if all are being answered, the first that is done.
                        tokio::select! { () = &mut stopping => break, _ = open.join_next() => {} }
                    }
                    let here = Arc::new(AtomicBool::new(false));
                    let service = Served { routes: TowerToHyperService::new(routes.clone()), peer, here: Arc::clone(&here) };
                    let connection = connection(stream, service, limits.head, stop.clone());
                    let task = open.spawn(async move { drop(tokio::time::timeout(limits.connection, connection).await) });
                    waiting.add(here, task);
                }
                Err(why) => {
                    tracing::warn!(%why, "no connection can be taken");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    while open.join_next().await.is_some() {}
}

/// Connections whose request may not be here yet, the oldest first.
#[derive(Default)]
struct Unfinished(VecDeque<(Arc<AtomicBool>, AbortHandle)>);

impl Unfinished {
    fn add(&mut self, here: Arc<AtomicBool>, task: AbortHandle) {
        self.0.retain(|(here, task)| !here.load(Ordering::Relaxed) && !task.is_finished());
        self.0.push_back((here, task));
    }

    /// Ends the oldest whose request is not here, if there is one.
    fn drop_oldest(&mut self) {
        self.0.retain(|(here, task)| !here.load(Ordering::Relaxed) && !task.is_finished());
        if let Some((_, oldest)) = self.0.pop_front() {
            oldest.abort();
        }
    }
}

/// One connection, with one request.
async fn connection(stream: TcpStream, service: Served, head: Duration, stop: watch::Receiver<bool>) {
    stream.set_nodelay(true).ok();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head).keep_alive(false).max_buf_size(HEAD_MAX);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(stop) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(why) = ended {
        tracing::debug!(%why, "a connection ended early");
    }
}

/// The routes, as one connection sees them.
struct Served {
    routes: TowerToHyperService<Router>,
    peer: SocketAddr,
    /// The whole request is here.
    here: Arc<AtomicBool>,
}

impl Service<Request<Incoming>> for Served {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Body>>>::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        head.extensions.insert(Peer(self.peer));
        if body.is_end_stream() {
            self.here.store(true, Ordering::Relaxed);
        }
        let body = Body::new(Watched { body, here: Arc::clone(&self.here) });
        self.routes.call(Request::from_parts(head, body))
    }
}

/// A body that tells when it is here.
struct Watched {
    body: Incoming,
    here: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.here.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
