//! The codes of everybody who still may join something, over all sources: none of them may stand in anybody else's message.
//!
//! In: what the sources say, walk by walk. Out: whose a code is. What a source lists no more stays until a day after its start: it may only be
//! silent about it. Shared by all threads.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};

use super::{ParticipationId, Session, SessionId};
use crate::contact::ConnectCode;

/// So long after its start a session still holds its codes.
pub const HOLDS_FOR: TimeDelta = TimeDelta::days(1);

/// Whose a code is: of a session itself, or of somebody whose id cannot be read, there is no participation.
pub type Holder = (SessionId, Option<ParticipationId>);

/// Who holds which code. Several may share it.
#[derive(Default)]
pub struct LiveCodes(RwLock<Arc<RwLock<CodeTable>>>);

/// A practice may have half a million of them, so a code costs a few bytes: the number of the session that holds it.
#[derive(Default)]
struct CodeTable {
    sources: Vec<String>,
    sessions: Vec<CodesOfSession>,
    /// Numbers of `sessions` that hold nothing any more, to be given again.
    unused: Vec<u32>,
    numbers: HashMap<(u32, SessionId), u32>,
    holders: HashMap<ConnectCode, u32>,
    /// Where several sessions hold a code, be it one that two sources tell: those beside the one in `holders`.
    further: HashMap<ConnectCode, Vec<u32>>,
    /// The last look for what is over.
    swept: Option<DateTime<Utc>>,
}

/// Of one session, as one source tells it.
struct CodesOfSession {
    key: (u32, SessionId),
    start: DateTime<Utc>,
    codes: Box<[(ConnectCode, Option<ParticipationId>)]>,
}

impl LiveCodes {
    /// From now on it knows what the other one is told, before and after.
    pub fn share(&self, other: &Self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other.all();
    }

    fn all(&self) -> Arc<RwLock<CodeTable>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a source says of these sessions now.
    pub fn put(&self, source: &str, sessions: &[Session], now: DateTime<Utc>) {
        let all = self.all();
        let mut held = all.write().unwrap_or_else(PoisonError::into_inner);
        held.sweep(now);
        let source = held.number_of(source);
        for session in sessions.iter().filter(|s| s.start + HOLDS_FOR > now) {
            held.put(source, session);
        }
    }

    /// Whose a code is. Empty: nobody's.
    pub fn holders(&self, codes: &[ConnectCode]) -> Vec<(ConnectCode, Holder)> {
        let all = self.all();
        let held = all.read().unwrap_or_else(PoisonError::into_inner);
        codes.iter().flat_map(|code| held.of(*code).map(|holder| (*code, holder))).collect()
    }
}

impl CodeTable {
    /// Sources are few: a configuration names each.
    fn number_of(&mut self, source: &str) -> u32 {
        let known = self.sources.iter().position(|known| known == source);
        known.unwrap_or_else(|| {
            self.sources.push(source.to_owned());
            self.sources.len() - 1
        }) as u32
    }

    fn of(&self, code: ConnectCode) -> impl Iterator<Item = Holder> {
        let numbers = self.holders.get(&code).into_iter().chain(self.further.get(&code).into_iter().flatten());
        numbers.filter_map(|number| self.sessions.get(*number as usize)).flat_map(move |session| {
            let its = session.codes.iter().filter(move |(held, _)| *held == code);
            its.map(|(_, person)| (session.key.1, *person))
        })
    }

    fn put(&mut self, source: u32, session: &Session) {
        let key = (source, session.id);
        let codes = codes_of(session);
        let known = self.numbers.get(&key).and_then(|number| self.sessions.get(*number as usize));
        if known.is_some_and(|known| known.start == session.start && *known.codes == *codes) {
            return;
        }
        self.forget(key);
        if codes.is_empty() {
            return;
        }
        let told = CodesOfSession { key, start: session.start, codes: codes.into_boxed_slice() };
        let number = self.unused.pop().unwrap_or(self.sessions.len() as u32);
        for (code, _) in &told.codes {
            let first = *self.holders.entry(*code).or_insert(number);
            if first != number {
                let others = self.further.entry(*code).or_default();
                // It may hold one code for two people.
                if !others.contains(&number) {
                    others.push(number);
                }
            }
        }
        match self.sessions.get_mut(number as usize) {
            Some(place) => *place = told,
            None => self.sessions.push(told),
        }
        self.numbers.insert(key, number);
    }

