use std::sync::Arc;

use super::*;
use crate::contact::Channel;
use crate::entry::Entry;
use crate::outbox::memory::MemoryOutbox;
use crate::outbox::{Attempts, Begin, ClaimRequest, Filter, Lease, Queries, Settlement};
use crate::source::ambiguity;

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
        let lease = Lease { key: claim.entry.notice.key, epoch: claim.epoch };
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
        planned.apply(&outbox, &mut elsewhere).await.unwrap();
        let all: Vec<Entry> = outbox.list(&Filter::default()).await.unwrap();
        let of = |occasion: Occasion| all.iter().filter(|e| e.notice.occasion == occasion).map(|e| e.state).collect::<Vec<_>>();
        assert_eq!((of(Occasion::Invite), of(expected)), (vec![State::Accepted], vec![State::Waiting]), "{what}");
    }
}
