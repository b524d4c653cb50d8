//! A column slips over several lists: in two saves, in changes one by one, over two sources. Nobody hears what is another one's.

use punctual::session::SnapshotKind;
use serde_json::{Value, json};

use super::World;

const NAMES: [&str; 5] = ["Ann Aalto", "Ben Berg", "Cat Cole", "Dan Dorn", "Eve Eden"];

/// A session of a host and one patient, on a day of its own.
fn of(id: i64, name: &str) -> Value {
    let first = name.split(' ').next().unwrap().to_lowercase();
    json!({ "SessionId": id, "ScheduleTs": format!("2026-11-{:02}T17:00:00", 26 + id % 4), "Participants": [
        { "ParticipationId": id * 10, "ShouldAutoDeliverCode": "N" },
        { "ParticipationId": id * 10 + 1, "ShouldAutoDeliverCode": "E", "ParticipantFullName": name,
          "ParticipantEmailAddress": format!("{first}@example.com"), "ParticipantTimeZoneWindowsId": "Eastern Standard Time",
          "ConnectCode": 400_000_000 + id, "Passkey": format!("key-of-{id}") }] })
}

fn five() -> Vec<Value> {
    (1..).zip(NAMES).map(|(id, name)| of(id, name)).collect()
}

fn put(session: &mut Value, column: &str, value: Value) {
    session["Participants"][1][column] = value;
}

fn get(session: &Value, column: &str) -> Value {
    session["Participants"][1][column].clone()
}

const COLUMNS: [&str; 4] = ["ParticipantEmailAddress", "ConnectCode", "Passkey", "ParticipantFullName"];

impl World {
    /// All are told, and then each poll comes a quarter of an hour after the one before.
    async fn polls(&self, lists: &[Vec<Value>]) -> usize {
        self.is_told(&lists[0]).await;
        let told = self.sent();
        for (n, list) in lists.iter().enumerate().skip(1) {
            self.hears_at(&format!("1{}:{:02}:00", n / 4, n % 4 * 15), list).await;
        }
        self.sent() - told
    }

    async fn is_told(&self, list: &[Value]) {
        self.hears_at("09:00:00", list).await;
        self.hears_at("09:02:00", list).await;
        assert_eq!(self.sent(), list.len());
    }

    async fn hears_at(&self, at: &str, list: &[Value]) {
        self.set(&format!("2026-11-24T{at}Z"));
        self.walk(&json!(list)).await;
        self.once().await;
    }

    async fn is_pushed(&self, at: &str, list: &[Value]) {
        self.set(&format!("2026-11-24T{at}Z"));
        self.walk_some(&json!(list), SnapshotKind::Delta, &self.policy).await;
    }
}

#[tokio::test]
async fn what_somebody_had_until_lately_and_has_no_more_is_nobody_elses() {
    for column in ["ParticipantEmailAddress", "ConnectCode"] {
        let world = World::new("2026-11-24T09:00:00Z");
        let (mut emptied, mut handed_on) = (five(), five());
        put(&mut emptied[0], column, json!(null));
        put(&mut handed_on[0], column, json!(null));
        handed_on.push(of(50, "Nora New"));
        put(&mut handed_on[5], column, get(&five()[0], column));
        assert_eq!(world.polls(&[five(), emptied, handed_on.clone(), handed_on.clone(), handed_on.clone()]).await, 0, "{column}");
        assert_eq!(world.states_of(50).await, Vec::<String>::new(), "{column}: omitted, as ambiguous");
        // Ann has another one by now: a poll later Nora may have hers.
        put(&mut handed_on[0], column, if column == "ConnectCode" { json!(400_000_099) } else { json!("ann.aalto@example.com") });
        for at in ["13:00:00", "13:05:00", "13:15:00", "13:20:00"] {
            world.hears_at(at, &handed_on).await;
        }
        assert_eq!(world.sent(), 7, "{column}: {:?}", world.states().await);
    }
}

