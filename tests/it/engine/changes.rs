//! What becomes of who was told already when the record says something else: another channel, another host, another hour on the clocks.

use serde_json::{Value, json};

use super::{START, World, one, person};

fn delivered_by(letter: &str) -> Value {
    let mut sessions = one(START);
    sessions[0]["Participants"][0]["ShouldAutoDeliverCode"] = json!(letter);
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_their_host_tells_from_now_on_gets_nothing_more_from_us() {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&delivered_by("E")).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 1);
    world.walk(&delivered_by("N")).await;
    let states = ["invite accepted", "reminder 1h cancelled host_delivers", "reminder 24h cancelled host_delivers"];
    assert_eq!(world.states().await, states);
    world.set("2026-11-25T15:00:00Z");
    world.walk(&delivered_by("N")).await;
    world.once().await;
    assert_eq!((world.sent(), world.states().await), (1, states.map(str::to_owned).to_vec()));
    // And back again: what is still to come is sent.
    world.walk(&delivered_by("E")).await;
    world.set("2026-11-26T14:00:00Z");
    world.walk(&delivered_by("E")).await;
    world.once().await;
    assert_eq!(world.sent(), 2);
    assert_eq!(world.states().await[1], "reminder 1h accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_is_invited_the_one_before_is_told_and_the_others_hear_nothing() {
    let hosted_by = |id: i64, name: &str| {
        let mut host = person(id);
        host["ParticipantFullName"] = json!(name);
        json!([{ "SessionId": 1, "ScheduleTs": START, "Participants": [host, person(11)] }])
    };
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&hosted_by(10, "Ada Finch")).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 2);
    for minute in [10, 12, 15, 21, 24] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk(&hosted_by(20, "Bo Wren")).await;
        world.once().await;
    }
    let told = |id: i64, states: Vec<(i64, String)>| states.into_iter().filter(|(p, _)| *p == id).map(|(_, s)| s).collect::<Vec<_>>();
    let states = async || world.entries().await.iter().map(|e| (e.notice.participation.0, super::describe(e))).collect::<Vec<_>>();
    let before = told(10, states().await);
    assert!(before.contains(&"cancelled accepted".to_owned()) && !before.iter().any(|s| s.ends_with("waiting")), "{before:?}");
    assert!(told(20, states().await).contains(&"invite accepted".to_owned()));
    assert_eq!(told(11, states().await), ["invite accepted", "reminder 24h waiting", "reminder 1h waiting"]);
    // Their next message names whom they will meet.
    world.set("2026-11-25T15:00:00Z");
    world.walk(&hosted_by(20, "Bo Wren")).await;
    world.once().await;
    let sent = world.sent_bytes();
    let reminders: Vec<String> = sent.iter().map(|(_, bytes)| super::visible(bytes)).filter(|m| m.contains("p11@example.com")).collect();
    assert_eq!(reminders.len(), 2);
    assert!(reminders[0].contains("Ada Finch") && !reminders[0].contains("Bo Wren"), "{}", reminders[0]);
    assert!(reminders[1].contains("Bo Wren") && !reminders[1].contains("Ada Finch"), "{}", reminders[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_change_between_invite_and_session_are_those_of_the_session() {
    // New York goes back from daylight to standard time on 2026-11-01, six hours before the session.
    let start = "2026-11-01T15:00:00";
    let world = World::new("2026-10-20T12:00:00Z");
    world.walk(&one(start)).await;
    for (now, sent) in [("2026-10-20T12:02:00Z", 1), ("2026-10-31T14:59:00Z", 1), ("2026-10-31T15:00:00Z", 2), ("2026-11-01T14:00:00Z", 3)]
    {
        world.set(now);
        world.walk(&one(start)).await;
        world.once().await;
        assert_eq!(world.sent(), sent, "{now}");
        let mail = world.last_mail();
        assert!(mail.contains("10:00 AM Eastern Standard Time") && mail.contains("DTSTART:20261101T150000Z"), "{now}: {mail}");
    }
}