    fn forget(&mut self, key: (u32, SessionId)) {
        let Some(number) = self.numbers.remove(&key) else { return };
        let Some(session) = self.sessions.get_mut(number as usize) else { return };
        for (code, _) in std::mem::take(&mut session.codes) {
            let mut others = self.further.remove(&code).unwrap_or_default();
            others.retain(|other| *other != number);
            if self.holders.get(&code) == Some(&number) {
                match others.pop() {
                    Some(other) => self.holders.insert(code, other),
                    None => self.holders.remove(&code),
                };
            }
            if !others.is_empty() {
                self.further.insert(code, others);
            }
        }
        self.unused.push(number);
    }

    /// Forgets, once an hour, the codes of sessions that are over.
    fn sweep(&mut self, now: DateTime<Utc>) {
        if self.swept.is_some_and(|then| (now - then).abs() < TimeDelta::hours(1)) {
            return;
        }
        self.swept = Some(now);
        let over = self.sessions.iter().filter(|known| !known.codes.is_empty() && known.start + HOLDS_FOR <= now);
        let over: Vec<_> = over.map(|known| known.key).collect();
        over.into_iter().for_each(|key| self.forget(key));
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
    fn those_who_share_know_what_each_is_told() {
        let (one, other) = (LiveCodes::default(), LiveCodes::default());
        let now: DateTime<Utc> = "2026-11-25T15:00:00Z".parse().unwrap();
        one.put("a", &session(ONE), now);
        other.share(&one);
        assert_eq!(of(&other, "378174671"), [2]);
        one.put("a", &session(&ONE.replace("378174671", "378174672")), now);
        assert_eq!((of(&other, "378174671"), of(&other, "378174672")), (vec![], vec![2]));
    }

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
    /// The same, session by session.
    fn slowly(said: &HashMap<(usize, i64), Session>, code: ConnectCode) -> Vec<Holder> {
        let of = |session: &Session| {
            codes_of(session).into_iter().filter(|(held, _)| *held == code).map(|(_, person)| (session.id, person)).collect()
        };
        let mut all: Vec<Holder> = said.values().flat_map(|session| -> Vec<Holder> { of(session) }).collect();
        all.sort_unstable();
        all
    }

    proptest::proptest! {
        /// Few sessions, sources and codes, so that they meet.
        #[test]
        fn whose_a_code_is_is_what_the_sources_said_last(said in proptest::collection::vec((0..3_usize, 1..4_i64, proptest::collection::vec(1..6_u32, 0..4)), 0..40)) {
            let live = LiveCodes::default();
            let now: DateTime<Utc> = "2026-11-25T15:00:00Z".parse().unwrap();
            let mut latest = HashMap::new();
            for (source, id, codes) in said {
                let mut sessions = session(ONE);
                let two = sessions[0].participants.clone();
                sessions[0].id = SessionId(id);
                sessions[0].unread.clear();
                sessions[0].participants = codes.iter().enumerate().map(|(n, code)| {
                    let mut person = two[0].clone();
                    (person.id, person.code) = (ParticipationId(n as i64), ConnectCode::of(*code));
                    person
                }).collect();
                live.put(["a", "b", "c"][source], &sessions, now);
                latest.insert((source, id), sessions.remove(0));
                for code in (1..6).filter_map(ConnectCode::of) {
                    let mut held: Vec<Holder> = live.holders(&[code]).into_iter().map(|(_, holder)| holder).collect();
                    held.sort_unstable();
                    proptest::prop_assert_eq!(held, slowly(&latest, code));
                }
            }
        }
    }
}
