//! Refusals, and what a whole channel makes of them: one recipient stops nobody, what is about us is nobody's fault, and what is believed can be
//! taken back. With relays that answer each recipient by itself.

use std::sync::Mutex;

use punctual::contact::{Address, EmailAddress};
use punctual::entry::Entry;
use punctual::known::resend::Resent;
use punctual::outcome::ASK_ANOTHER;
use punctual::suppression::Suppression;

use super::*;
use crate::transport::accepted;

/// What a relay says of a recipient.
type Says = fn(&str) -> Outcome;

fn nobody(to: &str) -> Outcome {
    Outcome::Rejected {
        reply: format!("RCPT: 550 5.1.1 {} in our table", to.replace(to, "(address)")),
        remember: Some(Suppression::Bounced),
    }
}

fn disliked(_: &str) -> Outcome {
    Outcome::ChannelFault { why: "RCPT: 550 Sender rejected".to_owned(), after: Some(ASK_ANOTHER) }
}

/// Refusals come before the message, the rest behind it.
fn answer(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Accepted { .. } | Outcome::Unknown { .. } => Answer::Behind(outcome),
        _ => Answer::Before(outcome),
    }
}

fn local_part(to: &str) -> &str {
    to.split('@').next().unwrap_or_default()
}

fn picky(name: &'static str, connections: usize, says: Says) -> Arc<ScriptedTransport> {
    ScriptedTransport::by_recipient(name, connections, move |to| answer(says(local_part(to))))
}

fn now_says(relay: &ScriptedTransport, says: Says) {
    relay.answers_each(move |to| answer(says(local_part(to))));
}

/// Whom it was asked for, since the last look.
fn asked(relay: &ScriptedTransport) -> Vec<String> {
    relay.take_asked().iter().map(|asked| local_part(&asked.to).to_owned()).collect()
}

fn over(relays: &[&Arc<ScriptedTransport>]) -> Arc<Lane> {
    let relays = relays.iter().map(|&relay| (Arc::clone(relay) as Arc<dyn Transport>).into()).collect();
    Arc::new(Lane::new(Channel::Email, DoubtPolicy::Resend, relays))
}

impl Practice {
    async fn suppressed(&self) -> usize {
        self.dispatcher.outbox.suppressed().await.unwrap().len()
    }

