//! What is kept: the suppression list, and what a purge leaves.

use chrono::{DateTime, Utc};
use punctual::entry::{Change, State};
use punctual::notice::{Notice, Occasion, Reason};
use punctual::outbox::{Alert, Filter, Purged, Retention, Settlement, WalkedSession};
use punctual::session::SessionId;
use punctual::suppression::{Suppression, suppression_key};

use super::fixture::{Store, accepted, addressed, mail, minute, notice, request, text, unknown, walk, walked};
use super::walks::omission;

pub(crate) async fn a_person_keeps_the_suppression_list(store: Store) {
    let outbox = &store.outbox;
    let (ray, number) = (mail("ray.chalk"), text(8));
    let expected = [
        (Suppression::Bounced, true),
        (Suppression::Bounced, false),
        (Suppression::OptedOut, true),
        (Suppression::OptedOut, false),
        (Suppression::Bounced, false),
    ];
    for (now, (kind, put)) in (1..).zip(expected) {
        assert_eq!(outbox.suppress(minute(now), &ray, kind, Some("r, by jane")).await.unwrap(), put, "{kind:?} at {now}");
    }
    let other = addressed(2, Occasion::Invite, 0, number.clone());
    store.add(2, std::slice::from_ref(&other)).await;
    let by_text = punctual::outbox::ClaimRequest { channel: punctual::contact::Channel::Sms, ..request(7) };
    let claim = outbox.claim(by_text).await.unwrap().remove(0);
    let end = Settlement::Rejected { reply: "21610".to_owned(), remember: Some(Suppression::OptedOut) };
    assert!(store.settle(7, &claim, end).await);

    let list = outbox.suppressed().await.unwrap();
    let seen: Vec<_> = list.iter().map(|s| (s.key.clone(), s.kind, s.since, s.notice.clone())).collect();
    let [first, second] = [&number, &ray].map(suppression_key);
    let from_text = (first, Suppression::OptedOut, minute(7), Some(other.key.to_string()));
    assert_eq!(seen, [from_text, (second.clone(), Suppression::OptedOut, minute(3), None)], "the newest first");
    assert_eq!((list[0].shown.as_str(), list[1].shown.as_str()), ("+1*****0108", "r*****@example.com"));

    assert!(outbox.unsuppress(minute(8), &second, Some("by victor")).await.unwrap());
    assert!(!outbox.unsuppress(minute(9), &second, Some("by victor")).await.unwrap());
    assert!(!outbox.suppressions().await.unwrap().contains_key(&second));
    let told: Vec<_> = store
        .ledger()
        .await
        .into_iter()
        .filter(|r| r.event.as_str().ends_with("suppressed"))
        .map(|r| (r.event.to_string(), r.at))
        .collect();
    let words = [("suppressed", 1), ("suppressed", 3), ("suppressed", 7), ("unsuppressed", 8)];
    assert_eq!(told, words.map(|(word, at)| (word.to_owned(), minute(at))), "what changed nothing leaves no row");
    let deeds = store.ledger().await.into_iter().filter(|r| ["suppress", "unsuppress"].contains(&r.event.as_str()));
    let deeds: Vec<(String, DateTime<Utc>, String)> = deeds.map(|r| (r.event.to_string(), r.at, r.detail.unwrap())).collect();
    let tried = (1..=5).map(|at| ("suppress".to_owned(), minute(at), "r, by jane".to_owned()));
    let done: Vec<_> = tried.chain([("unsuppress".to_owned(), minute(8), "by victor".to_owned())]).collect();
    assert_eq!(deeds, done, "whoever had something put on the list is named, and whoever took something off");
}

pub(crate) async fn an_alert_lasts_until_it_is_over(store: Store) {
    let alert = |key: &str, since, text: &str| Alert { key: key.to_owned(), since: minute(since), text: text.to_owned() };
    for (key, since, text) in [("sms", 1, "Texts"), ("email", 2, "Mail"), ("email", 3, "Mail, again")] {
        store.outbox.begin_alert(alert(key, since, text)).await.unwrap();
    }
    assert_eq!(store.outbox.alerts().await.unwrap(), [alert("email", 2, "Mail"), alert("sms", 1, "Texts")]);
    for key in ["email", "email", "nothing"] {
        store.outbox.end_alert(key, minute(4)).await.unwrap();
    }
    assert_eq!(store.outbox.alerts().await.unwrap(), [alert("sms", 1, "Texts")]);
    let events: Vec<(String, Option<String>)> = store.ledger().await.into_iter().map(|row| (row.event.to_string(), row.detail)).collect();
    let row = |event: &str, key: &str| (event.to_owned(), Some(key.to_owned()));
    assert_eq!(events, [row("alert", "sms"), row("alert", "email"), row("alert_over", "email")]);
}

