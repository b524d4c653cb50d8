//! Several sources: what one says beside the other.

use punctual::session::Snapshot;

use super::*;

/// What is done to it, in a word.
pub(super) type Named<'a, T> = (&'a dyn Fn(&mut T), &'a str);

pub(super) const TWO_DAYS: &str = "2026-11-26T15:00:00";

/// A session of one person.
pub(super) fn session(id: i64, start: &str, code: i64) -> Value {
    json!({"SessionId": id, "ScheduleTs": start, "Participants": [
        {"ParticipationId": id * 10, "ShouldAutoDeliverCode": "N"},
        {"ParticipationId": id * 10 + 1, "ShouldAutoDeliverCode": "E", "ParticipantEmailAddress": format!("p{id}@example.com"),
         "ParticipantTimeZoneWindowsId": "America/New_York", "ConnectCode": code}]})
}

impl World {
    pub(super) async fn walk_of(&self, source: &str, sessions: &[Value]) -> walk::WalkSummary {
        let body = Value::Array(sessions.to_vec()).to_string();
        let mut snapshot: Snapshot = json::parse(body.as_bytes()).unwrap();
        ambiguity::mark(&mut snapshot, self.clock.now());
        walk::walk(&*self.outbox, source, &snapshot, &self.policy, self.clock.now()).await.unwrap()
    }

    /// Its notices: occasion, rule, state and reason.
    pub(super) async fn told(&self, id: i64) -> Vec<String> {
        self.states_of(id).await
    }

    /// Hands over what is due by then.
    pub(super) async fn go(&self, now: &str) {
        self.set(now);
        self.once().await;
    }

    pub(super) async fn stands(&self, source: &str) -> Vec<i64> {
        self.outbox.sessions(source, None).await.unwrap().iter().map(|s| s.id.0).collect()
    }
}

pub(super) const WAITS: [&str; 3] = ["invite accepted", "reminder 1h waiting", "reminder 24h waiting"];

#[tokio::test]
async fn a_session_that_goes_to_another_source_keeps_its_history() {
    let (a, b, c) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002), session(3, TWO_DAYS, 100_000_003));
    // The order of the polls after it went, and how often each comes before the other one.
    for (polls, what) in
        [("ab", "first"), ("ba", "last"), ("aab", "held as absent"), ("bbaabb", "again and again"), ("abababab", "for an hour")]
    {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk_of("a", &[a.clone(), b.clone()]).await;
        world.walk_of("b", std::slice::from_ref(&c)).await;
        world.go("2026-11-24T09:05:00Z").await;
        assert_eq!(world.told(1).await, WAITS, "{what}");
        for (minute, source) in (10..).zip(polls.chars()) {
            world.set(&format!("2026-11-24T09:{minute}:00Z"));
            if source == 'a' {
                world.walk_of("a", std::slice::from_ref(&b)).await;
            } else {
                world.walk_of("b", &[c.clone(), a.clone()]).await;
            }
        }
        assert_eq!(world.told(1).await, WAITS, "{what}: nobody hears anything of it");
        assert_eq!((world.stands("a").await, world.stands("b").await), (vec![2], vec![1, 3]), "{what}");
        // And it is the other source's by now: that one takes it away.
        for minute in [30, 36, 41] {
            world.set(&format!("2026-11-24T09:{minute}:00Z"));
            world.walk_of("b", std::slice::from_ref(&c)).await;
            world.walk_of("a", std::slice::from_ref(&b)).await;
        }
        assert!(world.told(1).await.contains(&"cancelled waiting".to_owned()), "{what}: {:?}", world.told(1).await);
    }
}

