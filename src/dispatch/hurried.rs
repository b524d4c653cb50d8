//! An attempt that may go over another transport: it waits for this one no longer than that is worth.

use std::time::Duration;

use async_trait::async_trait;

use crate::deliver::PointOfNoReturn;
use crate::message::Message;

/// So long one transport may take up to the point of no return while another one is well. A server that answers at all does so sooner, and a session may
/// begin in minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The same point of no return, in a hurry.
pub(super) struct Hurried<'a>(pub(super) &'a dyn PointOfNoReturn);

#[async_trait]
impl PointOfNoReturn for Hurried<'_> {
    async fn cross(&self) -> bool {
        self.0.cross().await
    }

    fn approach(&self) {
        self.0.approach();
    }

    fn is_fresh(&self) -> bool {
        self.0.is_fresh()
    }

    fn attempts(&self) -> u32 {
        self.0.attempts()
    }

    fn shown(&self, said: &str) -> String {
        self.0.shown(said)
    }

    fn patience(&self) -> Option<Duration> {
        Some(PATIENCE)
    }

    fn next(&self) -> Option<Message> {
        self.0.next()
    }

    async fn goes_over(&self, transport: &str) {
        self.0.goes_over(transport).await;
    }
}
