//! When a failed hand-over is tried again, and what becomes of one that is in doubt. Pure, bounded, tabled.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::contact::Channel;
use crate::notice::{Notice, NoticeKey, Occasion};

/// The first pause.
const FIRST: TimeDelta = TimeDelta::seconds(30);
/// The longest pause.
const LONGEST: TimeDelta = TimeDelta::minutes(30);
/// The shortest pause, however little time is left.
const SHORTEST: TimeDelta = TimeDelta::seconds(5);
/// The pause before a doubtful message is sent again: long enough for a server that was slow to answer to have finished.
const AFTER_DOUBT: TimeDelta = TimeDelta::minutes(10);
/// A text in doubt is sent again only when the start is this near.
const URGENT: TimeDelta = TimeDelta::hours(1);

/// The pause after the `attempt`th failure (1 for the first): 30 s, 1, 2, 4, 8, 16, 30 minutes, then 30 minutes each; less up to a
/// fifth, by the notice's key, so that what failed together is not tried together.
pub fn pause(attempt: u32, key: NoticeKey) -> TimeDelta {
    let doublings = attempt.saturating_sub(1).min(6);
    let full = (FIRST * (1 << doublings)).min(LONGEST);
    let spread = u32::from(key.0[0]) ^ attempt.wrapping_mul(97);
    full - full * (spread % 256) as i32 / (256 * 5)
}

/// A pause that leaves time for more attempts: never longer than a quarter of what is left until the most urgent useful-until. `None`: nothing
/// waits.
pub fn bounded(pause: TimeDelta, left: Option<TimeDelta>) -> TimeDelta {
    left.map_or(pause, |left| pause.min((left / 4).max(SHORTEST)))
}

/// What the server asks for, if there is time for that: of a wait that would outlast the use of what waits, nothing is left but to ask again.
fn asked_for(server_says: Option<Duration>, left: TimeDelta) -> TimeDelta {
    let said = server_says.and_then(|d| TimeDelta::from_std(d).ok());
    said.filter(|said| *said < left).unwrap_or_default()
}

/// When a message that was not sent is tried again: after the back-off, or when the server said, whichever is later; at `useful_until`
/// at the latest, where it lapses loudly.
pub fn next_attempt(
    attempt: u32,
    key: NoticeKey,
    server_says: Option<Duration>,
    now: DateTime<Utc>,
    useful_until: DateTime<Utc>,
) -> DateTime<Utc> {
    let left = useful_until - now;
    let pause = bounded(pause(attempt, key), Some(left)).max(asked_for(server_says, left));
    (now + pause).min(useful_until.max(now))
}

/// The pause of a channel at fault, after so many faults in a row (1 for the first). `left`: until the most urgent of what waits for it is of no
/// use any more; `None`: nothing waits.
pub fn channel_pause(faults: u32, server_says: Option<Duration>, left: Option<TimeDelta>) -> TimeDelta {
    let pause = (FIRST * (1 << faults.saturating_sub(1).min(6))).min(LONGEST);
    bounded(pause, left).max(asked_for(server_says, left.unwrap_or(TimeDelta::MAX)))
}

/// What a channel does about a message that may or may not have been accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DoubtPolicy {
    /// Send the same bytes again, once. (A text: an invite only, and only if the start is within the hour.)
    #[default]
    Resend,
    /// Wait for a person.
    Hold,
}

