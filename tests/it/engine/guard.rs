//! Too much that changes at once: what people are told then, and what not.

use punctual::guard::{GuardKind, Verdict};
use punctual::session::{Snapshot, SnapshotKind};
use punctual::source::json as records;
use punctual::walk;
use serde_json::{Value, json};

use super::{START, World, person, some, visible};

/// Each person has a number, a name and a zone of their own, too.
pub(super) fn different(ids: &[i64]) -> Value {
    let mut sessions = some(ids, START);
    for (n, session) in (0..).zip(sessions.as_array_mut().unwrap()) {
        let patient = &mut session["Participants"][0];
        patient["ParticipantFullName"] = json!(format!("Patient {n} Smith"));
        patient["ParticipantSmsNumber"] = json!(format!("404 555-01{n:02}"));
        patient["ParticipantTimeZoneWindowsId"] = json!(["Eastern Standard Time", "Central Standard Time"][n % 2]);
    }
    sessions
}

/// These columns slip by one row: each has what the next one had.
pub(super) fn slipped(sessions: &Value, columns: &[&str]) -> Value {
    let before = sessions.as_array().unwrap();
    let mut after = sessions.clone();
    for (n, session) in after.as_array_mut().unwrap().iter_mut().enumerate() {
        for column in columns {
            session["Participants"][0][column] = before[(n + 1) % before.len()]["Participants"][0][column].clone();
        }
    }
    after
}

pub(super) async fn invited(sessions: &Value) -> std::sync::Arc<World> {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(sessions).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), sessions.as_array().unwrap().len());
    world
}

impl World {
    /// The list, some times in the next half hour, and what is due of it.
    pub(super) async fn hear(&self, hour: u32, sessions: &Value) -> usize {
        let mut guarded = 0;
        for minute in [0, 4, 12, 24] {
            self.set(&format!("2026-11-24T{hour:02}:{minute:02}:00Z"));
            guarded = self.walk(sessions).await.guarded;
            self.once().await;
        }
        guarded
    }

