//! What the pages show, and what they do not.

use punctual::clock::{Clock, WallClock};
use punctual::contact::PhoneNumber;
use punctual::entry::State;
use punctual::feedback::reply::{AcceptedReply, Changes, ForStaff, reply_key};
use punctual::feedback::word::Word;
use punctual::ledger::Event;
use punctual::session::{ParticipantRef, ParticipationId, SessionId};
use serde_json::json;

use super::Office;
use crate::push::session;

const SECRETS: [&str; 2] = ["111111111", "111-111-111"];

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_shown_and_masked() {
    let office = Office::open().await;
    let key = office.hold().await;
    let mut jane = office.logged_in("jane").await;
    for (path, says) in [
        ("/?days=7", "Session 1"),
        ("/sessions/1", "A. MacGuffin with Trevor"),
        ("/sessions/1/11", "What it looked at"),
        ("/attention", "Held"),
        ("/unreachable", "Won&rsquo;t be reached"),
        (&format!("/notices/{key}/release"), "Send this message?"),
        ("/sessions/1/11/called", "You called Trevor?"),
        ("/unreachable.csv", "starts,session,name"),
        (&format!("/notices/{key}"), "as it would be now"),
        (&format!("/notices/{key}/message"), "***-***-***"),
        ("/search?q=nobody", "nobody"),
    ] {
        let page = jane.get(path).await;
        assert_eq!(page.status(), 200, "{path}");
        let headers = page.headers().clone();
        let text = page.text().await.unwrap();
        assert!(text.contains(says), "{path}: {text}");
        for secret in SECRETS {
            assert!(!text.contains(secret), "{path} shows {secret}");
        }
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src '") && policy.contains("frame-ancestors"), "{path}: {policy}");
        assert!(!policy.contains("script") && !text.contains("<script"), "{path}");
        for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
            assert_eq!(headers[name], value, "{path}");
        }
    }
    assert_eq!(jane.page("/search?q=1").await.0, 303);
    assert_eq!(jane.page("/search?q=11").await.0, 303);
    for path in ["/sessions/9", "/sessions/x", "/sessions/1/99", "/notices/x", "/notices/00000000000000000000000000000000", "/nothing"] {
        assert_eq!(jane.page(path).await.0, 404, "{path}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revealed_is_in_the_ledger() {
    let office = Office::open().await;
    let mut jane = office.logged_in("jane").await;
    let key = office.entries().await.into_iter().find(|e| e.notice.session.0 == 1 && e.state == State::Waiting).unwrap().notice.key;
    assert_eq!(jane.submit("/sessions/1/11", "/sessions/1/11/reveal", &[]).await, 303);
    for (path, shows) in [
        ("/sessions/1/11", &["Trevor", "trevor@example.com", "111-111-111"][..]),
        (&format!("/notices/{key}/message"), &["Trevor", "111-111-111"][..]),
    ] {
        let (_, page) = jane.page(path).await;
        for text in shows {
            assert!(page.contains(text), "{path}: {text}");
        }
    }
    let (_, other) = jane.page("/sessions/2/21").await;
    assert!(!other.contains("222-222-222") && !other.contains("trevor@"), "nobody else's");
    let reveals: Vec<_> = office.ledger().await.into_iter().filter(|r| r.event == "reveal").collect();
    assert_eq!(reveals[0].detail.as_deref(), Some("session 1, participation 11, by jane"));
    assert_eq!((reveals.len(), reveals[0].session_id, reveals[0].participation_id), (1, Some(SessionId(1)), Some(ParticipationId(11))));
    let mut victor = office.logged_in("victor").await;
    assert!(!victor.page("/sessions/1/11").await.1.contains("111-111-111"), "another's visit");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deeds_are_done_once_and_name_who_did_them() {
    let office = Office::open().await;
    let key = office.hold().await;
    let mut jane = office.logged_in("jane").await;
    let page = format!("/notices/{key}");
    for (act, status, state) in [
        ("release", 303, State::Waiting),
        ("release", 409, State::Waiting),
        ("hold", 303, State::Held),
        ("cancel", 303, State::Cancelled),
        ("release", 409, State::Cancelled),
        ("explode", 404, State::Cancelled),
    ] {
        assert_eq!(jane.submit("/", &format!("{page}/{act}"), &[("from", "/attention")]).await, status, "{act}");
        assert_eq!(office.state(key).await, state, "{act}");
    }
    let mine = |row: &&punctual::ledger::LedgerRow| row.detail.as_deref() == Some("by jane") && row.key == Some(key.to_string());
    let events: Vec<Event> = office.ledger().await.iter().filter(mine).map(|r| r.event.clone()).collect();
    assert_eq!(events, ["release", "hold", "cancel"]);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_is_shown_and_accepted() {
    let all: Vec<_> = (1..=8).map(|id| session(id, 100_000_000 + id)).collect();
    let office = Office::with(&all).await;
    let mut jane = office.logged_in("jane").await;
    assert!(jane.page("/attention").await.1.contains("All is on its way"));
    assert_eq!(office.practice.list(&all[..2]).await.1["guarded"], 6);
    let (_, page) = jane.page("/attention").await;
    assert!(page.contains("6 sessions of &ldquo;front desk&rdquo;") && page.contains("/sessions/8"), "{page}");
    assert_eq!(jane.submit("/attention", "/guard/accept", &[("source", "front desk")]).await, 303);
    assert_eq!(office.practice.list(&all[..2]).await.1["guarded"], 0);
    assert_eq!(jane.submit("/attention", "/guard/accept", &[("source", "front desk")]).await, 409);
    let noted = office.ledger().await.into_iter().find(|r| r.event == "guard_accepted").unwrap();
    assert_eq!(noted.detail.as_deref(), Some("6 sessions of front desk, by jane"));
    office.close().await;
}

/// The same sessions say another thing since the page was opened: what nobody has seen is not let pass.
#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_is_of_what_was_seen() {
    let with_codes = |from: i64| (1..=8).map(|id| session(id, from + id)).collect::<Vec<_>>();
    let office = Office::with(&with_codes(100_000_000)).await;
    let mut jane = office.logged_in("jane").await;
    assert_eq!(office.practice.list(&with_codes(200_000_000)).await.1["guarded"], 8);
    let (_, page) = jane.page("/guard/accept?source=front+desk").await;
    let seen = page.split("name=\"seen\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    assert_eq!(office.practice.list(&with_codes(300_000_000)).await.1["guarded"], 8);
    let accepts = [("source", "front desk"), ("seen", &seen)];
    assert_eq!(jane.submit("/attention", "/guard/accept", &accepts).await, 409);
    assert_eq!(office.practice.list(&with_codes(200_000_000)).await.1["guarded"], 8);
    assert_eq!(jane.submit("/attention", "/guard/accept", &accepts).await, 303);
    office.close().await;
}

/// What people wrote stands on the page for whoever is logged in, and goes when an operator has read it.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_is_shown_and_marked_as_read() {
    let office = Office::open().await;
    let place = ParticipantRef { source: "front desk".to_owned(), session: SessionId(1), participation: ParticipationId(11) };
    for (id, about) in [("SM1", vec![place]), ("SM2", vec![])] {
        let for_staff = Some(ForStaff { text: format!("<b>Can I come later?</b> {id}"), about });
        let (key, from) = (reply_key("twilio", "", id), PhoneNumber::parse("+14045550123", "US").unwrap());
        let taken = AcceptedReply { key, from, word: Word::Other, change: Changes::Nothing, answer: None, for_staff };
        assert!(office.practice.engine.outbox().reply(WallClock.now(), taken).await.unwrap());
    }
    let first = reply_key("twilio", "", "SM1");
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    for (browser, operator) in [(&mut jane, true), (&mut victor, false)] {
        let (_, page) = browser.page("/attention").await;
        for shown in
            ["&#60;b&#62;Can I come later?&#60;/b&#62; SM1", "SM2", "/sessions/1/11", "+1*****0123", "<span class=\"count\">2</span>"]
        {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(!page.contains("4045550123") && !page.contains("All is on its way"), "{page}");
        assert_eq!(page.contains(&format!("/replies/{first}/read")), operator);
    }
    let path = format!("/replies/{first}/read");
    assert_eq!(victor.submit("/", &path, &[]).await, 403);
    assert_eq!(jane.submit("/", &path, &[]).await, 303);
    assert_eq!(jane.submit("/", &path, &[]).await, 409);
    let (_, page) = jane.page("/attention").await;
    assert!(!page.contains("SM1") && page.contains("SM2"), "{page}");
    let row = office.ledger().await.into_iter().find(|row| row.event == "reply_read").unwrap();
    assert_eq!(row.detail.as_deref(), Some("by jane"));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_text() {
    let mut hostile = session(1, 111_111_111);
    hostile["Participants"][1]["ParticipantFullName"] = json!("<script>alert(1)</script>{{ 7 * 7 }}");
    hostile["Participants"][1]["ParticipantTimeZoneWindowsId"] = json!("Eastern Standard Time");
    let mut bad = session(2, 222_222_222);
    bad["Participants"][1]["ParticipantTimeZoneWindowsId"] = json!("\"><img src=x onerror=alert(1)>");
    let office = Office::with(&[hostile, bad]).await;
    let mut jane = office.logged_in("jane").await;
    assert_eq!(jane.submit("/sessions/1/11", "/sessions/1/11/reveal", &[]).await, 303);
    let key = office.entries().await.first().unwrap().notice.key;
    let paths = ["/?days=7", "/sessions/1/11", "/sessions/2/21", "/attention", "/unreachable", &format!("/notices/{key}/message")];
    for path in paths {
        let (status, page) = jane.page(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!page.contains("<script") && !page.contains("<img src=x"), "{path}: {page}");
    }
    assert!(jane.page("/sessions/1/11").await.1.contains("&#60;script&#62;"));
    assert!(jane.page("/sessions/1/11").await.1.contains("{{ 7 * 7 }}"));
    let (_, found) = jane.page("/search?q=%3Cscript%3Ealert(2)%3C/script%3E").await;
    assert!(found.contains("&#60;script&#62;") && !found.contains("<script"), "{found}");
    office.close().await;
}

/// A page says first what will happen; the deed stands in the ledger with who did it and why.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_is_confirmed_and_goes_once() {
    let office = Office::open().await;
    office.invited().await;
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    let path = "/sessions/1/11/remind";
    assert!(jane.page("/sessions/1/11").await.1.contains(path), "there is a way to it");
    assert!(!victor.page("/sessions/1/11").await.1.contains(path));
    let (status, page) = jane.page(path).await;
    assert_eq!(status, 200);
    for says in ["by e-mail to t*****@example.com", "Remind now", "name=\"reason\""] {
        assert!(page.contains(says), "{says}: {page}");
    }
    assert!(!SECRETS.iter().any(|secret| page.contains(secret)), "{page}");
    assert!(!victor.page(path).await.1.contains("name=\"reason\""), "who looks has no button");
    assert_eq!(victor.submit("/", path, &[]).await, 403);
    assert_eq!(office.ledger().await.iter().filter(|r| r.event == "asked").count(), 0, "nothing happens by looking");
    assert_eq!(jane.submit(path, path, &[("reason", "she called")]).await, 303);
    let asked: Vec<_> = office.ledger().await.into_iter().filter(|r| r.event == "asked").collect();
    assert_eq!(asked.iter().map(|r| r.detail.as_deref().unwrap()).collect::<Vec<_>>(), ["by jane: she called"]);
    let key = asked[0].key.as_ref().unwrap();
    assert!(jane.page(&format!("/notices/{key}")).await.1.contains("Reminder now"));
    assert_eq!(jane.submit("/", path, &[]).await, 409, "a second press");
    let (_, page) = jane.page(path).await;
    // The daemon may have handed it over by now.
    assert!(page.contains("on its way") || page.contains("a moment ago"), "{page}");
    assert!(!page.contains("name=\"reason\""), "{page}");
    assert_eq!(jane.page("/sessions/1/99/remind").await.0, 404);
    office.close().await;
}

/// What was refused is sent again after a question, also to a corrected address: once, and by whom stands in the ledger.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_sent_again_to_a_corrected_address() {
    let office = Office::open().await;
    let key = office.refused().await;
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    let (notice, path) = (format!("/notices/{key}"), format!("/notices/{key}/resend"));
    assert!(jane.page(&notice).await.1.contains(&path) && !victor.page(&notice).await.1.contains(&path));
    let (status, page) = jane.page(&path).await;
    assert!(status == 200 && page.contains("t*****@example.com") && page.contains("come back") && page.contains("name=\"to\""), "{page}");
    assert!(!victor.page(&path).await.1.contains("name=\"to\""));
    assert_eq!(victor.submit("/", &path, &[("to", "other@example.com")]).await, 403);
    let count = office.entries().await.len();
    for to in ["", "trevor@example.com", "not an address", "+1 404 555 0133"] {
        assert_eq!(jane.submit(&path, &path, &[("to", to)]).await, 409, "{to:?}");
    }
    assert_eq!(office.entries().await.len(), count, "nothing is made of what is refused");
    assert_eq!(jane.submit(&path, &path, &[("to", "mother@example.org")]).await, 303);
    assert_eq!(jane.submit(&path, &path, &[("to", "mother@example.org")]).await, 409, "a second press");
    let again: Vec<_> = office.entries().await.into_iter().filter(|e| e.notice.address.expose() == "mother@example.org").collect();
    // Its lane may have it in hand already.
    assert!(matches!(again.as_slice(), [one] if matches!(one.state, State::Waiting | State::Claimed | State::Sending | State::Accepted)));
    let row = office.ledger().await.into_iter().find(|r| r.event == "resend").unwrap();
    assert_eq!(row.detail, Some(format!("as {}, by jane", again[0].notice.key)));
    let waiting = office.entries().await.into_iter().find(|e| e.state == State::Waiting).unwrap().notice.key;
    assert!(jane.page(&format!("/notices/{waiting}/resend")).await.1.contains("cannot be sent again"));
    office.close().await;
}

/// A source that is taken out, and a message that was not sent in time, stand on the pages for whoever should know.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_gone_and_what_came_too_late_are_shown() {
    let office = Office::open().await;
    let outbox = office.practice.engine.outbox();
    let mut jane = office.logged_in("jane").await;
    assert!(!jane.page("/attention").await.1.contains("not in the configuration any more"));
    assert!(!jane.page("/unreachable").await.1.contains("Its time passed"));
    let held = outbox.configure(&["back-office".to_owned()], WallClock.now()).await.unwrap();
    let (_, page) = jane.page("/attention").await;
    assert!(page.contains(&format!("&ldquo;front desk&rdquo;: {held} messages")), "{page}");
    let first = office.entries().await.iter().map(|e| e.notice.useful_until).min().unwrap();
    assert!(!outbox.lapse(first).await.unwrap().is_empty());
    let (_, page) = jane.page("/unreachable").await;
    assert!(page.contains("Its time passed before it could go") && page.contains("/sessions/1/11"), "{page}");
    office.close().await;
}
