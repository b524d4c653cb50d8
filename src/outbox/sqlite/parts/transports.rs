//! What is known of the transports.

use async_trait::async_trait;

use super::super::{SqliteOutbox, transport};
use crate::outbox::{Result, TransportAnswer, TransportAsk, TransportName, TransportState, Transports};

#[async_trait]
impl Transports for SqliteOutbox {
    async fn ask_transport(&self, name: &TransportName, ask: TransportAsk) -> Result<TransportAnswer> {
        let name = name.clone();
        self.writer.write("ask_transport", move |c| transport::ask(c, &name, &ask)).await
    }

    async fn transports(&self) -> Result<Vec<TransportState>> {
        self.readers.read("transports", transport::all).await
    }
}
