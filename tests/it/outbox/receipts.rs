//! What comes back of a message, and what stores make of it.

use punctual::contact::Channel;
use punctual::entry::{Change, State};
use punctual::ledger::Event;
use punctual::notice::{Notice, Occasion};
use punctual::outbox::{Claim, ClaimRequest, Returned, Settlement};
use punctual::receipt::{DeliveryStatus, Receipt, ReceiptTarget, Received};
use punctual::session::RawContact;
use punctual::suppression::{SaidBy, Suppression, suppression_key};

use super::fixture::{START, Store, addressed, begin, lease, mail, minute, request, text, unknown, walk, walked};

fn of(notice: &Notice, status: DeliveryStatus) -> Receipt {
    Receipt { about: ReceiptTarget::Notice(notice.key), status, detail: None, remember: None, recipient: None }
}

fn accepted(reference: &str) -> Settlement {
    Settlement::Accepted { reply: "201".to_owned(), reference: Some(reference.to_owned()) }
}

impl Store {
    /// One text of session 1, claimed and past its point of no return.
    async fn text_in_doubt(&self, occasion: Occasion) -> (Notice, Claim) {
        let notice = addressed(1, occasion, 0, text(1));
        self.add(1, std::slice::from_ref(&notice)).await;
        let claim = self.claim_text(1).await;
        (notice, claim)
    }

    async fn claim_text(&self, now: i64) -> Claim {
        let claim = self.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(now) }).await.unwrap().remove(0);
        assert_eq!(self.outbox.begin(vec![begin(&claim, now)]).await.unwrap(), [true]);
        assert!(self.outbox.doubt(lease(&claim), claim.revision, chrono::TimeDelta::minutes(1)).await.unwrap());
        claim
    }

    async fn delivery_status(&self, notice: &Notice) -> Option<DeliveryStatus> {
        self.outbox.deliveries(notice.key).await.unwrap().0.last().and_then(|d| d.receipt)
    }

    async fn receive(&self, at: i64, receipt: Receipt) -> Received {
        self.outbox.receive(minute(at), receipt).await.unwrap()
    }

    async fn receipts_in_the_ledger(&self) -> Vec<String> {
        self.ledger().await.into_iter().filter(|row| row.event == "receipt").filter_map(|row| row.detail).collect()
    }
}

pub(super) async fn a_receipt_is_found_by_either_reference(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, accepted("SM1")).await;
    assert_eq!(store.receive(3, of(&notice, DeliveryStatus::Sent)).await, Received::Noted(notice.key));
    let by_provider = Receipt { about: ReceiptTarget::Reference("SM1".to_owned(), minute(-60)), ..of(&notice, DeliveryStatus::Delivered) };
    assert_eq!(store.receive(4, by_provider.clone()).await, Received::Noted(notice.key));
    assert_eq!(store.receive(5, by_provider).await, Received::Known(notice.key), "the same again");
    assert_eq!(store.receive(6, of(&notice, DeliveryStatus::Undelivered)).await, Received::Known(notice.key), "it goes not back");
    let strange = Receipt { about: ReceiptTarget::Reference("SM2".to_owned(), minute(-60)), ..of(&notice, DeliveryStatus::Delivered) };
    assert_eq!(store.receive(7, strange).await, Received::Unmatched);
    let by = |reference: &str| ReceiptTarget::Reference(reference.to_owned(), minute(-60));
    let other = addressed(2, Occasion::Invite, 0, text(2)).key;
    for (about, whose) in [
        (by("SM1"), Some(notice.key)),
        (by("SM2"), None),
        (ReceiptTarget::Notice(notice.key), Some(notice.key)),
        (ReceiptTarget::Notice(other), None),
    ] {
        assert_eq!(store.outbox.whose(&about).await.unwrap(), whose, "{about:?}");
    }
    let delivery = store.outbox.deliveries(notice.key).await.unwrap().0.remove(0);
    assert_eq!((delivery.receipt, delivery.receipt_at), (Some(DeliveryStatus::Delivered), Some(minute(4))));
    assert_eq!(store.receipts_in_the_ledger().await, ["sent", "delivered"], "one row for each that said something");
    assert_eq!(store.outbox.due_between(minute(-1), minute(1)).await.unwrap(), [notice.key]);
    assert_eq!(store.outbox.due_between(minute(1), minute(2)).await.unwrap(), []);
}

pub(super) async fn nothing_is_received_of_what_never_left(store: Store) {
    let notice = addressed(1, Occasion::Invite, 0, text(1));
    assert_eq!(store.receive(0, of(&notice, DeliveryStatus::Delivered)).await, Received::Unmatched);
    store.add(1, std::slice::from_ref(&notice)).await;
    assert_eq!(store.receive(0, of(&notice, DeliveryStatus::Delivered)).await, Received::Unmatched);
    assert_eq!(store.receipts_in_the_ledger().await, [] as [&str; 0]);
}

