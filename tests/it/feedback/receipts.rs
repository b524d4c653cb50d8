//! Receipts: matched by the provider's id or ours, settled, remembered, and believed from nobody else.

use std::time::{Duration, Instant};

use punctual::clock::{Clock, WallClock};
use punctual::contact::{Address, PhoneNumber};
use punctual::desk::status::status;
use punctual::desk::unreachable::unreachable;
use punctual::digest::gather;
use punctual::entry::State;
use punctual::receipt::DeliveryStatus;
use punctual::staff::{ConcernKind, Why, words};
use punctual::suppression::{Suppression, suppression_key};
use serde_json::json;

use super::{HOOK, Practice, TWILIO_TOKEN, created, session};
use crate::servers::http::{Reply, answer};

const NUMBER: &str = "404-555-0123";

/// What the text's request says after `needle`, up to a character that cannot be in it.
fn after(request: &str, needle: &str) -> String {
    let start = request.find(needle).unwrap_or_else(|| panic!("{needle} is not in {request}")) + needle.len();
    request[start..].chars().take_while(char::is_ascii_alphanumeric).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twilio_tells_what_became_of_a_text() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.list(&[session(1, NUMBER)]).await;
    let invite = practice.invite(State::Accepted).await;
    let ours = after(&practice.gateway.requests()[0], "hooks%2Ftwilio%3Fref%3D");
    let query = format!("?ref={ours}");
    let status = |word| vec![("MessageSid", "SM1"), ("MessageStatus", word), ("AccountSid", "AC1")];
    for (token, query, form, answered) in [
        ("54321", query.as_str(), status("delivered"), 403),
        (TWILIO_TOKEN, query.as_str(), status("sent"), 200),
        (TWILIO_TOKEN, query.as_str(), status("undelivered"), 200),
        (TWILIO_TOKEN, query.as_str(), status("undelivered"), 200),
        (TWILIO_TOKEN, query.as_str(), status("sent"), 200),
        (TWILIO_TOKEN, "", vec![("MessageSid", "SM9"), ("MessageStatus", "delivered")], 200),
        (TWILIO_TOKEN, "", vec![("AccountSid", "AC1")], 403),
        (TWILIO_TOKEN, "", vec![("MessageSid", "SM1"), ("MessageStatus", "delivered"), ("AccountSid", "AC2")], 403),
        (TWILIO_TOKEN, "", vec![("MessageSid", "1"), ("MessageStatus", "delivered")], 403),
    ] {
        assert_eq!(practice.twilio(token, query, &form).await, answered, "{token} {form:?}");
    }
    assert_eq!(practice.delivery_status(&invite).await, Some(DeliveryStatus::Undelivered));
    assert_eq!(practice.ledger("receipt").await, ["sent", "undelivered"], "a replay changes nothing, and nobody else is believed");
    let lost = practice.engine.outbox().undelivered(WallClock.now()).await.unwrap();
    assert_eq!((lost.len(), lost[0].key), (1, invite.notice.key));
    practice.close().await;
}

/// A provider's error may name whom it was for.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_repeats_of_a_person_is_not_kept() {
    let practice = Practice::with("http", vec![created()]).await;
    practice.list(&[session(1, NUMBER)]).await;
    let invite = practice.invite(State::Accepted).await;
    let event = json!({ "id": "M1", "status": "DEAD", "why": "12: the phone of TREVOR, guest of macguffin, is off" });
    assert_eq!(practice.post(&format!("/hooks/sms/{HOOK}"), &event).await, 204);
    assert_eq!(practice.delivery_status(&invite).await, Some(DeliveryStatus::Failed));
    assert_eq!(practice.ledger("receipt").await, ["failed: 12: the phone of (...), guest of (...), is off"]);
    let lost = practice.engine.outbox().undelivered(WallClock.now()).await.unwrap();
    assert_eq!(lost[0].detail.as_deref(), Some("12: the phone of (...), guest of (...), is off"));
    practice.close().await;
}

