//! Records that cannot be read, or not be heard of, beside what can: nobody is told a thing because of what nobody could read.

use punctual::contact::Address;
use punctual::guard::Verdict;

use super::sources::{TWO_DAYS, WAITS, of_two, session};
use super::*;

fn nameless(record: &Value) -> Value {
    let mut nameless = record.clone();
    nameless["SessionId"] = Value::Null;
    nameless
}

fn waits() -> Vec<String> {
    WAITS.map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_list_that_cannot_be_read_in_part_is_none_of_three_in_a_row() {
    let (one, rest) = (of_two(1), session(2, TWO_DAYS, 100_000_002));
    let mut alone = one.clone();
    alone["Participants"].as_array_mut().unwrap().pop();
    let mut torn = alone.clone();
    torn["Participants"].as_array_mut().unwrap().push(json!({ "ShouldAutoDeliverCode": "E" }));
    // What misses them, and what may hold them: of a session, and of one person of it.
    let session_leaves = (vec![rest.clone()], vec![nameless(&one), rest.clone()]);
    let person_leaves = [torn, nameless(&one)].map(|unread| (vec![alone.clone(), rest.clone()], vec![unread, rest.clone()]));
    for (missing, unread) in std::iter::once(session_leaves).chain(person_leaves) {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk_of("a", &[one.clone(), rest.clone()]).await;
        world.go("2026-11-24T09:05:00Z").await;
        let told = |told: Vec<String>| told.iter().any(|row| row.starts_with("cancelled"));
        for (minute, list, counts) in [
            (10, &missing, false),
            (14, &missing, false),
            (19, &unread, false),
            (20, &missing, false),
            (22, &missing, false),
            (24, &missing, false),
            (31, &missing, true),
        ] {
            world.set(&format!("2026-11-24T09:{minute}:00Z"));
            world.walk_of("a", list).await;
            assert_eq!(told(world.told(1).await), counts, "at {minute} of {}", json!(unread));
        }
    }
}

/// A source that is read again and again, and cannot say all that it lists, may list it for days.
#[tokio::test]
async fn a_session_that_may_stand_in_a_nameless_record_elsewhere_is_not_cancelled_in_a_day() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, two, three) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002), session(3, TWO_DAYS, 100_000_003));
    world.walk_of("a", &[one.clone(), two.clone()]).await;
    world.walk_of("b", std::slice::from_ref(&three)).await;
    world.go("2026-11-24T09:05:00Z").await;
    let off = |told: Vec<String>| told.iter().any(|row| row.starts_with("cancelled"));
    for hour in (0..26).step_by(3) {
        world.set(&format!("2026-11-{}T{:02}:10:00Z", 24 + (9 + hour) / 24, (9 + hour) % 24));
        world.walk_of("b", &[three.clone(), nameless(&one)]).await;
        world.walk_of("a", std::slice::from_ref(&two)).await;
        assert!(!off(world.told(1).await), "after {hour} hours: {:?}", world.told(1).await);
    }
    // It can be read again, and does not list it.
    for minute in ["12:00", "12:05", "12:11"] {
        world.set(&format!("2026-11-25T{minute}:00Z"));
        world.walk_of("b", std::slice::from_ref(&three)).await;
        world.walk_of("a", std::slice::from_ref(&two)).await;
    }
    assert!(off(world.told(1).await), "{:?}", world.told(1).await);
}

#[tokio::test]
async fn a_session_that_another_source_lists_in_a_record_that_cannot_be_read_is_not_cancelled() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, two, three) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002), session(3, TWO_DAYS, 100_000_003));
    let mut unread = one.clone();
    unread["ScheduleTs"] = json!("soon");
    world.walk_of("a", &[one.clone(), two.clone()]).await;
    world.walk_of("b", std::slice::from_ref(&three)).await;
    world.go("2026-11-24T09:05:00Z").await;
    for minute in [10, 14, 20, 26, 40] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("b", &[unread.clone(), three.clone()]).await;
        world.walk_of("a", std::slice::from_ref(&two)).await;
        world.once().await;
    }
    assert_eq!(world.told(1).await, ["invite accepted", "reminder 1h held absent", "reminder 24h held absent"]);
    world.walk_of("b", &[one, three]).await;
    assert_eq!((world.told(1).await, world.stands("b").await), (waits(), vec![1, 3]), "mended, it stands there");
}

