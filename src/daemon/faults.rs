//! Records that cannot be used, in the log: one line for a walk, when they are others than before, and once a day.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::contact::Channel;
use crate::session::Fault;

/// What stays as it is is told again so often.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);
/// So many are named in the line; the rest is in `punctual status`.
const NAMED: usize = 5;

/// What was told of each source, and when; which of them wait for their first list; and of which of them people are in vain to get messages of a channel.
#[derive(Default)]
pub(super) struct FaultLog(Mutex<HashMap<String, (Vec<Fault>, Instant)>>, Mutex<HashSet<String>>, Mutex<HashSet<(String, Channel)>>);

impl FaultLog {
    /// Tells of a source's faults, bounded as they are, if that says anything new.
    pub(super) fn tell(&self, source: &str, faults: &[Fault]) {
        if !self.is_news(source, faults, Instant::now()) {
            return;
        }
        if faults.is_empty() {
            tracing::info!(source, "all records can be used again");
            return;
        }
        let named: Vec<String> = faults.iter().take(NAMED).map(ToString::to_string).collect();
        let rest = faults.last().filter(|_| faults.len() > NAMED).map(ToString::to_string);
        let named = named.into_iter().chain(rest).collect::<Vec<_>>().join("; ");
        tracing::warn!(source, faults = faults.len(), %named, "quarantined: these records cannot be used (punctual status lists them)");
    }

    /// Tells that a source waits for its first list, once.
    pub(super) fn tell_waiting(&self, source: &str, waits: bool) {
        let mut waiting = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        if !waits {
            waiting.remove(source);
        } else if waiting.insert(source.to_owned()) {
            tracing::warn!(source, "no whole list with a session in it came yet: nothing is planned until one does");
        }
    }

    /// Tells, once, that nothing is configured that could hand over what so many people of a source are to get.
    pub(super) fn tell_no_way(&self, source: &str, channel: Channel, people: usize) {
        let mut told = self.2.lock().unwrap_or_else(PoisonError::into_inner);
        let of = (source.to_owned(), channel);
        if people == 0 {
            told.remove(&of);
        } else if told.insert(of) {
            let wanted = match channel {
                Channel::Email => "[[email.relay]]",
                Channel::Sms => "[[sms.gateway]]",
            };
            tracing::warn!(source, people, "no {wanted} is configured: what these people are to get by {channel} waits, and is not sent");
        }
    }

    fn is_news(&self, source: &str, faults: &[Fault], now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = match all.get(source) {
            Some((told, at)) => told != faults || (!faults.is_empty() && now.duration_since(*at) >= AGAIN),
            None => !faults.is_empty(),
        };
        if news {
            all.insert(source.to_owned(), (faults.to_vec(), now));
        }
        news
    }
}

/// Why a source was not read.
pub(super) struct NotRead {
    pub(super) why: String,
    /// It cannot be read until somebody does something.
    pub(super) stays: bool,
}

impl NotRead {
    /// It may be read the next time.
    pub(super) fn now(why: String) -> Self {
        Self { why, stays: false }
    }

    /// It will not.
    pub(super) fn until_mended(why: String) -> Self {
        Self { why, stays: true }
    }
}

/// Sources that cannot be read: since when, and why.
#[derive(Default)]
pub(super) struct UnreadSources(Mutex<HashMap<String, Lost>>);

/// A source that cannot be read: since when, why, and when that was logged.
#[derive(Clone)]
struct Lost {
    since: DateTime<Utc>,
    why: String,
    logged: DateTime<Utc>,
}

/// The same is logged so often.
const SAID_EVERY: TimeDelta = TimeDelta::hours(1);

impl UnreadSources {
    /// A source was asked: `Err`, and why it could not be read. Whether that is to be logged: when it begins, when it is another fault, once an hour,
    /// and when it is over.
    pub(super) fn note(&self, source: &str, read: Result<(), &str>, now: DateTime<Utc>) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(why) = read else { return all.remove(source).is_some() };
        let since = all.get(source).map_or(now, |lost| lost.since);
        let known = all.get(source).filter(|lost| lost.why == why && (now - lost.logged).abs() < SAID_EVERY).map(|lost| lost.logged);
        all.insert(source.to_owned(), Lost { since, why: why.to_owned(), logged: known.unwrap_or(now) });
        known.is_none()
    }

    /// It could not be read when it was asked last.
    pub(super) fn has(&self, source: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(source)
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> Vec<(String, (DateTime<Utc>, String))> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all: Vec<_> = all.into_iter().map(|(source, lost)| (source, (lost.since, lost.why))).collect();
        all.sort();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_lost_is_logged_when_something_is_new() {
        let (unread, at) = (UnreadSources::default(), |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes));
        for (minute, read, says) in [
            (0, Err("gone"), true),
            (1, Err("gone"), false),
            (2, Err("garbled"), true),
            (61, Err("garbled"), false),
            (62, Err("garbled"), true),
            (63, Ok(()), true),
            (64, Ok(()), false),
            (65, Err("gone"), true),
        ] {
            assert_eq!(unread.note("a", read, at(minute)), says, "{minute}");
        }
        assert_eq!(unread.all(), [("a".to_owned(), (at(65), "gone".to_owned()))]);
    }

    #[test]
    fn the_same_faults_are_told_once_a_day() {
        let (told, start) = (FaultLog::default(), Instant::now());
        let fault = |path: &str| Fault { path: path.to_owned(), reason: "is missing".to_owned(), session: None, participation: None };
        let (one, two) = ([fault("[0]")], [fault("[0]"), fault("[1]")]);
        let hours = |n: u64| start + Duration::from_secs(n * 60 * 60);
        for (n, faults, news) in [
            (0, &[][..], false),
            (1, &one[..], true),
            (2, &one[..], false),
            (3, &two[..], true),
            (26, &two[..], false),
            (27, &two[..], true),
            (28, &[][..], true),
            (60, &[][..], false),
        ] {
            assert_eq!(told.is_news("a", faults, hours(n)), news, "{n}");
        }
        assert!(told.is_news("b", &one, hours(60)), "each source for itself");
    }
}
