//! A source whose bytes are as before: it is not read again, and all that waits for another look at it happens all the same.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use punctual::clock::Clock;
use punctual::config::{self, Config};
use punctual::daemon::Engine;
use punctual::entry::State;
use punctual::guard::Verdict;
use punctual::notice::Occasion;
use punctual::outbox::Filter;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clock::{ManualClock, at};

/// One process at a practice that keeps its sessions in a file, and its mail in a folder.
struct Practice {
    folder: TempDir,
    clock: Arc<ManualClock>,
    engine: Engine,
}

fn configured(folder: &TempDir, more: &str) -> Config {
    let place = folder.path().display();
    let text = format!(
        "[practice]\nname = \"Lakeside\"\n[[source]]\nname = \"sessions\"\nkind = \"file\"\npath = \"{place}/sessions.json\"\n[adopt]\ninvites = true\n\
         [invite]\nsettle = \"0s\"\n[store]\nurl = \"sqlite://{place}/punctual.db\"\n[email]\nfrom = \"Lakeside <a@example.com>\"\n\
         [[email.relay]]\nkind = \"folder\"\npath = \"{place}/out\"\n{more}"
    );
    config::parse(&text, None, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

impl Practice {
    async fn open(sessions: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(at("2027-01-04T09:00:00Z"));
        std::fs::write(folder.path().join("sessions.json"), sessions.to_string()).unwrap();
        let engine = Engine::start(configured(&folder, ""), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        Self { folder, clock, engine }
    }

    fn say(&self, sessions: &Value) {
        std::fs::write(self.folder.path().join("sessions.json"), sessions.to_string()).unwrap();
    }

    /// Looks at the source at these times, and sends what is due.
    async fn look(&self, times: &[&str]) {
        for time in times {
            self.clock.go_to(at(&format!("2027-01-04T{time}Z")));
            self.engine.once().await.unwrap();
        }
    }

    async fn told(&self, occasion: Occasion) -> usize {
        let filter = Filter { occasion: Some(occasion), states: vec![State::Accepted], ..Filter::default() };
        self.engine.outbox().list(&filter).await.unwrap().len()
    }

    async fn snapshot_at(&self) -> DateTime<Utc> {
        self.engine.outbox().seen("sessions").await.unwrap().unwrap().last_snapshot_at
    }
}

fn sessions(ids: std::ops::RangeInclusive<i64>) -> Value {
    let session = |id: i64| {
        json!({ "SessionId": id, "ScheduleTs": "2027-01-06T15:00:00", "Participants": [{ "ParticipationId": id * 10 + 1, "ParticipantFullName": "Ann Lee",
            "ParticipantEmailAddress": format!("p{id}@example.com"), "ParticipantTimeZoneWindowsId": "Eastern Standard Time",
            "ConnectCode": 300_000_000 + id, "ShouldAutoDeliverCode": "E" }] })
    };
    ids.map(session).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_listed_counts_as_cancelled_although_the_bytes_stay_as_they_are() {
    let practice = Practice::open(&sessions(1..=10)).await;
    practice.look(&["09:00:00", "09:05:00"]).await;
    assert_eq!(practice.told(Occasion::Invite).await, 10);
    assert_eq!(practice.snapshot_at().await, at("2027-01-04T09:05:00Z"), "the same again is a look, too");
    practice.say(&sessions(1..=9));
    practice.look(&["09:10:00", "09:15:00", "09:19:00"]).await;
    assert_eq!(practice.told(Occasion::Cancelled).await, 0);
    practice.look(&["09:21:00", "09:22:00"]).await;
    assert_eq!(practice.told(Occasion::Cancelled).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_accepts_or_rejects_is_done_although_the_bytes_stay_as_they_are() {
    for (verdict, told) in [(Verdict::Accept, 5), (Verdict::Reject, 0)] {
        let practice = Practice::open(&sessions(1..=10)).await;
        practice.look(&["09:00:00"]).await;
        practice.say(&sessions(1..=5));
        practice.look(&["09:10:00", "09:20:00", "09:30:00"]).await;
        assert_eq!(practice.engine.outbox().guards().await.unwrap().len(), 5);
        practice.engine.outbox().decide_guard(verdict, None, None, at("2027-01-04T09:31:00Z")).await.unwrap();
        practice.look(&["09:40:00", "09:41:00"]).await;
        assert_eq!(practice.told(Occasion::Cancelled).await, told, "{verdict:?}");
        assert!(practice.engine.outbox().guards().await.unwrap().is_empty());
        let rest =
            practice.engine.outbox().rest("sessions", at("2027-01-04T09:42:00Z"), at("2027-01-04T09:42:00Z")).await.unwrap().unwrap();
        assert!(!rest.unsettled, "{verdict:?}: and then it is done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_list_is_heard_at_once_and_a_broken_one_each_time() {
    let practice = Practice::open(&sessions(1..=3)).await;
    practice.look(&["09:00:00", "09:01:00"]).await;
    practice.say(&sessions(1..=4));
    practice.look(&["09:02:00"]).await;
    assert_eq!(practice.told(Occasion::Invite).await, 4);
    let broken = "[{".to_owned();
    std::fs::write(practice.folder.path().join("sessions.json"), broken).unwrap();
    for time in ["09:03:00", "09:04:00"] {
        practice.clock.go_to(at(&format!("2027-01-04T{time}Z")));
        assert_eq!(practice.engine.once().await.unwrap().sources_failed, 1, "{time}");
    }
    assert_eq!(practice.snapshot_at().await, at("2027-01-04T09:02:00Z"), "what cannot be read is no look");
    practice.say(&sessions(1..=4));
    practice.look(&["09:05:00"]).await;
    assert_eq!(practice.snapshot_at().await, at("2027-01-04T09:05:00Z"));
}
