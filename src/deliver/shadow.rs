//! Shadow mode: everything is decided and rendered, and nothing leaves. What would have been sent stands in the outbox with [`NOT_SENT`].

use async_trait::async_trait;

use super::{PointOfNoReturn, Transport};
use crate::message::Message;
pub use crate::outcome::NOT_SENT;
use crate::outcome::Outcome;

/// In place of every relay and gateway. It holds nothing that could send.
pub struct Shadow;

#[async_trait]
impl Transport for Shadow {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "shadow"
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn deliver(&self, _: &Message, doubt: &dyn PointOfNoReturn) -> Outcome {
        // The same last look as a live hand-over's.
        if doubt.pass().await { Outcome::Accepted { reply: NOT_SENT.to_owned(), reference: None } } else { Outcome::Fenced }
    }

    async fn probe(&self) -> Result<String, String> {
        Ok("shadow mode: nothing is sent".to_owned())
    }
}
