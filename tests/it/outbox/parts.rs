//! The parts of a source: what each listed when it was read last.

use punctual::outbox::{SourcePart, Walk};
use punctual::session::SessionId;

use super::fixture::{Store, minute, walk};

pub(crate) async fn the_parts_of_a_source_are_remembered(store: Store) {
    let outbox = &store.outbox;
    let part = |name: &str, read_at, sessions: &[i64]| SourcePart {
        name: name.to_owned(),
        read_at,
        sessions: sessions.iter().copied().map(SessionId).collect(),
    };
    let of = async |source: &str| outbox.seen(source).await.unwrap().map(|seen| (seen.parts, seen.whole_at));
    let parts = vec![part("b.json", None, &[]), part("a.json", Some(minute(3)), &[7, 9])];
    outbox.apply(Walk { parts: Some(parts.clone()), whole: true, ..walk(vec![]) }).await.unwrap();
    let known = Some((parts.into_iter().rev().collect::<Vec<_>>(), Some(minute(-10))));
    assert_eq!(of("clinic").await, known, "by name");
    outbox.apply(Walk { at: minute(5), whole: false, ..walk(vec![]) }).await.unwrap();
    assert_eq!(of("clinic").await, known, "nothing new of them");
    assert!(outbox.rename_source("clinic", "annex", minute(6)).await.unwrap());
    assert_eq!((of("clinic").await, of("annex").await), (None, known));
    outbox.apply(Walk { parts: Some(vec![]), source: "annex".to_owned(), ..walk(vec![]) }).await.unwrap();
    assert_eq!(of("annex").await.unwrap().0, []);
}
