//! The point of no return: what has to stand before it is asked, and what may leave only after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use punctual::deliver::gateway::twilio;
use punctual::deliver::{PointOfNoReturn, Transport};
use punctual::message::SmsEncoding;
use tokio::net::TcpListener;

use super::{kind, message, to_any, to_kannel, to_twilio};
use crate::servers::http::{Reply, Server, answer};

/// Counts how often it was asked.
struct Counting {
    open: bool,
    asked: AtomicUsize,
}

impl Counting {
    fn new(open: bool) -> Self {
        Self { open, asked: AtomicUsize::new(0) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl PointOfNoReturn for Counting {
    async fn pass(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.open
    }
}

/// Answers when the server has closed its first connection, and the client has had every chance to notice.
struct AfterTheEnd<'a>(&'a Server, Counting);

#[async_trait]
impl PointOfNoReturn for AfterTheEnd<'_> {
    async fn pass(&self) -> bool {
        self.0.ended().await;
        let_others_run().await;
        self.1.pass().await
    }
}

/// On a runtime of one thread: every task that an event has woken runs before this returns.
async fn let_others_run() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

fn ok() -> Reply {
    answer(201, "", r#"{"sid":"SM1","data":[{"id":1}]}"#)
}

fn hello() -> punctual::message::Message {
    message("Hello", SmsEncoding::Gsm7)
}

#[tokio::test]
async fn where_nothing_listens_the_doubt_is_not_even_asked_about() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for (transport, asked) in [(&to_twilio(port) as &dyn Transport, 0), (&to_any(port, &[200]), 0), (&to_kannel(port), 1)] {
        let doubt = Counting::new(true);
        let outcome = transport.deliver(&hello(), &doubt).await;
        assert_eq!((kind(&outcome), doubt.asked()), ("channel", asked), "{}: {outcome:?}", transport.name());
        let said = format!("{outcome:?} {:?}", transport.probe().await);
        assert!(!said.contains("s3cret") && !said.contains("404555"), "{said}");
    }
}

fn over_tls(port: u16) -> twilio::Twilio {
    let mut settings = super::twilio_settings(port);
    settings.url = format!("https://localhost:{port}");
    twilio::Twilio::new(settings).unwrap()
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_end_well_sends_nothing() {
    let silent = Server::start(Reply::Hang).await;
    let doubt = Counting::new(true);
    assert_eq!(kind(&over_tls(silent.port).deliver(&hello(), &doubt).await), "channel");
    assert_eq!((doubt.asked(), silent.requests().len()), (0, 0));

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let strange = tokio::spawn(async move { acceptor.accept(listener.accept().await.unwrap().0).await.map(|_| ()) });
    let outcome = over_tls(port).deliver(&hello(), &doubt).await;
    assert_eq!((kind(&outcome), doubt.asked()), ("channel", 0), "a certificate that nobody trusts: {outcome:?}");
    assert!(strange.await.unwrap().is_err());
}

#[tokio::test]
async fn a_closed_gate_lets_no_text_out() {
    let server = Server::start(ok()).await;
    for transport in [&to_twilio(server.port) as &dyn Transport, &to_any(server.port, &[201])] {
        let doubt = Counting::new(false);
        assert_eq!(kind(&transport.deliver(&hello(), &doubt).await), "fenced");
        assert_eq!(doubt.asked(), 1);
        let cut = server.ended().await;
        assert!(cut.iter().all(|part| !part.contains("Hello")), "{cut:?}");
    }
    let doubt = Counting::new(false);
    assert_eq!(kind(&to_kannel(server.port).deliver(&hello(), &doubt).await), "fenced");
    assert_eq!(server.requests(), [] as [&str; 0]);
    assert_eq!(server.connections(), 2, "a GET waits before its connection");
}

#[tokio::test]
async fn two_texts_go_by_one_connection() {
    let keep = Reply::Keep(b"HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"sid\":\"SM1\"}".to_vec());
    let server = Server::start(keep).await;
    let transport = to_twilio(server.port);
    for _ in 0..2 {
        assert_eq!(kind(&transport.deliver(&hello(), &Counting::new(true)).await), "accepted with id");
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 2));
}

#[tokio::test]
async fn an_idle_connection_that_the_gateway_closed_costs_nothing() {
    let server = Server::start(Reply::Bytes(b"HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"sid\":\"SM1\"}".to_vec())).await;
    let transport = to_twilio(server.port);
    for n in 1..=50 {
        let doubt = Counting::new(true);
        assert_eq!(kind(&transport.deliver(&hello(), &doubt).await), "accepted with id");
        assert_eq!((doubt.asked(), server.requests().len()), (1, n));
        server.ended().await;
        let_others_run().await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_text_left_is_replaced_once() {
    let server = Server::script(vec![Reply::CloseAtHead, ok()]).await;
    let doubt = AfterTheEnd(&server, Counting::new(true));
    assert_eq!(kind(&to_twilio(server.port).deliver(&hello(), &doubt).await), "accepted with id");
    assert_eq!((doubt.1.asked(), server.requests().len()), (1, 1), "asked once, sent once");

    let server = Server::start(Reply::CloseAtHead).await;
    let doubt = AfterTheEnd(&server, Counting::new(true));
    let outcome = to_twilio(server.port).deliver(&hello(), &doubt).await;
    assert!(matches!(kind(&outcome), "retry" | "unknown"), "{outcome:?}");
    assert_eq!((doubt.1.asked(), server.connections(), server.requests().len()), (1, 2, 0), "two connections, and no text on either");
}
