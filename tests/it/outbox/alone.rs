//! What is no notice, and what stores make of it: the letter to the practice, and answers to texts. Their attempts go by the methods of notices'.

use std::sync::Arc;

use chrono::TimeDelta;
use punctual::contact::{Address, PhoneNumber};
use punctual::entry::State;
use punctual::feedback::answer::Answer;
use punctual::feedback::reply::{AcceptedReply, Changes, reply_key};
use punctual::feedback::word::Word;
use punctual::notice::{NoticeKey, Reason};
use punctual::outbox::sqlite::{Access, SqliteOutbox};
use punctual::outbox::{Begin, ClaimAlone, Lease, Outgoing, Recovered, Returned, Settlement, digest_key};

use super::fixture::{Store, accepted, minute, retry, returned, text, unknown};

const BOTH: [Outgoing; 2] = [Outgoing::Letter, Outgoing::Answer];
const MARGIN: TimeDelta = TimeDelta::minutes(1);
/// Until when a letter of minute 0 is of use.
const USEFUL: i64 = 720;

/// Adds one that is due at that minute: to another recipient, of another reply, each time.
async fn waits(store: &Store, kind: Outgoing, at: i64) -> NoticeKey {
    if kind == Outgoing::Letter {
        store.outbox.add_staff_letters(minute(at), minute(at + USEFUL), vec!["front desk".to_owned()]).await.unwrap();
        return digest_key(minute(at), "front desk");
    }
    let (key, from) = (reply_key("twilio", "", &format!("SM{at}")), number(at));
    let answer = Some((Answer::Help, "en".to_owned()));
    let help = AcceptedReply { key, from, word: Word::Help, change: Changes::Nothing, answer, for_staff: None };
    assert!(store.outbox.reply(minute(at), help).await.unwrap());
    key
}

fn number(last: i64) -> PhoneNumber {
    let Address::Sms(number) = text(u32::try_from(last).unwrap()) else { panic!("it is a number") };
    number
}

fn asked(kind: Outgoing, key: NoticeKey, now: i64) -> ClaimAlone {
    ClaimAlone { owner: "one".to_owned(), now: minute(now), kind, key, lease: TimeDelta::minutes(30) }
}

fn begin(lease: Lease, at: i64) -> Begin {
    Begin::alone(lease, "folder".to_owned(), minute(at))
}

fn ended(state: State) -> Settlement {
    Settlement::Ended { state, reason: Reason::Outdated }
}

impl Store {
    async fn claim_alone(&self, kind: Outgoing, key: NoticeKey, now: i64) -> Option<Lease> {
        self.outbox.claim_alone(asked(kind, key, now)).await.unwrap()
    }

    async fn settle_alone(&self, lease: Lease, end: Settlement) -> bool {
        self.outbox.settle(minute(3), vec![(lease, end)]).await.unwrap()[0]
    }

    /// What the ledger tells of them.
    async fn told(&self) -> Vec<String> {
        let rows = self.ledger().await;
        rows.into_iter().filter(|row| matches!(row.event.as_str(), "staff_letter" | "answer")).filter_map(|row| row.detail).collect()
    }

    /// Whether it waits.
    async fn still_waits(&self, kind: Outgoing, key: NoticeKey, at: i64) -> bool {
        if kind == Outgoing::Answer {
            return self.outbox.waiting_answers().await.unwrap().iter().any(|waiting| waiting.key == key);
        }
        self.letter(at).await.0 == State::Waiting
    }

    /// Its state, and attempts begun.
    async fn letter(&self, at: i64) -> (State, u32) {
        let letters = self.outbox.staff_letters(minute(at)).await.unwrap();
        assert_eq!(letters.len(), 1);
        (letters[0].state, letters[0].attempts)
    }
}

/// `of {time}: {word}`, or `help: {word}`.
fn words(kind: Outgoing, at: i64, all: &[&str]) -> Vec<String> {
    let of = if kind == Outgoing::Letter { format!("of {}", minute(at).format("%Y-%m-%dT%H:%M:%SZ")) } else { "help".to_owned() };
    all.iter().map(|word| format!("{of}: {word}")).collect()
}

