//! What keeps messages from going out now, and which of them are overdue: the same facts for the pages, `status`, the API and the alerts.
//!
//! In: the store, `now`. Out: [`Outage`]s, the most urgent first; what only a running engine knows, it adds itself. Contacts and names are not among
//! them.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Desk, nodes, words};
use crate::contact::Channel;
use crate::entry::{Entry, State};
use crate::outbox::{Filter, Outbox, SourceStatus, StoreError};
use crate::session::{ParticipationId, SessionId};
use crate::zone::Zone;

/// What is due for longer than that, and did not leave, is overdue.
pub const OVERDUE_AFTER: TimeDelta = TimeDelta::seconds(60);
/// Overdue messages that are counted of each state: whoever reads the number has no use for a larger one.
const COUNTED: usize = 1000;

/// Something that keeps messages from going out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Outage {
    /// What is at fault.
    pub what: What,
    /// RFC 3339, UTC: since when; `None`: nobody can know.
    pub since: Option<DateTime<Utc>>,
    /// Why, in words; `None`: nobody knows.
    pub why: Option<String>,
    /// Messages that wait for it longer than they should: a thousand of a state are counted.
    pub waiting: usize,
    /// The most urgent of them.
    pub most_urgent: Option<Urgent>,
}

/// What can be at fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// E-mail was tried, and does not leave.
    Email,
    /// Text messages were tried, and do not leave.
    Sms,
    /// Messages of this channel wait, and nobody tried them: the rate is too low for so many, or no daemon runs.
    Late(Channel),
    /// A source.
    Source(String),
    /// The program itself, its clock, or the machine: why says it.
    Engine,
    /// This node, which stands idle: others send.
    Node,
}

/// A message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Urgent {
    /// SessionId.
    pub session_id: SessionId,
    /// ParticipationId.
    pub participation_id: ParticipationId,
    /// When its session starts.
    pub start: DateTime<Utc>,
}

impl Outage {
    /// Of that, without more.
    pub fn of(what: What, since: Option<DateTime<Utc>>, why: Option<String>) -> Self {
        Self { what, since, why, waiting: 0, most_urgent: None }
    }

    /// It keeps messages of this channel.
    pub fn is_of(&self, channel: Channel) -> bool {
        self.what == tried(channel) || self.what == What::Late(channel)
    }

    /// `E-mail has not gone out since 10:43 PM: the server refuses connections.`
    pub fn headline(&self, zone: &Zone, now: DateTime<Utc>) -> String {
        let at = self.since.map(|at| words::clock(at, zone, now));
        let since = at.as_ref().map(|at| format!(" since {at}")).unwrap_or_default();
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        match &self.what {
            What::Email if self.since.is_none() => format!("E-mail pauses{why}."),
            What::Sms if self.since.is_none() => format!("Text messages pause{why}."),
            What::Email => format!("E-mail has not gone out{since}{why}."),
            What::Sms => format!("Text messages have not gone out{since}{why}."),
            What::Late(Channel::Email) => format!("E-mail is late{since}{why}."),
            What::Late(Channel::Sms) => format!("Text messages are late{since}{why}."),
            What::Source(name) if self.since.is_none() => format!("The sessions of \u{201c}{name}\u{201d} were never read{why}."),
            What::Source(name) => format!("The sessions of \u{201c}{name}\u{201d} could not be read{since}{why}."),
            What::Engine => format!("Messages cannot go out{why}."),
            What::Node => {
                let says = nodes::idle(&at.unwrap_or_default(), self.why.as_deref().unwrap_or_default());
                format!("This node {says}. {}", nodes::MEANWHILE)
            }
        }
    }

    /// `12 messages wait. The most urgent is for session 9004, which starts at 11:15 PM.` Empty: none waits.
    pub fn what_waits(&self, zone: &Zone, now: DateTime<Utc>) -> String {
        let count = match self.waiting {
            0 => return String::new(),
            1 => "1 message waits".to_owned(),
            n => format!("{n} messages wait"),
        };
        let Some(urgent) = &self.most_urgent else { return format!("{count}.") };
        let starts = if urgent.start > now { "starts" } else { "started" };
        let which = if self.waiting == 1 { "It is" } else { "The most urgent is" };
        format!("{count}. {which} for session {}, which {starts} at {}.", urgent.session_id, words::clock(urgent.start, zone, now))
    }

    /// Headline and what waits, in one sentence.
    pub fn sentence(&self, zone: &Zone, now: DateTime<Utc>) -> String {
        format!("{} {}", self.headline(zone, now), self.what_waits(zone, now)).trim_end().to_owned()
    }
}

fn tried(channel: Channel) -> What {
    match channel {
        Channel::Email => What::Email,
        Channel::Sms => What::Sms,
    }
}

/// It should have left by now, is of use yet, and did not. What is in hand is so until it has ended: its reader may not have it.
pub fn is_overdue(state: State, due_at: DateTime<Utc>, useful_until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let undone = match state {
        State::Waiting => useful_until > now,
        State::Claimed | State::Sending => true,
        _ => false,
    };
    undone && due_at + OVERDUE_AFTER <= now
}