    async fn guard_kinds(&self) -> Vec<GuardKind> {
        let mut kinds: Vec<GuardKind> = self.outbox.guards().await.unwrap().into_iter().map(|g| g.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    pub(super) fn letters(&self) -> Vec<String> {
        self.sent_bytes().iter().map(|(_, bytes)| visible(bytes)).collect()
    }
}

const COLUMNS: [(&[&str], GuardKind, usize); 6] = [
    (&["ParticipantEmailAddress"], GuardKind::Addresses, 10),
    (&["ParticipantSmsNumber"], GuardKind::Addresses, 0),
    (&["ConnectCode"], GuardKind::Codes, 10),
    (&["Passkey"], GuardKind::Codes, 10),
    (&["ParticipantTimeZoneWindowsId"], GuardKind::Zones, 10),
    (&["ParticipantFullName"], GuardKind::Names, 0),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_slips_by_a_row_reaches_nobody_until_somebody_accepts_it() {
    for (columns, kind, told) in COLUMNS {
        let ids: Vec<i64> = (1..=10).collect();
        let mut sessions = different(&ids);
        for (n, session) in sessions.as_array_mut().unwrap().iter_mut().enumerate() {
            session["Participants"][0]["Passkey"] = json!(format!("KEY{n}"));
        }
        let world = invited(&sessions).await;
        let wrong = slipped(&sessions, columns);
        assert_eq!(world.hear(10, &wrong).await, 10, "{columns:?}");
        assert_eq!(world.guard_kinds().await, [kind], "{columns:?}");
        world.set("2026-11-25T15:00:00Z");
        world.walk(&wrong).await;
        world.once().await;
        assert_eq!(world.sent(), 10, "{columns:?}: neither the old facts nor the new ones");
        // The same list again, and nothing else, after somebody said that it is right.
        world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
        assert_eq!(world.walk(&wrong).await.guarded, 0, "{columns:?}");
        world.set("2026-11-25T15:02:00Z");
        world.once().await;
        let reminders = if told == 0 { 10 } else { 0 };
        assert_eq!(world.sent(), 10 + told + reminders, "{columns:?}: {:?}", world.states().await);
        assert_eq!(world.walk(&wrong).await.planned, 0, "{columns:?}: and it is done");
    }
}

/// A column that holds one value for all: nobody would be told any more, and nobody would know.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_silences_everybody_waits() {
    let columns = [("ShouldAutoDeliverCode", "N"), ("ShouldAutoDeliverCode", "S"), ("RSVP", "Declined"), ("ConnectionTs", START)];
    for (column, value) in columns {
        let sessions = different(&(1..=10).collect::<Vec<i64>>());
        let world = invited(&sessions).await;
        let with = |value: &str, of: usize| {
            let mut changed = sessions.clone();
            changed.as_array_mut().unwrap().iter_mut().take(of).for_each(|s| s["Participants"][0][column] = json!(value));
            changed
        };
        assert_eq!(world.hear(10, &with(value, 10)).await, 10, "{column}");
        assert_eq!(world.guard_kinds().await, [GuardKind::Deliveries], "{column}");
        assert_eq!(world.states_of(5).await, ["invite accepted", "reminder 1h held guard", "reminder 24h held guard"], "{column}");
        assert_eq!(world.hear(11, &sessions).await, 0, "{column}: mended");
        assert_eq!(world.states_of(5).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"], "{column}");
        assert_eq!(world.hear(12, &with(value, 3)).await, 0, "{column}: three are nothing unusual");
        assert_ne!(world.states_of(1).await[2], "reminder 24h waiting", "{column}");
    }
}

/// Whoever stands first is the host: their name goes to the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_patient_who_comes_to_stand_first_is_no_host() {
    let group = |order: &[i64]| {
        let people: Vec<Value> = order
            .iter()
            .map(|id| {
                let mut person = person(*id);
                person["ParticipantFullName"] = json!(format!("Name{id} Example"));
                person
            })
            .collect();
        json!([{"SessionId": 1, "ScheduleTs": START, "Participants": people}])
    };
    for order in [&[12, 13][..], &[12, 11, 13], &[13, 12, 11]] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk(&group(&[11, 12, 13])).await;
        world.set("2026-11-24T09:02:00Z");
        world.once().await;
        let told = world.sent();
        assert_eq!(world.hear(10, &group(order)).await, 1, "{order:?}");
        assert_eq!(world.guard_kinds().await[0], GuardKind::Roles, "{order:?}");
        world.set("2026-11-25T15:00:00Z");
        world.walk(&group(order)).await;
        world.once().await;
        assert_eq!(world.sent(), told, "{order:?}");
        world.walk(&group(&[11, 12, 13])).await;
        world.once().await;
        let letters = world.letters();
        assert_eq!(letters.len(), told + 3, "{order:?}: the 24h reminders");
        let names_a_patient = |letter: &&String| (12..=13).filter(|id| letter.contains(&format!("Name{id}"))).count() > 1;
        assert_eq!(letters.iter().filter(names_a_patient).count(), 0, "{order:?}");
    }
    // A host who is another person is none who was a patient.
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&group(&[11, 12, 13])).await;
    assert_eq!(world.hear(10, &group(&[14, 12, 13])).await, 0);
}

/// Two or three rows are below any threshold, and each of them gets another person's code.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_another_persons_until_now_waits_if_it_is_one() {
    for column in ["ParticipantEmailAddress", "ConnectCode"] {
        for people in [2, 3] {
            let mut sessions = different(&(1..=30).collect::<Vec<i64>>());
            let world = invited(&sessions).await;
            let some = Value::Array(sessions.as_array().unwrap()[..people].to_vec());
            sessions.as_array_mut().unwrap().splice(..people, slipped(&some, &[column]).as_array().unwrap().clone());
            assert_eq!(world.hear(10, &sessions).await, people, "{column}, {people}");
            assert_eq!(world.sent(), 30, "{column}, {people}");
        }
        // Somebody who leaves their mailbox to nobody else waits for nobody.
        let sessions = different(&[1, 2, 3]);
        let world = invited(&sessions).await;
        let mut changed = sessions.clone();
        changed[0]["Participants"][0][column] = if column == "ConnectCode" { json!(400_000_001) } else { json!("new@example.com") };
        assert_eq!(world.hear(10, &changed).await, 0, "{column}");
        assert_eq!(world.sent(), 4, "{column}");
    }
}

