//! One person, two entries of the list at one hour: whatever becomes of the other one, the last word is of the one that stands.

use super::*;

const HOUR: &str = "2026-11-26T15:00:00";

/// A host, and Pat with that code, who is told as `pat` says.
fn booked(id: i64, code: i64, change: impl FnOnce(&mut Value)) -> Value {
    let mut host = person(id * 10);
    host["ParticipantFullName"] = json!("Dr. Lake");
    let mut pat = person(id * 10 + 1);
    (pat["ConnectCode"], pat["ParticipantFullName"]) = (json!(code), json!("Pat Example"));
    (pat["ParticipantEmailAddress"], pat["ParticipantSmsNumber"]) = (json!("pat@example.com"), json!("+1 404-555-0123"));
    let mut session = json!({ "SessionId": id, "ScheduleTs": HOUR, "Participants": [host, pat] });
    change(&mut session);
    session
}

fn as_it_is(_: &mut Value) {}

fn off(session: &mut Value) {
    session["ScheduleType"] = json!("Cancelled");
}

fn by_text(session: &mut Value) {
    session["Participants"][1]["ShouldAutoDeliverCode"] = json!("S");
}

fn named(name: &'static str) -> impl FnOnce(&mut Value) {
    move |session| session["Participants"][1]["ParticipantFullName"] = json!(name)
}

/// What Pat had so far, host's mail aside.
fn pats(world: &World) -> Vec<String> {
    let sent = world.sent_bytes();
    let seen = sent.iter().map(|(_, bytes)| world::visible(bytes));
    seen.filter(|text| !text.contains("Hello Dr. Lake")).collect()
}

/// The list is read at those times, three minutes apart, and what is due goes.
async fn polls(world: &World, sessions: &[&Value], from: &str, times: i64) {
    let rest = json!({ "SessionId": 99, "ScheduleTs": "2026-12-20T15:00:00", "Participants": [person(990), person(991)] });
    let list: Value = sessions.iter().copied().cloned().chain([rest]).collect();
    for n in 0..times {
        world.set(&(at(from) + TimeDelta::minutes(3 * n)).to_rfc3339());
        world.walk(&list).await;
        world.once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_heard_last_of_an_entry_that_is_gone_is_told_again_of_the_one_that_stands() {
    let one = booked(1, 100_000_001, as_it_is);
    let moved = |start: &'static str| move |session: &mut Value| session["ScheduleTs"] = json!(start);
    let cases: [(&str, Value, Value, Option<Value>); 4] = [
        ("cancelled", booked(2, 200_000_002, as_it_is), booked(2, 200_000_002, as_it_is), Some(booked(2, 200_000_002, off))),
        ("deleted", booked(2, 200_000_002, as_it_is), booked(2, 200_000_002, as_it_is), None),
        (
            "moved there, and cancelled",
            booked(2, 200_000_002, moved("2026-11-28T15:00:00")),
            booked(2, 200_000_002, as_it_is),
            Some(booked(2, 200_000_002, off)),
        ),
        (
            "booked for a text",
            booked(2, 200_000_002, by_text),
            booked(2, 200_000_002, by_text),
            Some(booked(2, 200_000_002, |s| (by_text(s), off(s)).0)),
        ),
    ];
    for (what, first, then, after) in cases {
        let world = World::new("2026-11-26T11:00:00Z");
        polls(&world, &[&one], "2026-11-26T11:00:00Z", 2).await;
        polls(&world, &[&one, &first], "2026-11-26T12:00:00Z", 2).await;
        polls(&world, &[&one, &then], "2026-11-26T12:10:00Z", 2).await;
        assert!(pats(&world).last().unwrap().contains("200000002"), "{what}: {:?}", world.states().await);
        let before = pats(&world).len();
        let left: Vec<&Value> = std::iter::once(&one).chain(&after).collect();
        polls(&world, &left, "2026-11-26T12:20:00Z", 8).await;
        let since = pats(&world).split_off(before);
        assert_eq!(since.len(), 1, "{what}: {:?}", world.states().await);
        assert!(since[0].contains("100000001") && !since[0].contains("Cancelled"), "{what}: {}", since[0]);
        // One look is enough for whoever sends once.
        let due = world.entries().await.into_iter().filter(|e| e.state == State::Waiting && e.notice.due_at <= at("2026-11-26T12:44:00Z"));
        assert_eq!(due.count(), 0, "{what}: {:?}", world.states().await);
    }
}

/// The entry that stands was told later: there is nothing to say. Nobody else's entry counts.
#[tokio::test(flavor = "multi_thread")]
async fn made_anew_with_a_corrected_name_or_for_the_other_channel_is_not_cancelled() {
    let cases: [(&str, Value, Value, usize); 7] = [
        ("a corrected name", booked(1, 100_000_001, named("Pat Exmaple")), booked(2, 200_000_002, as_it_is), 0),
        ("another family name", booked(1, 100_000_001, named("Pat Jones")), booked(2, 200_000_002, as_it_is), 0),
        ("for a text", booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, by_text), 0),
        ("for a mail", booked(1, 100_000_001, by_text), booked(2, 200_000_002, as_it_is), 0),
        ("a brother's", booked(1, 100_000_001, named("Ann Example")), booked(2, 200_000_002, named("Ben Example")), 1),
        (
            "at another hour",
            booked(1, 100_000_001, as_it_is),
            booked(2, 200_000_002, |s| s["ScheduleTs"] = json!("2026-11-26T17:00:00")),
            1,
        ),
        ("nothing", booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, off), 1),
    ];
    for (what, old, new, cancelled) in cases {
        let world = World::new("2026-11-26T11:00:00Z");
        polls(&world, &[&old], "2026-11-26T11:00:00Z", 2).await;
        polls(&world, &[&new], "2026-11-26T12:00:00Z", 8).await;
        let told = pats(&world);
        let said = told.iter().filter(|text| text.contains("Cancelled") || text.contains("cancelled")).count();
        assert_eq!(said, cancelled, "{what}: {:?}", world.states().await);
        if cancelled == 0 {
            assert!(told.last().unwrap().contains("200000002"), "{what}: {told:?}");
        }
    }
}

