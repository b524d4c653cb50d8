//! What came back since the start, counted for a monitor: receipts, bounces and replies.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::contact::Channel;
use crate::feedback::word::Word;
use crate::receipt::DeliveryStatus;

/// A label and its value.
type Label = (&'static str, &'static str);

/// Counters. What `punctual bounce` takes is another process's.
pub(super) struct FeedbackMetrics {
    /// By channel and status.
    receipts: Family<[Label; 2], Counter>,
    /// By what they were taken for.
    replies: Family<[Label; 1], Counter>,
}

impl Default for FeedbackMetrics {
    /// Each stands there from the start: whoever watches sees it rise.
    fn default() -> Self {
        let (receipts, replies) = (Family::default(), Family::default());
        for channel in [Channel::Email, Channel::Sms] {
            DeliveryStatus::ALL.into_iter().for_each(|status| drop(receipts.get_or_create(&of_receipt(channel, status))));
        }
        Word::ALL.into_iter().for_each(|word| drop(replies.get_or_create(&of_reply(word))));
        Self { receipts, replies }
    }
}

fn of_receipt(channel: Channel, status: DeliveryStatus) -> [Label; 2] {
    [("channel", channel.as_str()), ("fate", status.as_str())]
}

fn of_reply(word: Word) -> [Label; 1] {
    [("word", word.as_str())]
}

impl FeedbackMetrics {
    /// A receipt that said something new.
    pub(super) fn receipt(&self, channel: Channel, status: DeliveryStatus) {
        self.receipts.get_or_create(&of_receipt(channel, status)).inc();
    }

    /// A reply that was not taken before.
    pub(super) fn reply(&self, word: Word) {
        self.replies.get_or_create(&of_reply(word)).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Receipts of texts, and bounces of e-mail, that said something new, by what became of it";
        registry.register("punctual_receipts", help, self.receipts.clone());
        registry.register("punctual_replies", "Texts that people sent, by what they were taken for; stop: opt-outs", self.replies.clone());
    }
}