#[tokio::test]
async fn what_slips_in_changes_one_by_one_is_told_to_nobody() {
    for (column, last_first) in COLUMNS.into_iter().flat_map(|column| [(column, true), (column, false)]) {
        let world = World::new("2026-11-24T09:00:00Z");
        world.is_told(&five()).await;
        let all = five();
        let mut slipped = five();
        for n in 0..5 {
            put(&mut slipped[n], column, get(&all[(n + 1) % 5], column));
        }
        if last_first {
            slipped.reverse();
        }
        for (second, session) in slipped.iter().enumerate() {
            world.is_pushed(&format!("10:00:0{second}"), std::slice::from_ref(session)).await;
        }
        for at in ["10:00:30", "10:10:00", "10:30:00", "12:00:00"] {
            world.is_pushed(at, &[]).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 5, "{column} {last_first}: {:?}", world.states().await);
        // The list is mended: nobody need be told, and everybody is reminded as before.
        for session in &all {
            world.is_pushed("12:20:00", std::slice::from_ref(session)).await;
        }
        world.is_pushed("12:30:00", &[]).await;
        world.once().await;
        assert_eq!(world.sent(), 5, "{column} {last_first}: {:?}", world.states().await);
        let reminders = world.states().await.into_iter().filter(|state| state == "reminder 1h waiting").count();
        assert_eq!(reminders, 5, "{column} {last_first}: {:?}", world.states().await);
    }
}

#[tokio::test]
async fn a_code_that_somebody_of_another_source_was_told_goes_to_nobody_else() {
    let now = |list: &[Value], change: &dyn Fn(&mut Vec<Value>)| {
        let mut list = list.to_vec();
        change(&mut list);
        list
    };
    let changes: [(&str, Vec<Value>); 4] = [
        ("off the list", now(&five(), &|list| drop(list.remove(0)))),
        ("empty", now(&five(), &|list| put(&mut list[0], "ConnectCode", json!(null)))),
        ("cannot be read", now(&five(), &|list| put(&mut list[0], "ConnectCode", json!("12x")))),
        (
            "slipped, and waits",
            now(&five(), &|list| (0..5).for_each(|n| put(&mut list[n], "ConnectCode", json!(400_000_001 + (n + 1) % 5)))),
        ),
    ];
    for (name, list) in changes {
        let world = World::new("2026-11-24T09:00:00Z");
        let other = of(60, "Olga Orr");
        world.walk_of("a", &five()).await;
        world.walk_of("b", std::slice::from_ref(&other)).await;
        world.set("2026-11-24T09:02:00Z");
        world.once().await;
        assert_eq!(world.sent(), 6, "{name}");
        let mut nora = of(50, "Nora New");
        put(&mut nora, "ConnectCode", json!(400_000_001));
        for minute in ["00", "01", "02", "03", "04"] {
            world.set(&format!("2026-11-24T10:{minute}:00Z"));
            world.walk_of("a", &list).await;
            world.walk_of("b", &if minute == "00" { vec![other.clone()] } else { vec![other.clone(), nora.clone()] }).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 6, "{name}: {:?}", world.states().await);
        // Ann is as she was: Nora still has her code.
        world.set("2026-11-24T10:10:00Z");
        world.walk_of("a", &five()).await;
        world.walk_of("b", &[other.clone(), nora.clone()]).await;
        world.once().await;
        assert_eq!(world.sent(), 6, "{name}: {:?}", world.states().await);
        // Nora gets one of her own.
        for minute in ["11", "14"] {
            world.set(&format!("2026-11-24T10:{minute}:00Z"));
            world.walk_of("b", &[other.clone(), of(50, "Nora New")]).await;
            world.once().await;
        }
        assert_eq!(world.sent(), 7, "{name}: {:?}", world.states().await);
    }
}

#[tokio::test]
async fn a_participation_that_becomes_another_patient_waits() {
    let world = World::new("2026-11-24T09:00:00Z");
    let mut replaced = five();
    put(&mut replaced[0], "ParticipantFullName", json!("Nora New"));
    put(&mut replaced[0], "ParticipantEmailAddress", json!("nora@example.com"));
    assert_eq!(world.polls(&[five(), replaced.clone(), replaced.clone()]).await, 0);
    let kinds: Vec<String> = world.outbox.guards().await.unwrap().iter().map(|row| row.kind.to_string()).collect();
    assert_eq!(kinds, ["addresses", "names"]);
    // With a code of their own it is a removal and an addition, or a correction of all: as it is said.
    put(&mut replaced[0], "ConnectCode", json!(400_000_050));
    for at in ["11:00:00", "11:05:00"] {
        world.hears_at(at, &replaced).await;
    }
    assert_eq!(world.sent(), 5, "it waits as before");
    world.outbox.accept_guard(None, world.clock_now()).await.unwrap();
    for at in ["11:10:00", "11:15:00"] {
        world.hears_at(at, &replaced).await;
    }
    assert_eq!(world.sent(), 6);
}