/// A host taken out of `hosts`: what is not asked for is not cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_does_not_ask_for_any_more_waits() {
    for (asked, told) in [("hosts 1", 0), ("hosts 1 2", 1)] {
        let world = World::new("2026-11-24T09:00:00Z");
        let hear = async |now: &str, ids: &[i64], asked: &str| {
            world.set(now);
            let mut snapshot: Snapshot = records::parse(some(ids, START).to_string().as_bytes()).unwrap();
            asked.clone_into(&mut snapshot.asked);
            walk::walk(&*world.outbox, "sessions", &snapshot, &world.policy, world.clock_now()).await.unwrap();
            world.once().await;
        };
        hear("2026-11-24T09:00:00Z", &[1, 2, 3, 4, 5, 6], "hosts 1 2").await;
        hear("2026-11-24T09:02:00Z", &[1, 2, 3, 4, 5, 6], "hosts 1 2").await;
        assert_eq!(world.sent(), 6);
        for minute in [0, 6, 12, 18] {
            hear(&format!("2026-11-24T10:{minute:02}:00Z"), &[1, 2, 3, 4, 5], asked).await;
        }
        assert_eq!(world.sent(), 6 + told, "{asked}: {:?}", world.states_of(6).await);
        assert_eq!(world.guard_kinds().await.len(), 1 - told, "{asked}");
        let rests = walk::rests(&*world.outbox, "sessions", &world.policy, world.clock_now()).await.unwrap();
        assert!(rests.is_some(), "{asked}: what is as before costs nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_mended_clears_it_and_a_true_change_of_it_passes() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = different(&ids);
    let world = invited(&sessions).await;
    world.hear(10, &slipped(&sessions, &["ParticipantEmailAddress"])).await;
    assert_eq!(world.hear(11, &sessions).await, 0);
    assert_eq!((world.sent(), world.states_of(5).await[1].as_str()), (10, "reminder 1h waiting"));
    let mut mended = sessions.clone();
    mended[4]["Participants"][0]["ParticipantEmailAddress"] = json!("new@example.com");
    assert_eq!(world.hear(12, &mended).await, 0);
    assert_eq!(world.sent(), 11);
    assert!(world.letters()[10].contains("new@example.com") && world.letters()[10].contains("Patient 4"), "{}", world.letters()[10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_mended_and_the_others_wait_on() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = different(&ids);
    let world = invited(&sessions).await;
    let mut wrong = slipped(&sessions, &["ParticipantEmailAddress"]);
    assert_eq!(world.hear(10, &wrong).await, 10);
    // Eight are mended: two are few, and wait all the same. Another one that slips joins them.
    for n in 0..8 {
        wrong[n] = sessions[n].clone();
    }
    assert_eq!(world.hear(11, &wrong).await, 2);
    wrong[0]["Participants"][0]["ParticipantEmailAddress"] = json!("p21@example.com");
    assert_eq!(world.hear(12, &wrong).await, 3);
    assert_eq!(world.sent(), 10);
    assert_eq!(world.states_of(2).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"]);
    assert_eq!(world.states_of(10).await, ["invite accepted", "reminder 1h held guard", "reminder 24h held guard"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_spelling_is_no_change() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = different(&ids);
    let mut spelt = sessions.clone();
    for session in spelt.as_array_mut().unwrap() {
        let patient = &mut session["Participants"][0];
        patient["ParticipantFullName"] = json!(patient["ParticipantFullName"].as_str().unwrap().to_uppercase());
        let digits: String = patient["ParticipantSmsNumber"].as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
        patient["ParticipantSmsNumber"] = json!(format!("+1{digits}"));
        let zone = if patient["ParticipantTimeZoneWindowsId"] == "Eastern Standard Time" { "America/New_York" } else { "America/Chicago" };
        patient["ParticipantTimeZoneWindowsId"] = json!(zone);
        patient["ConnectCode"] = json!(patient["ConnectCode"].to_string());
    }
    let world = invited(&sessions).await;
    assert_eq!(world.hear(10, &spelt).await, 0);
    assert_eq!(world.sent(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_participants_wait_and_sessions_that_are_booked_meanwhile_are_told() {
    let hosted = |ids: &[i64], people: usize| -> Value {
        let session = |id: &i64| {
            let mut host = person(id * 10);
            host["ShouldAutoDeliverCode"] = json!("N");
            json!({ "SessionId": id, "ScheduleTs": START, "Participants": ([host, person(id * 10 + 1)])[..people] })
        };
        ids.iter().map(session).collect()
    };
    let ids: Vec<i64> = (1..=10).collect();
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&hosted(&ids, 2)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 10);
    let mut lost = hosted(&ids, 1);
    lost.as_array_mut().unwrap().extend(hosted(&[11, 12], 2).as_array().unwrap().clone());
    assert_eq!(world.hear(10, &lost).await, 10);
    assert_eq!((world.sent(), world.guard_kinds().await), (12, vec![GuardKind::Participants]), "the two new ones");
    world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
    assert_eq!(world.hear(11, &lost).await, 0);
    let cancelled = world.entries().await.iter().filter(|e| super::describe(e) == "cancelled accepted").count();
    assert_eq!((world.sent(), cancelled), (22, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_time_nor_new_sessions_release_what_waits() {
    let ids: Vec<i64> = (1..=6).collect();
    // Four of six are gone; session 1 would start first.
    let mut sessions = some(&ids, START);
    sessions[0]["ScheduleTs"] = json!("2026-11-24T12:00:00");
    let world = invited(&sessions).await;
    let mut left: Value = json!(sessions.as_array().unwrap()[4..]);
    assert_eq!(world.hear(10, &left).await, 4);
    left.as_array_mut().unwrap().extend(some(&(11..=60).collect::<Vec<_>>(), START).as_array().unwrap().clone());
    for hour in [11, 12, 13, 14] {
        assert_eq!(world.hear(hour, &left).await, 4, "{hour}");
    }
    assert!(world.states().await.iter().all(|state| !state.starts_with("cancelled")));
    assert_eq!(world.states_of(2).await, ["invite accepted", "reminder 1h held guard", "reminder 24h held guard"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_wait_when_the_old_starts_have_passed() {
    let ids: Vec<i64> = (1..=6).collect();
    let at = |hour: i64| -> Value {
        let session = |id: &i64| json!({ "SessionId": id, "ScheduleTs": format!("2026-11-24T{:02}:00:00", 11 + id + hour), "Participants": [person(id * 10 + 1)] });
        ids.iter().map(session).collect()
    };
    let world = invited(&at(0)).await;
    // By different times: the first by two hours, the others by one.
    let mut late = at(1);
    late[0]["ScheduleTs"] = json!("2026-11-24T14:00:00");
    for hour in 10..=18 {
        assert_eq!(world.hear(hour, &late).await, 6, "{hour}");
    }
    assert_eq!(world.guard_kinds().await, [GuardKind::Moved]);
    assert!(world.letters().iter().all(|mail| !mail.contains("rescheduled")));
    let told = world.states().await.into_iter().filter(|state| state.contains("accepted")).collect::<Vec<_>>();
    assert_eq!(told, vec!["invite accepted"; 6], "no reminder names a time that may be wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_leaves_the_old_facts_in_force() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = different(&ids);
    let world = invited(&sessions).await;
    let wrong = slipped(&sessions, &["ParticipantEmailAddress"]);
    world.hear(10, &wrong).await;
    assert_eq!(world.outbox.decide_guard(Verdict::Reject, None, None, world.clock_now()).await.unwrap(), 10);
    assert_eq!(world.hear(11, &wrong).await, 0);
    assert_eq!(world.sent(), 10);
    world.set("2026-11-25T15:00:00Z");
    world.walk(&wrong).await;
    world.once().await;
    let reminders = world.letters().split_off(10);
    assert_eq!(reminders.len(), 10);
    for (n, id) in ids.iter().enumerate() {
        let theirs = reminders.iter().find(|mail| mail.contains(&format!("Patient {n} "))).unwrap();
        assert!(theirs.contains(&format!("p{id}1@example.com")), "{theirs}");
    }
    // It says something else than what was rejected: that is looked at anew.
    assert_eq!(world.walk(&slipped(&wrong, &["ParticipantEmailAddress"])).await.guarded, 10);
    assert_eq!(world.walk(&sessions).await.guarded, 0);
    let stays = world.outbox.seen("sessions").await.unwrap().unwrap().guard;
    assert!(stays.members.is_empty(), "{stays:?}");
}

/// Each was told the next one's facts: mended, the addresses change hands, so that staff see who got what was not theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_wrong_from_the_start_is_shown_when_it_is_mended() {
    let sessions = different(&[1, 2, 3]);
    let world = invited(&slipped(&sessions, &["ParticipantEmailAddress"])).await;
    assert_eq!(world.hear(10, &sessions).await, 3);
    assert_eq!((world.guard_kinds().await, world.sent()), (vec![GuardKind::Addresses], 3));
    world.outbox.decide_guard(Verdict::Accept, None, None, world.clock_now()).await.unwrap();
    assert_eq!(world.hear(11, &sessions).await, 0);
    let last = world.letters().split_off(3);
    assert_eq!(last.len(), 3);
    for (n, id) in [1, 2, 3].iter().enumerate() {
        let theirs = last.iter().find(|mail| mail.contains(&format!("Patient {n} "))).unwrap();
        assert!(theirs.contains(&format!("p{id}1@example.com")), "{theirs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_in_error_is_taken_back_by_a_rejection() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = different(&ids);
    let world = invited(&sessions).await;
    let wrong = slipped(&sessions, &["ParticipantEmailAddress"]);
    world.hear(10, &wrong).await;
    for verdict in [Verdict::Accept, Verdict::Reject] {
        assert_eq!(world.outbox.decide_guard(verdict, None, None, world.clock_now()).await.unwrap(), 10, "{verdict:?}");
    }
    assert_eq!((world.hear(11, &wrong).await, world.sent()), (0, 10));
    world.set("2026-11-25T15:00:00Z");
    world.walk(&wrong).await;
    world.once().await;
    assert_eq!(world.sent(), 20, "the reminders, as they were told before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_rejected_is_none_and_one_that_was_accepted_is_told_at_once() {
    let ids: Vec<i64> = (1..=10).collect();
    let (all, half) = (some(&ids, START), some(&ids[..5], START));
    for (verdict, reminded, cancelled) in [(Verdict::Reject, 10, 0), (Verdict::Accept, 5, 5)] {
        let world = invited(&all).await;
        assert_eq!(world.hear(10, &half).await, 5);
        world.outbox.decide_guard(verdict, None, None, world.clock_now()).await.unwrap();
        assert_eq!(world.walk(&half).await.guarded, 0);
        world.set("2026-11-24T11:00:00Z");
        world.walk(&half).await;
        world.once().await;
        assert_eq!(world.sent(), 10 + cancelled, "{verdict:?}");
        world.hear(12, &half).await;
        world.set("2026-11-25T15:00:00Z");
        world.walk(&half).await;
        world.once().await;
        assert_eq!(world.sent(), 10 + cancelled + reminded, "{verdict:?}: {:?}", world.states().await);
        assert_eq!(world.walk(&all).await.guarded, 0, "{verdict:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_lost_in_two_parts_is_one_that_is_lost() {
    let ids: Vec<i64> = (1..=100).collect();
    let world = invited(&some(&ids, START)).await;
    for (minute, left, guarded) in [(10, 85, 0), (13, 70, 30)] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        assert_eq!(world.walk(&some(&ids[..left], START)).await.guarded, guarded, "{left}");
    }
    assert_eq!(world.hear(10, &some(&ids[..70], START)).await, 30);
    assert_eq!(world.sent(), 100);
    // The same of what is told at once: fifteen move, and minutes later fifteen others.
    let moved = |n: usize| -> Value {
        let mut sessions = some(&ids, START);
        sessions.as_array_mut().unwrap()[..n].iter_mut().for_each(|s| s["ScheduleTs"] = json!("2026-11-26T18:00:00"));
        sessions
    };
    let world = invited(&some(&ids, START)).await;
    for (minute, n, guarded) in [(10, 15, 0), (14, 30, 15)] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        assert_eq!(world.walk(&moved(n)).await.guarded, guarded, "{n}");
    }
    let world = invited(&some(&ids, START)).await;
    for (hour, n) in [(10, 15), (11, 30)] {
        world.set(&format!("2026-11-24T{hour}:00:00Z"));
        assert_eq!(world.walk(&moved(n)).await.guarded, 0, "an hour apart they are two changes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_what_waits_that_is_cancelled_is_told_so_where_it_was_told_of() {
    for (column, value) in [("ParticipantEmailAddress", None), ("", Some("2026-11-26T17:00:00"))] {
        let ids: Vec<i64> = (1..=10).collect();
        let sessions = different(&ids);
        let world = invited(&sessions).await;
        let mut wrong = match value {
            None => slipped(&sessions, &[column]),
            Some(start) => {
                let mut moved = sessions.clone();
                moved.as_array_mut().unwrap().iter_mut().for_each(|s| s["ScheduleTs"] = json!(start));
                moved
            }
        };
        assert_eq!(world.hear(10, &wrong).await, 10);
        wrong[4]["ScheduleType"] = json!("Cancelled");
        assert_eq!(world.hear(11, &wrong).await, 9);
        assert_eq!(world.sent(), 11, "{:?}", world.states_of(5).await);
        let told = world.last_mail();
        assert!(told.contains("p51@example.com") && told.contains("Patient 4") && told.contains("10:00 AM"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_waits_on_when_all_is_planned_again_or_a_part_is_not_heard() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = different(&ids);
    let world = invited(&sessions).await;
    let wrong = slipped(&sessions, &["ParticipantEmailAddress", "ConnectCode"]);
    assert_eq!(world.hear(10, &wrong).await, 10);
    let policy = super::configuration(&format!("{}[[reminder]]\nname = \"2h\"\nbefore = \"2h\"\n", super::CONFIGURATION)).policy;
    let policy = std::sync::Arc::new(policy);
    assert_eq!(world.walk_some(&wrong, SnapshotKind::Full, &policy).await.guarded, 10);
    // A part of it cannot be read; then it is as before.
    assert_eq!(world.walk_some(&json!(wrong.as_array().unwrap()[..5]), SnapshotKind::Partial, &policy).await.guarded, 10);
    assert_eq!(world.walk_some(&wrong, SnapshotKind::Full, &policy).await.guarded, 10);
    assert_eq!(world.walk_some(&wrong, SnapshotKind::Full, &policy).await.planned, 0);
    world.set("2026-11-26T14:00:00Z");
    world.walk_some(&wrong, SnapshotKind::Full, &policy).await;
    world.once_by(&policy).await;
    assert_eq!(world.sent(), 10);
    assert_eq!(world.guard_kinds().await, [GuardKind::Codes, GuardKind::Addresses]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellations_that_were_rejected_are_not_told() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = different(&ids);
    let world = invited(&sessions).await;
    let mut wrong = sessions.clone();
    wrong.as_array_mut().unwrap().iter_mut().for_each(|s| s["ScheduleType"] = json!("Cancelled"));
    assert_eq!(world.hear(10, &wrong).await, 10);
    world.outbox.decide_guard(Verdict::Reject, None, None, world.clock_now()).await.unwrap();
    assert_eq!(world.hear(11, &wrong).await, 0);
    assert_eq!(world.sent(), 10, "nobody is told that it is cancelled");
    world.set("2026-11-25T15:00:00Z");
    world.walk(&wrong).await;
    world.once().await;
    assert_eq!(world.sent(), 20, "the reminders go: {:?}", world.states().await);
}

/// Each at another hour, so that whoever stands in another session is told a wrong one.
fn at_their_hours(ids: &[i64]) -> Value {
    let mut sessions = different(ids);
    for (n, session) in sessions.as_array_mut().unwrap().iter_mut().enumerate() {
        session["ScheduleTs"] = json!(format!("2026-11-26T{:02}:00:00", 12 + n));
    }
    sessions
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_slip_into_the_next_session_are_not_invited_to_its_hour() {
    let ids: Vec<i64> = (1..=10).collect();
    let sessions = at_their_hours(&ids);
    let before = sessions.as_array().unwrap();
    let mut slipped = sessions.clone();
    let mut renumbered = sessions.clone();
    for n in 0..before.len() {
        slipped[n]["Participants"] = before[(n + 1) % before.len()]["Participants"].clone();
        let id = before[n]["Participants"][0]["ParticipationId"].as_i64().unwrap();
        renumbered[n]["Participants"][0]["ParticipationId"] = json!(id + 1000);
    }
    // All of them stand in the first session; in the others there is nobody.
    let mut gathered = sessions.clone();
    for n in 1..before.len() {
        let one = before[n]["Participants"][0].clone();
        gathered[0]["Participants"].as_array_mut().unwrap().push(one);
        gathered[n]["Participants"] = json!([]);
    }
    for wrong in [slipped, renumbered, gathered] {
        let world = invited(&sessions).await;
        assert!(world.hear(10, &wrong).await >= 9);
        assert_eq!(world.sent(), 10, "{:?}", world.states().await);
        assert_eq!(world.hear(11, &sessions).await, 0);
        assert_eq!(world.sent(), 10);
        let set = world.outbox.seen("sessions").await.unwrap().unwrap().guard;
        assert!(set.members.is_empty(), "{set:?}");
        for id in &ids {
            assert_eq!(world.states_of(*id).await, ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"]);
        }
        // An operator says that it is right.
        world.hear(12, &wrong).await;
        world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
        assert_eq!(world.hear(13, &wrong).await, 0);
        assert!(world.sent() > 19, "whoever came is invited: {}", world.sent());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_under_new_numbers_wait_with_those_whose_place_they_take() {
    let ids: Vec<i64> = (1..=10).collect();
    let mut sessions = at_their_hours(&ids);
    let mut renumbered = sessions.clone();
    for session in renumbered.as_array_mut().unwrap() {
        session["SessionId"] = json!(session["SessionId"].as_i64().unwrap() + 100);
    }
    // Somebody is booked meanwhile, with a host who has a session of the others at that hour, too.
    let host = |id: i64| {
        json!({ "ParticipationId": id, "ParticipantEmailAddress": "host@example.com",
        "ParticipantTimeZoneWindowsId": "Eastern Standard Time", "ShouldAutoDeliverCode": "N" })
    };
    for (list, from) in [(&mut sessions, 7000), (&mut renumbered, 8000)] {
        for (n, session) in (from..).zip(list.as_array_mut().unwrap()) {
            session["Participants"].as_array_mut().unwrap().insert(0, host(n));
        }
    }
    let new = json!({ "SessionId": 500, "ScheduleTs": sessions[3]["ScheduleTs"], "Participants": [host(5002), person(5001)] });
    renumbered.as_array_mut().unwrap().push(new.clone());
    let world = invited(&sessions).await;
    assert!(world.hear(10, &renumbered).await >= 10);
    assert_eq!((world.sent(), world.states_of(500).await[0].as_str()), (11, "invite accepted"), "an addition passes");
    assert!(world.states_of(101).await.is_empty());
    world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
    assert_eq!(world.hear(11, &renumbered).await, 0);
    assert_eq!(world.states_of(101).await[0], "invite accepted", "once an operator says that it is right");
    let world = invited(&sessions).await;
    world.hear(10, &renumbered).await;
    let mut mended = sessions.clone();
    mended.as_array_mut().unwrap().push(new);
    assert_eq!(world.hear(11, &mended).await, 0);
    assert_eq!((world.sent(), world.states_of(1).await[1].as_str()), (11, "reminder 1h waiting"), "mended");
}

/// That it is missing was wrong; that it is cancelled is another word.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_wrongly_missing_may_be_cancelled_all_the_same() {
    let sessions = different(&[1, 2]);
    let world = invited(&sessions).await;
    assert_eq!(world.hear(10, &json!([])).await, 2);
    assert_eq!(world.outbox.decide_guard(Verdict::Reject, None, None, world.clock_now()).await.unwrap(), 2);
    let mut off = sessions.clone();
    off[0]["ScheduleType"] = json!("Cancelled");
    assert_eq!(world.hear(11, &off).await, 0);
    assert_eq!(world.sent(), 3, "{:?}", world.states().await);
    assert!(world.letters()[2].contains("Cancelled"), "{}", world.letters()[2]);
}
