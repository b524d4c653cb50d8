//! Records at fault as pages, and what staff look up: no link leads nowhere.

use std::collections::BTreeSet;

use punctual::clock::{Clock, WallClock};
use punctual::contact::{Address, EmailAddress};
use punctual::outbox::Settlement;
use punctual::receipt::{DeliveryStatus, Receipt, ReceiptTarget};
use punctual::suppression::Suppression;
use serde_json::json;

use super::{Browser, Office};
use crate::push::session;

/// Session 2 has no start, a person of session 3 no way of delivery; 1 is well.
async fn office() -> Office {
    let (mut two, mut three) = (session(2, 222_222_222), session(3, 333_333_333));
    two["ScheduleTs"] = json!("tomorrow at 3");
    two["Participants"][1]["ParticipantFullName"] = json!("Lou Marsh");
    two["Participants"][1]["ParticipantSmsNumber"] = json!("2125550142");
    three["Participants"][1]["ShouldAutoDeliverCode"] = json!("X");
    three["Participants"][1]["ParticipantFullName"] = json!("Sam Reed");
    three["Participants"][1]["ParticipantSmsNumber"] = json!("2125550177");
    Office::with(&[session(1, 111_111_111), two, three]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_at_fault_has_a_page_that_says_what_is_wrong() {
    let office = office().await;
    let mut victor = office.logged_in("victor").await;
    for (path, says) in [
        ("/attention", &["The start time reads", "tomorrow at 3", "The way of delivery reads", "Sam Reed, with A. MacGuffin"][..]),
        ("/sessions/2", &["The start time reads", "tomorrow at 3", "A. MacGuffin, session 2", "Seen since"]),
        ("/sessions/3/31", &["The way of delivery reads", "&ldquo;front desk&rdquo;", "tel:+12125550177", "Until then, call them"]),
        ("/unreachable", &["Sam Reed", "tel:+12125550177"]),
        ("/unreachable", &["Unknown</td><td><a href=\"/sessions/2/21\">", "tel:+12125550142", "This booking has an error"]),
        ("/sessions/2/21", &["The start time reads", "tel:+12125550142"]),
        ("/unreachable.csv", &["Lou Marsh"]),
    ] {
        let (status, page) = victor.page(path).await;
        assert_eq!(status, 200, "{path}");
        for text in says {
            assert!(page.contains(text), "{path} does not say {text}: {page}");
        }
        assert!(!page.contains("222222222") && !page.contains("333333333"), "no code: {page}");
    }
    office.close().await;
}

/// A booking that could never be read, of people whom their host tells: nobody has to be called by us.
#[tokio::test(flavor = "multi_thread")]
async fn whom_their_host_tells_is_not_called_for_a_record_at_fault() {
    let (mut hosts, mut ours) = (session(2, 222_222_222), session(3, 333_333_333));
    hosts["Participants"][1]["ShouldAutoDeliverCode"] = json!("N");
    (hosts["ScheduleTs"], ours["ScheduleTs"]) = (json!("soon"), json!("soon"));
    let office = Office::with(&[session(1, 111_111_111), hosts, ours]).await;
    let mut victor = office.logged_in("victor").await;
    let (_, page) = victor.page("/unreachable").await;
    assert!(page.contains("/sessions/3/31") && !page.contains("/sessions/2"), "{page}");
    assert!(victor.page("/sessions/2").await.1.contains("The start time reads"), "its fault is shown all the same");
    office.close().await;
}

/// Where the links of a page lead, on this server.
fn links(page: &str) -> BTreeSet<String> {
    let hrefs = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    hrefs.filter(|to| to.starts_with('/')).map(|to| html_escape::decode_html_entities(to).into_owned()).collect()
}

async fn walk(browser: &mut Browser<'_>) -> BTreeSet<String> {
    let (mut seen, mut next) = (BTreeSet::new(), BTreeSet::from(["/".to_owned(), "/?days=7".to_owned()]));
    while let Some(path) = next.pop_first() {
        let answer = browser.get(&path).await;
        let status = answer.status().as_u16();
        assert!(status == 200, "{path} answers {status}");
        let page = answer.text().await.unwrap();
        seen.insert(path);
        // Days go on for ever: those that are a day or a week away are enough.
        next.extend(links(&page).into_iter().filter(|to| !seen.contains(to) && !to.starts_with("/?from")));
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_leads_nowhere() {
    let office = office().await;
    office.hold().await;
    let ray = Address::Email(EmailAddress::parse("ray@example.com").unwrap());
    office.practice.engine.outbox().suppress(WallClock.now(), &ray, Suppression::Bounced, None).await.unwrap();
    let mut jane = office.logged_in("jane").await;
    let seen = walk(&mut jane).await;
    for path in ["/attention", "/unreachable", "/sessions/2", "/sessions/3/31", "/messages", "/history", "/blocked", "/servers"] {
        assert!(seen.contains(path), "nothing leads to {path}: {seen:#?}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_look_up_is_there() {
    let office = office().await;
    let ray = Address::Email(EmailAddress::parse("ray@example.com").unwrap());
    office.practice.engine.outbox().suppress(WallClock.now(), &ray, Suppression::Bounced, None).await.unwrap();
    let (mut jane, mut victor) = (office.logged_in("jane").await, office.logged_in("victor").await);
    let (_, blocked) = victor.page("/blocked").await;
    assert!(blocked.contains("r*****@example.com") && blocked.contains("Messages come back") && !blocked.contains("ray@"), "{blocked}");
    assert!(!blocked.contains("/remove"), "a viewer looks");
    let (_, blocked) = jane.page("/blocked").await;
    let remove = blocked.split("href=\"").find(|rest| rest.contains("/remove")).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(victor.submit("/", &remove, &[]).await, 403);
    assert_eq!(jane.submit("/blocked", &remove, &[]).await, 303);
    assert_eq!(jane.submit("/blocked", &remove, &[]).await, 409);
    assert!(jane.page("/blocked").await.1.contains("No address is blocked"));
    let (_, all) = victor.page("/history").await;
    assert!(all.contains("Address unblocked") && all.contains(">Planned<"), "{all}");
    let (_, hers) = victor.page("/history?who=jane").await;
    assert!(hers.contains("by jane") && !hers.contains(">Planned<"), "{hers}");
    assert!(!victor.page("/history?who=jan").await.1.contains("by jane"), "Jan is somebody else");
    let read: String = all.split("<time datetime=\"").map(|part| part.split_once("\">").map_or(part, |(_, rest)| rest)).collect();
    assert!(!read.contains("Z;") && !read.contains("Z<"), "times are the practice's: {read}");
    assert_eq!(victor.get("/search?q=2").await.headers()["location"], "/sessions/2", "its record can be read no further");
    assert_eq!(victor.get("/search?q=marsh").await.headers()["location"], "/sessions/2/21");
    let (_, of_one) = victor.page("/history?session=1&event=added").await;
    assert!(of_one.contains("/sessions/1/11") && !of_one.contains("Address unblocked"), "{of_one}");
    assert_eq!(victor.page("/history?session=x").await.0, 400, "no number");
    let (_, servers) = victor.page("/servers").await;
    assert!(
        servers.contains("folder:") && servers.contains("Well") && servers.contains("tzdata") | servers.contains("time zone data"),
        "{servers}"
    );
    let (_, messages) = victor.page("/messages").await;
    assert!(messages.contains("<svg") && messages.contains("class=\"bar plain\"") && messages.contains("Today, "), "{messages}");
    office.close().await;
}

/// What was sent is headed by what became of it, on its own page and among the messages of its reader.
#[tokio::test(flavor = "multi_thread")]
async fn a_sent_message_says_what_became_of_it() {
    let office = office().await;
    let key = office.ended(Settlement::Accepted { reply: "250 queued".to_owned(), reference: None }).await;
    let mut victor = office.logged_in("victor").await;
    let (page, notice) = (format!("/notices/{key}"), |status, detail: Option<&str>| Receipt {
        about: ReceiptTarget::Notice(key),
        status,
        detail: detail.map(str::to_owned),
        remember: None,
        recipient: None,
    });
    let heading = async |browser: &mut Browser<'_>| {
        let (status, page) = browser.page(&page).await;
        assert_eq!(status, 200);
        page.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap().to_owned()
    };
    assert!(heading(&mut victor).await.contains("tag good\">Sent"));
    let outbox = office.practice.engine.outbox();
    outbox.receive(WallClock.now(), notice(DeliveryStatus::Undelivered, Some("552 5.2.2 mailbox full"))).await.unwrap();
    let headed = heading(&mut victor).await;
    assert!(headed.contains("tag bad\">Came back") && !headed.contains("Sent"), "{headed}");
    let (_, said) = victor.page(&page).await;
    for words in ["they have not got it", "send it again; or call them", "552 5.2.2 mailbox full"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let session = office.entries().await.into_iter().find(|e| e.notice.key == key).unwrap().notice.session;
    let (_, session) = victor.page(&format!("/sessions/{session}")).await;
    assert!(session.contains("Came back") && !session.contains("All told"), "{session}");
    assert!(victor.page("/unreachable").await.1.contains("did not arrive"));
    let other = Address::Email(EmailAddress::parse("trevor.new@example.com").unwrap());
    outbox.resend(Some("jane: she gave it by phone"), &[key], Some(&other), WallClock.now()).await.unwrap();
    assert!(victor.page("/unreachable").await.1.contains("did not arrive"), "nothing went yet");
    assert_ne!(office.ended(Settlement::Accepted { reply: "250 queued".to_owned(), reference: None }).await, key);
    assert!(!victor.page("/unreachable").await.1.contains("did not arrive"));
    assert!(victor.page("/attention").await.1.contains("whom to call"), "two bookings have an error");
    outbox.receive(WallClock.now(), notice(DeliveryStatus::Delivered, None)).await.unwrap();
    assert!(heading(&mut victor).await.contains("tag good\">Arrived"));
    office.close().await;
}
