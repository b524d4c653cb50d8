//! What is known of the transports.

use async_trait::async_trait;

use super::super::MemoryOutbox;
use crate::outbox::{Result, TransportAnswer, TransportAsk, TransportName, TransportState, Transports};

#[async_trait]
impl Transports for MemoryOutbox {
    async fn ask_transport(&self, name: &TransportName, ask: TransportAsk) -> Result<TransportAnswer> {
        let now = self.tables().clock;
        Ok(self.rows_of_transports().entry(name.clone()).or_default().ask(&ask, now))
    }

    async fn transports(&self) -> Result<Vec<TransportState>> {
        let now = self.tables().clock;
        Ok(self.rows_of_transports().iter().map(|(name, row)| row.known(name.clone(), now)).collect())
    }
}
