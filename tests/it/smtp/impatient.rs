//! A relay beside which another one is well: how long it is waited for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use punctual::deliver::smtp::{Settings, Smtp, Timeouts};
use punctual::deliver::{PointOfNoReturn, Transport};

use super::{Gate, kind, message, settings};
use crate::servers::smtp::{Server, Step};

/// Another relay is well: this one has so long up to the point of no return.
struct Impatient(Gate);

#[async_trait]
impl PointOfNoReturn for Impatient {
    async fn pass(&self) -> bool {
        self.0.pass().await
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_millis(300))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_another_relay_is_well_none_is_waited_for_before_the_dot() {
    let long =
        Timeouts { command: Duration::from_secs(60), data: Duration::from_secs(60), dot: Duration::from_secs(60), ..Timeouts::default() };
    for phase in ["banner", "EHLO", "MAIL", "RCPT", "DATA"] {
        let server = Server::start(move |at| (at.verb == phase).then_some(Step::Hang)).await;
        let smtp = Smtp::new(Settings { timeouts: long, ..settings(server.port) }).unwrap();
        let doubt = Impatient(Gate::new(true));
        let outcome = tokio::time::timeout(Duration::from_secs(20), smtp.deliver(&message(1), &doubt)).await.expect(phase);
        assert_eq!((kind(&outcome), doubt.0.asked.load(Ordering::SeqCst)), ("channel", 0), "{phase}: {outcome:?}");
        assert!(server.bodies().is_empty(), "{phase}");
    }
    // Nor is a connection that owes its answer to another message's dot.
    let server = Server::start(|at| (at.verb == ".").then_some(Step::Hang)).await;
    let smtp = Arc::new(Smtp::new(Settings { timeouts: long, connections: 1, ..settings(server.port) }).unwrap());
    let first = tokio::spawn({
        let smtp = Arc::clone(&smtp);
        async move { smtp.deliver(&message(1), &Impatient(Gate::new(true))).await }
    });
    server.heard("DATA").await;
    let second = tokio::time::timeout(Duration::from_secs(20), smtp.deliver(&message(2), &Impatient(Gate::new(true)))).await.unwrap();
    assert_eq!(kind(&second), "channel", "{second:?}");
    assert!(!first.is_finished(), "past the point of no return the server has its time");
    first.abort();
}