#[tokio::test]
async fn what_two_sources_tell_differently_is_told_to_nobody() {
    let one = session(1, TWO_DAYS, 100_000_001);
    let mut same_person = session(2, TWO_DAYS, 100_000_002);
    same_person["Participants"][1]["ParticipationId"] = json!(11);
    for (what, other) in [
        ("one code", session(2, TWO_DAYS, 100_000_001)),
        ("one session with two starts", session(1, "2026-11-27T15:00:00", 100_000_001)),
        ("one participation in two sessions", same_person),
    ] {
        for turned in [false, true] {
            let world = World::new("2026-11-24T09:00:00Z");
            let (first, second) = if turned { (&other, &one) } else { (&one, &other) };
            world.walk_of("a", std::slice::from_ref(first)).await;
            world.walk_of("b", std::slice::from_ref(second)).await;
            let held = async |world: &World| {
                let all: Vec<Entry> = world.outbox.list(&Filter::default()).await.unwrap();
                let open: Vec<Entry> = all.into_iter().filter(|e| !e.state.may_have_been_sent() && e.state.pending()).collect();
                open.iter().all(|e| (e.state, e.reason) == (State::Held, Some(Reason::Ambiguous)))
            };
            assert!(held(&world).await, "{what}: {:?} {:?}", world.told(1).await, world.told(2).await);
            world.walk_of("a", std::slice::from_ref(first)).await;
            assert!(held(&world).await, "{what}, again");
            world.go("2026-11-24T09:10:00Z").await;
            assert_eq!(world.sent(), 0, "{what}");
            // It clears by itself when one yields.
            world.walk_of("b", &[session(9, TWO_DAYS, 100_000_009)]).await;
            world.go("2026-11-24T09:20:00Z").await;
            let id = first["SessionId"].as_i64().unwrap();
            assert_eq!(world.told(id).await, WAITS, "{what}");
        }
    }
}

#[tokio::test]
async fn a_session_that_two_sources_tell_alike_is_told_once() {
    let world = World::new("2026-11-24T09:00:00Z");
    let one = session(1, TWO_DAYS, 100_000_001);
    world.walk_of("a", std::slice::from_ref(&one)).await;
    // The order of its fields is no difference.
    let turned = serde_json::from_str::<Value>(&one.to_string()).unwrap();
    world.walk_of("b", std::slice::from_ref(&turned)).await;
    world.go("2026-11-24T09:05:00Z").await;
    assert_eq!((world.told(1).await, world.sent()), (WAITS.map(str::to_owned).to_vec(), 1));
    for _ in 0..2 {
        assert_eq!(world.walk_of("a", std::slice::from_ref(&one)).await.planned, 0);
        assert_eq!(world.walk_of("b", std::slice::from_ref(&one)).await.planned, 0);
    }
    // The one that it stands under lists it no more: it stands under the other.
    for minute in [10, 16, 22] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", &[session(2, TWO_DAYS, 100_000_002)]).await;
    }
    assert_eq!((world.told(1).await, world.stands("b").await), (WAITS.map(str::to_owned).to_vec(), vec![1]));
}

#[tokio::test]
async fn a_duplicate_that_vanishes_ends_as_one_session_would() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, other) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002));
    let mut twice = one.clone();
    twice["Topic"] = json!("x");
    world.walk_of("a", &[one.clone(), other.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    world.walk_of("a", &[one, twice, other.clone()]).await;
    assert_eq!(world.told(1).await, ["invite accepted", "reminder 1h held ambiguous", "reminder 24h held ambiguous"]);
    for minute in [10, 16, 22] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", std::slice::from_ref(&other)).await;
    }
    let told = world.told(1).await;
    assert!(told.contains(&"cancelled waiting".to_owned()) && !told.iter().any(|t| t.contains("held")), "{told:?}");
}

#[tokio::test]
async fn whoever_is_off_the_list_keeps_their_code_until_they_are_gone() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, two, rest) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002), session(99, TWO_DAYS, 100_000_099));
    world.walk_of("a", &[one.clone(), two.clone(), rest.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    let told = world.sent();
    // A row is lost, and the column slips up by one; and somebody new has the code, too.
    let (wrong, new) = (session(2, TWO_DAYS, 100_000_001), session(3, TWO_DAYS, 100_000_001));
    for minute in [10, 13] {
        world.go(&format!("2026-11-24T09:{minute}:00Z")).await;
        world.walk_of("a", &[wrong.clone(), rest.clone()]).await;
    }
    assert_eq!((world.sent(), world.told(2).await[1].as_str()), (told, "reminder 1h held ambiguous"), "{:?}", world.told(2).await);
    world.walk_of("a", &[one.clone(), two.clone(), rest.clone()]).await;
    world.go("2026-11-24T09:20:00Z").await;
    assert_eq!(
        (world.sent(), world.told(1).await, world.told(2).await),
        (told, WAITS.map(str::to_owned).to_vec(), WAITS.map(str::to_owned).to_vec())
    );
    // Once whoever had it is gone, it is the other one's.
    for minute in [30, 36, 42, 48, 51] {
        world.go(&format!("2026-11-24T09:{minute}:00Z")).await;
        world.walk_of("a", &[two.clone(), new.clone(), rest.clone()]).await;
        assert_eq!(world.told(3).await.is_empty(), minute < 48, "{minute}: {:?}", world.told(3).await);
    }
    world.go("2026-11-24T09:55:00Z").await;
    assert_eq!(world.told(3).await, WAITS);
}

#[tokio::test]
async fn a_record_that_does_not_say_whose_it_is_takes_nothing_away() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, two) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002));
    world.walk_of("a", &[one.clone(), two.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    let mut nameless = one.clone();
    nameless["SessionId"] = Value::Null;
    let mut nobody = two.clone();
    nobody["Participants"][1]["ParticipationId"] = json!("x");
    for minute in [10, 16, 22, 30] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", &[nameless.clone(), nobody.clone()]).await;
    }
    assert_eq!((world.told(1).await, world.told(2).await), (WAITS.map(str::to_owned).to_vec(), WAITS.map(str::to_owned).to_vec()));
    world.walk_of("a", &[one, two]).await;
    assert_eq!((world.told(1).await, world.told(2).await), (WAITS.map(str::to_owned).to_vec(), WAITS.map(str::to_owned).to_vec()));
}

