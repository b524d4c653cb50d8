//! Who was there before this program came: what they were told counts, and what nobody can have told them is told.

use super::*;

const CUT_OVER: &str =
    "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = false\n[quiet_hours]\nchannels = []\n[invite]\nsettle = \"0s\"\n";

/// The one session, changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut sessions = one(START);
    change(&mut sessions[0]);
    sessions
}

/// After these lists, five minutes apart.
async fn after(lists: &[Value]) -> Arc<World> {
    let world = World::with("2026-11-24T09:00:00Z", CUT_OVER);
    for (n, list) in lists.iter().enumerate() {
        for minutes in [10 * n, 10 * n + 5] {
            world.set(&format!("2026-11-24T09:{minutes:02}:00Z"));
            world.walk(list).await;
            world.once().await;
        }
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_mended_to_what_it_was_is_no_news() {
    for (field, bad) in [
        ("ParticipantEmailAddress", json!("a@")),
        ("ParticipantEmailAddress", json!("")),
        ("ParticipantTimeZoneWindowsId", json!("Nowhere")),
        ("ConnectCode", json!(null)),
        ("ConnectCode", json!("oops")),
    ] {
        let broken = changed(|s| s["Participants"][0][field] = bad.clone());
        let world = after(&[one(START), broken.clone(), one(START), broken, one(START)]).await;
        assert_eq!(world.sent(), 0, "{field} {bad}: {:?}", world.states().await);
    }
    let other = changed(|s| s["Participants"][0]["ConnectCode"] = json!(444_555_666));
    let world = after(&[one(START), other]).await;
    assert_eq!(world.sent(), 1, "another code is news");
    assert!(world.last_mail().contains("444555666"), "{}", world.last_mail());
}

/// They know the day that is over.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_of_a_session_that_is_over_hears_of_its_new_day() {
    let world = after(&[one("2026-11-20T15:00:00"), one(START)]).await;
    assert_eq!(world.sent(), 1, "{:?}", world.states().await);
    assert!(world.last_mail().contains("November 26"), "{}", world.last_mail());
    assert!(world.states().await.contains(&"rescheduled accepted".to_owned()), "{:?}", world.states().await);
    let world = after(&[one("2026-11-20T15:00:00"), one("2026-11-20T16:00:00")]).await;
    assert_eq!(world.states().await, [] as [&str; 0], "of what is over nothing is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_have_announced_is_told() {
    let cancelled = |start: &str| {
        let mut sessions = one(start);
        sessions[0]["ScheduleType"] = json!("Cancelled");
        sessions
    };
    let without = |field: &str, value: Value| changed(|s| s["Participants"][0][field] = value);
    for (first, why) in [
        (cancelled(START), "it was cancelled"),
        (cancelled("2026-12-01T15:00:00"), "it was cancelled, and is moved"),
        (without("ParticipantEmailAddress", json!("")), "there was no address"),
        (without("ParticipantEmailAddress", json!("nonsense")), "there was no address that can be used"),
        (without("ConnectCode", json!(null)), "there was no code"),
    ] {
        let world = after(&[first, one(START), one(START)]).await;
        assert_eq!(world.sent(), 1, "{why}: {:?}", world.states().await);
        assert!(world.last_mail().contains("300000011"), "{why}: {}", world.last_mail());
    }
    let host_told = without("ShouldAutoDeliverCode", json!("N"));
    assert_eq!(after(&[host_told, one(START)]).await.sent(), 0, "their host told them");
}

/// Whom nobody told the hour of, after these lists: the last mail, or nothing.
async fn last_mail_after(lists: &[Value]) -> Option<String> {
    let world = after(lists).await;
    (world.sent() > 0).then(|| world.last_mail())
}

/// The session with a host, whose clock is known, and another one.
fn hosted(changes: &[(&str, Value)]) -> Value {
    let mut session = json!({ "SessionId": 1, "ScheduleTs": START, "Participants": [
        { "ParticipationId": 10, "ShouldAutoDeliverCode": "N", "ParticipantTimeZoneWindowsId": "Eastern Standard Time" }, person(11)] });
    for (field, value) in changes {
        let of_person = session["Participants"][1].get(*field).is_some();
        let place = if of_person { &mut session["Participants"][1] } else { &mut session };
        place[*field] = value.clone();
    }
    json!([session, { "SessionId": 2, "ScheduleTs": START, "Participants": [person(21)] }])
}

/// Their record cannot be planned at the cut-over; somebody else had told them.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_a_record_cannot_be_planned_is_told() {
    let zone = || ("ParticipantTimeZoneWindowsId", json!("Nowhere"));
    let cancelled = || ("ScheduleType", json!("Cancelled"));
    let start = || ("ScheduleTs", json!("soon"));
    let code = || ("ConnectCode", json!(444_555_666));
    let moved = || ("ScheduleTs", json!("2026-11-27T15:00:00"));
    let left = json!([hosted(&[])[1]]);
    let mut alone = hosted(&[]);
    alone[0]["Participants"].as_array_mut().expect("people").pop();
    let mut nameless = hosted(&[]);
    nameless[0]["Participants"][1]["ParticipationId"] = json!("x");
    let mut nameless_moved = hosted(&[moved()]);
    nameless_moved[0]["Participants"][1]["ParticipationId"] = json!("x");
    let off = Some(["Cancelled: your video session", "November 26", "10:00 AM Eastern"]);
    let mut wrong: Vec<String> = Vec::new();
    for (lists, wanted, what) in [
        (vec![hosted(&[zone()]), hosted(&[zone(), cancelled()])], off, "it is cancelled, and the zone stays unreadable"),
        (
            vec![hosted(&[("ParticipantTimeZoneWindowsId", json!(""))]), hosted(&[cancelled()])],
            off,
            "it is cancelled in the list that corrects it",
        ),
        (vec![hosted(&[zone()]), hosted(&[zone(), moved()]), hosted(&[zone(), cancelled()])], off, "it is moved, and then cancelled"),
        (vec![hosted(&[zone()]), alone.clone(), alone.clone(), alone], off, "they are removed"),
        (vec![hosted(&[zone()]), left.clone(), left.clone(), left], off, "their session leaves the list"),
        (vec![hosted(&[start()]), hosted(&[cancelled()])], off, "nothing could be read, and the list that corrects it cancels it"),
        (vec![nameless.clone(), hosted(&[cancelled()])], off, "it did not say whose it was, and the list that corrects it cancels it"),
        (vec![hosted(&[start(), cancelled()]), hosted(&[cancelled()])], None, "it was cancelled when nothing could be read"),
        (
            vec![hosted(&[start(), cancelled()]), hosted(&[])],
            Some(["Your video session", "November 26", "300000011"]),
            "and takes place now",
        ),
        (
            vec![hosted(&[zone()]), hosted(&[code()])],
            Some(["444555666", "November 26", "Updated details"]),
            "the list that corrects it has another code",
        ),
        (vec![hosted(&[zone()]), hosted(&[])], None, "it is corrected, and nothing else"),
        (
            vec![nameless.clone(), hosted(&[moved()])],
            Some(["November 27", "300000011", "Your"]),
            "it did not say whose it was, and has moved",
        ),
        (
            vec![nameless, nameless_moved, hosted(&[moved()])],
            Some(["November 27", "300000011", "Your"]),
            "it had moved when that was corrected",
        ),
    ] {
        let mail = last_mail_after(&lists).await;
        let is_told = match (&wanted, &mail) {
            (None, mail) => mail.is_none(),
            (Some(words), mail) => mail.as_ref().is_some_and(|mail| words.iter().all(|word| mail.contains(word))),
        };
        wrong.extend((!is_told).then(|| format!("{what}: {mail:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Nobody's clock is known: the practice's own stands in, if it is configured, and is named. Never UTC in silence.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_goes_by_the_practices_clock_where_nobodys_is_known() {
    let nowhere = || changed(|s| s["Participants"][0]["ParticipantTimeZoneWindowsId"] = json!("Nowhere"));
    let mut off = nowhere();
    off[0]["ScheduleType"] = json!("Cancelled");
    for (zone, invites, wanted) in [
        ("time_zone = \"America/Chicago\"\n", false, Some("9:00 AM Central")),
        ("time_zone = \"America/Chicago\"\n", true, Some("9:00 AM Central")),
        ("", false, None),
    ] {
        let configured = CUT_OVER.replace("[adopt]", &format!("{zone}[adopt]")).replace("invites = false", &format!("invites = {invites}"));
        let world = World::with("2026-11-24T09:00:00Z", &configured);
        let first = if invites { one(START) } else { nowhere() };
        for (n, list) in [&first, &off, &off].into_iter().enumerate() {
            world.set(&format!("2026-11-24T09:{n}5:00Z"));
            world.walk(list).await;
            world.once().await;
        }
        let cancelled = world.states().await.contains(&"cancelled accepted".to_owned());
        assert_eq!(cancelled, wanted.is_some(), "{zone} {invites}: {:?}", world.states().await);
        wanted.iter().for_each(|wanted| assert!(world.last_mail().contains(wanted), "{}", world.last_mail()));
    }
}

/// One record is corrected in the very list in which another one loses its zone: each is told of its own session.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_corrected_is_told_though_another_one_breaks() {
    let session = |id: i64, zone: &str, word: &str| {
        let mut of = hosted(&[("ParticipantTimeZoneWindowsId", json!(zone)), ("ScheduleType", json!(word))])[0].clone();
        of["SessionId"] = json!(id);
        of["Participants"] = json!([of["Participants"][0], person(id * 10 + 1)]);
        of["Participants"][0]["ParticipationId"] = json!(id * 10);
        of["Participants"][1]["ParticipantTimeZoneWindowsId"] = json!(zone);
        of
    };
    let (good, bad) = ("Eastern Standard Time", "Nowhere");
    let others: Vec<Value> = (3..9).map(|id| session(id, good, "")).collect();
    let list = |two: [Value; 2]| Value::Array(two.into_iter().chain(others.clone()).collect());
    let lists = [list([session(1, bad, ""), session(2, good, "")]), list([session(1, good, "Cancelled"), session(2, bad, "Cancelled")])];
    let world = after(&lists).await;
    for id in [1, 2] {
        assert!(world.states_of(id).await.contains(&"cancelled accepted".to_owned()), "{id}: {:?}", world.states_of(id).await);
    }
    assert_eq!(world.sent(), 2);
}