#[tokio::test]
async fn what_one_source_cannot_be_heard_of_stands_where_another_says_the_same() {
    for order in ["unheard first", "listed by both first"] {
        let world = World::new("2026-11-24T09:00:00Z");
        let (one, two, three) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002), session(3, TWO_DAYS, 100_000_003));
        world.walk_of("a", &[one.clone(), two.clone()]).await;
        world.walk_of("b", std::slice::from_ref(&three)).await;
        world.go("2026-11-24T09:05:00Z").await;
        let unheard = [nameless(&two), two.clone()];
        if order == "unheard first" {
            world.walk_of("a", &unheard).await;
            world.walk_of("b", &[one.clone(), three.clone()]).await;
        } else {
            world.walk_of("b", &[one.clone(), three.clone()]).await;
            world.walk_of("a", &unheard).await;
        }
        assert_eq!((world.told(1).await, world.stands("b").await), (waits(), vec![1, 3]), "{order}");
        // Source a says nothing more for longer than a silent source is believed.
        world.set("2026-11-25T15:00:00Z");
        world.walk_of("b", &[one, three]).await;
        world.once().await;
        assert!(world.told(1).await.contains(&"reminder 24h accepted".to_owned()), "{order}: {:?}", world.told(1).await);
    }
}

#[tokio::test]
async fn a_session_that_is_over_and_begins_anew_in_another_source_moves_there() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, two) = (session(1, "2026-11-24T11:00:00", 100_000_001), session(2, TWO_DAYS, 100_000_002));
    world.walk_of("a", &[one, two.clone()]).await;
    world.walk_of("b", &[]).await;
    world.go("2026-11-24T09:05:00Z").await;
    world.set("2026-11-24T13:00:00Z");
    world.walk_of("b", &[session(1, TWO_DAYS, 100_000_001)]).await;
    world.walk_of("a", std::slice::from_ref(&two)).await;
    world.go("2026-11-24T13:05:00Z").await;
    let told = world.told(1).await;
    assert!(told.contains(&"rescheduled accepted".to_owned()) && !told.iter().any(|row| row.contains("ambiguous")), "{told:?}");
}

#[tokio::test]
async fn what_a_source_tells_twice_stays_so_whatever_another_one_does() {
    let (one, two) = (session(1, TWO_DAYS, 100_000_001), session(2, TWO_DAYS, 100_000_002));
    let mut other = one.clone();
    other["ScheduleTs"] = json!("2026-11-26T18:00:00");
    let twice = [one.clone(), other, two.clone()];
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk_of("a", &[one.clone(), two.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    world.walk_of("a", &twice).await;
    for beside in [vec![one.clone()], twice.to_vec(), vec![]] {
        world.walk_of("b", &[beside, vec![session(3, TWO_DAYS, 100_000_003)]].concat()).await;
        assert_eq!(world.told(1).await.iter().filter(|row| row.contains("ambiguous")).count(), 2, "{:?}", world.told(1).await);
    }
}

#[tokio::test]
async fn what_waits_for_an_operator_waits_under_another_source_too() {
    let people = |code: i64| (1..=4).map(|id| session(id, TWO_DAYS, code + id)).collect::<Vec<Value>>();
    let (before, after) = (people(100_000_000), people(200_000_000));
    for polls in ["ab", "ba", "abab", "aabb"] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk_of("a", &before).await;
        world.walk_of("b", &[session(9, TWO_DAYS, 100_000_009)]).await;
        world.go("2026-11-24T09:05:00Z").await;
        world.set("2026-11-24T09:10:00Z");
        assert_eq!(world.walk_of("a", &after).await.guarded, 4);
        let sent = world.sent();
        for (minute, source) in (12..).zip(polls.chars().cycle().take(8)) {
            world.set(&format!("2026-11-24T09:{minute}:00Z"));
            let there = [after[0].clone(), session(9, TWO_DAYS, 100_000_009)];
            if source == 'a' {
                world.walk_of("a", &after[1..]).await
            } else {
                world.walk_of("b", &there).await
            };
            world.once().await;
        }
        assert_eq!(world.sent(), sent, "{polls}: nobody hears the new code");
        world.outbox.decide_guard(Verdict::Accept, None, None, world.clock.now()).await.unwrap();
        for minute in [30, 31, 35] {
            world.set(&format!("2026-11-24T09:{minute}:00Z"));
            world.walk_of("a", &after[1..]).await;
            world.walk_of("b", &[after[0].clone(), session(9, TWO_DAYS, 100_000_009)]).await;
            world.once().await;
        }
        assert_eq!(world.sent(), sent + 4, "{polls}: accepted, each hears it");
    }
}

#[tokio::test]
async fn who_waits_for_an_operator_and_cannot_be_read_waits_on() {
    let world = World::new("2026-11-24T09:00:00Z");
    let before: Vec<Value> = (1..=4).map(of_two).collect();
    world.walk_of("a", &before).await;
    world.go("2026-11-24T09:05:00Z").await;
    let mut after = before.clone();
    after[0]["ScheduleTs"] = json!("2026-11-26T18:00:00");
    after.iter_mut().for_each(|s| s["Participants"][1]["ParticipantEmailAddress"] = json!(format!("x{}@example.com", s["SessionId"])));
    world.set("2026-11-24T09:10:00Z");
    world.walk_of("a", &after).await;
    after[0]["Participants"][1]["ParticipationId"] = Value::Null;
    for minute in [12, 14, 20] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        assert_eq!(world.walk_of("a", &after).await.guarded, 4);
        world.once().await;
    }
    let theirs = |e: &Entry| e.notice.participation.0 == 11 && e.notice.occasion != Occasion::Invite;
    let told: Vec<String> = world.entries().await.iter().filter(|e| theirs(e)).map(describe).collect();
    assert!(!told.is_empty() && told.iter().all(|row| row.ends_with("held guard")), "{told:?}");
}

