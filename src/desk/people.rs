//! Who is meant: names and contacts of participants, and whoever somebody looks for.
//!
//! In: what the store holds. Out: [`Who`]s, whose names and contacts print masked. Whether somebody may see them is decided where they are shown.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::{Desk, latest};
use crate::contact::{PersonName, PhoneNumber};
use crate::outbox::StoreError;
use crate::session::stored::StoredSession;
use crate::session::{Participant, ParticipantKey, ParticipationId, RawContact, Role, Session, SessionId};
use crate::source::json::record_of;

/// Shorter words find nobody by name or address: they would find everybody.
const WORD_MIN: usize = 2;
/// Readings at once: more than a machine of ours has processors.
const AT_ONCE: usize = 4;
/// Digits that may be a part of a telephone number.
const DIGITS_MIN: usize = 4;

/// Somebody in a session.
#[derive(Debug, Clone)]
pub struct Who {
    pub session: SessionId,
    /// The person in it.
    pub participation: ParticipationId,
    /// Host or participant; `None`: their record cannot be read.
    pub role: Option<Role>,
    /// May be empty.
    pub name: PersonName,
    /// The host's name, of somebody else.
    pub host: Option<PersonName>,
    /// When the session starts; `None`: that cannot be read.
    pub start: Option<DateTime<Utc>>,
    /// How they can be reached.
    pub contacts: Contacts,
    /// ParticipantExternalId; empty: none.
    pub external_id: String,
}

/// The contacts of a record, as its source has them.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    /// May be no address at all.
    pub email: RawContact,
    /// May be no number at all.
    pub number: RawContact,
    /// The number, if it can be called.
    pub phone: Option<PhoneNumber>,
}

impl Contacts {
    pub fn of(person: &Participant, region: &str) -> Self {
        Self::read(&person.email.0, &person.sms_number.0, region)
    }

    /// As a record has them.
    pub fn read(email: &str, number: &str, region: &str) -> Self {
        Self { phone: PhoneNumber::possible(number, region).ok(), ..Self::unread(email, number) }
    }

    /// Likewise; nobody has looked yet whether the number can be called: that takes long.
    fn unread(email: &str, number: &str) -> Self {
        Self { email: RawContact(email.trim().to_owned()), number: RawContact(number.trim().to_owned()), phone: None }
    }
}

impl Who {
    fn of(session: &Session, person: &Participant, contacts: Contacts) -> Self {
        Self {
            session: session.id,
            participation: person.id,
            role: Some(person.role),
            name: person.name.clone(),
            host: session.host_name().filter(|_| person.role != Role::Host).cloned(),
            start: Some(session.start),
            contacts,
            external_id: person.external_id.clone(),
        }
    }

    /// Of whom only a record at fault is there: what can be read of it.
    fn at_fault(session: &Session, id: ParticipationId, region: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(&record_of(&session.record, id)?).ok()?;
        Some(Self { host: session.host_name().cloned(), start: Some(session.start), ..Self::of_record((session.id, id), &record, region) })
    }

    /// What a participant's record says, whatever is wrong with it: without host and start.
    pub(super) fn of_record((session, participation): ParticipantKey, record: &Value, region: &str) -> Self {
        let text = |key: &str| match &record[key] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        Self {
            session,
            participation,
            role: None,
            name: PersonName::clean(&text("ParticipantFullName")),
            host: None,
            start: None,
            contacts: Contacts::read(&text("ParticipantEmailAddress"), &text("ParticipantSmsNumber"), region),
            external_id: text("ParticipantExternalId"),
        }
    }
}

/// Who they are, as far as the store has their records.
pub async fn of(desk: &Desk, places: &[ParticipantKey]) -> Result<HashMap<ParticipantKey, Who>, StoreError> {
    let mut wanted: BTreeMap<SessionId, BTreeSet<ParticipationId>> = BTreeMap::new();
    for (session, id) in places {
        wanted.entry(*session).or_default().insert(*id);
    }
    let ids: Vec<SessionId> = wanted.keys().copied().collect();
    let mut found = HashMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    for source in &desk.sources {
        for session in desk.outbox.sessions(source, Some(&ids)).await?.iter().filter_map(latest) {
            for id in wanted.get(&session.id).into_iter().flatten() {
                let region = &desk.policy.region;
                let who = session.participant(*id).map(|p| Who::of(&session, p, Contacts::of(p, region)));
                if let Some(who) = who.or_else(|| Who::at_fault(&session, *id, region)) {
                    found.insert((session.id, *id), who);
                }
            }
        }
    }
    Ok(found)
}

