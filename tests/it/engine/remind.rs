//! Remind now: what somebody at the practice asks for reaches the participant once, under the last look as everything else.

use std::sync::Arc;

use punctual::contact::{Address, EmailAddress};
use punctual::desk::Desk;
use punctual::desk::remind::{Line, RemindRequest, remind};
use punctual::desk::resend;
use punctual::entry::State;
use punctual::outcome::Outcome;
use punctual::session::{ParticipationId, SessionId};
use serde_json::{Value, json};

use super::{START, Step, World, one, person};

/// Whom a wish names: it is a Thursday morning, and they were told by then.
async fn told(sessions: &Value) -> Arc<World> {
    let world = World::new("2026-11-24T09:00:00Z");
    for now in ["2026-11-24T09:00:00Z", "2026-11-24T09:02:00Z", "2026-11-25T15:00:00Z", "2026-11-26T13:00:00Z"] {
        world.set(now);
        world.walk(sessions).await;
        world.once().await;
    }
    world
}

impl World {
    fn desk(&self) -> Desk {
        Desk { outbox: Arc::clone(&self.outbox), policy: Arc::clone(&self.policy), sources: vec!["sessions".to_owned()] }
    }

    /// What each is answered: `11 goes`, `11 just_told`.
    async fn remind(&self, participation: Option<i64>, why: &str) -> Vec<String> {
        let wish = RemindRequest {
            session: SessionId(1),
            participation: participation.map(ParticipationId),
            at_night: false,
            who: Some("jane".to_owned()),
            why: why.to_owned(),
        };
        let answers = remind(&self.desk(), &wish, self.clock_now()).await.unwrap();
        answers
            .iter()
            .map(|one| Line::of(1, one))
            .map(|line| format!("{} {}", line.participation_id, line.reason.unwrap_or("goes")))
            .collect()
    }
}

/// A rule's reminder keeps its distance from one that somebody asked for, unless that one told nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_of_a_rule_does_not_follow_one_that_was_asked_for() {
    for refused in [false, true] {
        let world = told(&one(START)).await;
        world.set("2026-11-26T13:55:00Z");
        world.walk(&one(START)).await;
        assert_eq!(world.remind(Some(11), "").await, ["11 goes"]);
        let before = world.sent();
        if refused {
            world.script(&[Step::Answer(Outcome::Rejected { reply: "554 5.6.0 content".to_owned(), remember: None })]);
        }
        world.once().await;
        for now in ["2026-11-26T14:00:00Z", "2026-11-26T14:02:00Z"] {
            world.set(now);
            world.walk(&one(START)).await;
            world.once().await;
        }
        assert_eq!(world.sent(), before + 1, "refused: {refused}: {:?}", world.states().await);
        let rule = if refused { "reminder 1h accepted" } else { "reminder 1h superseded too_close" };
        assert!(world.states().await.contains(&rule.to_owned()), "refused: {refused}: {:?}", world.states().await);
    }
}

