use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::contact::Channel;
use crate::entry::{Entry, State};
use crate::notice::Occasion;
use crate::outbox::memory::MemoryOutbox;
use crate::outbox::{Attempts, Begin, ClaimRequest, Filter, Queries, Settlement, Walks};
use crate::source::json;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-{text}Z").parse().unwrap()
}

fn snapshot(kind: &str, start: &str, code: u32) -> Snapshot {
    let body = format!(
        r#"[{{"SessionId":1,"ScheduleTs":"2026-11-{start}","ScheduleType":"{kind}","Participants":[
             {{"ParticipationId":10,"ShouldAutoDeliverCode":"N"}},
             {{"ParticipationId":11,"ShouldAutoDeliverCode":"E","ParticipantEmailAddress":"ray@example.com",
               "ParticipantTimeZoneWindowsId":"America/New_York","ConnectCode":{code}}}]}}]"#
    );
    let mut snapshot = json::parse(body.as_bytes()).unwrap();
    ambiguity::mark(&mut snapshot, at("24T00:00:00"));
    snapshot
}

fn policy() -> Policy {
    let configured = "[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = true\n";
    crate::config::parse(configured, None, &[]).unwrap().policy
}

/// Hands over what is due: from the claim to the server's word.
async fn hand_over(outbox: &MemoryOutbox, now: DateTime<Utc>) {
    let request = ClaimRequest { owner: "one".to_owned(), now, channel: Channel::Email, lease: TimeDelta::minutes(5), limit: 10 };
    for claim in outbox.claim(request).await.unwrap() {
        let lease = claim.lease();
        let begin = Begin {
            lease,
            revision: claim.revision,
            facts: claim.known.facts.clone(),
            at: now,
            transport: "scripted".to_owned(),
            bytes: Arc::from(&b"bytes"[..]),
        };
        assert_eq!(outbox.begin(vec![begin]).await.unwrap(), [true]);
        assert!(outbox.doubt(lease, claim.revision, TimeDelta::zero()).await.unwrap());
        let accepted = Settlement::Accepted { reply: "250 ok".to_owned(), reference: None };
        assert_eq!(outbox.settle(now, vec![(lease, accepted)]).await.unwrap(), [true]);
    }
}

/// The invite goes from its claim to the server's word between a walk's read and its apply: whoever has it is told of the change.
#[tokio::test]
async fn what_goes_out_while_a_walk_is_planned_is_corrected() {
    let policy = policy();
    for (what, then, expected) in [
        ("cancelled", snapshot("Cancelled", "26T15:00:00", 701_678_455), Occasion::Cancelled),
        ("moved", snapshot("", "27T15:00:00", 701_678_455), Occasion::Rescheduled),
        ("another code", snapshot("", "26T15:00:00", 701_678_456), Occasion::Updated),
    ] {
        let outbox = MemoryOutbox::new([7; 32]);
        let (booked, now) = (at("24T09:00:00"), at("24T09:05:00"));
        outbox.set_clock(now);
        walk(&outbox, "clinic", &snapshot("", "26T15:00:00", 701_678_455), &policy, booked).await.unwrap();
        let mut elsewhere = Elsewhere::default();
        let planned = plan(&outbox, &mut elsewhere, ("clinic", &then), &policy, now).await.unwrap();
        hand_over(&outbox, now).await;
        planned.apply(&outbox, &mut elsewhere, &|_| {}).await.unwrap();
        let all: Vec<Entry> = outbox.list(&Filter::default()).await.unwrap();
        let of = |occasion: Occasion| all.iter().filter(|e| e.notice.occasion == occasion).map(|e| e.state).collect::<Vec<_>>();
        assert_eq!((of(Occasion::Invite), of(expected)), (vec![State::Accepted], vec![State::Waiting]), "{what}");
    }
}

/// So many sessions, the later ones first: of each a host who gets nothing, and somebody who is told.
fn list(sessions: usize, first_code: usize) -> Snapshot {
    let session = |n: usize| {
        format!(
            r#"{{"SessionId":{n},"ScheduleTs":"2026-11-{}T15:00:00","Participants":[{{"ParticipationId":{},"ShouldAutoDeliverCode":"N"}},
                 {{"ParticipationId":{},"ShouldAutoDeliverCode":"E","ParticipantEmailAddress":"p{n}@example.com",
                   "ParticipantTimeZoneWindowsId":"America/New_York","ConnectCode":{}}}]}}"#,
            29 - n % 4,
            10_000 + n,
            20_000 + n,
            if n == 1 { first_code } else { 300_000 + n }
        )
    };
    let all: Vec<String> = (1..=sessions).map(session).collect();
    let mut snapshot = json::parse(format!("[{}]", all.join(",")).as_bytes()).unwrap();
    ambiguity::mark(&mut snapshot, at("24T00:00:00"));
    snapshot
}