pub(super) async fn a_receipt_ends_a_doubt(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, unknown(Some(30))).await;
    store.receive(3, of(&notice, DeliveryStatus::Sent)).await;
    let entry = store.entry(notice.key).await;
    assert_eq!((entry.state, entry.accepted_at, entry.next_attempt_at), (State::Accepted, Some(minute(3)), None), "no resend");
    assert_eq!(store.outbox.next_due(Channel::Sms).await.unwrap(), None);
}

pub(super) async fn a_receipt_may_come_before_the_answer(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    assert_eq!(store.receive(2, of(&notice, DeliveryStatus::Delivered)).await, Received::Noted(notice.key));
    assert_eq!(store.entry(notice.key).await.state, State::Sending, "the attempt goes on");
    assert!(store.settle(3, &claim, unknown(Some(30))).await);
    let entry = store.entry(notice.key).await;
    assert_eq!((entry.state, entry.next_attempt_at), (State::Accepted, None));
    assert_eq!(store.delivery_status(&notice).await, Some(DeliveryStatus::Delivered));
}

pub(super) async fn a_receipt_before_a_crash_leaves_no_doubt(store: Store) {
    let (notice, _) = store.text_in_doubt(Occasion::Invite).await;
    store.receive(2, of(&notice, DeliveryStatus::Sent)).await;
    let recovered = store.outbox.recover("two", minute(3), true).await.unwrap();
    assert_eq!((recovered.in_doubt.len(), store.entry(notice.key).await.state), (0, State::Accepted));
}

pub(super) async fn a_number_error_suppresses_that_number_alone(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, accepted("SM1")).await;
    let dead =
        Receipt { detail: Some("30005".to_owned()), remember: Some(Suppression::Bounced), ..of(&notice, DeliveryStatus::Undelivered) };
    store.receive(3, dead.clone()).await;
    store.receive(4, dead).await;
    let listed = store.outbox.suppressed().await.unwrap();
    assert_eq!(listed.iter().map(|s| s.said_by).collect::<Vec<_>>(), [SaidBy::Receipt]);
    let list = store.outbox.suppressions().await.unwrap();
    assert_eq!(list.into_iter().collect::<Vec<_>>(), [(suppression_key(&text(1)), Suppression::Bounced)]);
    let events: Vec<Event> = store.ledger().await.into_iter().map(|row| row.event).skip_while(|e| e != "receipt").collect();
    assert_eq!(events, ["receipt", "suppressed"]);
    assert_eq!(store.receipts_in_the_ledger().await, ["undelivered: 30005"]);
}

/// Providers contradict themselves: the text that the number was said not to take arrived.
pub(super) async fn a_number_to_which_a_text_arrives_exists(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, accepted("SM1")).await;
    let dead =
        Receipt { detail: Some("30005".to_owned()), remember: Some(Suppression::Bounced), ..of(&notice, DeliveryStatus::Undelivered) };
    store.receive(3, dead).await;
    assert_eq!(store.outbox.suppressed().await.unwrap().len(), 1);
    let again = store.outbox.sessions("clinic", None).await.unwrap()[0].touch.again;
    store.receive(4, of(&notice, DeliveryStatus::Delivered)).await;
    assert_eq!(store.outbox.suppressed().await.unwrap(), []);
    let events: Vec<Event> = store.ledger().await.into_iter().map(|row| row.event).skip_while(|e| e != "receipt").collect();
    assert_eq!(events, ["receipt", "suppressed", "receipt", "unsuppressed"]);
    assert!(store.outbox.sessions("clinic", None).await.unwrap()[0].touch.again > again, "who was left out is planned again");
    // Their own wish, and what a person put there, stays.
    let (other, claim) = {
        let notice = addressed(2, Occasion::Invite, 0, text(2));
        store.add(2, std::slice::from_ref(&notice)).await;
        (notice, store.claim_text(5).await)
    };
    store.settle(6, &claim, accepted("SM2")).await;
    let stop = Receipt { remember: Some(Suppression::OptedOut), ..of(&other, DeliveryStatus::Undelivered) };
    store.receive(7, stop).await;
    store.receive(8, of(&other, DeliveryStatus::Delivered)).await;
    assert_eq!(store.outbox.suppressed().await.unwrap().len(), 1);
}

pub(super) async fn what_did_not_arrive_is_named_until_it_is_mended(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, accepted("SM1")).await;
    store.receive(3, of(&notice, DeliveryStatus::Undelivered)).await;
    let named = async |now| store.outbox.undelivered(minute(now)).await.unwrap();
    let found = named(4).await;
    assert_eq!((found.len(), found[0].key, found[0].status, found[0].at), (1, notice.key, DeliveryStatus::Undelivered, minute(3)));
    assert_eq!(named(START).await, [], "nobody waits for it any more");
    let reminder = addressed(1, Occasion::Reminder, 5, text(1));
    store.outbox.apply(walk(vec![walked(1, "first", vec![Change::Add(reminder.clone())])])).await.unwrap();
    let claim = store.claim_text(6).await;
    store.settle(7, &claim, accepted("SM2")).await;
    assert_eq!(named(8).await.len(), 1, "taken is not arrived");
    store.receive(9, of(&reminder, DeliveryStatus::Delivered)).await;
    assert_eq!(named(10).await, []);
}

