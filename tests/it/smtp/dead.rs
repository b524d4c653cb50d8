//! Connections that died while they were idle.

use std::sync::Arc;

use async_trait::async_trait;
use punctual::deliver::smtp::Smtp;
use punctual::deliver::{PointOfNoReturn, Transport};

use super::{Gate, kind, message, settings};
use crate::servers::smtp::{At, Server, Step};

/// Waits until as many attempts as it was made for stand at it.
struct Together(tokio::sync::Barrier);

#[async_trait]
impl PointOfNoReturn for Together {
    async fn pass(&self) -> bool {
        self.0.wait().await;
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_dead_connections_a_message_meets_one() {
    let server = Server::start(move |at: &At| (at.verb == "MAIL" && at.taken == 1).then_some(Step::Close)).await;
    let smtp = Arc::new(Smtp::new(settings(server.port)).unwrap());
    let gate = Arc::new(Together(tokio::sync::Barrier::new(4)));
    let mut running = tokio::task::JoinSet::new();
    for n in 0..4 {
        let (smtp, gate) = (Arc::clone(&smtp), Arc::clone(&gate));
        running.spawn(async move { kind(&smtp.deliver(&message(n), &*gate).await) });
    }
    assert_eq!(running.join_all().await, ["accepted"; 4]);
    assert_eq!(kind(&smtp.deliver(&message(9), &Gate::new(true)).await), "accepted");
    assert_eq!((server.connections(), server.bodies().len()), (5, 5));
    assert_eq!(server.verbs().iter().filter(|v| *v == "MAIL").count(), 6);
}