const CUT_OVER: &str = "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = false\n[quiet_hours]\nchannels = []\n";

#[tokio::test]
async fn the_first_fill_ends_with_the_first_list_that_is_whole_and_not_empty() {
    let world = World::with("2026-11-24T09:00:00Z", CUT_OVER);
    let (one, two) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002));
    assert!(world.walk_of("a", &[]).await.waits);
    let body = Value::Array(vec![one.clone()]).to_string();
    let part = Snapshot { kind: SnapshotKind::Partial, ..json::parse(body.as_bytes()).unwrap() };
    assert!(walk::walk(&*world.outbox, "a", &part, &world.policy, world.clock.now()).await.unwrap().waits);
    assert!(world.told(1).await.is_empty(), "a part adopts nothing, and invites nobody");
    // A field is at fault, and so is a whole session: they count as adopted once they are mended.
    let (mut bad, mut worse) = (two.clone(), session(3, TWO_DAYS, 100_000_003));
    bad["Participants"][1]["ConnectCode"] = json!("oops");
    worse["ScheduleTs"] = json!("soon");
    assert!(!world.walk_of("a", &[one.clone(), bad, worse]).await.waits);
    let four = session(4, TWO_DAYS, 100_000_004);
    world.walk_of("a", &[one, two, session(3, TWO_DAYS, 100_000_003), four]).await;
    world.go("2026-11-24T09:10:00Z").await;
    for id in 1..=3 {
        assert_eq!(world.told(id).await, ["invite cancelled adopted", "reminder 1h waiting", "reminder 24h waiting"], "session {id}");
    }
    assert_eq!(world.told(4).await[0], "invite accepted", "who comes later is new");
}

#[tokio::test]
async fn one_change_by_itself_ends_no_first_fill() {
    let world = World::with("2026-11-24T09:00:00Z", CUT_OVER);
    let all: Vec<Value> = (1..=5).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
    world.walk_some(&json!([]), SnapshotKind::Full, &world.policy).await;
    world.walk_some(&json!([all[0]]), SnapshotKind::Delta, &world.policy).await;
    world.go("2026-11-24T09:05:00Z").await;
    assert_eq!(world.told(1).await, WAITS, "it is told of by itself: that is news");
    world.walk_some(&json!(all), SnapshotKind::Full, &world.policy).await;
    world.go("2026-11-24T09:10:00Z").await;
    assert_eq!(world.sent(), 1, "the others were announced by somebody else");
    assert_eq!(world.told(2).await[0], "invite cancelled adopted");
}

/// A session of two people.
pub(super) fn of_two(id: i64) -> Value {
    let mut both = session(id, TWO_DAYS, 100_000_000 + id);
    let mut second = both["Participants"][1].clone();
    second["ParticipationId"] = json!(id * 10 + 2);
    second["ParticipantEmailAddress"] = json!("second@example.com");
    second["ConnectCode"] = json!(200_000_000 + id);
    both["Participants"].as_array_mut().unwrap().push(second);
    both
}

impl World {
    /// How many were told that it is cancelled.
    async fn called_off(&self, id: i64) -> usize {
        self.told(id).await.iter().filter(|row| *row == "cancelled accepted").count()
    }
}