#[tokio::test]
async fn who_left_a_session_that_begins_earlier_by_now_is_told() {
    let world = World::new("2026-11-24T09:00:00Z");
    let both = of_two(1);
    world.walk_of("a", std::slice::from_ref(&both)).await;
    world.go("2026-11-24T09:05:00Z").await;
    let mut moved = both.clone();
    moved["ScheduleTs"] = json!("2026-11-24T10:00:00");
    moved["Participants"].as_array_mut().unwrap().pop();
    for time in ["09:10", "09:14", "09:22", "10:05", "10:20"] {
        world.set(&format!("2026-11-24T{time}:00Z"));
        world.walk_of("a", std::slice::from_ref(&moved)).await;
    }
    world.once().await;
    let told = world.told(1).await;
    assert!(told.contains(&"cancelled accepted".to_owned()), "{told:?}");
}

#[tokio::test]
async fn an_invite_to_an_address_that_is_blocked_says_so() {
    let world = World::new("2026-11-24T09:00:00Z");
    let mut one = session(1, TWO_DAYS, 100_000_001);
    world.walk_of("a", std::slice::from_ref(&one)).await;
    world.go("2026-11-24T09:05:00Z").await;
    one["Participants"][1]["ParticipantEmailAddress"] = json!("new@example.com");
    world.set("2026-11-24T09:10:00Z");
    world.walk_of("a", std::slice::from_ref(&one)).await;
    let address = Address::restore(Channel::Email, "new@example.com");
    world.outbox.suppress(world.clock.now(), &address, Suppression::Bounced, None).await.unwrap();
    world.go("2026-11-24T09:15:00Z").await;
    assert!(world.told(1).await.contains(&"invite suppressed bounced".to_owned()), "{:?}", world.told(1).await);
}

#[tokio::test]
async fn what_is_told_twice_is_held_although_a_change_of_it_was_rejected() {
    let world = World::new("2026-11-24T09:00:00Z");
    let before: Vec<Value> = (1..=4).map(|id| session(id, TWO_DAYS, 100_000_000 + id)).collect();
    world.walk_of("a", &before).await;
    let mut after: Vec<Value> = (1..=4).map(|id| session(id, TWO_DAYS, 200_000_000 + id)).collect();
    let mut again = after[0].clone();
    again["ScheduleTs"] = json!("2026-11-26T18:00:00");
    after.push(again);
    for minute in [10, 12, 14] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", &after).await;
        world.outbox.decide_guard(Verdict::Reject, None, None, world.clock.now()).await.unwrap();
        world.once().await;
    }
    assert!(world.told(1).await.iter().all(|row| row.contains("held")), "{:?}", world.told(1).await);
    assert!(world.told(2).await.contains(&"invite accepted".to_owned()), "{:?}", world.told(2).await);
}