/// All that a walk leaves behind, whatever its order.
async fn left_behind(outbox: &MemoryOutbox) -> String {
    let mut notices: Vec<String> = outbox.list(&Filter::default()).await.unwrap().iter().map(|e| format!("{e:?}")).collect();
    let mut left_out: Vec<String> = outbox.omissions(&Filter::default()).await.unwrap().iter().map(|o| format!("{o:?}")).collect();
    notices.sort();
    left_out.sort();
    let mut seen = outbox.seen("clinic").await.unwrap().unwrap();
    let mut sessions: Vec<String> = seen.sessions.drain().map(|(id, s)| format!("{id} {s:?}")).collect();
    sessions.sort();
    format!("{notices:#?} {left_out:#?} {seen:?} {sessions:#?}")
}

#[tokio::test]
async fn a_list_of_new_sessions_is_cut_off_between_its_parts_and_completed_by_the_next_walk() {
    let (list, booked) = (list(300, 300_001), at("24T09:00:00"));
    let adopts = |invites: bool| {
        let configured = format!("[practice]\nname = \"Lakeside\"\n[adopt]\ninvites = {invites}\n");
        crate::config::parse(&configured, None, &[]).unwrap().policy
    };
    for policy in [adopts(true), adopts(false)] {
        let (whole, parts) = (MemoryOutbox::new([7; 32]), AtomicUsize::new(0));
        let mut elsewhere = Elsewhere::default();
        let told = |what: WalkProgress<'_>| {
            parts.fetch_add(usize::from(matches!(what, WalkProgress::Part)), Ordering::Relaxed);
        };
        let report = walk_with_progress(&whole, &mut elsewhere, ("clinic", &list), (&policy, booked), &told).await.unwrap();
        assert_eq!((report.planned, parts.into_inner()), (300, 2), "64, 128, and the rest");
        let expected = left_behind(&whole).await;
        for cut_after in 1..=2 {
            let (cut, parts, is_over) = (MemoryOutbox::new([7; 32]), AtomicUsize::new(0), Notify::new());
            let told = |what: WalkProgress<'_>| {
                if matches!(what, WalkProgress::Part) && parts.fetch_add(1, Ordering::Relaxed) + 1 == cut_after {
                    is_over.notify_one();
                }
            };
            let mut elsewhere = Elsewhere::default();
            tokio::select! {
                biased;
                () = is_over.notified() => {}
                _ = walk_with_progress(&cut, &mut elsewhere, ("clinic", &list), (&policy, booked), &told) => panic!("it was not cut off"),
            }
            let seen = cut.seen("clinic").await.unwrap().unwrap();
            assert_eq!((seen.sessions.len(), seen.filled, seen.whole_at), (FIRST_PART * (2 * cut_after - 1), false, None));
            let first = cut.list(&Filter::default()).await.unwrap().iter().map(|e| e.notice.start).max();
            let next = list.sessions.iter().filter(|s| !seen.sessions.contains_key(&s.id)).map(|s| s.start).min();
            assert!(first <= next, "the soonest are the first");
            walk(&cut, "clinic", &list, &policy, booked).await.unwrap();
            assert_eq!(left_behind(&cut).await, expected);
        }
    }
}

/// What is in force changes at once, or not at all.
#[tokio::test]
async fn a_list_that_changes_what_was_there_is_applied_whole() {
    let (outbox, mut elsewhere, policy) = (MemoryOutbox::new([7; 32]), Elsewhere::default(), policy());
    let told = |what: WalkProgress<'_>| assert!(matches!(what, WalkProgress::Listed(_)), "a part of it was written");
    for (now, code) in [(at("24T09:00:00"), 300_001), (at("24T09:05:00"), 300_999)] {
        let sessions = if code == 300_999 { 200 } else { 1 };
        let report = walk_with_progress(&outbox, &mut elsewhere, ("clinic", &list(sessions, code)), (&policy, now), &told).await.unwrap();
        assert_eq!(report.planned, sessions);
    }
}