#[tokio::test]
async fn whoever_left_a_session_before_it_left_the_list_says_nothing_of_the_others() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (both, other) = (of_two(1), session(2, TWO_DAYS, 100_000_009));
    let mut alone = both.clone();
    alone["Participants"].as_array_mut().unwrap().pop();
    world.walk_of("a", &[both, other.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    for minute in [10, 15] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", &[alone.clone(), other.clone()]).await;
    }
    for (minute, called_off) in [(21, 0), (26, 0), (32, 2)] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", std::slice::from_ref(&other)).await;
        world.go(&format!("2026-11-24T09:{}:00Z", minute + 3)).await;
        assert_eq!(world.called_off(1).await, called_off, "09:{minute}: {:?}", world.told(1).await);
    }
}

#[tokio::test]
async fn a_record_at_fault_stays_so_until_it_is_mended_or_its_session_is_gone() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (both, other) = (of_two(1), session(2, TWO_DAYS, 100_000_009));
    let (mut at_fault, mut nameless) = (both.clone(), both.clone());
    at_fault["Participants"][2]["ConnectCode"] = json!("oops");
    nameless["Participants"][2]["ParticipationId"] = Value::Null;
    world.walk_of("a", &[both, other.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    for (minute, list) in [(6, at_fault), (8, nameless)] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", &[list, other.clone()]).await;
        let told = world.told(1).await;
        assert_eq!(told.iter().filter(|row| row.ends_with("held quarantined")).count(), 2, "09:{minute}: {told:?}");
    }
    for minute in [10, 15, 21] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", std::slice::from_ref(&other)).await;
    }
    world.go("2026-11-24T09:24:00Z").await;
    assert_eq!(world.called_off(1).await, 2, "{:?}", world.told(1).await);
}

#[tokio::test]
async fn two_sources_that_agree_again_are_believed_although_one_says_nothing_new() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, other) = (session(1, TWO_DAYS, 100_000_001), session(1, "2026-11-26T18:00:00", 100_000_001));
    world.walk_of("a", std::slice::from_ref(&one)).await;
    world.go("2026-11-24T09:05:00Z").await;
    world.walk_of("b", &[other]).await;
    assert_eq!(world.told(1).await[1], "reminder 1h held ambiguous");
    world.walk_of("b", std::slice::from_ref(&one)).await;
    assert_eq!(world.told(1).await, WAITS, "although a, whose session it is, was not read");
    world.walk_of("a", &[one]).await;
    assert_eq!(world.told(1).await, WAITS);
    assert!(walk::rests(&*world.outbox, "a", &world.policy, world.clock.now()).await.unwrap().is_some());
}

#[tokio::test]
async fn the_new_time_of_a_pushed_session_is_told_when_the_other_source_says_it_too() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, other) = (session(1, TWO_DAYS, 100_000_001), session(1, "2026-11-26T18:00:00", 100_000_001));
    world.walk_some(&json!([one]), SnapshotKind::Full, &world.policy).await;
    world.walk_of("b", std::slice::from_ref(&one)).await;
    world.go("2026-11-24T09:05:00Z").await;
    let told = world.sent();
    world.walk_some(&json!([other]), SnapshotKind::Delta, &world.policy).await;
    assert_eq!(world.told(1).await[1], "reminder 1h held ambiguous");
    world.set("2026-11-24T09:06:00Z");
    world.walk_of("b", std::slice::from_ref(&other)).await;
    world.go("2026-11-24T09:10:00Z").await;
    assert_eq!(world.sent(), told + 1, "{:?}", world.told(1).await);
    assert!(world.last_mail().contains("Subject: New time"), "{}", world.last_mail());
}

#[tokio::test]
async fn whoever_cannot_be_read_in_a_session_that_stands_twice_is_told_neither() {
    let world = World::new("2026-11-24T09:00:00Z");
    let one = of_two(1);
    let mut nameless = one.clone();
    nameless["Participants"][2]["ParticipationId"] = Value::Null;
    let mut again = nameless.clone();
    again["ScheduleTs"] = json!("2026-11-26T18:00:00");
    world.walk_of("a", &[one]).await;
    world.go("2026-11-24T09:05:00Z").await;
    world.walk_of("a", &[nameless, again]).await;
    world.go("2026-11-24T09:10:00Z").await;
    let told = world.told(1).await;
    assert_eq!(told.iter().filter(|row| row.ends_with("held ambiguous")).count(), 4, "{told:?}");
}

