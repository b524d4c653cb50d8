//! A column slips because a row came in: whoever is new is told nothing of what another one had until now, and the other ones wait.

use punctual::guard::{GuardKind, Verdict};
use serde_json::{Value, json};

use super::World;
use super::guard::{different, invited, slipped};

const NAMES: [&str; 5] = ["Ann Aalto", "Ben Berg", "Cat Cole", "Dan Dorn", "Eve Eden"];
const ZONES: [&str; 3] = ["Eastern Standard Time", "Pacific Standard Time", "Central Standard Time"];

/// A session of a host and one patient, on a day of its own.
fn of(id: i64, name: &str) -> Value {
    let first = name.split(' ').next().unwrap().to_lowercase();
    json!({ "SessionId": id, "ScheduleTs": format!("2026-11-{:02}T17:00:00", 26 + id % 4), "Participants": [
        { "ParticipationId": id * 10, "ShouldAutoDeliverCode": "N" },
        { "ParticipationId": id * 10 + 1, "ShouldAutoDeliverCode": "E", "ParticipantFullName": name,
          "ParticipantEmailAddress": format!("{first}@example.com"), "ParticipantTimeZoneWindowsId": ZONES[usize::try_from(id).unwrap() % 3],
          "ConnectCode": 400_000_000 + id }] })
}

fn first(n: usize) -> Vec<Value> {
    (1..).zip(NAMES).take(n).map(|(id, name)| of(id, name)).collect()
}

/// A new row stands on top, and this column stays where it was.
fn inserted(list: &[Value], column: &str) -> Vec<Value> {
    let mut values: Vec<Value> = list.iter().map(|s| s["Participants"][1][column].clone()).collect();
    let mut all: Vec<Value> = [of(50, "Nora New")].into_iter().chain(list.iter().cloned()).collect();
    values.push(all[0]["Participants"][1][column].clone());
    for (session, value) in all.iter_mut().zip(values) {
        session["Participants"][1][column] = value;
    }
    all
}

async fn told(list: &[Value]) -> std::sync::Arc<World> {
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&json!(list)).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), list.len());
    world
}

impl World {
    async fn hears(&self, minute: &str, list: &[Value]) {
        self.set(&format!("2026-11-24T10:{minute}:00Z"));
        self.walk(&json!(list)).await;
        self.once().await;
    }
}

#[tokio::test]
async fn whoever_comes_with_what_another_one_left_is_told_nothing() {
    for n in [1, 4] {
        for (column, kind) in [
            ("ParticipantEmailAddress", GuardKind::Addresses),
            ("ConnectCode", GuardKind::Codes),
            ("ParticipantFullName", GuardKind::Names),
        ] {
            let list = first(n);
            let world = told(&list).await;
            let slipped = inserted(&list, column);
            for minute in ["00", "04", "12", "24"] {
                world.hears(minute, &slipped).await;
            }
            assert_eq!(world.sent(), n, "{column}, {n}: {:?}", world.states().await);
            let guards = world.outbox.guards().await.unwrap();
            assert!(guards.len() == n && guards.iter().all(|g| g.kind == kind), "{column}, {n}: {guards:?}");
            // An operator says that it is right: then everybody is told.
            world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
            for minute in ["30", "34", "38", "42"] {
                world.hears(minute, &slipped).await;
            }
            let expected = if kind == GuardKind::Names { n + 1 } else { 2 * n + 1 };
            assert_eq!(world.sent(), expected, "{column}, {n}: {:?}", world.states().await);
        }
    }
}

/// Whoever came with it is as doubtful, whichever column it is: their first word would be at a wrong hour.
#[tokio::test]
async fn whoever_comes_with_a_list_that_slipped_waits_with_it() {
    let list = first(4);
    for column in ["ParticipantTimeZoneWindowsId", "ScheduleTs"] {
        let world = told(&list).await;
        let mut slipped = inserted(&list, "ParticipantTimeZoneWindowsId");
        if column == "ScheduleTs" {
            slipped = [of(50, "Nora New")].into_iter().chain(list.iter().cloned()).collect();
            let days = [27, 28, 29, 30, 26];
            slipped.iter_mut().zip(days).for_each(|(s, day)| s["ScheduleTs"] = json!(format!("2026-11-{day}T18:00:00")));
        }
        for minute in ["00", "04", "12"] {
            world.hears(minute, &slipped).await;
        }
        assert_eq!(world.sent(), 4, "{column}: {:?}", world.states().await);
        // A booking of later is no part of it.
        let mut later = slipped.clone();
        later.push(of(9, "Olaf Orn"));
        world.hears("14", &later).await;
        world.hears("18", &later).await;
        assert_eq!(world.sent(), 5, "{column}: {:?}", world.states().await);
        world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
        for minute in ["30", "34", "38", "42"] {
            world.hears(minute, &later).await;
        }
        assert_eq!(world.sent(), 5 + 4 + 1, "{column}: {:?}", world.states().await);
    }
}