pub(super) async fn a_letter_is_added_once(store: Store) {
    let add = async |to: &[&str]| {
        let to = to.iter().map(|to| (*to).to_owned()).collect();
        store.outbox.add_staff_letters(minute(0), minute(USEFUL), to).await.unwrap();
    };
    add(&["b", "a"]).await;
    let key = digest_key(minute(0), "a");
    let lease = store.claim_alone(Outgoing::Letter, key, 0).await.unwrap();
    assert!(store.settle_alone(lease, accepted()).await);
    add(&["a", "c"]).await;
    let letters = store.outbox.staff_letters(minute(0)).await.unwrap();
    let found: Vec<_> = letters.iter().map(|l| (l.recipient.as_str(), l.state, l.next_attempt_at)).collect();
    let waits = |to| (to, State::Waiting, Some(minute(0)));
    assert_eq!(found, [("a", State::Accepted, None), waits("b"), waits("c")]);
    assert_eq!((letters[0].key, letters[0].scheduled_at), (key, minute(0)));
    assert!(store.outbox.staff_letters(minute(1)).await.unwrap().is_empty());
    assert_eq!(store.told().await, words(Outgoing::Letter, 0, &["accepted"]), "what waits is nothing that happened");
}

pub(super) async fn a_letter_and_an_answer_are_claimed_once(store: Store) {
    for (kind, other) in [(Outgoing::Letter, Outgoing::Answer), (Outgoing::Answer, Outgoing::Letter)] {
        let key = waits(&store, kind, 5).await;
        assert_eq!(store.claim_alone(kind, key, 4).await, None, "it is not due");
        assert_eq!(store.claim_alone(other, key, 5).await, None, "it is none of those");
        assert_eq!(store.claim_alone(kind, digest_key(minute(9), "nobody"), 5).await, None);
        let first = store.claim_alone(kind, key, 5).await.unwrap();
        assert_eq!((first.kind, first.key), (kind, key));
        let by_another = ClaimAlone { owner: "two".to_owned(), ..asked(kind, key, 6) };
        assert_eq!(store.outbox.claim_alone(by_another).await.unwrap(), None);
        assert!(!store.still_waits(kind, key, 5).await);
        // Its owner may have missed the answer; then the claim is another one.
        let again = store.claim_alone(kind, key, 6).await.unwrap();
        assert!(again.epoch > first.epoch);
        assert!(!store.outbox.take(begin(first, 6), MARGIN).await.unwrap());
        assert!(store.outbox.take(begin(again, 6), MARGIN).await.unwrap());
        assert_eq!(store.claim_alone(kind, key, 7).await, None, "it has left");
        assert!(!store.outbox.take(begin(again, 7), MARGIN).await.unwrap(), "once");
    }
    assert_eq!(store.claim(1_000).await.len(), 0, "they are no notices");
    assert_eq!(store.all().await.len(), 0);
}

/// What the gateway did not take is no answer: whoever asks again is answered again.
pub(super) async fn an_answer_that_was_not_taken_is_none(store: Store) {
    let ask = async |id: &str, at: i64| {
        let (key, answer) = (reply_key("twilio", "", id), Some((Answer::Help, "en".to_owned())));
        let help = AcceptedReply { key, from: number(1), word: Word::Help, change: Changes::Nothing, answer, for_staff: None };
        assert!(store.outbox.reply(minute(at), help).await.unwrap());
        store.outbox.waiting_answers().await.unwrap().into_iter().map(|waiting| waiting.key).collect::<Vec<_>>()
    };
    let first = ask("SM1", 1).await;
    assert_eq!(first.len(), 1);
    let lease = store.claim_alone(Outgoing::Answer, first[0], 2).await.unwrap();
    assert!(store.outbox.take(begin(lease, 2), MARGIN).await.unwrap());
    assert!(store.settle_alone(lease, retry(3)).await);
    assert!(!store.still_waits(Outgoing::Answer, first[0], 3).await, "it left, and does not go by itself");
    let second = ask("SM2", 4).await;
    assert_eq!(second, [reply_key("twilio", "", "SM2")]);
    assert_eq!(ask("SM3", 5).await, second, "one at a time");
}

/// The steps until somebody dies; whether it may have left by then.
const DEATHS: [(&[&str], bool); 7] = [
    (&[], false),
    (&["begin"], false),
    (&["begin", "doubt"], true),
    (&["take"], true),
    (&["take", "over"], false),
    (&["take", "over", "doubt"], true),
    (&["begin", "over"], false),
];

