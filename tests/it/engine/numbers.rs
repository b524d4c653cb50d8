//! Two people at one number, and a number that answers: what each text says.

use std::sync::Arc;

use punctual::contact::PhoneNumber;
use punctual::feedback::reply::{AcceptedReply, Changes, reply_key};
use punctual::feedback::word::Word;
use punctual::plan::Suppressions;
use punctual::preview::{PreviewRequest, lines};
use punctual::source::json;
use serde_json::{Value, json};

use super::{START, World, person};

/// Children at a parent's number, in one session and in another; and somebody with a number of their own, twice.
fn families() -> Value {
    let by_text = |id: i64, name: &str, number: &str| {
        let mut person = person(id);
        person["ParticipantFullName"] = json!(name);
        person["ParticipantSmsNumber"] = json!(number);
        person["ShouldAutoDeliverCode"] = json!("S");
        person
    };
    let mut host = person(10);
    host["ShouldAutoDeliverCode"] = json!("N");
    let of = |id: i64, people: &[Value]| json!({ "SessionId": id, "ScheduleTs": START, "Participants": people });
    json!([
        of(1, &[host, by_text(11, "Maya Lopez", "404-555-0133"), by_text(12, "Noah Lopez", "(404) 555-0133")]),
        of(2, &[by_text(21, "Luz Lopez", "+1 404 555 0133")]),
        of(3, &[by_text(31, "Trevor MacGuffin", "404-555-0144")]),
        of(4, &[by_text(41, "Trevor MacGuffin", "404-555-0144")]),
    ])
}

const NAMES: [(i64, &str); 5] = [(11, "Maya"), (12, "Noah"), (21, "Luz"), (31, "Trevor"), (41, "Trevor")];

impl World {
    /// The texts that went since: participation and text.
    async fn texts(&self, since: usize) -> Vec<(i64, String)> {
        let entries = self.entries().await;
        let of = |key| entries.iter().find(|e| e.notice.key == key).map(|e| e.notice.participation.0).unwrap();
        let sent = self.sent_bytes();
        let mut texts: Vec<_> = sent.into_iter().skip(since).map(|(key, bytes)| (of(key), String::from_utf8(bytes).unwrap())).collect();
        texts.sort();
        texts
    }

    fn previewed(&self, sessions: &Value) -> Vec<(i64, String)> {
        let all = lines(PreviewRequest {
            snapshot: &json::parse(sessions.to_string().as_bytes()).unwrap(),
            known: std::collections::HashMap::new(),
            policy: &self.policy,
            suppressed: &Suppressions::default(),
            renderer: &self.renderer,
            now: self.clock_now(),
            until: None,
            session: None,
            participant: None,
            reveal: true,
        });
        let invites = all.into_iter().filter(|line| line.occasion == Some("invite"));
        invites.filter_map(|line| Some((line.participation_id?, line.sms?))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shares_a_number_is_told_apart_and_who_answered_is_not_told_how_to_stop() {
    let world: Arc<World> = World::new("2026-11-24T09:00:00Z");
    let named = |texts: &[(i64, String)], shared: &[i64]| {
        assert_eq!(texts.len(), NAMES.len());
        for (id, text) in texts {
            let name = NAMES.iter().find(|(of, _)| of == id).unwrap().1;
            assert_eq!(text.contains(name), shared.contains(id), "{id}: {text}");
            let others = NAMES.iter().filter(|(_, other)| *other != name);
            assert!(others.into_iter().all(|(_, other)| !text.contains(other)), "{id}: {text}");
        }
    };
    named(&world.previewed(&families()), &[11, 12, 21]);
    world.walk(&families()).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    let invites = world.texts(0).await;
    named(&invites, &[11, 12, 21]);
    assert!(invites.iter().all(|(_, text)| text.contains("STOP")), "{invites:?}");

    let (key, from) = (reply_key("twilio", "", "SM1"), PhoneNumber::parse("404-555-0133", "US").unwrap());
    let taken = AcceptedReply { key, from, word: Word::Other, change: Changes::Nothing, answer: None, for_staff: None };
    assert!(world.outbox.reply(world.clock_now(), taken).await.unwrap());
    world.set("2026-11-25T15:00:00Z");
    world.walk(&families()).await;
    world.once().await;
    let reminders = world.texts(invites.len()).await;
    named(&reminders, &[11, 12, 21]);
    for (id, text) in &reminders {
        assert_eq!(text.contains("STOP"), *id > 30, "{id}: {text}");
    }
}