pub(super) async fn another_address_mends_it_too(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, accepted("SM1")).await;
    store.receive(3, of(&notice, DeliveryStatus::Failed)).await;
    let elsewhere = addressed(1, Occasion::Invite, 5, text(2));
    store.outbox.apply(walk(vec![walked(1, "first", vec![Change::Add(elsewhere)])])).await.unwrap();
    let claim = store.claim_text(6).await;
    store.settle(7, &claim, accepted("SM2")).await;
    assert_eq!(store.outbox.undelivered(minute(8)).await.unwrap(), []);
}

/// The first copy ended in doubt, and its receipt comes while the second one is on its way.
pub(super) async fn a_receipt_stops_the_second_copy(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, unknown(Some(5))).await;
    let again = store.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(5) }).await.unwrap().remove(0);
    assert_eq!(store.outbox.begin(vec![begin(&again, 5)]).await.unwrap(), [true]);
    assert_eq!(store.receive(6, of(&notice, DeliveryStatus::Delivered)).await, Received::Noted(notice.key));
    assert!(!store.outbox.doubt(lease(&again), again.revision, chrono::TimeDelta::minutes(1)).await.unwrap(), "it has arrived");
    let fenced = Settlement::Return { outcome: Returned::Fenced, why: None, next_attempt_at: minute(7) };
    store.settle(6, &again, fenced).await;
    let entry = store.entry(notice.key).await;
    assert_eq!((entry.state, entry.next_attempt_at), (State::Accepted, None));
}

pub(super) async fn a_receipt_stops_a_copy_that_begins_and_passes_at_once(store: Store) {
    let (notice, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, unknown(Some(5))).await;
    let again = store.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(5) }).await.unwrap().remove(0);
    assert_eq!(store.receive(6, of(&notice, DeliveryStatus::Delivered)).await, Received::Noted(notice.key));
    assert!(!store.outbox.take(begin(&again, 7), chrono::TimeDelta::minutes(1)).await.unwrap(), "it has arrived");
}

pub(super) async fn a_bounce_is_remembered_of_the_mailbox_that_it_names(store: Store) {
    let notice = addressed(1, Occasion::Invite, 0, mail("ray.chalk"));
    store.add(1, std::slice::from_ref(&notice)).await;
    let claim = store.claim_one(1).await;
    store.outbox.begin(vec![begin(&claim, 1)]).await.unwrap();
    assert!(store.outbox.doubt(lease(&claim), claim.revision, chrono::TimeDelta::minutes(1)).await.unwrap());
    store.settle(2, &claim, accepted("4F1A22")).await;
    let bounce = |recipient: &str, status| Receipt {
        detail: Some("5.1.1 X-Postfix; unknown user: Chalk".to_owned()),
        remember: Some(Suppression::Bounced),
        recipient: Some(RawContact(recipient.to_owned())),
        ..of(&notice, status)
    };
    assert_eq!(store.receive(3, bounce("other@example.net", DeliveryStatus::Undelivered)).await, Received::Noted(notice.key));
    assert_eq!(store.outbox.suppressed().await.unwrap(), [], "it was forwarded: the address itself is good");
    assert_eq!(store.receipts_in_the_ledger().await, ["undelivered: 5.1.1 X-Postfix; unknown user: (recipient)"]);
    let notice = addressed(2, Occasion::Invite, 0, mail("ray.chalk"));
    store.add(2, std::slice::from_ref(&notice)).await;
    let claim = store.claim_one(4).await;
    store.outbox.begin(vec![begin(&claim, 4)]).await.unwrap();
    assert!(store.outbox.doubt(lease(&claim), claim.revision, chrono::TimeDelta::minutes(1)).await.unwrap());
    store.settle(5, &claim, accepted("4F1A23")).await;
    let theirs = Receipt {
        about: ReceiptTarget::Notice(notice.key),
        ..bounce(&mail("RAY.chalk").expose().to_uppercase(), DeliveryStatus::Undelivered)
    };
    store.receive(6, theirs).await;
    assert_eq!(store.outbox.suppressed().await.unwrap().len(), 1);
}

/// Providers count anew.
pub(super) async fn an_id_that_is_used_again_means_the_latest(store: Store) {
    let (old, claim) = store.text_in_doubt(Occasion::Invite).await;
    store.settle(2, &claim, accepted("17")).await;
    let new = addressed(1, Occasion::Reminder, 5, text(1));
    store.outbox.apply(walk(vec![walked(1, "first", vec![Change::Add(new.clone())])])).await.unwrap();
    let claim = store.claim_text(6).await;
    store.settle(7, &claim, accepted("17")).await;
    let by = |since| Receipt { about: ReceiptTarget::Reference("17".to_owned(), minute(since)), ..of(&old, DeliveryStatus::Delivered) };
    assert_eq!(store.receive(8, by(-60)).await, Received::Noted(new.key));
    assert_eq!(store.receive(9, by(30)).await, Received::Unmatched, "both are too old");
}
