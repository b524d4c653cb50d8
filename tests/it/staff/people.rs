//! People on the pages: their names, how they are called, how they are found; and what is done for them.

use chrono::TimeDelta;
use punctual::clock::{Clock, WallClock};
use punctual::entry::State;
use punctual::session::{ParticipationId, SessionId};
use serde_json::{Value, json};

use super::{Browser, Office};
use crate::push::{Practice, session};

/// Session 3: its participant has an address that is none, and a number.
fn without_address() -> Value {
    let mut session = session(3, 333_333_333);
    session["Participants"][1]["ParticipantFullName"] = json!("José Llama");
    session["Participants"][1]["ParticipantEmailAddress"] = json!("jane.doe");
    session["Participants"][1]["ParticipantSmsNumber"] = json!("(212) 555-0177");
    session["Participants"][1]["ParticipantExternalId"] = json!("MRN-77");
    session
}

async fn office(show_names: &str) -> Office {
    let users = "users_file = \"users.toml\"";
    let text = Practice::text("").replace(users, &format!("{users}\nshow_names = \"{show_names}\""));
    let office = Office { practice: Practice::of(tempfile::tempdir().unwrap(), &text).await };
    office.users(|_| {});
    assert_eq!(office.practice.list(&[session(1, 111_111_111), without_address()]).await.0, 200);
    office
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_shown_to_whoever_may_see_them() {
    for (setting, operator, viewer) in [("all", true, true), ("operators", true, false), ("never", false, false)] {
        let office = office(setting).await;
        for (name, sees) in [("jane", operator), ("victor", viewer)] {
            let mut browser = office.logged_in(name).await;
            for path in ["/?days=7", "/sessions/3", "/sessions/3/31", "/unreachable", "/unreachable.csv"] {
                let (status, page) = browser.page(path).await;
                assert_eq!(status, 200, "{path}");
                for text in ["Llama", "jane.doe", "212-555-0177"] {
                    assert_eq!(page.contains(text), sees, "{setting}: {name} at {path}, {text}: {page}");
                }
            }
            let (_, page) = browser.page("/unreachable").await;
            assert_eq!(page.contains("href=\"tel:+12125550177\""), sees);
            let well = browser.page("/sessions/1").await.1;
            assert_eq!(well.contains("Trevor"), sees);
            assert!(!well.contains("trevor@example.com"), "whom nobody must call stays masked");
        }
        office.close().await;
    }
}

/// Where a search leads, or what its page says.
async fn find(browser: &mut Browser<'_>, asked: &str) -> String {
    let answer = browser.post("/search", &[("q", asked)]).await;
    match answer.headers().get("location") {
        Some(to) => to.to_str().unwrap().to_owned(),
        None => answer.text().await.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_what_one_knows_of_them() {
    let office = office("operators").await;
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    for asked in ["llama", "JOSE", "jane.doe", "555-0177", "31", "MRN-77"] {
        assert_eq!(find(&mut jane, asked).await, "/sessions/3/31", "{asked}");
    }
    assert_eq!(find(&mut jane, "3").await, "/sessions/3");
    let hosts = find(&mut jane, "macguffin").await;
    assert!(hosts.contains("/sessions/1/10") && hosts.contains("/sessions/3/30"), "{hosts}");
    assert!(find(&mut jane, "nobody at all").await.contains("Nobody is found"));
    assert!(find(&mut victor, "llama").await.contains("Nobody is found"), "who may see no names finds none");
    assert_eq!(find(&mut victor, "mrn-77").await, "/sessions/3/31");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_called_is_called_no_more() {
    let office = office("all").await;
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    let path = "/sessions/3/31/called";
    assert_eq!(victor.page(path).await.0, 403);
    assert_eq!(victor.submit("/", path, &[]).await, 403);
    assert!(jane.page(path).await.1.contains("You called José Llama?"));
    assert_eq!(jane.submit(path, path, &[("reason", "She will come, by phone")]).await, 303);
    assert_eq!(jane.submit("/", "/sessions/3/39/called", &[]).await, 404, "nobody of that number");
    let (_, page) = victor.page("/unreachable").await;
    let (before, after) = page.split_once("id=\"called\"").unwrap();
    assert!(!before.contains("Llama") && after.contains("Llama") && after.contains("by jane: She will come, by phone"), "{page}");
    let row = office.ledger().await.into_iter().find(|row| row.event == "called").unwrap();
    assert_eq!((row.session_id, row.participation_id), (Some(SessionId(3)), Some(ParticipationId(31))));
    assert!(jane.page("/sessions/3/31").await.1.contains("She will come"));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deed_says_what_will_happen_and_is_undone() {
    let office = office("all").await;
    let key = office.entries().await.into_iter().rfind(|e| e.state == State::Waiting).unwrap().notice.key;
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    for (act, asks, done, undo) in [
        ("hold", "Hold this message?", "it is not sent until somebody releases it", "release"),
        ("cancel", "Do not send this message?", "It will not be sent.", "restore"),
        ("cancel_told", "You told them by phone?", "counts as told", "restore"),
    ] {
        let path = format!("/notices/{key}/{act}");
        assert_eq!(victor.page(&path).await.0, 403);
        let (_, page) = jane.page(&path).await;
        assert!(page.contains(asks) && page.contains("for Trevor") && page.contains("You can take it back until"), "{act}: {page}");
        assert_eq!(office.state(key).await, State::Waiting, "a look does nothing");
        let token = super::token_of(&page);
        let answer = jane.post(&path, &[("token", &token), ("reason", "They asked")]).await;
        let back = answer.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(back, format!("/notices/{key}?done={act}"));
        let (_, page) = jane.page(&back).await;
        assert!(page.contains(done) && page.contains(&format!("/notices/{key}/{undo}")) && page.contains("Undo"), "{act}: {page}");
        assert!(!victor.page(&back).await.1.contains("Undo"));
        assert_eq!(jane.submit(&back, &format!("/notices/{key}/{undo}"), &[]).await, 303);
        assert_eq!(office.state(key).await, State::Waiting, "{act} is undone");
    }
    let told: Vec<String> = office.ledger().await.into_iter().filter_map(|row| row.detail).filter(|d| d.contains("They asked")).collect();
    assert_eq!(told, ["by jane: They asked"; 3]);
    office.close().await;
}

/// However many sessions a day has, each stands on some page; what is well takes one line.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_day_has_pages_and_a_good_one_is_short() {
    let office = Office::open().await;
    let day = (WallClock.now() + TimeDelta::days(3)).format("%Y-%m-%d").to_string();
    let mut all: Vec<Value> = (1..=130).map(|id| session(id, 100_000_000 + id)).collect();
    assert_eq!(office.practice.list(&all).await.0, 200);
    let mut jane = office.logged_in("jane").await;
    let mut seen = 0;
    for (page, says) in [(1, "Page 1 of 3"), (2, "Page 2 of 3"), (3, "Page 3 of 3")] {
        let (_, text) = jane.page(&format!("/?from={day}&days=2&page={page}")).await;
        assert!(text.contains(says) && text.contains("130 sessions"), "{text}");
        seen += text.matches("class=\"line\"").count();
        assert!(text.len() < 500_000, "{} bytes", text.len());
    }
    assert_eq!(seen, 130);
    all.truncate(3);
    all[1] = without_address();
    all.remove(2);
    office.practice.list(&all).await;
    assert_eq!(jane.submit("/attention", "/guard/accept", &[("source", "front desk")]).await, 303);
    office.practice.list(&all).await;
    let (_, text) = jane.page(&format!("/?from={day}&days=2")).await;
    let (needing, well) = text.split_once("All is well").unwrap();
    assert!(needing.contains("Needs somebody") && needing.contains("Llama"), "{text}");
    assert!(well.contains("Trevor") && !well.contains("<details class=\"line\" open>"), "what is well is folded: {text}");
    office.close().await;
}