#[tokio::test]
async fn a_session_of_which_one_record_cannot_be_read_loses_nobody_by_the_other() {
    let one = of_two(1);
    let mut fewer = one.clone();
    fewer["ScheduleTs"] = json!("2026-11-26T18:00:00");
    fewer["Participants"].as_array_mut().unwrap().pop();
    for key in ["ScheduleTs", "Participants"] {
        let mut unread = one.clone();
        unread[key] = json!("soon");
        for both in [[fewer.clone(), unread.clone()], [unread, fewer.clone()]] {
            let world = World::new("2026-11-24T09:00:00Z");
            world.walk_of("a", std::slice::from_ref(&one)).await;
            world.go("2026-11-24T09:05:00Z").await;
            let before = world.sent();
            for minute in [10, 20, 30, 40, 50] {
                world.set(&format!("2026-11-24T09:{minute}:00Z"));
                world.walk_of("a", &both).await;
                world.once().await;
            }
            assert_eq!(world.sent(), before, "neither a cancellation nor a new time");
            let told = world.told(1).await;
            assert_eq!(told.iter().filter(|row| row.ends_with("held ambiguous")).count(), 4, "{told:?}");
            for mended in ["2026-11-24T10:00:00Z", "2026-11-26T14:30:00Z"] {
                world.set(mended);
                world.walk_of("a", std::slice::from_ref(&one)).await;
                world.once().await;
            }
            assert_eq!(world.sent(), before + 2, "mended, both are reminded");
        }
    }
}

#[tokio::test]
async fn whoever_was_at_fault_in_the_first_fill_is_told_what_changed_meanwhile() {
    let moved = |session: &mut Value| session["ScheduleTs"] = json!("2026-11-27T15:00:00");
    let cancelled = |session: &mut Value| session["ScheduleType"] = json!("Cancelled");
    let changes: [Named<'_, Value>; 2] = [(&moved, "rescheduled accepted"), (&cancelled, "cancelled accepted")];
    let faults = [("ConnectCode", "oops"), ("ParticipantTimeZoneWindowsId", "Mars Standard Time")];
    for ((change, told), (field, bad), meanwhile) in
        changes.iter().flat_map(|c| faults.iter().flat_map(move |f| [false, true].map(|m| (*c, *f, m))))
    {
        let world = World::with("2026-11-24T09:00:00Z", CUT_OVER);
        let (one, mut two) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002));
        two["Participants"][1][field] = json!(bad);
        world.walk_of("a", &[one.clone(), two.clone()]).await;
        if meanwhile {
            change(&mut two);
            for minute in [4, 6] {
                world.set(&format!("2026-11-24T09:0{minute}:00Z"));
                world.walk_of("a", &[one.clone(), two.clone()]).await;
            }
        }
        let mut two = session(2, TWO_DAYS, 100_000_002);
        change(&mut two);
        for minute in [10, 12, 14, 16] {
            world.set(&format!("2026-11-24T09:{minute}:00Z"));
            world.walk_of("a", &[one.clone(), two.clone()]).await;
            world.once().await;
        }
        assert!(world.told(2).await.contains(&told.to_owned()), "{:?}", world.told(2).await);
        assert!(world.told(2).await.contains(&"invite cancelled adopted".to_owned()));
    }
}

