//! What came back since the start, counted for a monitor: receipts, bounces and replies.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::contact::Channel;
use crate::feedback::word::Word;
use crate::receipt::Fate;
use crate::web::{Figures, Kind};

const CHANNELS: [Channel; 2] = [Channel::Email, Channel::Sms];

/// Counters. What `punctual bounce` takes is another process's.
#[derive(Default)]
pub(super) struct Returned {
    /// By channel and fate.
    receipts: [[AtomicU64; Fate::ALL.len()]; CHANNELS.len()],
    /// By what they were taken for.
    replies: [AtomicU64; Word::ALL.len()],
}

impl Returned {
    /// A receipt that said something new.
    pub(super) fn receipt(&self, channel: Channel, fate: Fate) {
        let place = CHANNELS.iter().position(|c| *c == channel).zip(Fate::ALL.iter().position(|f| *f == fate));
        if let Some((channel, fate)) = place {
            self.receipts[channel][fate].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A reply that was not taken before.
    pub(super) fn reply(&self, word: Word) {
        if let Some(place) = Word::ALL.iter().position(|w| *w == word) {
            self.replies[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// `undelivered`: messages of coming sessions; `unread`: texts that wait for somebody to read them. As the store has them.
    pub(super) fn figures(&self, f: &mut Figures, undelivered: usize, unread: usize) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        f.one(
            "punctual_undelivered_messages",
            Kind::Gauge,
            "Messages of coming sessions that a provider or a mail server says did not arrive, and nothing mended since.",
            undelivered as f64,
        );
        f.one("punctual_unread_replies", Kind::Gauge, "Texts that people wrote, and nobody at the practice has read.", unread as f64);
        f.family(
            "punctual_receipts_total",
            Kind::Counter,
            "Receipts of texts, and bounces of e-mail, that said something new, by what became of it.",
        );
        for (channel, fates) in CHANNELS.iter().zip(&self.receipts) {
            for (fate, counter) in Fate::ALL.iter().zip(fates) {
                f.sample("punctual_receipts_total", &[("channel", channel.as_str()), ("fate", fate.as_str())], read(counter));
            }
        }
        f.family("punctual_replies_total", Kind::Counter, "Texts that people sent, by what they were taken for; stop: opt-outs.");
        for (word, counter) in Word::ALL.iter().zip(&self.replies) {
            f.sample("punctual_replies_total", &[("word", word.as_str())], read(counter));
        }
    }
}