pub(crate) async fn letters_are_purged_with_the_history(store: Store) {
    for scheduled in [99, 100] {
        store.outbox.add_staff_letters(minute(scheduled), minute(scheduled + 720), vec!["a".to_owned()]).await.unwrap();
    }
    store.outbox.purge(minute(500), retention(0, 100)).await.unwrap();
    assert!(store.outbox.staff_letters(minute(99)).await.unwrap().is_empty());
    assert_eq!(store.outbox.staff_letters(minute(100)).await.unwrap().len(), 1);
}

pub(crate) async fn whoever_is_taken_off_the_list_is_planned_for_again(store: Store) {
    let (ray, outbox) = (mail("ray.chalk"), &store.outbox);
    outbox.suppress(minute(1), &ray, Suppression::OptedOut, None).await.unwrap();
    let omitting = |id: i64, start, reason| {
        let omissions = vec![omission(id * 10 + 1, Some(Occasion::Invite), None, reason)];
        WalkedSession { start: minute(start), omissions, ..walked(id, "first", Vec::new()) }
    };
    let sessions = vec![omitting(1, 500, Reason::OptedOut), omitting(2, 500, Reason::NoEmail), omitting(3, 5, Reason::OptedOut)];
    outbox.apply(walk(sessions)).await.unwrap();
    let ended = notice(4, Occasion::Invite, 0);
    store.add(4, std::slice::from_ref(&ended)).await;
    let end = Change::End { key: ended.key, state: State::Suppressed, reason: Reason::Bounced };
    outbox.apply(walk(vec![WalkedSession { start: minute(500), ..walked(4, "first", vec![end]) }])).await.unwrap();
    for key in [suppression_key(&ray), suppression_key(&ray)] {
        outbox.unsuppress(minute(6), &key, None).await.unwrap();
        let seen = outbox.seen("clinic").await.unwrap().unwrap().sessions;
        let again = [1, 2, 3, 4].map(|id| seen[&SessionId(id)].replan);
        assert_eq!(again, [true, false, false, true], "those to come that left somebody out because of the list");
    }
}

/// Before everything.
const LONG_AGO: i64 = -1_000_000;

fn retention(content_before: i64, history_before: i64) -> Retention {
    Retention { content_before: minute(content_before), history_before: minute(history_before) }
}

/// Session 1 is over and accepted; 2 is over, with a notice still waiting; 3 starts at minute 2,000, and was accepted.
async fn three_sessions(store: &Store) -> [Notice; 3] {
    let starts = [100, 100, 2_000];
    let notices = [1, 2, 3].map(|session| Notice { start: minute(starts[session as usize - 1]), ..notice(session, Occasion::Invite, 0) });
    for (notice, start) in notices.iter().zip(starts) {
        let omissions = vec![omission(notice.participation.0, None, None, Reason::Quarantined)];
        let changes = vec![Change::Add(notice.clone())];
        let session = WalkedSession { start: minute(start), omissions, ..walked(notice.session.0, "first", changes) };
        store.outbox.apply(walk(vec![session])).await.unwrap();
        let claim = store.doubt_one(0).await;
        let end = if notice.session == SessionId(2) { unknown(Some(90)) } else { accepted() };
        assert!(store.settle(1, &claim, end).await);
    }
    notices
}

pub(crate) async fn contents_are_purged_and_the_rest_stays(store: Store) {
    let notices = three_sessions(&store).await;
    assert_eq!(
        store.outbox.purge(minute(500), retention(100, LONG_AGO)).await.unwrap(),
        Purged::default(),
        "a start at that very time stays"
    );
    let before = store.ledger().await.len();
    let purged = store.outbox.purge(minute(500), retention(101, LONG_AGO)).await.unwrap();
    assert_eq!(purged, Purged { contents: 1, records: 1, ..Purged::default() });
    assert_eq!(store.outbox.purge(minute(501), retention(101, LONG_AGO)).await.unwrap(), Purged::default());

    let kept = [false, true, true];
    for (notice, kept) in notices.iter().zip(kept) {
        let (deliveries, frozen) = store.outbox.deliveries(notice.key).await.unwrap();
        assert_eq!((deliveries.len(), frozen.is_some()), (1, kept), "what may still be sent, and what is to come, stays");
    }
    let sessions: Vec<_> = store.outbox.sessions("clinic", None).await.unwrap().iter().map(|s| s.id.0).collect();
    assert_eq!(sessions, [2, 3]);
    assert_eq!(store.outbox.seen("clinic").await.unwrap().unwrap().sessions.len(), 3, "a source that still lists it says nothing new");
    assert_eq!(store.all().await.len(), 3);
    let rows = store.ledger().await;
    assert_eq!(rows.len(), before + 1);
    assert_eq!(rows[before].detail.as_deref(), Some("1 messages, 1 session records, 0 notices, 0 ledger rows"));
}