/// What is overdue, in due order.
pub async fn overdue(outbox: &dyn Outbox, now: DateTime<Utc>) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    for state in [State::Waiting, State::Claimed, State::Sending] {
        let filter = Filter { states: vec![state], limit: Some(COUNTED), ..Filter::default() };
        found.extend(outbox.list(&filter).await?);
    }
    found.retain(|e| is_overdue(e.state, e.notice.due_at, e.notice.useful_until, now));
    found.sort_by_key(|e| (e.notice.due_at, e.notice.key.0));
    Ok(found)
}

/// What the store tells: messages that are overdue, and sources that cannot be read, or were not read for too long.
pub async fn find(desk: &Desk, sources: &[SourceStatus], now: DateTime<Utc>) -> Result<Vec<Outage>, StoreError> {
    let overdue = overdue(&*desk.outbox, now).await?;
    let channels = [Channel::Email, Channel::Sms].into_iter().filter_map(|channel| of_channel(channel, &overdue));
    let mut found: Vec<Outage> = channels.collect();
    found.sort_by_key(|outage| outage.most_urgent.map(|urgent| urgent.start));
    let looks = desk.outbox.looks().await?;
    for name in &desk.sources {
        let unread = looks.iter().find(|look| look.source == *name).and_then(|look| look.unread.as_ref());
        if let Some(unread) = unread.filter(|unread| unread.stays || now - unread.since >= OVERDUE_AFTER) {
            found.push(Outage::of(What::Source(name.clone()), Some(unread.since), Some(unread.why.clone())));
            continue;
        }
        let read = sources.iter().find(|s| s.name == *name).and_then(|s| s.last_snapshot_at);
        if read.is_none_or(|at| now - at > desk.policy.max_stale) {
            found.push(Outage::of(What::Source(name.clone()), read, None));
        }
    }
    Ok(found)
}

fn of_channel(channel: Channel, overdue: &[Entry]) -> Option<Outage> {
    let theirs: Vec<&Entry> = overdue.iter().filter(|e| e.notice.address.channel() == channel).collect();
    let first = theirs.first()?;
    let urgent = theirs.iter().min_by_key(|e| (e.notice.useful_until, e.notice.start))?;
    let why = theirs.iter().find_map(|e| e.server_reply.as_deref());
    let untried = why.is_none() && theirs.iter().all(|e| e.attempts == 0);
    Some(Outage {
        what: if untried { What::Late(channel) } else { tried(channel) },
        since: Some(first.notice.due_at),
        why: why.map(words::fault),
        waiting: theirs.len(),
        most_urgent: Some(Urgent {
            session_id: urgent.notice.session,
            participation_id: urgent.notice.participation,
            start: urgent.notice.start,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Settings, Zones};

    #[test]
    fn it_is_told_in_words() {
        let zones = Zones::load(&Settings { fallback: Some("America/New_York".to_owned()), ..Settings::default() }).unwrap();
        let zone = zones.resolve("").unwrap().zone;
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-24T03:53:00Z");
        let urgent = Urgent { session_id: SessionId(9004), participation_id: ParticipationId(50016), start: at("2026-11-24T04:15:00Z") };
        let since = Some(at("2026-11-24T03:43:00Z"));
        let of = |what, since, why: Option<&str>| Outage::of(what, since, why.map(words::fault));
        let refused = Some("connect: Connection refused (os error 111)");
        for (outage, says) in [
            (
                Outage { waiting: 12, most_urgent: Some(urgent), ..of(What::Email, since, refused) },
                "E-mail has not gone out since 10:43 PM: the server refuses connections. 12 messages wait. The most urgent is for session \
                 9004, which starts at 11:15 PM.",
            ),
            (
                Outage { waiting: 1, most_urgent: Some(urgent), ..of(What::Late(Channel::Sms), since, None) },
                "Text messages are late since 10:43 PM. 1 message waits. It is for session 9004, which starts at 11:15 PM.",
            ),
            (of(What::Sms, None, Some("421 too busy")), "Text messages pause: the server says 421 too busy."),
            (
                of(What::Source("calendar".to_owned()), Some(at("2026-11-22T15:00:00Z")), None),
                "The sessions of \u{201c}calendar\u{201d} could not be read since Sun, Nov 22, 10:00 AM.",
            ),
        ] {
            assert_eq!(outage.sentence(&zone, now), says);
        }
    }

    #[test]
    fn overdue_is_what_should_have_left_and_is_of_use() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let seconds = |n| now + TimeDelta::seconds(n);
        for (state, due, until, overdue) in [
            (State::Waiting, -60, 1, true),
            (State::Sending, -600, 1, true),
            (State::Waiting, -59, 1, false),
            (State::Waiting, -60, 0, false),
            (State::Sending, -600, -300, true),
            (State::Claimed, -600, -300, true),
            (State::Accepted, -600, 600, false),
            (State::Held, -600, 600, false),
        ] {
            assert_eq!(is_overdue(state, seconds(due), seconds(until), now), overdue, "{state} {due} {until}");
        }
    }
}