pub(super) async fn whoever_dies_between_two_steps_leaves_it_to_the_next(store: Store) {
    for (at, (kind, (steps, left))) in (0..).zip(BOTH.into_iter().flat_map(|kind| DEATHS.map(|death| (kind, death)))) {
        let key = waits(&store, kind, at).await;
        let lease = store.claim_alone(kind, key, at).await.unwrap();
        for step in steps {
            let done = match *step {
                "begin" => store.outbox.begin(vec![begin(lease, at)]).await.unwrap()[0],
                "doubt" => store.outbox.doubt(lease, 0, MARGIN).await.unwrap(),
                "take" => store.outbox.take(begin(lease, at), MARGIN).await.unwrap(),
                _ => store.outbox.reroute(lease, "second").await.unwrap(),
            };
            assert!(done, "{kind:?} {steps:?}: {step}");
        }
        assert_eq!(store.outbox.recover("two", minute(at), false).await.unwrap(), Recovered::default(), "its lease runs");
        let before = store.told().await.len();
        let found = store.outbox.recover("two", minute(at), true).await.unwrap();
        assert_eq!(found, Recovered { returned: usize::from(!left), in_doubt: vec![] }, "{kind:?} {steps:?}");
        assert_eq!(store.told().await.len(), before, "nothing became of it");
        assert_eq!(store.still_waits(kind, key, at).await, !left, "{kind:?} {steps:?}");
        if kind == Outgoing::Letter {
            let state = if left { State::Unknown } else { State::Waiting };
            assert_eq!(store.letter(at).await, (state, u32::from(!steps.is_empty())), "{steps:?}");
        }
        // Who was taken for dead has no say any more.
        assert!(!store.outbox.begin(vec![begin(lease, at)]).await.unwrap()[0]);
        assert!(!store.outbox.take(begin(lease, at), MARGIN).await.unwrap());
        assert!(!store.outbox.doubt(lease, 0, MARGIN).await.unwrap());
        assert!(!store.outbox.reroute(lease, "third").await.unwrap());
        assert!(!store.settle_alone(lease, accepted()).await);
        let next = store.outbox.claim_alone(ClaimAlone { owner: "two".to_owned(), ..asked(kind, key, at) }).await.unwrap();
        assert_eq!(next.is_none(), left, "what may have left never goes again by itself: {kind:?} {steps:?}");
        if let Some(next) = next {
            assert!(store.outbox.take(begin(next, at), MARGIN).await.unwrap());
            assert!(store.settle_alone(next, accepted()).await);
        }
    }
    assert_eq!(store.outbox.recover("three", minute(99), true).await.unwrap(), Recovered::default(), "that is for good");
}

pub(super) async fn an_end_is_an_end(store: Store) {
    let rejected = || Settlement::Rejected { reply: "550 no".to_owned(), remember: None };
    let ends = [
        (accepted(), State::Accepted, "accepted", "accepted"),
        (rejected(), State::Rejected, "rejected", "rejected"),
        // Never again by itself, whatever is asked for.
        (unknown(Some(5)), State::Unknown, "", "unknown"),
        (ended(State::Cancelled), State::Cancelled, "empty", "cancelled"),
        (ended(State::Lapsed), State::Lapsed, "lapsed", "lapsed"),
        (ended(State::Suppressed), State::Suppressed, "suppressed", "suppressed"),
    ];
    for (at, (kind, (end, state, of_letter, of_answer))) in (0..).zip(BOTH.into_iter().flat_map(|kind| ends.clone().map(|end| (kind, end))))
    {
        let key = waits(&store, kind, at).await;
        let lease = store.claim_alone(kind, key, at).await.unwrap();
        let before = store.told().await.len();
        let leaves = !matches!(end, Settlement::Ended { .. });
        if leaves {
            assert!(store.outbox.take(begin(lease, at), MARGIN).await.unwrap());
        }
        assert!(store.settle_alone(lease, end.clone()).await);
        let mut told = if kind == Outgoing::Letter && leaves { vec!["doubt"] } else { Vec::new() };
        told.extend(Some(if kind == Outgoing::Letter { of_letter } else { of_answer }).filter(|word| !word.is_empty()));
        assert_eq!(store.told().await[before..], words(kind, at, &told), "{end:?}");
        for again in [end, accepted(), retry(at)] {
            assert!(!store.settle_alone(lease, again).await, "once");
        }
        assert_eq!(store.told().await.len(), before + told.len());
        assert!(store.claim_alone(kind, key, 500).await.is_none());
        if kind == Outgoing::Letter {
            assert_eq!(store.letter(at).await, (state, u32::from(leaves)));
        }
    }
    assert_eq!(store.outbox.waiting_answers().await.unwrap(), []);
}