/// When a doubtful message is sent again; `None`: a person decides. `again`: this attempt was such a resend already.
pub fn after_doubt(policy: DoubtPolicy, notice: &Notice, again: bool, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if policy == DoubtPolicy::Hold || again {
        return None;
    }
    let at = match (notice.address.channel(), notice.occasion) {
        (Channel::Email, _) => now + AFTER_DOUBT,
        // A duplicate reminder is noise; a missing invite is harm, but only when there is no time left for a receipt to arrive.
        (Channel::Sms, Occasion::Reminder | Occasion::NotJoined) => return None,
        (Channel::Sms, _) => (now + AFTER_DOUBT).max(notice.start - URGENT),
    };
    (at < notice.useful_until).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{Address, EmailAddress, PhoneNumber};
    use crate::session::{ParticipationId, Role, SessionId};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn pauses_double_up_to_half_an_hour() {
        let key = NoticeKey([0; 16]);
        let full: Vec<i64> = [30, 60, 120, 240, 480, 960, 1800, 1800, 1800].to_vec();
        for (n, seconds) in (1..).zip(full) {
            let pause = pause(n, key);
            assert!(pause <= TimeDelta::seconds(seconds) && pause >= TimeDelta::seconds(seconds * 4 / 5), "{n}: {pause}");
        }
        assert_ne!(pause(3, NoticeKey([0; 16])), pause(3, NoticeKey([200; 16])));
        assert!(pause(u32::MAX, key) <= LONGEST);
    }

    #[test]
    fn the_servers_word_and_what_is_left_bound_a_retry() {
        let (now, key) = (at("2026-11-24T12:00:00Z"), NoticeKey([0; 16]));
        for (attempt, server_says, useful_until, next) in [
            (1, Some(900), "2026-11-25T12:00:00Z", "2026-11-24T12:15:00Z"),
            (9, None, "2026-11-24T12:40:00Z", "2026-11-24T12:10:00Z"),
            (9, None, "2026-11-24T12:05:00Z", "2026-11-24T12:01:15Z"),
            (9, None, "2026-11-24T12:00:16Z", "2026-11-24T12:00:05Z"),
            (9, None, "2026-11-24T12:00:03Z", "2026-11-24T12:00:03Z"),
            (1, None, "2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"),
            // The server's word counts, as long as the message is of use after it.
            (9, Some(1500), "2026-11-24T12:30:00Z", "2026-11-24T12:25:00Z"),
            (9, Some(3600), "2026-11-24T12:30:00Z", "2026-11-24T12:07:30Z"),
        ] {
            let server_says = server_says.map(Duration::from_secs);
            assert_eq!(
                next_attempt(attempt, key, server_says, now, at(useful_until)),
                at(next),
                "{attempt} {server_says:?} {useful_until}"
            );
        }
    }

    #[test]
    fn a_channel_pauses_for_a_quarter_of_what_is_left_at_most() {
        for (faults, server_says, left, seconds) in [
            (1, None, None, 30),
            (3, None, None, 120),
            (9, None, None, 1800),
            (9, None, Some(3600), 900),
            (9, None, Some(400), 100),
            (9, None, Some(-400), 5),
            (1, Some(3600), None, 3600),
            (1, Some(3600), Some(7200), 3600),
            (9, Some(3600), Some(1800), 450),
        ] {
            let (said, time) = (server_says.map(Duration::from_secs), left.map(TimeDelta::seconds));
            assert_eq!(channel_pause(faults, said, time), TimeDelta::seconds(seconds), "{faults} {said:?} {left:?}");
        }
    }

    fn notice(channel: Channel, occasion: Occasion, start: DateTime<Utc>) -> Notice {
        Notice {
            key: NoticeKey([0; 16]),
            session: SessionId(1),
            participation: ParticipationId(2),
            role: Role::Participant,
            occasion,
            rule: None,
            address: match channel {
                Channel::Email => Address::Email(EmailAddress::parse("ray@example.com").unwrap()),
                Channel::Sms => Address::Sms(PhoneNumber::parse("+12125550102", "US").unwrap()),
            },
            start,
            due_at: start,
            useful_until: start,
        }
    }

    #[test]
    fn doubt_by_channel_and_occasion() {
        let now = at("2026-11-24T12:00:00Z");
        let (soon, later) = (at("2026-11-24T12:40:00Z"), at("2026-11-24T18:00:00Z"));
        let ten = Some(at("2026-11-24T12:10:00Z"));
        use {
            Channel::{Email, Sms},
            DoubtPolicy::{Hold, Resend},
            Occasion::{Invite, Reminder},
        };
        for (policy, channel, occasion, again, start, want) in [
            (Resend, Email, Invite, false, later, ten),
            (Resend, Email, Reminder, false, later, ten),
            (Resend, Email, Reminder, true, later, None),
            (Resend, Email, Reminder, false, at("2026-11-24T12:08:00Z"), None),
            (Hold, Email, Invite, false, later, None),
            (Resend, Sms, Invite, false, soon, ten),
            (Resend, Sms, Invite, false, later, Some(at("2026-11-24T17:00:00Z"))),
            (Resend, Sms, Invite, true, soon, None),
            (Resend, Sms, Reminder, false, soon, None),
        ] {
            assert_eq!(after_doubt(policy, &notice(channel, occasion, start), again, now), want, "{channel} {occasion} {again}");
        }
    }
}