/// Two systems write the same in their own ways.
#[tokio::test]
async fn two_sources_that_mean_the_same_contradict_nothing() {
    let one = || {
        let mut one = session(1, TWO_DAYS, 100_000_001);
        let person = &mut one["Participants"][1];
        (person["ParticipantFullName"], person["ParticipantSmsNumber"]) = (json!("Trevor Ohm"), json!("404-555-0100"));
        one
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut other = one();
        change(&mut other);
        other
    };
    let alike: [Named<'_, Value>; 8] = [
        (&|s| s["ScheduleTs"] = json!("2026-11-26T15:00:00Z"), "a time with its zone"),
        (&|s| s["ScheduleTs"] = json!("2026-11-26T10:00:00-05:00"), "another zone's time"),
        (&|s| s["ScheduleType"] = json!("scheduled"), "a word for what is live"),
        (&|s| s["Participants"][1]["ParticipantEmailAddress"] = json!(" P1@Example.COM "), "case of the address"),
        (&|s| s["Participants"][1]["ParticipantSmsNumber"] = json!("+1 (404) 555 0100"), "a number's signs"),
        (&|s| s["Participants"][1]["ConnectCode"] = json!("100000001"), "a code in quotes"),
        (&|s| s["Participants"][1]["RSVP"] = json!(null), "a field without a value"),
        (&|s| s["ExportedBy"] = json!("desk"), "a field that nobody reads"),
    ];
    for (change, what) in alike {
        for turned in [false, true] {
            let world = World::new("2026-11-24T09:00:00Z");
            let (first, second) = if turned { (changed(change), one()) } else { (one(), changed(change)) };
            for minute in [0, 5, 6] {
                world.set(&format!("2026-11-24T09:0{minute}:00Z"));
                world.walk_of("a", std::slice::from_ref(&first)).await;
                world.walk_of("b", std::slice::from_ref(&second)).await;
                world.once().await;
            }
            assert_eq!((world.told(1).await, world.sent()), (WAITS.map(str::to_owned).to_vec(), 1), "{what}, {turned}");
        }
    }
    let other: [Named<'_, Value>; 3] = [
        (&|s| s["ScheduleTs"] = json!("2026-11-26T15:00:00-05:00"), "another time"),
        (&|s| s["Participants"][1]["ParticipantSmsNumber"] = json!("404-555-0101"), "another number"),
        (&|s| s["Participants"][1]["ParticipantFullName"] = json!("Ann Ohm"), "another name"),
    ];
    for (change, what) in other {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk_of("a", &[one()]).await;
        world.walk_of("b", &[changed(change)]).await;
        world.go("2026-11-24T09:05:00Z").await;
        assert_eq!(world.sent(), 0, "{what}");
    }
}

