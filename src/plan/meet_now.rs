//! Meet Now: sessions that begin when they are made, and who joins at once.

use chrono::{DateTime, TimeDelta, Timelike, Utc};

use crate::contact::Address;
use crate::known::Known;
use crate::session::Session;

/// A Meet Now session is joined within this time, so its invite is useful so long.
pub(super) const MEET_NOW_USEFUL: TimeDelta = TimeDelta::minutes(30);
/// A start with seconds that is no further ahead than this when it is first seen was not scheduled: it is the moment at which somebody began.
const MEET_NOW_AHEAD: TimeDelta = TimeDelta::minutes(5);

/// A session that begins when it is made: its start has seconds, and it is first seen then; or it has begun already when it is first seen.
pub fn is_meet_now(session: &Session, known: &Known) -> bool {
    let (start, seen) = (session.start, known.session_seen);
    let at_once = start.second() != 0 && start <= seen + MEET_NOW_AHEAD;
    at_once || may_be_joined(session, seen)
}

/// To them it begins when they are told: the session is Meet Now, or it ran already when they, or their address, became known.
pub fn joins_now(session: &Session, known: &Known, address: Option<&Address>) -> bool {
    let known_at = address.map_or(known.first_seen, |address| address_known_at(known, address));
    is_meet_now(session, known) || may_be_joined(session, known_at)
}

/// Whoever becomes known then can still join.
pub fn may_be_joined(session: &Session, at: DateTime<Utc>) -> bool {
    (session.start..=session.start + MEET_NOW_USEFUL).contains(&at)
}

/// When this address became known. Another address is another person until they were told.
pub(super) fn address_known_at(known: &Known, address: &Address) -> DateTime<Utc> {
    let readdressed = known.notices.iter().any(|n| n.heard() && n.notice.address != *address);
    if readdressed { known.first_seen.max(known.facts_known_at) } else { known.first_seen }
}