pub(super) async fn a_letter_goes_again_and_an_answer_does_not(store: Store) {
    for (kind, left, again) in
        [(Outgoing::Letter, true, true), (Outgoing::Letter, false, true), (Outgoing::Answer, true, false), (Outgoing::Answer, false, true)]
    {
        let at = i64::from(left);
        let key = waits(&store, kind, at).await;
        let lease = store.claim_alone(kind, key, at).await.unwrap();
        let before = store.told().await.len();
        let did = if left {
            store.outbox.take(begin(lease, at), MARGIN).await.unwrap()
        } else {
            store.outbox.begin(vec![begin(lease, at)]).await.unwrap()[0]
        };
        assert!(did && store.settle_alone(lease, retry(10)).await);
        let told: &[&str] = match (kind, left) {
            (Outgoing::Letter, true) => &["doubt", "open"],
            (Outgoing::Letter, false) => &["open"],
            (_, true) => &["not taken"],
            (_, false) => &[],
        };
        assert_eq!(store.told().await[before..], words(kind, at, told), "{kind:?}");
        assert_eq!(store.claim_alone(kind, key, 9).await, None, "not yet");
        let lease = store.claim_alone(kind, key, 10).await;
        assert_eq!(lease.is_some(), again, "{kind:?} {left}");
        let Some(lease) = lease else { continue };
        // It was not sent, and that counts for nothing.
        assert!(store.outbox.begin(vec![begin(lease, 10)]).await.unwrap()[0]);
        assert!(store.settle_alone(lease, returned(Returned::Fenced, 11)).await);
        if kind == Outgoing::Letter {
            assert_eq!(store.letter(at).await, (State::Waiting, 1));
        }
        let lease = store.claim_alone(kind, key, 11).await.unwrap();
        assert!(store.outbox.take(begin(lease, 11), MARGIN).await.unwrap());
        assert!(store.settle_alone(lease, accepted()).await);
    }
}

pub(super) async fn a_letter_goes_over_another_transport(store: Store) {
    let key = waits(&store, Outgoing::Letter, 0).await;
    let lease = store.claim_alone(Outgoing::Letter, key, 0).await.unwrap();
    assert!(!store.outbox.reroute(lease, "second").await.unwrap(), "it has not begun");
    assert!(store.outbox.take(begin(lease, 0), MARGIN).await.unwrap());
    assert!(store.outbox.reroute(lease, "second").await.unwrap());
    assert!(store.outbox.doubt(lease, 0, MARGIN).await.unwrap());
    assert!(!store.outbox.doubt(lease, 0, MARGIN).await.unwrap(), "once over each");
    assert!(store.settle_alone(lease, accepted()).await);
    assert_eq!(store.letter(0).await, (State::Accepted, 1));
    assert_eq!(store.told().await, words(Outgoing::Letter, 0, &["doubt", "open", "doubt", "accepted"]));
}

pub(super) async fn what_is_alone_needs_its_lease(store: Store) {
    for kind in BOTH {
        let key = waits(&store, kind, 0).await;
        let lease = store.claim_alone(kind, key, 0).await.unwrap();
        let long = TimeDelta::minutes(31);
        assert!(!store.outbox.take(begin(lease, 0), long).await.unwrap(), "too little of it is left");
        let stranger = Lease { epoch: lease.epoch + 1, ..lease };
        assert!(!store.outbox.take(begin(stranger, 0), MARGIN).await.unwrap());
        assert!(!store.settle_alone(stranger, accepted()).await);
        let notice = Lease { kind: Outgoing::Notice, ..lease };
        assert!(!store.outbox.take(begin(notice, 0), MARGIN).await.unwrap(), "there is no such notice");
        assert!(!store.settle_alone(notice, accepted()).await);
        assert!(store.outbox.begin(vec![begin(lease, 0)]).await.unwrap()[0]);
        assert!(!store.outbox.begin(vec![begin(lease, 0)]).await.unwrap()[0], "a claim begins once");
        assert!(!store.outbox.doubt(lease, 0, long).await.unwrap());
        assert!(store.outbox.doubt(lease, 0, MARGIN).await.unwrap());
        assert!(store.settle_alone(lease, accepted()).await);
    }
}

/// The daemon, and a command beside it: `digest --send` at the very time of the daemon's own.
#[tokio::test]
async fn of_two_handles_on_one_store_one_sends_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("outbox.db").display());
    let daemon = Store { outbox: Arc::new(SqliteOutbox::open(&url, Access::Daemon).unwrap()), _folder: None };
    let command = Store { outbox: Arc::new(SqliteOutbox::open(&url, Access::Command).unwrap()), _folder: None };
    for kind in BOTH {
        let key = waits(&daemon, kind, 0).await;
        let theirs = |owner: &str| ClaimAlone { owner: owner.to_owned(), ..asked(kind, key, 0) };
        let (one, other) = tokio::join!(daemon.outbox.claim_alone(theirs("daemon")), command.outbox.claim_alone(theirs("command")));
        let claimed: Vec<Lease> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
        assert_eq!(claimed.len(), 1, "{kind:?}");
        let (one, other) =
            tokio::join!(daemon.outbox.take(begin(claimed[0], 0), MARGIN), command.outbox.take(begin(claimed[0], 0), MARGIN));
        assert!(one.unwrap() ^ other.unwrap(), "{kind:?}");
        assert!(command.settle_alone(claimed[0], accepted()).await);
        assert!(!daemon.settle_alone(claimed[0], unknown(None)).await);
    }
}