/// One person's code does not go to the mailbox of another one, of that session or another; to their own, and to one that is nobody's, it does.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_again_to_somebody_else() {
    let mut two = one(START);
    let mut other = person(12);
    other["ParticipantEmailAddress"] = json!("P12@Example.com");
    two[0]["Participants"].as_array_mut().unwrap().push(other);
    let mut elsewhere = one(START)[0].clone();
    elsewhere["SessionId"] = json!(2);
    let mut third = person(21);
    third["ParticipantFullName"] = json!("Somebody Else");
    third["ParticipantSmsNumber"] = json!("(404) 555-0199");
    elsewhere["Participants"] = json!([third]);
    two.as_array_mut().unwrap().push(elsewhere);
    let world = told(&two).await;
    let key = world.entries().await.into_iter().find(|e| e.notice.participation.0 == 11 && e.state == State::Accepted).unwrap().notice.key;
    let mail = |raw: &str| Address::Email(EmailAddress::parse(raw).unwrap());
    let number = Address::Sms(punctual::contact::PhoneNumber::parse("+14045550199", "US").unwrap());
    let [theirs, elsewhere, own, nobodys] = ["p12@example.com", "p21@example.com", "p11@example.com", "mother@example.org"].map(mail);
    for (to, refused) in [(theirs, true), (elsewhere, true), (number, true), (own, false), (nobodys, false)] {
        let to = Some(to);
        let wish = resend::ResendRequest { keys: vec![key], to, who: None };
        let answer = resend::resend(&world.desk(), &wish, world.clock_now()).await.unwrap()[0].1;
        assert_eq!(answer == resend::ResendResult::Anothers, refused, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_asked_for_is_reminded_once_and_now() {
    let world = told(&one(START)).await;
    let before = world.sent();
    assert_eq!(world.remind(Some(11), "she found no mail at trevor@example.com, code 300-000-011").await, ["11 goes"]);
    assert_eq!(world.remind(Some(11), "").await, ["11 under_way"], "twice is once");
    // Another walk has no word against it.
    world.walk(&one(START)).await;
    world.once().await;
    assert_eq!(world.sent(), before + 1);
    assert!(world.last_mail().contains("300000011"), "with their code: {}", world.last_mail());
    assert_eq!(world.remind(Some(11), "").await, ["11 just_told"]);
    world.set("2026-11-26T13:05:00Z");
    assert_eq!(world.remind(Some(11), "").await, ["11 goes"]);
    world.once().await;
    world.once().await;
    assert_eq!(world.sent(), before + 2);
    let rows = world.outbox.ledger(None, 0, 1000).await.unwrap();
    let asked: Vec<String> = rows.iter().filter(|r| r.event == "asked").filter_map(|r| r.detail.clone()).collect();
    assert_eq!(asked, ["by jane: she found no mail at (address) code ***-***-***", "by jane"], "who, and why, without contact or code");
    world.set("2026-11-26T14:00:00Z");
    world.walk(&one(START)).await;
    world.once().await;
    assert_eq!(world.sent(), before + 3, "the practice's own reminder goes as ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_does_not_go_if_it_holds_no_more() {
    for (change, state) in [
        (json!({ "ScheduleType": "Cancelled" }), "reminder now cancelled cancelled"),
        (json!({ "ScheduleTs": "2026-11-27T15:00:00" }), "reminder now cancelled outdated"),
    ] {
        let world = told(&one(START)).await;
        assert_eq!(world.remind(Some(11), "").await, ["11 goes"]);
        let mut sessions = one(START);
        sessions[0].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.walk(&sessions).await;
        let before = world.sent();
        world.once().await;
        assert_eq!(world.sent(), before, "{state}");
        assert!(world.states().await.contains(&state.to_owned()), "{:?}", world.states().await);
    }
}

/// Everybody but the host; whose record cannot be read is told so.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_session_is_reminded_and_each_answered() {
    let mut bad = person(12);
    bad["ConnectCode"] = json!("x");
    let mut declined = person(13);
    declined["RSVP"] = json!("Declined");
    let people = json!([{ "SessionId": 1, "ScheduleTs": START, "Participants": [person(10), person(11), bad, declined] }]);
    let world = told(&people).await;
    assert_eq!(world.remind(None, "").await, ["11 goes", "13 declined", "12 quarantined"]);
    assert_eq!(world.remind(Some(10), "").await, ["10 goes"], "the host, if it is the host");
    assert_eq!(world.remind(Some(99), "").await, [] as [&str; 0]);
}

/// The vendor's button is for whoever is missing from a session that runs.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_missing_is_told_that_it_has_begun() {
    let people = json!([{ "SessionId": 1, "ScheduleTs": START, "Participants": [person(10), person(11)] }]);
    let world = told(&people).await;
    world.set("2026-11-26T15:04:00Z");
    world.walk(&people).await;
    world.once().await;
    let before = world.sent();
    assert_eq!(world.remind(None, "").await, ["11 goes"]);
    world.once().await;
    assert_eq!(world.sent(), before + 1);
    assert!(world.last_mail().contains("Your video session has started"), "{}", world.last_mail());
    world.set("2026-11-26T15:30:00Z");
    assert_eq!(world.remind(None, "").await, ["11 started"], "never after its use");
}