pub(crate) async fn history_is_purged_after_its_time(store: Store) {
    let [gone, pending, future] = three_sessions(&store).await;
    let before = store.ledger().await;
    let purged = store.outbox.purge(minute(500), retention(0, 101)).await.unwrap();
    assert_eq!((purged.contents, purged.records, purged.notices), (1, 1, 1));
    // (What was crossed is told by the store's own clock, which is not that of the fixtures: a ledger goes up to the first row that stays.)
    assert_eq!(purged.ledger_rows, before.iter().take_while(|row| row.event != "doubted").count() as u64);
    let keys: Vec<_> = store.all().await.iter().map(|e| e.notice.key).collect();
    assert!(!keys.contains(&gone.key) && keys.contains(&pending.key) && keys.contains(&future.key));
    assert!(store.outbox.deliveries(gone.key).await.unwrap().0.is_empty());
    assert!(store.outbox.known("clinic", &[SessionId(1)]).await.unwrap().is_empty());
    assert_eq!(store.outbox.omissions(&Filter::default()).await.unwrap().len(), 2);
    assert_eq!(store.outbox.seen("clinic").await.unwrap().unwrap().sessions.len(), 2);
    let rows = store.outbox.ledger(None, 0, usize::MAX).await.unwrap();
    let last = rows.last().unwrap();
    assert_eq!(last.event, "purged");
    assert!(
        before.iter().all(|row| row.place < last.place && (row.chain_id.is_some() || row.seq < last.seq)),
        "numbers are not used again"
    );
    // (Of the first chain, or the only one.)
    let checkpoint = rows.iter().rfind(|row| row.event == "checkpoint" && row.chain_id.is_none()).unwrap();
    let gone = before[..purged.ledger_rows as usize].iter().rfind(|row| row.chain_id.is_none()).unwrap();
    let expected = format!("{}:{}", gone.seq, gone.chain.unwrap());
    assert_eq!(checkpoint.detail.as_deref(), Some(expected.as_str()));
    assert_eq!(rows[0].seq, gone.seq + 1);
    let verified = store.outbox.verify_ledger(None).await.unwrap();
    assert_eq!((verified.pruned_to, verified.rows, verified.findings), (gone.seq, rows.len() as u64, Vec::new()));
    // What is left goes its way.
    assert_eq!(store.claim_one(600).await.entry.notice.key, pending.key);
}

pub(crate) async fn a_purge_is_complete_however_much_there_is(store: Store) {
    let many: Vec<Notice> = (1..=600).map(|n| Notice { start: minute(100), ..notice(n, Occasion::Invite, 0) }).collect();
    let session = |n: &Notice, change| WalkedSession { start: minute(100), ..walked(n.session.0, "first", vec![change]) };
    store.outbox.apply(walk(many.iter().map(|n| session(n, Change::Add(n.clone()))).collect())).await.unwrap();
    let end = |n: &Notice| Change::End { key: n.key, state: State::Lapsed, reason: Reason::Lapsed };
    store.outbox.apply(walk(many.iter().map(|n| session(n, end(n))).collect())).await.unwrap();
    let expected = Purged { contents: 0, records: 600, notices: 600, ledger_rows: 1_200 };
    assert_eq!(store.outbox.purge(minute(500), retention(0, 101)).await.unwrap(), expected);
    assert!(store.all().await.is_empty() && store.outbox.seen("clinic").await.unwrap().unwrap().sessions.is_empty());
}

pub(crate) async fn the_ledger_is_read_in_parts(store: Store) {
    three_sessions(&store).await;
    let all = store.ledger().await;
    let one = store.outbox.ledger(Some(SessionId(1)), 0, 100).await.unwrap();
    assert_eq!(one, all.iter().filter(|r| r.session_id == Some(SessionId(1))).cloned().collect::<Vec<_>>());
    assert_eq!(one.len(), 5, "added, claimed, begun, doubted, settled");
    assert_eq!(store.outbox.ledger(None, all[3].place, 2).await.unwrap(), all[4..6]);
    assert_eq!(store.outbox.ledger(Some(SessionId(1)), one[3].place, 100).await.unwrap(), one[4..]);
}
