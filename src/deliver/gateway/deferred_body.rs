//! The point of no return of an HTTP request: its body is held back until the connection stands.
//!
//! The head of a request may leave as soon as there is a connection; a gateway can accept nothing before the body came. So the body, when the
//! connection asks for it, first has the attempt's doubt made durable. Whatever fails before that (no such host, no connection, a certificate, a
//! connection that died while it was idle) sent nothing, for certain. Whether the body left is decided in one place: who takes the bytes
//! out of [`DeferredBody`] first, the connection or we.
//!
//! A request without a body (GET) has everything in its head: there the doubt is made durable first, and only a connection that never came
//! about is known to have sent nothing.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::{Body, Client, Request};
use tokio::sync::oneshot;

use super::answer::GatewayAnswer;
use crate::deliver::PointOfNoReturn;

/// How a request ended.
pub(super) enum RequestEnd {
    /// The gateway had the whole request, and answered.
    Answered(GatewayAnswer),
    /// The gateway answered before it had the body, and does not have it.
    AnsweredEarly(GatewayAnswer),
    /// Nothing that could be accepted was sent.
    NotSent(reqwest::Error),
    /// It may have been sent, and there is no answer.
    Unanswered(reqwest::Error),
    /// We may not send it; nothing was sent, and the connection is closed.
    Fenced,
}

/// The attempt's point of no return: asked once, however often a connection has to be made.
struct OnePass<'a> {
    doubt: &'a dyn PointOfNoReturn,
    passed: bool,
}

impl OnePass<'_> {
    async fn pass(&mut self) -> bool {
        self.passed = self.passed || self.doubt.pass().await;
        self.passed
    }
}

/// Sends a request whose body, if it has one, is bytes. A connection that breaks before the body left is replaced once: a gateway may close an
/// idle one at any moment.
pub(super) async fn send(client: &Client, request: &Request, doubt: &dyn PointOfNoReturn) -> RequestEnd {
    let mut once = OnePass { doubt, passed: false };
    match attempt(client, request, &mut once).await {
        RequestEnd::NotSent(e) if !e.is_connect() && !e.is_timeout() && !e.is_builder() => attempt(client, request, &mut once).await,
        end => end,
    }
}

async fn attempt(client: &Client, request: &Request, once: &mut OnePass<'_>) -> RequestEnd {
    let mut copy = request.try_clone().expect("a body of bytes can be copied");
    let bytes = request.body().and_then(Body::as_bytes).filter(|bytes| !bytes.is_empty());
    let Some(bytes) = bytes else {
        if !once.pass().await {
            return RequestEnd::Fenced;
        }
        return match GatewayAnswer::to(client, copy).await {
            Ok(answer) => RequestEnd::Answered(answer),
            Err(e) if e.is_connect() || e.is_builder() => RequestEnd::NotSent(e),
            Err(e) => RequestEnd::Unanswered(e),
        };
    };
    let deferred = DeferredBody::new(Bytes::copy_from_slice(bytes));
    let (body, asked, leave) = HeldBody::new(&deferred, bytes.len());
    *copy.body_mut() = Some(Body::wrap(body));
    let mut exchange = pin!(GatewayAnswer::to(client, copy));
    let early = tokio::select! {
        biased;
        Ok(()) = asked => None,
        end = &mut exchange => Some(end),
    };
    let end = match early {
        Some(end) => end,
        None if once.pass().await => {
            // A connection that broke meanwhile has dropped the body, and says so next.
            let _ = leave.send(());
            exchange.await
        }
        None => return RequestEnd::Fenced,
    };
    match (end, deferred.take()) {
        (Ok(answer), None) => RequestEnd::Answered(answer),
        (Ok(answer), Some(_)) => RequestEnd::AnsweredEarly(answer),
        (Err(e), Some(_)) => RequestEnd::NotSent(e),
        (Err(e), None) => RequestEnd::Unanswered(e),
    }
}

/// The body's bytes: whoever takes them has them.
#[derive(Clone)]
struct DeferredBody(Arc<Mutex<Option<Bytes>>>);

impl DeferredBody {
    fn new(bytes: Bytes) -> Self {
        Self(Arc::new(Mutex::new(Some(bytes))))
    }

    fn take(&self) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body that says when the connection is ready for it, and leaves when it is told to.
struct HeldBody {
    body: DeferredBody,
    length: u64,
    asked: Option<oneshot::Sender<()>>,
    leave: oneshot::Receiver<()>,
    left: bool,
}

impl HeldBody {
    fn new(body: &DeferredBody, length: usize) -> (Self, oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((asked, hears), (tells, leave)) = (oneshot::channel(), oneshot::channel());
        (Self { body: body.clone(), length: length as u64, asked: Some(asked), leave, left: false }, hears, tells)
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left {
            return Poll::Ready(None);
        }
        if let Some(asked) = self.asked.take() {
            let _ = asked.send(());
        }
        let told = ready!(Pin::new(&mut self.leave).poll(context));
        self.left = true;
        let bytes = told.ok().and_then(|()| self.body.take());
        Poll::Ready(Some(bytes.map(Frame::data).ok_or_else(|| io::Error::other("it may not be sent"))))
    }

    fn is_end_stream(&self) -> bool {
        self.left
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(if self.left { 0 } else { self.length })
    }
}
