//! What is known of the transports.

use async_trait::async_trait;

use super::super::{PostgresOutbox, transport};
use crate::outbox::{Result, TransportAnswer, TransportAsk, TransportName, TransportState, Transports};

#[async_trait]
impl Transports for PostgresOutbox {
    async fn ask_transport(&self, name: &TransportName, ask: TransportAsk) -> Result<TransportAnswer> {
        let name = name.clone();
        self.writer.write("ask_transport", async move |tx| transport::ask(tx, &name, &ask).await).await
    }

    async fn transports(&self) -> Result<Vec<TransportState>> {
        self.readers.read("transports", async |db| transport::all(db).await).await
    }
}