/// The list is mended: the new one is told, with their own.
#[tokio::test]
async fn and_is_told_once_the_list_is_mended() {
    let list = first(2);
    let world = told(&list).await;
    world.hears("00", &inserted(&list, "ParticipantEmailAddress")).await;
    let mended: Vec<Value> = [of(50, "Nora New")].into_iter().chain(list).collect();
    for minute in ["04", "12"] {
        world.hears(minute, &mended).await;
    }
    assert_eq!((world.sent(), world.outbox.guards().await.unwrap().len()), (3, 0), "{:?}", world.states().await);
}

/// Within one session, too.
#[tokio::test]
async fn a_new_member_who_pushes_the_column_of_a_group_is_told_nothing() {
    let mut group = of(1, NAMES[0]);
    let people = group["Participants"].as_array_mut().unwrap();
    people.extend((2..4).map(|id| of(id, NAMES[usize::try_from(id).unwrap() - 1])["Participants"][1].clone()));
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&json!([group])).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    assert_eq!(world.sent(), 3);
    let mut slipped = group.clone();
    let people = slipped["Participants"].as_array_mut().unwrap();
    let mut mails: Vec<Value> = people[1..].iter().map(|p| p["ParticipantEmailAddress"].clone()).collect();
    people.insert(1, of(50, "Nora New")["Participants"][1].clone());
    mails.push(json!("nora@example.com"));
    people[1..].iter_mut().zip(mails).for_each(|(person, mail)| person["ParticipantEmailAddress"] = mail);
    for minute in ["00", "04", "12"] {
        world.hears(minute, &[slipped.clone()]).await;
    }
    assert_eq!(world.sent(), 3, "{:?}", world.states().await);
}

/// Names that go round among three, and zones: the next message would greet one as another one, or at another one's hour.
#[tokio::test]
async fn names_and_zones_that_pass_from_one_to_another_wait() {
    for (column, kind) in [("ParticipantFullName", GuardKind::Names), ("ParticipantTimeZoneWindowsId", GuardKind::Zones)] {
        for n in [2, 3] {
            let list = first(n);
            let world = told(&list).await;
            let mut slipped = list.clone();
            for (to, from) in slipped.iter_mut().zip(list.iter().cycle().skip(1)) {
                to["Participants"][1][column] = from["Participants"][1][column].clone();
            }
            world.hears("00", &slipped).await;
            world.hears("12", &slipped).await;
            assert_eq!(world.sent(), n, "{column}: {:?}", world.states().await);
            let kinds: Vec<GuardKind> = world.outbox.guards().await.unwrap().into_iter().map(|g| g.kind).collect();
            assert_eq!(kinds, vec![kind; n], "{column}");
        }
    }
}

/// A code is its holder's until they were told another one: whoever comes with it later waits.
#[tokio::test]
async fn a_code_that_somebody_is_kept_with_is_nobody_elses() {
    use punctual::guard::Verdict;
    let unreadable = |list: &mut [Value]| list[0]["Participants"][1]["ConnectCode"] = json!("12x");
    for case in ["waits", "rejected", "unreadable"] {
        let list = first(5);
        let world = told(&list).await;
        let mut wrong = list.clone();
        if case == "unreadable" {
            unreadable(&mut wrong);
        } else {
            for (to, from) in wrong.iter_mut().zip(list.iter().cycle().skip(1)) {
                to["Participants"][1]["ConnectCode"] = from["Participants"][1]["ConnectCode"].clone();
            }
            wrong[4]["Participants"][1]["ConnectCode"] = json!(499_999_999);
        }
        world.hears("00", &wrong).await;
        if case == "rejected" {
            let now = world.clock_now();
            world.outbox.decide_guard(Verdict::Reject, None, None, now).await.unwrap();
            world.hears("02", &wrong).await;
        }
        let mut nora = of(50, "Nora New");
        nora["Participants"][1]["ConnectCode"] = list[0]["Participants"][1]["ConnectCode"].clone();
        wrong.push(nora);
        for minute in ["04", "12", "24"] {
            world.hears(minute, &wrong).await;
        }
        assert_eq!(world.sent(), 5, "{case}: {:?}", world.states().await);
    }
}

