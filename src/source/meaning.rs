//! What a practice says of its source's words, applied to what the source said.

use std::collections::BTreeMap;

use super::json;
use super::words::{Dictionary, Meaning, schedule_type, shown, stands};
use crate::session::{Fault, Session, Snapshot, Standing, TakenFor};

/// Takes each session for what the practice says that its word means. A word that nobody knows is told as a fault; its session is held.
pub fn apply(snapshot: &mut Snapshot, dictionary: &Dictionary) {
    let mut unknowns = Vec::new();
    for session in &mut snapshot.sessions {
        // That its source took it back is no word that somebody may say the meaning of.
        if session.record.taken_for == Some(TakenFor::Withdrawn) {
            continue;
        }
        if session.record.taken_for.is_some() || !dictionary.is_empty() {
            let word = json::schedule_type(&session.record.text);
            let said = dictionary.meaning(&word);
            session.record.taken_for = said.map(Meaning::taken_for);
            (session.cancelled, session.standing) = stands(said.or_else(|| schedule_type(&word)));
        }
        if session.standing == Standing::Unknown {
            unknowns.push(unknown(session));
        }
    }
    unknowns.into_iter().for_each(|fault| snapshot.fault(fault));
}

/// Each word of ScheduleType, what it is taken for (`None`: it is not known), and how many sessions have it.
pub fn census(snapshot: &Snapshot) -> BTreeMap<(String, Option<Meaning>), usize> {
    let mut census = BTreeMap::new();
    for session in &snapshot.sessions {
        let meaning = match session.standing {
            _ if session.cancelled => Some(Meaning::Cancelled),
            Standing::Live => Some(Meaning::Live),
            Standing::Over => Some(Meaning::Over),
            Standing::Unknown => None,
        };
        let word = json::schedule_type(&session.record.text);
        let word = shown(&word).unwrap_or("(another text)").to_owned();
        *census.entry((word, meaning)).or_default() += 1;
    }
    census
}

fn unknown(session: &Session) -> Fault {
    let word = json::schedule_type(&session.record.text);
    let found = shown(&word).map_or_else(|| "a text".to_owned(), |word| format!("{word:?}"));
    let first = session.participants.first().and_then(|p| p.path.rsplit_once("Participants["));
    let path = first.map_or_else(|| format!("SessionId {}.", session.id), |(before, _)| before.to_owned());
    let reason = format!("found {found}, which is no word that is known: the session is held; say what it means in [source.status]");
    Fault { path: format!("{path}ScheduleType"), reason, session: Some(session.id), participation: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_practice_says_goes_with_the_record() {
        let body =
            |kind: &str| format!(r#"[{{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","ScheduleType":"{kind}","Participants":[]}}]"#);
        let said = BTreeMap::from([
            ("On Hold".to_owned(), Meaning::Live),
            ("Billed".to_owned(), Meaning::Over),
            ("scheduled".to_owned(), Meaning::Cancelled),
        ]);
        let dictionary = Dictionary::new(&said).unwrap();
        for (kind, with, cancelled, standing) in [
            ("On Hold", &Dictionary::default(), false, Standing::Unknown),
            ("on hold", &dictionary, false, Standing::Live),
            ("BILLED", &dictionary, false, Standing::Over),
            ("Scheduled", &dictionary, true, Standing::Live),
            ("Cancelled", &dictionary, true, Standing::Live),
            ("Draft", &dictionary, false, Standing::Unknown),
        ] {
            let mut snapshot = json::parse(body(kind).as_bytes()).unwrap();
            apply(&mut snapshot, with);
            let session = &snapshot.sessions[0];
            assert_eq!((session.cancelled, session.standing), (cancelled, standing), "{kind}");
            let kept = json::stored_record(&session.record).unwrap();
            assert_eq!((kept.cancelled, kept.standing), (cancelled, standing), "{kind}, as the store keeps it");
            let told: Vec<&str> = snapshot.faults.iter().map(|f| f.path.as_str()).collect();
            assert_eq!(told, if standing == Standing::Unknown { vec!["SessionId 1.ScheduleType"] } else { vec![] }, "{kind}");
        }
    }

    #[test]
    fn a_source_cannot_say_what_its_words_mean() {
        let body =
            r#"[{"SessionId":1,"ScheduleTs":"2026-11-26T15:00:00","ScheduleType":"Draft","PunctualMeaning":"live","Participants":[]}]"#;
        let mut snapshot = json::parse(body.as_bytes()).unwrap();
        apply(&mut snapshot, &Dictionary::default());
        assert_eq!(json::stored_record(&snapshot.sessions[0].record).unwrap().standing, Standing::Unknown);
    }

    #[test]
    fn what_stands_in_the_wrong_column_is_not_shown() {
        for (word, is) in [
            ("On Hold", true),
            ("En attente", true),
            ("Trevor Ohm, 404-555-0123", false),
            ("trevor@example.com", false),
            ("She said that she would rather come on Monday", false),
        ] {
            assert_eq!(shown(word).is_some(), is, "{word}");
        }
    }
}