/// On the command line, in the pages, in the API, and in the daily letter: each asks the same desk.
#[tokio::test(flavor = "multi_thread")]
async fn staff_hear_of_what_did_not_arrive_until_it_is_mended() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.list(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    let (desk, now) = (practice.desk(), WallClock.now());
    assert_eq!(status(&desk, now).await.unwrap().undelivered, 0);
    let lost = [("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", "30003")];
    assert_eq!(practice.twilio(TWILIO_TOKEN, "", &lost).await, 200);
    let facts = status(&desk, now).await.unwrap();
    assert_eq!((facts.undelivered, facts.attention), (1, true));
    let rows = unreachable(&desk, now).await.unwrap();
    let told: Vec<_> = rows.iter().map(|r| (r.participation_id.map(|p| p.0), r.reason.as_str(), r.detail.as_deref())).collect();
    assert_eq!(told, [(Some(11), "undelivered", Some("invite: 30003"))]);
    let concerns = gather(&*desk.outbox, &desk.sources, &desk.policy, None, now).await.unwrap();
    assert_eq!(
        concerns.iter().map(|c| (c.kind, c.why)).collect::<Vec<_>>(),
        [(ConcernKind::Person, Why::Undelivered(DeliveryStatus::Undelivered))]
    );
    assert_eq!(words::of(&concerns[0]).what, "A message to them did not arrive");
    let arrived = [("MessageSid", "SM1"), ("MessageStatus", "delivered")];
    assert_eq!(practice.twilio(TWILIO_TOKEN, "", &arrived).await, 200);
    assert!(unreachable(&desk, now).await.unwrap().is_empty());
    let verified = desk.outbox.verify_ledger(None).await.unwrap();
    assert_eq!(verified.findings, [], "what came back is chained like all else");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_number_is_remembered_and_no_other() {
    let practice = Practice::with("twilio", vec![created()]).await;
    practice.list(&[session(1, NUMBER)]).await;
    practice.invite(State::Accepted).await;
    let dead = [("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", "30005")];
    assert_eq!(practice.twilio(TWILIO_TOKEN, "", &dead).await, 200);
    let list = practice.engine.outbox().suppressions().await.unwrap();
    let key = suppression_key(&Address::Sms(PhoneNumber::parse(NUMBER, "US").unwrap()));
    assert_eq!(list.into_iter().collect::<Vec<_>>(), [(key, Suppression::Bounced)]);
    assert_eq!(practice.ledger("receipt").await, ["undelivered: 30005"]);
    practice.close().await;
}

/// No answer came: the text is in doubt until its receipt does.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_by_our_own_reference_ends_a_doubt() {
    let practice = Practice::with("twilio", vec![Reply::Close]).await;
    practice.list(&[session(1, NUMBER)]).await;
    practice.invite(State::Unknown).await;
    let ours = after(&practice.gateway.requests()[0], "hooks%2Ftwilio%3Fref%3D");
    let queued = [("MessageSid", "SM7"), ("MessageStatus", "queued")];
    assert_eq!(practice.twilio(TWILIO_TOKEN, &format!("?ref={ours}"), &queued).await, 200);
    let invite = practice.invite(State::Accepted).await;
    assert_eq!((invite.next_attempt_at, practice.gateway.requests().len()), (None, 1), "it is not sent again");
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kannel_reports_to_the_address_that_it_was_told() {
    let practice = Practice::with("kannel", vec![answer(202, "", "0: Accepted for delivery")]).await;
    practice.list(&[session(1, NUMBER)]).await;
    let invite = practice.invite(State::Accepted).await;
    let request = practice.gateway.requests().remove(0);
    let told = url::Url::parse(&format!("http://x{}", request.split(' ').nth(1).unwrap())).unwrap();
    let dlr = told.query_pairs().find(|(name, _)| name == "dlr-url").unwrap().1.into_owned();
    let path = dlr.strip_prefix("http://127.0.0.1:1").unwrap_or_else(|| panic!("{dlr}"));
    let reported = |kind: &str, said: &str| path.replace("%d", kind).replace("%A", said);
    assert_eq!(practice.get(&reported("8", "ACK")).await, 200);
    assert_eq!(practice.get(&reported("34", "expired")).await, 200);
    assert_eq!(practice.get(&reported("128", "")).await, 422);
    assert_eq!(practice.get(&reported("1", "").replace(HOOK, "another-0123456789abcdef0123")).await, 404);
    assert_eq!(practice.delivery_status(&invite).await, Some(DeliveryStatus::Undelivered));
    assert_eq!(practice.ledger("receipt").await, ["sent", "undelivered: expired"]);
    practice.close().await;
}

/// Its answer, which has the id, is still on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_may_come_before_the_answer() {
    let Reply::Bytes(answer) = created() else { panic!("it answers") };
    let practice = Practice::with("http", vec![Reply::Late(Duration::from_millis(300), answer)]).await;
    practice.list(&[session(1, NUMBER)]).await;
    let invite = practice.invite(State::Sending).await;
    while practice.gateway.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let path = format!("/hooks/sms/{HOOK}");
    assert_eq!(practice.post(&path, &json!({"id": "M1", "status": "OK"})).await, 204);
    assert_eq!(practice.delivery_status(&invite).await, Some(DeliveryStatus::Delivered));
    practice.invite(State::Accepted).await;
    let began = Instant::now();
    assert_eq!(practice.post(&path, &json!({"id": "M2", "status": "OK"})).await, 204);
    assert!(began.elapsed() < Duration::from_millis(400), "nothing is on its way: there is nothing to wait for");
    assert_eq!(practice.ledger("receipt").await, ["delivered"]);
    practice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_gateway_posts_json() {
    let practice = Practice::with("http", vec![created()]).await;
    practice.list(&[session(1, NUMBER)]).await;
    let invite = practice.invite(State::Accepted).await;
    let address = format!("https://punctual.practice.example/hooks/sms/{HOOK}");
    assert!(practice.gateway.requests()[0].contains(&address), "{:?}", practice.gateway.requests());
    let path = format!("/hooks/sms/{HOOK}");
    for (path, body, answered) in [
        ("/hooks/sms/another-0123456789abcdef0123", json!({"id": "M1", "status": "OK"}), 404),
        (&path, json!({"id": "M1", "status": "WAITS"}), 204),
        (&path, json!({"id": "M1"}), 422),
        (&path, json!({"id": "M1", "status": "DEAD", "why": "no subscriber 4045550123"}), 204),
        (&path, json!({"id": "M1", "status": "DEAD"}), 204),
    ] {
        assert_eq!(practice.post(path, &body).await, answered, "{body}");
    }
    assert_eq!(practice.delivery_status(&invite).await, Some(DeliveryStatus::Failed));
    assert_eq!(practice.ledger("receipt").await, ["failed: no subscriber (number)"]);
    assert_eq!(practice.engine.outbox().suppressions().await.unwrap().len(), 1);
    practice.close().await;
}