#[tokio::test]
async fn what_people_change_by_hand_over_an_hour_is_no_slip() {
    let world = World::new("2026-11-24T09:00:00Z");
    let mut moved = five();
    put(&mut moved[0], "ParticipantEmailAddress", json!("ann.aalto@example.com"));
    let mut shared = moved.clone();
    // A quarter of an hour later Ben and Cat use one mailbox, and later on Ben has one of his own.
    put(&mut shared[1], "ParticipantEmailAddress", json!("cat@example.com"));
    let mut own = shared.clone();
    put(&mut own[1], "ParticipantEmailAddress", json!("ben.berg@example.com"));
    assert_eq!(world.polls(&[five(), moved.clone(), moved, shared.clone(), shared, own.clone(), own]).await, 3);
    assert!(world.outbox.guards().await.unwrap().is_empty());
    let kept = world.outbox.lately(world.clock_now()).await.unwrap();
    assert!(kept.is_empty(), "{kept:?}");
}

/// What an export writes into a column that it does not fill says of nobody who they are.
#[tokio::test]
async fn who_shares_an_external_id_with_all_others_is_themselves() {
    for (column, id) in COLUMNS.into_iter().flat_map(|column| ["N/A", "0", "000-000", "ONE"].map(|id| (column, id))) {
        let with_id = |mut list: Vec<Value>| {
            list.iter_mut().for_each(|session| put(session, "ParticipantExternalId", json!(id)));
            list
        };
        let three: Vec<Value> = with_id(five()[..3].to_vec());
        let mut slipped = three.clone();
        for n in 0..3 {
            put(&mut slipped[n], column, get(&three[(n + 1) % 3], column));
        }
        let world = World::new("2026-11-24T09:00:00Z");
        assert_eq!(world.polls(&[three.clone(), slipped.clone(), slipped]).await, 0, "{column} {id}: {:?}", world.states().await);
        assert_eq!(world.outbox.guards().await.unwrap().len(), 3, "{column} {id}");
        // A code of whoever is off the list goes to nobody else.
        let world = World::new("2026-11-24T09:00:00Z");
        let mut nora = with_id(vec![of(50, "Nora New")]);
        put(&mut nora[0], "ConnectCode", get(&three[0], "ConnectCode"));
        let booked = [&three[1..], &nora[..]].concat();
        world.is_told(&three).await;
        for at in ["09:30:00", "09:33:00", "09:36:00"] {
            world.hears_at(at, &booked).await;
        }
        assert_eq!(world.sent(), 3, "{id}: {:?}", world.states().await);
    }
}

#[tokio::test]
async fn a_date_that_is_mistyped_into_the_past_waits() {
    for (start, waits) in
        [("2017-11-26T17:00:00", true), ("2026-11-23T17:00:00", true), ("2026-11-24T08:50:00", false), ("2026-12-05T17:00:00", false)]
    {
        let world = World::new("2026-11-24T09:00:00Z");
        world.is_told(&five()).await;
        let mut moved = five();
        moved[0]["ScheduleTs"] = json!(start);
        for at in ["09:10:00", "09:13:00", "09:20:00"] {
            world.hears_at(at, &moved).await;
        }
        let kinds: Vec<String> = world.outbox.guards().await.unwrap().iter().map(|row| row.kind.to_string()).collect();
        assert_eq!(kinds == ["moved"], waits, "{start}: {kinds:?}");
        let held = world.states_of(1).await.iter().filter(|state| state.contains("held guard")).count();
        assert_eq!(held > 0, waits, "{start}: {:?}", world.states_of(1).await);
    }
}