/// The one that stands cannot be told: then the cancellation goes, and whoever waits is not left with a dead code.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_again_is_told_that_the_other_one_is_off() {
    let declined = |session: &mut Value| session["Participants"][1]["RSVP"] = json!("Declined");
    let (one, other) = (booked(1, 100_000_001, declined), booked(2, 200_000_002, as_it_is));
    let world = World::new("2026-11-26T11:00:00Z");
    polls(&world, &[&one], "2026-11-26T11:00:00Z", 2).await;
    polls(&world, &[&one, &other], "2026-11-26T12:00:00Z", 2).await;
    polls(&world, &[&one], "2026-11-26T12:20:00Z", 8).await;
    assert!(pats(&world).last().unwrap().contains("ancelled"), "{:?}", world.states().await);
}

fn at_its_new_hour(session: &mut Value) {
    session["ScheduleTs"] = json!("2026-11-27T15:00:00");
}

fn says_new_time(text: &str) -> bool {
    text.contains("November 27") || text.contains("Nov 27")
}

/// "New time" leaves an hour at which they are expected all the same: that is the last word.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_a_new_time_is_told_again_of_the_entry_that_stands_at_the_old_one() {
    let both = |s: &mut Value| (by_text(s), at_its_new_hour(s)).0;
    // What it is, the entries, those of later, when they are moved, and the code of the last word.
    let cases = [
        (
            "the second is moved",
            [booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, as_it_is)],
            [booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, at_its_new_hour)],
            "2026-11-26T12:20:00Z",
            "100000001",
        ),
        (
            "the first is moved",
            [booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, as_it_is)],
            [booked(1, 100_000_001, at_its_new_hour), booked(2, 200_000_002, as_it_is)],
            "2026-11-26T12:20:00Z",
            "200000002",
        ),
        (
            "by text",
            [booked(1, 100_000_001, by_text), booked(2, 200_000_002, by_text)],
            [booked(1, 100_000_001, by_text), booked(2, 200_000_002, both)],
            "2026-11-26T12:20:00Z",
            "100000001",
        ),
        (
            "one by text, one by mail",
            [booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, by_text)],
            [booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, both)],
            "2026-11-26T12:20:00Z",
            "100000001",
        ),
        (
            "as the last reminder goes",
            [booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, as_it_is)],
            [booked(1, 100_000_001, as_it_is), booked(2, 200_000_002, at_its_new_hour)],
            "2026-11-26T13:57:00Z",
            "100000001",
        ),
    ];
    for (what, first, then, moved_at, stands) in cases {
        let world = World::new("2026-11-26T11:00:00Z");
        polls(&world, &[&first[0]], "2026-11-26T11:00:00Z", 2).await;
        polls(&world, &[&first[0], &first[1]], "2026-11-26T12:00:00Z", 2).await;
        let before = pats(&world).len();
        polls(&world, &[&then[0], &then[1]], moved_at, 4).await;
        let since = pats(&world).split_off(before);
        assert!(since.iter().any(|text| says_new_time(text)), "{what}: {since:?}");
        let last = since.last().unwrap();
        assert!(last.contains(stands) && !says_new_time(last), "{what}: {since:?}\n{:?}", world.states().await);
        if !what.contains("reminder") {
            assert_eq!(since.len(), 2, "{what}: {since:?}");
        }
        let asked = world.entries().await.into_iter().filter(|e| e.notice.rule.as_deref() == Some("now"));
        assert_eq!(asked.count(), 1, "{what}: {:?}", world.states().await);
    }
}