/// Two records of one person, a name that is corrected in one, a household's address: no slip.
#[tokio::test]
async fn what_people_change_by_hand_is_no_slip() {
    let list = first(3);
    let change =
        |n: usize, column: &'static str, value: Value| move |list: &mut Vec<Value>| list[n]["Participants"][1][column] = value.clone();
    // Ann is Anna; Ben writes from another address, and books again from the old one; Cat moves to where Ann lives.
    let anna = change(0, "ParticipantFullName", json!("Anna Aalto"));
    let ben = change(1, "ParticipantEmailAddress", json!("ben@example.org"));
    let cat = change(2, "ParticipantTimeZoneWindowsId", list[0]["Participants"][1]["ParticipantTimeZoneWindowsId"].clone());
    let world = told(&list).await;
    let mut now = list.clone();
    anna(&mut now);
    ben(&mut now);
    cat(&mut now);
    now.push(of(8, "Ben Berg"));
    world.hears("00", &now).await;
    world.hears("04", &now).await;
    assert!(world.outbox.guards().await.unwrap().is_empty());
    // Ben at the new address, Ben's second session at the old one, Cat's new hour.
    assert_eq!(world.sent(), 3 + 3, "{:?}", world.states().await);
}

/// A session goes to a source that has just been configured, and whose first list is not there yet.
#[tokio::test]
async fn what_a_source_lists_no_more_may_stand_in_one_that_was_never_read() {
    use super::sources::{TWO_DAYS, session};
    // Until when the new source is believed to hold it: `max_stale`, six hours.
    for (comes, cancelled) in [(Some("10:40"), 0), (None, 0)] {
        let world = World::new("2026-11-24T09:00:00Z");
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        world.outbox.configure(&names(&["a"]), world.clock_now()).await.unwrap();
        let (one, rest) = (session(1, TWO_DAYS, 100_000_001), session(99, TWO_DAYS, 100_000_099));
        world.walk_of("a", &[one.clone(), rest.clone()]).await;
        world.go("2026-11-24T09:05:00Z").await;
        let told = world.sent();
        world.set("2026-11-24T10:00:00Z");
        world.outbox.configure(&names(&["a", "b"]), world.clock_now()).await.unwrap();
        for minute in ["00", "05", "12", "20", "30"] {
            world.set(&format!("2026-11-24T10:{minute}:00Z"));
            world.walk_of("a", std::slice::from_ref(&rest)).await;
            world.once().await;
        }
        if let Some(at) = comes {
            world.set(&format!("2026-11-24T{at}:00Z"));
            world.walk_of("b", std::slice::from_ref(&one)).await;
            world.once().await;
        }
        assert_eq!(world.sent() - told, cancelled, "{comes:?}: {:?}", world.told(1).await);
        // It is not believed for ever.
        for at in ["17:00", "17:06", "17:12", "17:20"] {
            world.set(&format!("2026-11-24T{at}:00Z"));
            world.walk_of("a", std::slice::from_ref(&rest)).await;
            if comes.is_some() {
                world.walk_of("b", std::slice::from_ref(&one)).await;
            }
            world.once().await;
        }
        assert_eq!(world.sent() - told, usize::from(comes.is_none()), "{comes:?}: {:?}", world.told(1).await);
    }
}

/// Ben's session is gone, and by a slip his name stands in Ann's record, who is told by text: that is not Ben, and he is told.
#[tokio::test]
async fn a_name_that_slipped_keeps_no_cancellation_back() {
    let mut ann = of(1, NAMES[0]);
    let person = &mut ann["Participants"][1];
    (person["ShouldAutoDeliverCode"], person["ParticipantSmsNumber"]) = (json!("S"), json!("404 555-0111"));
    let mut ben = of(2, NAMES[1]);
    ben["ScheduleTs"] = ann["ScheduleTs"].clone();
    let world = World::new("2026-11-24T09:00:00Z");
    world.walk(&json!([ann, ben])).await;
    world.set("2026-11-24T09:02:00Z");
    world.once().await;
    ann["Participants"][1]["ParticipantFullName"] = json!(NAMES[1]);
    for minute in ["00", "05", "12", "16", "20", "30"] {
        world.hears(minute, &[ann.clone()]).await;
    }
    let told = world.told(2).await;
    assert!(told.contains(&"cancelled accepted".to_owned()), "{told:?}");
}

