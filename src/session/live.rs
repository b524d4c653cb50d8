//! The codes of everybody who still may join something, over all sources: none of them may stand in anybody else's message.
//!
//! In: what the sources say, walk by walk. Out: whose a code is. What a source lists no more stays until a day after its start: it may only be
//! silent about it. Shared by all threads.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};

use super::{ParticipationId, Session, SessionId};
use crate::contact::ConnectCode;

/// So long after its start a session still holds its codes.
pub const HOLDS_FOR: TimeDelta = TimeDelta::days(1);

/// Whose a code is: of a session itself, or of somebody whose id cannot be read, there is no participation.
pub type Holder = (SessionId, Option<ParticipationId>);

/// Who holds which code.
#[derive(Default)]
pub struct LiveCodes(RwLock<Held>);

#[derive(Default)]
struct Held {
    sessions: HashMap<(String, SessionId), Codes>,
    holders: HashMap<ConnectCode, Vec<Holder>>,
    /// The last look for what is over.
    swept: Option<DateTime<Utc>>,
}

/// Of one session.
struct Codes {
    start: DateTime<Utc>,
    codes: Vec<(ConnectCode, Option<ParticipationId>)>,
}

impl LiveCodes {
    /// What a source says of these sessions now.
    pub fn put(&self, source: &str, sessions: &[Session], now: DateTime<Utc>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.sweep(now);
        for session in sessions.iter().filter(|s| s.start + HOLDS_FOR > now) {
            held.put(source, session);
        }
    }

    /// Whose a code is. Empty: nobody's.
    pub fn holders(&self, codes: &[ConnectCode]) -> Vec<(ConnectCode, Holder)> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let all = codes.iter().filter_map(|code| held.holders.get(code).map(|holders| (*code, holders)));
        all.flat_map(|(code, holders)| holders.iter().map(move |holder| (code, *holder))).collect()
    }
}

impl Held {
    fn put(&mut self, source: &str, session: &Session) {
        let key = (source.to_owned(), session.id);
        let codes = codes_of(session);
        if self.sessions.get(&key).is_some_and(|known| known.start == session.start && known.codes == codes) {
            return;
        }
        self.forget(&key);
        for (code, person) in &codes {
            self.holders.entry(*code).or_default().push((session.id, *person));
        }
        if !codes.is_empty() {
            self.sessions.insert(key, Codes { start: session.start, codes });
        }
    }

    fn forget(&mut self, key: &(String, SessionId)) {
        for (code, person) in self.sessions.remove(key).into_iter().flat_map(|known| known.codes) {
            let Some(holders) = self.holders.get_mut(&code) else { continue };
            if let Some(at) = holders.iter().position(|holder| *holder == (key.1, person)) {
                holders.swap_remove(at);
            }
            if holders.is_empty() {
                self.holders.remove(&code);
            }
        }
    }

    /// Once an hour.
    fn sweep(&mut self, now: DateTime<Utc>) {
        if self.swept.is_some_and(|then| (now - then).abs() < TimeDelta::hours(1)) {
            return;
        }
        self.swept = Some(now);
        let over: Vec<_> = self.sessions.iter().filter(|(_, known)| known.start + HOLDS_FOR <= now).map(|(key, _)| key.clone()).collect();
        over.iter().for_each(|key| self.forget(key));
    }
}

/// Those of a session that opens something: its own one, those of its people, and those of records at fault.
fn codes_of(session: &Session) -> Vec<(ConnectCode, Option<ParticipationId>)> {
    if !session.is_active() {
        return Vec::new();
    }
    let own = session.code.map(|code| (code, None));
    let people = session.participants.iter().filter_map(|p| Some((p.code?, Some(p.id))));
    let unread = session.unread.iter().filter_map(|unread| Some((unread.code?, unread.id)));
    own.into_iter().chain(people).chain(unread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::json;

    fn session(json: &str) -> Vec<Session> {
        json::parse(json.as_bytes()).unwrap().sessions
    }

    fn of(live: &LiveCodes, code: &str) -> Vec<i64> {
        live.holders(&[ConnectCode::parse(code).unwrap()]).into_iter().filter_map(|(_, (_, person))| Some(person?.0)).collect()
    }

    const ONE: &str = r#"[{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","Participants":[{"ParticipationId":2,"ShouldAutoDeliverCode":"N","ConnectCode":"378174671"},
        {"ParticipationId":3,"ShouldAutoDeliverCode":"?","ConnectCode":"347409115"}]}]"#;

    #[test]
    fn a_code_is_live_until_its_session_says_otherwise_or_is_over() {
        let live = LiveCodes::default();
        let now: DateTime<Utc> = "2026-11-25T15:00:00Z".parse().unwrap();
        live.put("a", &session(ONE), now);
        live.put("b", &session(ONE), now);
        assert_eq!((of(&live, "378174671"), of(&live, "347409115"), of(&live, "111111111")), (vec![2, 2], vec![3, 3], vec![]));
        live.put("a", &[], now);
        assert_eq!(of(&live, "378174671"), [2, 2], "a source that is silent about it takes nothing away");
        live.put("a", &session(&ONE.replace("378174671", "378174672")), now);
        live.put("b", &session(&ONE.replace("\"ScheduleTs\"", "\"ScheduleType\":\"Cancelled\",\"ScheduleTs\"")), now);
        assert_eq!((of(&live, "378174671"), of(&live, "378174672")), (vec![], vec![2]));
        live.put("a", &[], now + TimeDelta::days(3));
        assert_eq!(of(&live, "378174672"), Vec::<i64>::new());
        live.put("a", &session(ONE), now + TimeDelta::days(3));
        assert_eq!(of(&live, "378174671"), Vec::<i64>::new(), "it is over");
    }
}