/// Whom these words mean: a part of the name, the address or the number, or a session's or a person's id. `by_name`: else by ids alone. Those to come
/// first, then those that were; `limit` at most.
pub async fn find(desk: &Desk, asked: &str, by_name: bool, (now, limit): (DateTime<Utc>, usize)) -> Result<Vec<Who>, StoreError> {
    let wanted = Wanted::of(asked, by_name);
    let mut found = Vec::new();
    for source in &desk.sources {
        let stored = desk.outbox.sessions(source, None).await?;
        let share = stored.len().div_ceil(AT_ONCE).max(1);
        let mut stored = stored.into_iter().peekable();
        let mut readings = Vec::new();
        while stored.peek().is_some() {
            let (wanted, region) = (wanted.clone(), desk.policy.region.clone());
            let these: Vec<StoredSession> = stored.by_ref().take(share).collect();
            // Thousands of records are read: not where others wait.
            readings.push(tokio::task::spawn_blocking(move || matching(&these, &wanted, &region)));
        }
        for reading in readings {
            found.extend(reading.await.unwrap_or_default());
        }
    }
    found.sort_by_key(|who: &Who| {
        let start = who.start.map(|start| start.timestamp());
        (start.is_some_and(|start| start < now.timestamp()), start.map(|start| (start - now.timestamp()).abs()))
    });
    found.truncate(limit);
    for Contacts { email, number, phone } in found.iter_mut().map(|who| &mut who.contacts) {
        *phone = Contacts::read(&email.0, &number.0, &desk.policy.region).phone;
    }
    Ok(found)
}

/// Those of them whom these words mean.
pub fn among(everybody: Vec<Who>, asked: &str, by_name: bool) -> impl Iterator<Item = Who> {
    let wanted = Wanted::of(asked, by_name);
    everybody.into_iter().filter(move |who| wanted.is(&SearchKeys::of(who)))
}

fn matching(stored: &[StoredSession], wanted: &Wanted, region: &str) -> Vec<Who> {
    let sessions = stored.iter().filter(|one| wanted.may_be_in(one)).filter_map(latest);
    let mut found: Vec<Who> = sessions
        .flat_map(|session| {
            let people = session.participants.iter().filter(|p| wanted.means(session.id, p));
            let people = people.map(|p| Who::of(&session, p, Contacts::unread(&p.email.0, &p.sms_number.0)));
            let at_fault = session.faults.iter().filter_map(|f| f.participation).filter(|id| session.participant(*id).is_none());
            let at_fault = at_fault.filter_map(|id| Who::at_fault(&session, id, region)).filter(|who| wanted.is(&SearchKeys::of(who)));
            people.chain(at_fault).collect::<Vec<_>>()
        })
        .collect();
    found.sort_by_key(|who| Reverse(who.start));
    found
}

/// What somebody may be looked for by.
struct SearchKeys<'a> {
    ids: [i64; 2],
    external_id: &'a str,
    name: &'a str,
    email: &'a str,
    number: &'a str,
}

impl<'a> SearchKeys<'a> {
    fn of(who: &'a Who) -> Self {
        let (external_id, contacts) = (who.external_id.as_str(), &who.contacts);
        let ids = [who.session.0, who.participation.0];
        Self { ids, external_id, name: who.name.expose(), email: &contacts.email.0, number: &contacts.number.0 }
    }
}

/// What is looked for.
#[derive(Clone)]
struct Wanted {
    id: Option<i64>,
    text: String,
    /// Words of a name; empty: not by name.
    words: Vec<String>,
    /// Digits of a number; empty: not by number.
    digits: String,
}

impl Wanted {
    fn of(asked: &str, by_name: bool) -> Self {
        let text = folded(asked.trim());
        let digits: String = asked.chars().filter(char::is_ascii_digit).collect();
        let numeric = asked.chars().all(|c| c.is_ascii_digit() || "+-.() ".contains(c));
        let words = words_of(&text).map(str::to_owned).collect();
        Self {
            id: asked.trim().parse().ok(),
            words: if by_name { words } else { Vec::new() },
            digits: if by_name && numeric && digits.len() >= DIGITS_MIN { digits } else { String::new() },
            text,
        }
    }