/// Nobody stands there, or somebody else, or they declined it: the new time is all that there is to say.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_time_alone_is_told_where_nobody_is_expected_at_the_old_one() {
    let declined = |session: &mut Value| session["Participants"][1]["RSVP"] = json!("Declined");
    let elsewhere = |session: &mut Value| session["ScheduleTs"] = json!("2026-11-26T17:00:00");
    let cases: [(&str, Value, Value); 4] = [
        ("a brother's", booked(1, 100_000_001, named("Ben Example")), booked(1, 100_000_001, named("Ben Example"))),
        ("declined", booked(1, 100_000_001, as_it_is), booked(1, 100_000_001, declined)),
        ("at another hour", booked(1, 100_000_001, elsewhere), booked(1, 100_000_001, elsewhere)),
        ("moved with it", booked(1, 100_000_001, as_it_is), booked(1, 100_000_001, at_its_new_hour)),
    ];
    for (what, one, after) in cases {
        let world = World::new("2026-11-26T11:00:00Z");
        polls(&world, &[&one], "2026-11-26T11:00:00Z", 2).await;
        polls(&world, &[&one, &booked(2, 200_000_002, as_it_is)], "2026-11-26T12:00:00Z", 2).await;
        let before = pats(&world).len();
        polls(&world, &[&after, &booked(2, 200_000_002, at_its_new_hour)], "2026-11-26T12:20:00Z", 4).await;
        let since = pats(&world).split_off(before);
        assert!(!since.is_empty() && since.iter().all(|text| says_new_time(text)), "{what}: {since:?}");
    }
}

/// One entry is told by mail, the other by text: either record has a contact of the other one, and the hour stands.
#[tokio::test(flavor = "multi_thread")]
async fn an_hour_that_stands_on_the_other_channel_is_not_cancelled() {
    let by_mail_alone = |s: &mut Value| s["Participants"][1]["ParticipantSmsNumber"] = json!("");
    let by_text_alone = |s: &mut Value| (by_text(s), s["Participants"][1]["ParticipantEmailAddress"] = json!("")).0;
    let a_namesake = |s: &mut Value| (by_text(s), s["Participants"][1]["ParticipantEmailAddress"] = json!("another@example.com")).0;
    let cases: [(&str, Value, Value, bool); 4] = [
        ("mail, then text", booked(1, 100_000_001, by_mail_alone), booked(2, 200_000_002, by_text), false),
        ("text, then mail", booked(1, 100_000_001, by_text_alone), booked(2, 200_000_002, as_it_is), false),
        ("text with the address, then mail", booked(1, 100_000_001, by_text), booked(2, 200_000_002, by_mail_alone), false),
        ("a namesake", booked(1, 100_000_001, by_mail_alone), booked(2, 200_000_002, a_namesake), true),
    ];
    for (what, one, other, cancelled) in cases {
        let world = World::new("2026-11-26T11:00:00Z");
        polls(&world, &[&one], "2026-11-26T11:00:00Z", 2).await;
        polls(&world, &[&one, &other], "2026-11-26T12:00:00Z", 2).await;
        let before = pats(&world).len();
        polls(&world, &[&one], "2026-11-26T12:20:00Z", 8).await;
        let since = pats(&world).split_off(before);
        assert_eq!(since.len(), 1, "{what}: {since:?}\n{:?}", world.states().await);
        assert_eq!(since[0].contains("ancelled"), cancelled, "{what}: {since:?}");
        assert_eq!(since[0].contains("100000001"), !cancelled, "{what}: {since:?}");
    }
    // Twice in one session, and one of the two is taken out.
    let twice = |session: &mut Value| {
        by_mail_alone(session);
        let mut again = session["Participants"][1].clone();
        (again["ParticipationId"], again["ConnectCode"]) = (json!(12), json!(200_000_002));
        (again["ShouldAutoDeliverCode"], again["ParticipantSmsNumber"]) = (json!("S"), json!("+1 404-555-0123"));
        session["Participants"].as_array_mut().unwrap().push(again);
    };
    let world = World::new("2026-11-26T11:00:00Z");
    polls(&world, &[&booked(1, 100_000_001, twice)], "2026-11-26T11:00:00Z", 2).await;
    polls(&world, &[&booked(1, 100_000_001, by_mail_alone)], "2026-11-26T12:20:00Z", 8).await;
    let told = pats(&world);
    assert!(told.len() >= 2 && told.iter().all(|text| !text.contains("ancelled")), "{told:?}");
    assert!(told.last().unwrap().contains("100000001"), "{told:?}");
}