    async fn later(&self, now: &str, lane: &Arc<Lane>) -> Tally {
        self.set(at(now));
        self.once(lane).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_recipient_never_stops_the_others() {
    for connections in [1, 4] {
        for bad in [disliked as Says, |_| Outcome::Rejected { reply: "RCPT: 550 5.5.0 mailbox unavailable".to_owned(), remember: None }] {
            let practice = Practice::new(Some(at(NOW)));
            practice.walk(&due(11, "E", at(NOW))).await;
            // p11 is the most urgent: it asks first.
            static BAD: Mutex<Says> = Mutex::new(disliked);
            *BAD.lock().unwrap() = bad;
            let relay = picky("relay", connections, |to| if to == "p11" { BAD.lock().unwrap()(to) } else { accepted() });
            let lane = over(&[&relay]);
            assert_eq!(practice.once(&lane).await.accepted, 10, "{connections} connections");
            assert!(!lane.is_closed(at(NOW)), "it does not pause");
            asked(&relay);
            // It asks again by itself, stops nobody, and nobody waits for it.
            for later in ["2026-11-24T12:01:00Z", "2026-11-24T12:05:00Z"] {
                practice.later(later, &lane).await;
                assert!(!lane.is_closed(at(later)), "it is the only one that asks, and no probe for others");
            }
        }
    }
}

/// A relay puts the last one off that waits for it, whom nobody else follows; each look is by a process of its own, or by one that runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_put_off_again_and_again_goes_over_the_second_relay() {
    let later: Says = |_| Outcome::Retry { why: "451 4.3.0 Error: queue file write error".to_owned(), after: None };
    for (people, restarts) in [(1, true), (1, false), (6, true), (6, false)] {
        for (second, goes) in [((|_| accepted()) as Says, true), (later, false)] {
            let practice = Practice::new(Some(at(NOW)));
            practice.walk(&due(people, "E", at(NOW))).await;
            let (first, other) = (picky("first", 1, later), picky("other", 1, second));
            let mut lane = over(&[&first, &other]);
            practice.once(&lane).await;
            for minute in ["12:01", "12:03", "12:06", "12:10", "12:14"] {
                if restarts {
                    lane = over(&[&first, &other]);
                }
                practice.later(&format!("2026-11-24T{minute}:00Z"), &lane).await;
            }
            let (accepted, waiting) = (practice.count(State::Accepted).await, practice.count(State::Waiting).await);
            let all = people as usize;
            assert_eq!((accepted, waiting), if goes { (all, 0) } else { (0, all) }, "{people}, restarts: {restarts}, goes: {goes}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_to_another_message_pauses_the_channel_and_probes_rotate() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(8, "E", at(NOW))).await;
    let relay = picky("relay", 1, disliked);
    let lane = over(&[&relay]);
    practice.once(&lane).await;
    let met = asked(&relay);
    assert_eq!(met.len(), 2, "the second one shows that it is no fault of the first");
    assert!(lane.is_closed(at(NOW)));
    practice.later("2026-11-24T12:00:30Z", &lane).await;
    let probe = asked(&relay);
    assert!(probe.len() == 1 && !met.contains(&probe[0]), "a probe is another one than those that failed: {probe:?} after {met:?}");
    practice.later("2026-11-24T12:01:30Z", &lane).await;
    assert_eq!(asked(&relay).len(), 1);
    assert_eq!((practice.count(State::Waiting).await, practice.suppressed().await), (8, 0));
    now_says(&relay, |_| accepted());
    assert_eq!(practice.later("2026-11-24T12:06:00Z", &lane).await.accepted, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_us_after_the_dot_goes_to_the_next_relay_at_once() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(5, "E", at(NOW))).await;
    let first = ScriptedTransport::by_recipient("first", 2, |to| Answer::Behind(disliked(to)));
    let second = picky("second", 2, |_| accepted());
    assert_eq!(practice.once(&over(&[&first, &second])).await.accepted, 5);
    for entry in practice.dispatcher.outbox.list(&Filter::default()).await.unwrap() {
        let (deliveries, _) = practice.dispatcher.outbox.deliveries(entry.notice.key).await.unwrap();
        assert_eq!(deliveries.iter().map(|d| d.transport.as_deref()).collect::<Vec<_>>(), [Some("second")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_refused_in_the_same_words_are_about_us() {
    for connections in [1, 4, 16] {
        for says in [nobody as Says, |_| Outcome::Rejected { reply: "after the body: 550 Not today".to_owned(), remember: None }] {
            let practice = Practice::new(Some(at(NOW)));
            practice.walk(&due(8, "E", at(NOW))).await;
            let relay = picky("relay", connections, says);
            let lane = over(&[&relay]);
            practice.once(&lane).await;
            assert_eq!((practice.suppressed().await, practice.count(State::Waiting).await), (0, 8), "{connections} connections");
            assert!(lane.is_closed(at(NOW)), "it pauses");
            now_says(&relay, |_| accepted());
            assert_eq!(practice.later("2026-11-24T12:02:00Z", &lane).await.accepted, 8, "once it is mended, all go");

            let practice = Practice::new(Some(at(NOW)));
            practice.walk(&due(8, "E", at(NOW))).await;
            let relays = (picky("first", connections, says), picky("second", connections, |_| accepted()));
            practice.once(&over(&[&relays.0, &relays.1])).await;
            assert_eq!(
                (practice.suppressed().await, practice.count(State::Accepted).await),
                (0, 8),
                "over the next relay, in the same run"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_eight_who_does_not_exist_is_found_out() {
    for connections in [1, 4] {
        let practice = Practice::new(Some(at(NOW)));
        practice.walk(&due(8, "E", at(NOW))).await;
        let relay = picky("relay", connections, |to| if to == "p3" { nobody(to) } else { accepted() });
        assert_eq!(practice.once(&over(&[&relay])).await.accepted, 7);
        assert_eq!((practice.suppressed().await, practice.count(State::Rejected).await), (1, 1));
    }
}

/// Two mailboxes that do not exist, one right after the other: they wait until the relay has accepted somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn two_in_a_row_who_do_not_exist_are_found_out_when_another_is_accepted() {
    let practice = Practice::new(Some(at(NOW)));
    // Who is there stays where they are.
    let people = |count| due(count, "E", at(NOW) + TimeDelta::minutes(30 - count));
    practice.walk(&people(2)).await;
    let relay = picky("relay", 1, |to| if ["p1", "p2"].contains(&to) { nobody(to) } else { accepted() });
    let lane = over(&[&relay]);
    practice.once(&lane).await;
    assert_eq!((practice.suppressed().await, practice.count(State::Waiting).await), (0, 2), "they wait");
    assert!(!lane.is_closed(at(NOW)), "and keep nobody waiting");
    practice.walk(&people(8)).await;
    assert_eq!(practice.later("2026-11-24T12:00:10Z", &lane).await.accepted, 6, "the others go");
    practice.later("2026-11-24T12:02:00Z", &lane).await;
    assert_eq!((practice.suppressed().await, practice.count(State::Rejected).await), (2, 2), "these are believed by now");
}

/// `run --once` from a timer: each run is a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_before_a_restart_is_remembered() {
    let practice = Practice::new(Some(at(NOW)));
    let relay = picky("relay", 1, nobody);
    // Who is there stays where they are.
    let people = |count| due(count, "E", at(NOW) + TimeDelta::minutes(30 - count));
    practice.walk(&people(1)).await;
    practice.once(&over(&[&relay])).await;
    assert_eq!(practice.suppressed().await, 1, "one alone is believed");
    practice.walk(&people(2)).await;
    practice.later("2026-11-24T12:00:10Z", &over(&[&relay])).await;
    assert_eq!((practice.suppressed().await, practice.count(State::Waiting).await), (0, 2), "the second one is of another process");
    practice.later("2026-11-24T12:02:00Z", &over(&[&relay])).await;
    assert_eq!((practice.suppressed().await, practice.count(State::Waiting).await), (0, 2), "and so is the third run");
    now_says(&relay, |to| if to == "p3" { accepted() } else { nobody(to) });
    practice.walk(&people(3)).await;
    practice.later("2026-11-24T12:06:00Z", &over(&[&relay])).await;
    practice.later("2026-11-24T12:12:00Z", &over(&[&relay])).await;
    assert_eq!((practice.suppressed().await, practice.count(State::Rejected).await), (2, 2), "it accepts others: it means these two");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opt_out_is_never_taken_back() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(4, "E", at(NOW))).await;
    let stopped = |_: &str| Outcome::Rejected { reply: "400 21610".to_owned(), remember: Some(Suppression::OptedOut) };
    practice.once(&over(&[&picky("relay", 1, stopped)])).await;
    assert_eq!((practice.suppressed().await, practice.count(State::Rejected).await), (4, 4));
}

impl Practice {
    async fn resend(&self, key: NoticeKey, to: Option<&str>) -> Resent {
        let to = to.map(|to| Address::Email(EmailAddress::parse(to).unwrap()));
        self.dispatcher.outbox.resend(None, &[key], to.as_ref(), self.clock.now()).await.unwrap()[0]
    }

    async fn invite(&self) -> Entry {
        let first = self.dispatcher.outbox.list(&Filter::default()).await.unwrap().into_iter().find(|e| e.notice.rule.is_none());
        first.expect("somebody is invited")
    }
}

/// After the mend staff hand it over again: a message of its own, made anew, under every check.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_is_handed_over_again() {
    let practice = Practice::new(Some(at(NOW)));
    let mut sessions = due(1, "E", at(NOW));
    practice.walk(&sessions).await;
    let relay = picky("relay", 1, |_| Outcome::Rejected { reply: "after the body: 554 content".to_owned(), remember: None });
    let lane = over(&[&relay]);
    practice.once(&lane).await;
    let key = practice.invite().await.notice.key;
    now_says(&relay, |_| accepted());
    assert!(matches!(practice.resend(key, None).await, Resent::As(_)));
    // The planner has no word for it, and does not end it.
    sessions[0]["Remark"] = json!("another record");
    practice.walk(&sessions).await;
    assert_eq!(practice.once(&lane).await.accepted, 1);
    assert_eq!((practice.count(State::Accepted).await, practice.count(State::Rejected).await), (1, 1));
    assert!(matches!(practice.resend(key, None).await, Resent::As(_)), "what was accepted after all, too");
    sessions[0]["ScheduleType"] = json!("Cancelled");
    practice.walk(&sessions).await;
    assert_eq!(practice.once(&lane).await.accepted, 1, "the cancellation");
    assert_eq!(practice.count(State::Cancelled).await, 1, "what holds no more does not go");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_to_another_address_that_takes_mail() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(1, "E", at(NOW))).await;
    let relay = picky("relay", 1, |to| if to == "p1" { nobody(to) } else { accepted() });
    let lane = over(&[&relay]);
    practice.once(&lane).await;
    let key = practice.invite().await.notice.key;
    assert!(matches!(practice.resend(key, None).await, Resent::As(_)));
    assert_eq!(practice.once(&lane).await.accepted, 0);
    assert_eq!((practice.count(State::Suppressed).await, asked(&relay).len()), (1, 1), "its own address is on the list");
    assert!(matches!(practice.resend(key, Some("mother@example.org")).await, Resent::As(_)));
    assert_eq!(practice.once(&lane).await.accepted, 1);
    assert_eq!(asked(&relay), ["mother"]);
}

fn bad_gateway(_: &str) -> Outcome {
    Outcome::Unknown { why: "503".to_owned() }
}

/// What stands before a dead gateway answers in its place: nobody can know that it took nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_leaves_all_in_doubt_risks_a_few_and_no_more() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(12, "E", at(NOW))).await;
    let (first, second) = (picky("first", 1, bad_gateway), picky("second", 1, |_| accepted()));
    first.is_dead(true);
    let lane = over(&[&first, &second]);
    let tally = practice.once(&lane).await;
    assert_eq!((tally.unknown, tally.accepted), (3, 9), "the second takes the others");
    assert_eq!((asked(&first).len(), asked(&second).len()), (3, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_leaves_all_in_doubt_and_is_alone_pauses_and_is_asked_without_a_message() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(12, "E", at(NOW))).await;
    let relay = picky("relay", 1, bad_gateway);
    relay.is_dead(true);
    let lane = over(&[&relay]);
    assert_eq!(practice.once(&lane).await.unknown, 3);
    assert!(lane.is_closed(at(NOW)), "it pauses");
    for now in ["2026-11-24T12:01:00Z", "2026-11-24T12:03:00Z"] {
        assert_eq!(practice.later(now, &lane).await.unknown, 0, "{now}: nothing more is risked");
    }
    assert!(relay.probed() >= 1);
    assert_eq!(asked(&relay).len(), 3);
    // It is mended: what waits goes at once.
    relay.is_dead(false);
    now_says(&relay, |_| accepted());
    let mended = practice.later("2026-11-24T12:09:00Z", &lane).await;
    assert!(mended.accepted >= 9, "{mended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_in_doubt_between_others_are_no_fault_of_the_channel() {
    let practice = Practice::new(Some(at(NOW)));
    practice.walk(&due(12, "E", at(NOW))).await;
    let relay = picky("relay", 1, |to| if to.ends_with(['1', '3', '5', '7']) { bad_gateway(to) } else { accepted() });
    let tally = practice.once(&over(&[&relay])).await;
    assert_eq!(tally.unknown + tally.accepted, 12, "{tally:?}");
    assert_eq!(relay.probed(), 0);
}