/// Nor is a list that has a record at fault, which is theirs.
#[tokio::test]
async fn a_list_with_a_record_at_fault_is_none_that_misses_them() {
    let (one, rest) = (of_two(1), session(2, TWO_DAYS, 100_000_002));
    let mut alone = one.clone();
    alone["Participants"].as_array_mut().unwrap().pop();
    let mut at_fault = one.clone();
    at_fault["Participants"][2]["ConnectCode"] = json!(true);
    let told = |told: Vec<String>| told.iter().any(|row| row.starts_with("cancelled"));
    // The whole session is missed first, or the person alone; in its own source, or in the one that it goes to.
    for (first, to) in [(None, "a"), (Some(&alone), "a"), (None, "b")] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.walk_of("b", &[session(3, TWO_DAYS, 100_000_003)]).await;
        world.walk_of("a", &[one.clone(), rest.clone()]).await;
        world.go("2026-11-24T09:05:00Z").await;
        let with = |list: Option<&Value>| list.cloned().into_iter().chain([rest.clone()]).collect::<Vec<_>>();
        let there = |list: Option<&Value>| list.cloned().into_iter().chain([session(3, TWO_DAYS, 100_000_003)]).collect::<Vec<_>>();
        let steps = [
            (10, first, false),
            (14, Some(&at_fault), false),
            (18, Some(&alone), false),
            (21, Some(&alone), false),
            (24, Some(&alone), false),
            (29, Some(&alone), true),
        ];
        for (minute, list, counts) in steps {
            world.set(&format!("2026-11-24T09:{minute}:00Z"));
            let goes = to == "b" && minute > 10;
            world.walk_of("a", &with(list.filter(|_| !goes))).await;
            world.walk_of("b", &there(list.filter(|_| goes))).await;
            assert_eq!(told(world.told(1).await), counts, "at {minute}, first {first:?}, in {to}: {:?}", world.told(1).await);
        }
    }
}

/// Whose record is at fault in both sources that tell their session is still of it: when it is off both lists, they are told.
#[tokio::test]
async fn who_is_at_fault_in_two_sources_is_not_forgotten() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, rest) = (of_two(1), session(2, TWO_DAYS, 100_000_002));
    let mut other = one.clone();
    other["ScheduleTs"] = json!("2026-11-26T18:00:00");
    let three = session(3, TWO_DAYS, 100_000_003);
    world.walk_of("a", &[one.clone(), rest.clone()]).await;
    world.walk_of("b", std::slice::from_ref(&three)).await;
    world.go("2026-11-24T09:05:00Z").await;
    let at_fault = |record: &Value| {
        let mut record = record.clone();
        record["Participants"][1]["ConnectCode"] = json!(true);
        record
    };
    let told = world.sent();
    for (minute, a, b) in [
        (10, Some(one.clone()), Some(other.clone())),
        (12, Some(at_fault(&one)), Some(at_fault(&other))),
        (14, None, None),
        (20, None, None),
        (25, None, None),
        (28, None, None),
    ] {
        world.set(&format!("2026-11-24T09:{minute}:00Z"));
        world.walk_of("a", &a.into_iter().chain([rest.clone()]).collect::<Vec<_>>()).await;
        world.walk_of("b", &b.into_iter().chain([three.clone()]).collect::<Vec<_>>()).await;
        world.once().await;
    }
    let off = world.told(1).await.iter().filter(|row| *row == "cancelled accepted").count();
    assert_eq!((world.sent() - told, off), (2, 2), "both of them: {:?}", world.told(1).await);
}

/// A session stands twice, once with a start that has passed: who leaves it expects the start that they were told.
#[tokio::test]
async fn who_leaves_a_session_that_was_moved_into_the_past_is_told() {
    let world = World::new("2026-11-24T09:00:00Z");
    let (one, rest) = (of_two(1), session(2, TWO_DAYS, 100_000_002));
    world.walk_of("a", &[one.clone(), rest.clone()]).await;
    world.go("2026-11-24T09:05:00Z").await;
    let mut past = one.clone();
    past["ScheduleTs"] = json!("2026-11-24T12:00:00");
    let mut later = one.clone();
    later["ScheduleTs"] = json!("2026-11-27T15:00:00");
    world.set("2026-11-24T10:00:00Z");
    world.walk_of("a", &[past.clone(), later.clone(), rest.clone()]).await;
    let leaves = |record: &Value| {
        let mut record = record.clone();
        record["Participants"].as_array_mut().unwrap().remove(1);
        record
    };
    for now in ["2026-11-24T13:00:00Z", "2026-11-24T13:05:00Z", "2026-11-24T13:11:00Z", "2026-11-24T13:14:00Z"] {
        world.set(now);
        world.walk_of("a", &[leaves(&past), leaves(&later), rest.clone()]).await;
        world.once().await;
    }
    assert!(world.told(1).await.contains(&"cancelled accepted".to_owned()), "{:?}", world.told(1).await);
}