/// Patients of two lists, by their codes: the first session is the clinic's, with two, the others are the front's.
fn of_both(codes: [i64; 4]) -> [Vec<Value>; 2] {
    let patient = |id: i64, name: &str, code: i64| {
        let first = name.split(' ').next().unwrap().to_lowercase();
        json!({ "ParticipationId": id, "ShouldAutoDeliverCode": "E", "ParticipantFullName": name, "ConnectCode": code,
          "ParticipantEmailAddress": format!("{first}@example.com"), "ParticipantTimeZoneWindowsId": ZONES[0] })
    };
    let session = |id: i64, people: Vec<Value>| {
        let host = json!({ "ParticipationId": id * 10, "ShouldAutoDeliverCode": "N" });
        let all = [vec![host], people].concat();
        json!({ "SessionId": id, "ScheduleTs": format!("2026-11-{}T17:00:00", 26 + id), "Participants": all })
    };
    let [a, b, c, d] = codes;
    let clinic = session(1, vec![patient(11, NAMES[0], a), patient(12, NAMES[1], b)]);
    [vec![session(2, vec![patient(21, NAMES[2], c)]), session(3, vec![patient(31, NAMES[3], d)])], vec![clinic]]
}

impl World {
    async fn hears_both(&self, minute: &str, [front, clinic]: &[Vec<Value>; 2]) {
        self.set(&format!("2026-11-24T10:{minute}:00Z"));
        self.walk_of("front", front).await;
        self.walk_of("clinic", clinic).await;
        self.once().await;
    }
}

#[tokio::test]
async fn codes_that_slip_over_two_sources_are_told_once_somebody_accepts_it() {
    let [a, b, c, d] = [400_000_001, 400_000_002, 400_000_003, 400_000_004];
    for slips in [vec![[b, c, d, a]], vec![[b, c, d, a], [c, d, a, b]], vec![[b, c, d, a], [c, d, a, b], [d, a, b, c]]] {
        let world = World::new("2026-11-24T09:00:00Z");
        world.hears_both("00", &of_both([a, b, c, d])).await;
        world.set("2026-11-24T10:02:00Z");
        world.once().await;
        assert_eq!(world.sent(), 4);
        for (minute, codes) in ["10", "21", "32"].into_iter().zip(&slips) {
            world.hears_both(minute, &of_both(*codes)).await;
        }
        let last = of_both(*slips.last().unwrap());
        world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
        for minute in ["40", "41"] {
            world.hears_both(minute, &last).await;
        }
        // What was accepted is no slip for whatever comes later.
        let [mut front, clinic] = last;
        front.push(of(50, "Nora New"));
        for minute in ["42", "45", "50"] {
            world.hears_both(minute, &[front.clone(), clinic.clone()]).await;
        }
        assert_eq!(world.sent(), 9, "{slips:?}: {:?}", world.states().await);
    }
}

/// Of whoever's record loses its id just then nobody knows what the accepted list says of them: they are told nothing at the address of before.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_of_somebody_waits_until_their_record_can_be_read() {
    let sessions = different(&(1..=10).collect::<Vec<_>>());
    let world = invited(&sessions).await;
    let wrong = slipped(&sessions, &["ParticipantEmailAddress"]);
    assert_eq!(world.hear(10, &wrong).await, 10);
    let mut nameless = wrong.clone();
    nameless[2]["Participants"][0]["ParticipationId"] = json!("x");
    world.hear(11, &nameless).await;
    world.outbox.decide_guard(Verdict::Accept, None, None, world.clock_now()).await.unwrap();
    let theirs = |world: &World| world.letters().split_off(10).into_iter().filter(|mail| mail.contains("Patient 2 ")).collect::<Vec<_>>();
    for time in ["2026-11-24T12:00:00Z", "2026-11-25T15:00:00Z", "2026-11-25T15:10:00Z"] {
        world.set(time);
        world.walk(&nameless).await;
        world.once().await;
        assert_eq!(theirs(&world), [] as [String; 0], "{time}");
    }
    assert!(world.sent() > 10, "the others are told");
    world.set("2026-11-25T15:20:00Z");
    world.walk(&wrong).await;
    world.set("2026-11-25T15:30:00Z");
    world.once().await;
    let told = theirs(&world);
    assert!(!told.is_empty() && told.iter().all(|mail| mail.contains("p41@example.com")), "{told:?}");
}