#[tokio::test]
async fn what_a_source_lists_no_more_is_not_cancelled_while_another_one_cannot_be_heard() {
    // (What is heard of a between 10:00 and 10:20; cancellations told by 10:20; at the end, when a was heard.)
    for (heard, meanwhile, at_last) in [(None, 0, 1), (Some(SnapshotKind::Partial), 0, 1), (Some(SnapshotKind::Full), 1, 1)] {
        let world = World::new("2026-11-24T09:00:00Z");
        let (one, own, rest) = (session(1, TWO_DAYS, 100_000_001), session(50, TWO_DAYS, 100_000_050), session(99, TWO_DAYS, 100_000_099));
        world.walk_of("a", std::slice::from_ref(&own)).await;
        world.walk_of("b", &[one.clone(), rest.clone()]).await;
        world.go("2026-11-24T09:05:00Z").await;
        let off =
            |entries: Vec<Entry>| entries.iter().filter(|e| e.notice.occasion == Occasion::Cancelled && e.state == State::Accepted).count();
        for minute in (0..=20).step_by(5) {
            world.set(&format!("2026-11-24T10:{minute:02}:00Z"));
            if let Some(extent) = heard {
                let part = json::parse(json!([own]).to_string().as_bytes()).unwrap();
                let part = Snapshot { kind: extent, ..part };
                walk::walk(&*world.outbox, "a", &part, &world.policy, world.clock.now()).await.unwrap();
            }
            world.walk_of("b", std::slice::from_ref(&rest)).await;
            world.once().await;
        }
        assert_eq!(off(world.entries().await), meanwhile, "{heard:?}: {:?}", world.told(1).await);
        for now in ["2026-11-24T10:30:00Z", "2026-11-24T10:33:00Z"] {
            world.set(now);
            world.walk_of("a", std::slice::from_ref(&own)).await;
            world.walk_of("b", std::slice::from_ref(&rest)).await;
            world.once().await;
        }
        assert_eq!(off(world.entries().await), at_last, "{heard:?}: {:?}", world.told(1).await);
    }
    // It moved to a, which says so when it can be read again.
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, rest) = (session(1, TWO_DAYS, 100_000_001), session(99, TWO_DAYS, 100_000_099));
    world.walk_of("a", &[session(50, TWO_DAYS, 100_000_050)]).await;
    world.walk_of("b", &[one.clone(), rest.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    let told = world.sent();
    for minute in (0..=20).step_by(5) {
        world.set(&format!("2026-11-24T10:{minute:02}:00Z"));
        world.walk_of("b", std::slice::from_ref(&rest)).await;
        world.once().await;
    }
    world.walk_of("a", &[session(50, TWO_DAYS, 100_000_050), one]).await;
    world.go("2026-11-24T10:30:00Z").await;
    assert_eq!(world.sent(), told);
    assert_eq!(world.told(1).await, WAITS);
}

#[tokio::test]
async fn whoever_stands_at_that_hour_in_another_entry_is_not_told_that_it_is_cancelled() {
    let pat = |session: &mut Value, id: i64, code: i64| {
        let person = &mut session["Participants"][1];
        (person["ParticipationId"], person["ConnectCode"]) = (json!(id), json!(code));
        (person["ParticipantEmailAddress"], person["ParticipantFullName"]) = (json!("pat@example.com"), json!("Pat Example"));
    };
    let booked = |id: i64, code: i64| {
        let mut session = session(id, TWO_DAYS, code);
        pat(&mut session, id * 10 + 1, code);
        session
    };
    let one = booked(1, 100_000_001);
    let again = |change: &dyn Fn(&mut Value)| {
        let mut other = one.clone();
        change(&mut other);
        other
    };
    let mut twice = one.clone();
    let mut second = one["Participants"][1].clone();
    (second["ParticipationId"], second["ConnectCode"]) = (json!(55), json!(100_000_055));
    twice["Participants"].as_array_mut().unwrap().push(second);
    let off = again(&|s| s["ScheduleType"] = json!("Cancelled"));
    let (later, other) = ("2026-11-27T15:00:00", booked(2, 100_000_002));
    let made_anew = |change: &dyn Fn(&mut Value)| {
        let mut other = other.clone();
        change(&mut other);
        vec![other]
    };
    let cases: [(&str, &Value, Vec<Value>, usize); 9] = [
        ("they are put in again", &one, vec![again(&|s| pat(s, 55, 100_000_055))], 0),
        ("the session is made anew", &one, vec![other.clone()], 0),
        ("it is cancelled by word, and made anew", &one, vec![off.clone(), other.clone()], 0),
        ("one of two entries is taken out", &twice, vec![one.clone()], 0),
        ("it is gone", &one, vec![], 1),
        ("it is made anew at another hour", &one, made_anew(&|s| s["ScheduleTs"] = json!(later)), 1),
        (
            "it is made anew for somebody else at that address",
            &one,
            made_anew(&|s| s["Participants"][1]["ParticipantFullName"] = json!("Sam")),
            1,
        ),
        (
            "it is made anew for them at another address",
            &one,
            made_anew(&|s| s["Participants"][1]["ParticipantEmailAddress"] = json!("x@example.com")),
            1,
        ),
        ("both are cancelled", &one, vec![off, made_anew(&|s| s["ScheduleType"] = json!("Cancelled")).remove(0)], 1),
    ];
    for (what, before, after, cancelled) in cases {
        let world = World::new("2026-11-24T09:00:00Z");
        let rest = session(99, TWO_DAYS, 100_000_099);
        world.walk_of("a", &[before.clone(), rest.clone()]).await;
        world.go("2026-11-24T09:05:00Z").await;
        for now in ["2026-11-24T10:00:00Z", "2026-11-24T10:06:00Z", "2026-11-24T10:12:00Z"] {
            world.go(now).await;
            world.walk_of("a", &[after.clone(), vec![rest.clone()]].concat()).await;
        }
        world.go("2026-11-24T10:20:00Z").await;
        let told = world.entries().await.into_iter().filter(|e| e.state == State::Accepted && e.notice.occasion == Occasion::Cancelled);
        assert_eq!(told.count(), cancelled, "{what}: {:?}, {:?}", world.told(1).await, world.told(2).await);
    }
}

#[tokio::test]
async fn a_reload_takes_nobody_for_announced_who_was_to_be_invited() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, mut two) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002));
    let mended = two.clone();
    two["Participants"][1]["ConnectCode"] = json!("oops");
    world.walk_of("sessions", &[one.clone(), two]).await;
    // The invite has not settled yet when the practice changes its mind about the next first fill.
    world.set("2026-11-24T09:01:00Z");
    let another = Arc::new(configuration(CUT_OVER).policy);
    world.walk_some(&Value::Array(vec![one, mended]), SnapshotKind::Full, &another).await;
    world.set("2026-11-24T09:05:00Z");
    world.once_by(&another).await;
    for id in 1..=2 {
        assert_eq!(world.told(id).await, WAITS, "session {id}");
    }
}