    /// Whether a record is worth to be read. Words stand in it as they are, if all of it is plain.
    fn may_be_in(&self, stored: &StoredSession) -> bool {
        if self.id.is_some() || !self.digits.is_empty() {
            return true;
        }
        let words: Vec<&str> = words_of(&self.text).collect();
        let texts = std::iter::once(&stored.record.text).chain(stored.departed.iter().map(|one| &one.record));
        let mut texts = texts.map(|text| text.to_ascii_lowercase());
        let is_plain = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t') && b != b'\\');
        texts.any(|text| !is_plain(&text) || words.iter().all(|word| text.contains(word)))
    }

    fn means(&self, session: SessionId, person: &Participant) -> bool {
        let (name, email, number) = (person.name.expose(), person.email.0.as_str(), person.sms_number.0.as_str());
        self.is(&SearchKeys { ids: [session.0, person.id.0], external_id: &person.external_id, name, email, number })
    }

    fn is(&self, who: &SearchKeys<'_>) -> bool {
        if self.id.is_some_and(|id| who.ids.contains(&id)) || (!self.text.is_empty() && folded(who.external_id) == self.text) {
            return true;
        }
        let digits = || who.number.chars().filter(char::is_ascii_digit).collect::<String>();
        // The pages write +1 212-555-0102 of what a record calls (212) 555-0102.
        let bare = self.digits.strip_prefix('1').filter(|rest| self.text.starts_with("+1") && rest.len() >= 3).unwrap_or(&self.digits);
        if !self.digits.is_empty() && digits().contains(bare) {
            return true;
        }
        if self.words.is_empty() {
            return false;
        }
        let (name, email) = (folded(who.name), folded(who.email));
        self.words.iter().all(|word| name.contains(word) || email.contains(word))
    }
}

/// Those that can be looked for: one letter alone stands in nearly every name, but a family name may be one sign (李).
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().filter(|word| word.chars().count() >= WORD_MIN || !word.is_ascii())
}

/// Small letters without accents: `José` is found by `jose`.
fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.to_lowercase().nfd().filter(|c| !is_combining_mark(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jose() -> Who {
        Who {
            session: SessionId(4102),
            participation: ParticipationId(5112),
            role: Some(Role::Participant),
            name: PersonName::clean("Jos\u{e9} Llama"),
            host: None,
            start: Some(DateTime::UNIX_EPOCH),
            contacts: Contacts::read("jose.l@example.org", "(212) 555-0102", "US"),
            external_id: "MRN-77".to_owned(),
        }
    }

    #[test]
    fn people_are_found_by_what_is_known_of_them() {
        for (asked, by_name, found) in [
            ("jose", true, true),
            ("LLAMA Jos\u{e9}", true, true),
            ("jose.l@example", true, true),
            ("555-0102", true, true),
            ("(212) 555 0102", true, true),
            ("+1 212", true, true),
            ("+1 212-555-0102", true, true),
            ("4102", true, true),
            ("5112", false, true),
            ("mrn-77", false, true),
            ("mrn", false, false),
            ("jose", false, false),
            ("555-0102", false, false),
            ("j", true, false),
            ("jose park", true, false),
            ("102", true, false),
            ("", true, false),
        ] {
            assert_eq!(Wanted::of(asked, by_name).is(&SearchKeys::of(&jose())), found, "{asked:?} {by_name}");
        }
    }

    #[test]
    fn a_name_of_one_sign_is_found() {
        let li = Who { name: PersonName::clean("\u{674e} \u{1f600}"), ..jose() };
        for (asked, found) in [("\u{674e}", true), ("\u{1f600}", true), ("\u{738b}", false), ("e", false), ("\u{e9}", false)] {
            assert_eq!(Wanted::of(asked, true).is(&SearchKeys::of(&li)), found, "{asked}");
        }
    }

    #[test]
    fn contacts_are_masked_in_print() {
        let said = format!("{:?}", jose());
        assert!(!said.contains("Llama") && !said.contains("jose") && !said.contains("555"), "{said}");
    }
}
