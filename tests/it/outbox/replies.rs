//! What people write back, and what stores make of it.

use punctual::contact::{Address, Channel, Number, PhoneNumber};
use punctual::entry::Change;
use punctual::feedback::answer::Answer;
use punctual::feedback::reply::{AcceptedReply, Changes, ForStaff, OpenSession, Written, reply_key};
use punctual::feedback::word::Word;
use punctual::known::RsvpOverride;
use punctual::notice::Occasion;
use punctual::outbox::{ClaimRequest, Retention, Settlement, WalkedSession};
use punctual::session::stored::Touch;
use punctual::session::{ParticipantRef, ParticipationId, Rsvp, SessionId};
use punctual::suppression::{SaidBy, Suppression};

use super::fixture::{START, Store, addressed, begin, lease, minute, request, text, unknown, walk, walked};

fn number(last: u32) -> PhoneNumber {
    let Address::Sms(number) = text(last) else { panic!("it is a number") };
    number
}

fn taken(id: &str, word: Word, change: Changes, answer: Answer) -> AcceptedReply {
    AcceptedReply {
        key: reply_key("twilio", "", id),
        from: number(1),
        word,
        change,
        answer: Some((answer, "en".to_owned())),
        for_staff: None,
    }
}

/// What staff should read of it.
fn written(id: &str, text: &str) -> AcceptedReply {
    let for_staff = Some(ForStaff { text: text.to_owned(), about: vec![place()] });
    AcceptedReply { answer: None, for_staff, ..taken(id, Word::Other, Changes::Nothing, Answer::Help) }
}

fn stop(id: &str) -> AcceptedReply {
    taken(id, Word::Stop, Changes::OptOut, Answer::Stopped)
}

fn place() -> ParticipantRef {
    ParticipantRef { source: "clinic".to_owned(), session: SessionId(1), participation: ParticipationId(11) }
}

fn declined(id: &str) -> AcceptedReply {
    let answered = RsvpOverride { says: Rsvp::Declined, over: Rsvp::Unknown };
    taken(id, Word::No, Changes::Rsvp(place(), answered), Answer::Declined)
}

impl Store {
    async fn hear(&self, at: i64, taken: AcceptedReply) -> bool {
        self.outbox.reply(minute(at), taken).await.unwrap()
    }

    /// The kinds of answers that wait.
    async fn waiting(&self) -> Vec<Answer> {
        self.outbox.waiting_answers().await.unwrap().into_iter().map(|waiting| waiting.answer).collect()
    }

    async fn events(&self, event: &str) -> Vec<String> {
        self.ledger().await.into_iter().filter(|row| row.event == event).filter_map(|row| row.detail).collect()
    }
}

pub(super) async fn a_reply_is_taken_once(store: Store) {
    assert!(store.hear(0, stop("SM1")).await);
    assert!(!store.hear(1, stop("SM1")).await, "a replay");
    assert_eq!(store.waiting().await, [Answer::Stopped]);
    assert_eq!(store.events("reply").await, ["stop"]);
}

pub(super) async fn what_people_wrote_waits_to_be_read(store: Store) {
    for (at, id) in [(1, "SM2"), (0, "SM1"), (1, "SM2"), (2, "SM3")] {
        store.hear(at, written(id, &format!("Can I come later? {id}"))).await;
    }
    let unread = async |limit| store.outbox.unread(limit).await.unwrap();
    let texts = |all: &[Written]| all.iter().map(|said| said.said.text.clone()).collect::<Vec<_>>();
    let all = unread(10).await;
    assert_eq!(texts(&all), ["Can I come later? SM1", "Can I come later? SM2", "Can I come later? SM3"], "the oldest first, each once");
    assert_eq!(texts(&unread(2).await), texts(&all[..2]));
    let first = &all[0];
    assert_eq!((first.at, first.shown.as_str(), first.word), (minute(0), number(1).to_string().as_str(), Word::Other));
    assert_eq!(first.said.about, [place()]);
    assert!(!format!("{first:?}").contains("later") && !first.shown.contains(&number(1).expose()[3..7]), "{first:?}");
    assert!(store.outbox.mark_read(Some("jane"), first.key, minute(3)).await.unwrap());
    assert!(!store.outbox.mark_read(Some("jane"), first.key, minute(4)).await.unwrap(), "once");
    assert!(!store.outbox.mark_read(None, reply_key("twilio", "", "SM9"), minute(4)).await.unwrap(), "there is none");
    assert_eq!(unread(10).await, all[1..]);
    assert_eq!(store.events("reply_read").await, ["by jane"]);
    assert!(!store.hear(5, written("SM1", "again")).await, "nor does it come back");
    assert_eq!(unread(10).await, all[1..]);
}

pub(super) async fn what_people_wrote_goes_with_the_contents(store: Store) {
    for n in 0..4 {
        store.hear(n, written(&format!("SM{n}"), "Can I come later?")).await;
    }
    store.outbox.mark_read(None, reply_key("twilio", "", "SM0"), minute(4)).await.unwrap();
    store.outbox.purge(minute(500), Retention { content_before: minute(3), history_before: minute(-1_000_000) }).await.unwrap();
    assert_eq!(store.outbox.unread(10).await.unwrap().iter().map(|said| said.at).collect::<Vec<_>>(), [minute(3)], "read or not");
    store.outbox.purge(minute(500), Retention { content_before: minute(500), history_before: minute(500) }).await.unwrap();
    assert_eq!(store.outbox.unread(10).await.unwrap(), []);
    assert!(store.hear(501, written("SM3", "Can I come later?")).await, "its history is gone as well");
}

pub(super) async fn an_opt_out_is_confirmed_once(store: Store) {
    store.hear(0, stop("SM1")).await;
    store.hear(60, stop("SM2")).await;
    assert_eq!(store.waiting().await, [Answer::Stopped], "who is out already gets no second confirmation");
    let list = store.outbox.suppressed().await.unwrap();
    assert_eq!(list.iter().map(|s| (s.kind, s.said_by)).collect::<Vec<_>>(), [(Suppression::OptedOut, SaidBy::Reply)]);
    let waiting = store.outbox.waiting_answers().await.unwrap().remove(0);
    assert_eq!((waiting.to, waiting.locale.as_str(), waiting.useful_until), (number(1), "en", minute(5)));
}

pub(super) async fn a_number_opts_in_again(store: Store) {
    store.hear(0, stop("SM1")).await;
    store.hear(1, taken("SM2", Word::Start, Changes::OptIn, Answer::Started)).await;
    assert_eq!(store.outbox.suppressed().await.unwrap(), []);
    assert_eq!(store.waiting().await, [Answer::Stopped, Answer::Started]);
    store.outbox.suppress(minute(2), &text(1), Suppression::Bounced, None).await.unwrap();
    store.hear(3, taken("SM3", Word::Start, Changes::OptIn, Answer::Started)).await;
    assert_eq!(store.outbox.suppressed().await.unwrap().len(), 1, "a number that takes no texts is not mended by a wish");
}

pub(super) async fn what_staff_said_is_not_lifted_by_a_reply(store: Store) {
    store.outbox.suppress(minute(0), &text(1), Suppression::OptedOut, None).await.unwrap();
    store.hear(1, taken("SM1", Word::Start, Changes::OptIn, Answer::Started)).await;
    let list = store.outbox.suppressed().await.unwrap();
    assert_eq!(list.iter().map(|s| (s.kind, s.said_by)).collect::<Vec<_>>(), [(Suppression::OptedOut, SaidBy::Person)]);
}

pub(super) async fn a_kind_of_answer_rests_for_its_time(store: Store) {
    let other = |id: &str| taken(id, Word::Other, Changes::Nothing, Answer::NotUnderstood);
    store.hear(0, other("SM1")).await;
    store.hear(24 * 60 - 1, other("SM2")).await;
    store.hear(1, taken("SM3", Word::Help, Changes::Nothing, Answer::Help)).await;
    assert_eq!(store.waiting().await, [Answer::NotUnderstood, Answer::Help], "once a day");
    store.hear(24 * 60, other("SM4")).await;
    assert_eq!(store.waiting().await.len(), 3);
    let mut somebody_else = other("SM5");
    somebody_else.from = number(2);
    store.hear(24 * 60, somebody_else).await;
    assert_eq!(store.waiting().await.len(), 4);
}

pub(super) async fn answers_go_with_the_contents_and_replies_with_the_history(store: Store) {
    let help = |n: i64| taken(&format!("SM{n}"), Word::Help, Changes::Nothing, Answer::Help);
    for n in 0..1_200 {
        store.hear(n / 100, help(n)).await;
    }
    store.hear(20, help(1_200)).await;
    let retention = |content, history| Retention { content_before: minute(content), history_before: minute(history) };
    store.outbox.purge(minute(500), retention(20, -1_000_000)).await.unwrap();
    assert_eq!(store.waiting().await, [], "nor does what nobody sent stay");
    for n in [0, 1_199, 1_200] {
        assert!(!store.hear(30, help(n)).await, "it is known as long as the history is kept: {n}");
    }
    store.outbox.purge(minute(500), retention(20, 20)).await.unwrap();
    assert!(!store.hear(30, help(1_200)).await);
    for n in [0, 1_199] {
        assert!(store.hear(30, help(n)).await, "however many there were: {n}");
    }
}

pub(super) async fn an_rsvp_is_kept_and_plans_the_session_again(store: Store) {
    store.add(1, &[]).await;
    let revision = || async { store.outbox.seen("clinic").await.unwrap().unwrap().sessions[&SessionId(1)].clone() };
    let before = revision().await;
    store.hear(0, declined("SM1")).await;
    let rsvp = async || store.outbox.known("clinic", &[SessionId(1)]).await.unwrap()[&(SessionId(1), ParticipationId(11))].rsvp;
    assert_eq!(rsvp().await, Some(RsvpOverride { says: Rsvp::Declined, over: Rsvp::Unknown }));
    assert_ne!(revision().await, before, "so that the next walk plans it again");
    store.outbox.apply(walk(vec![walked(1, "first", Vec::new())])).await.unwrap();
    assert!(rsvp().await.is_some(), "a walk leaves it");
    let row = store.ledger().await.into_iter().find(|row| row.event == "rsvp").unwrap();
    assert_eq!(
        (row.session_id, row.participation_id, row.detail.as_deref()),
        (Some(SessionId(1)), Some(ParticipationId(11)), Some("declined"))
    );
}

pub(super) async fn open_sessions_are_those_that_a_number_was_told_of(store: Store) {
    let told = addressed(1, Occasion::Invite, 0, text(1));
    let waits = addressed(1, Occasion::Reminder, 500, text(1));
    let another = addressed(1, Occasion::Invite, 500, text(2));
    store.add(1, &[told, waits, another]).await;
    let open = async |last, now| store.outbox.open_sessions(&number(last), minute(now)).await.unwrap();
    assert_eq!(open(1, 1).await, [], "nothing was said yet");
    let claim = store.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(1) }).await.unwrap().remove(0);
    store.outbox.begin(vec![begin(&claim, 1)]).await.unwrap();
    store.outbox.doubt(lease(&claim), claim.revision, chrono::TimeDelta::minutes(1)).await.unwrap();
    store.settle(2, &claim, Settlement::Accepted { reply: "201".to_owned(), reference: None }).await;
    let told = [OpenSession { place: place(), lately: true }];
    assert_eq!(open(1, 3).await, told);
    assert_eq!(open(2, 3).await, []);
    assert_eq!(open(1, START).await, told, "it has begun, but may be meant: a text came lately");
    assert_eq!(open(1, 24 * 60 + 3).await, [], "no more after a day");
}

pub(super) async fn reminders_of_other_sessions_are_counted_by_number(store: Store) {
    let known = async |session: i64| {
        let id = SessionId(session);
        store.outbox.known("clinic", &[id]).await.unwrap()[&(id, ParticipationId(session * 10 + 1))].reminded.clone()
    };
    for session in 1..=3 {
        let last = if session == 3 { 2 } else { 1 };
        store
            .add(session, &[addressed(session, Occasion::Invite, 0, text(last)), addressed(session, Occasion::Reminder, 5, text(last))])
            .await;
    }
    assert_eq!(known(1).await, []);
    let claims = store.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(6) }).await.unwrap();
    let seen: usize = claims.iter().filter(|c| c.entry.notice.occasion == Occasion::Reminder).map(|c| c.known.reminded.len()).sum();
    assert_eq!(seen, 1, "of two that are claimed at once, one sees the other");
    assert_eq!((known(1).await.len(), known(2).await.len(), known(3).await.len()), (1, 1, 0), "another session, and the same number");
    for claim in &claims {
        store.settle(7, claim, Settlement::Accepted { reply: "201".to_owned(), reference: None }).await;
    }
    assert_eq!(known(1).await.iter().map(|r| r.at).collect::<Vec<_>>(), [minute(7)]);
}

/// Of two that are claimed at once the one in doubt may have gone before: the other one sees when.
pub(super) async fn what_may_have_gone_and_goes_again_counts_beside_it(store: Store) {
    store.add(2, &[addressed(2, Occasion::Reminder, 5, text(1))]).await;
    let texts = ClaimRequest { channel: Channel::Sms, ..request(6) };
    let doubtful = store.outbox.claim(texts.clone()).await.unwrap().remove(0);
    let begun = begin(&doubtful, 6);
    assert_eq!(store.outbox.begin(vec![begun]).await.unwrap(), [true]);
    assert!(store.outbox.doubt(lease(&doubtful), doubtful.revision, chrono::TimeDelta::minutes(1)).await.unwrap());
    assert!(store.settle(7, &doubtful, unknown(Some(20))).await);
    let mut sooner = addressed(1, Occasion::Reminder, 4, text(1));
    sooner.useful_until = minute(30);
    store.add(1, &[sooner]).await;
    let claims = store.outbox.claim(ClaimRequest { now: minute(20), ..texts }).await.unwrap();
    assert_eq!(claims.len(), 2);
    let seen = claims[0].known.reminded.iter().map(|r| (r.at, r.underway)).collect::<Vec<_>>();
    assert_eq!(seen, [(minute(7), false)]);
}

/// The walk was planned before the answer came.
pub(super) async fn an_answer_during_a_walk_is_planned_by_the_next_one(store: Store) {
    let seen = async || store.outbox.seen("clinic").await.unwrap().unwrap().sessions[&SessionId(1)].clone();
    let touch = async || store.outbox.sessions("clinic", None).await.unwrap()[0].touch;
    store.add(1, &[addressed(1, Occasion::Invite, 0, text(1))]).await;
    let planned = |was: Touch, digest: &str| walk(vec![WalkedSession { was: Some(was), ..walked(1, digest, Vec::new()) }]);
    let was = touch().await;
    store.hear(1, declined("SM1")).await;
    let applied = store.outbox.apply(planned(was, "second")).await.unwrap();
    assert_eq!(applied.touched, [SessionId(1)]);
    assert_eq!((seen().await.digest.as_str(), seen().await.replan), ("first", true));
    let applied = store.outbox.apply(planned(touch().await, "second")).await.unwrap();
    assert_eq!(applied.touched, []);
    assert_eq!((seen().await.digest.as_str(), seen().await.replan), ("second", false));
}

/// Whose number it is, and whether they answered from it: by that a text says who it is from and for whom.
pub(super) async fn a_number_is_known_by_who_answers_and_who_else_is_told_at_it(store: Store) {
    let told = |session: i64, number: u32, person: Option<&str>| {
        let add = Change::Add(addressed(session, Occasion::Invite, 0, text(number)));
        let mut walked = walked(session, "d", vec![add]);
        walked.known.iter_mut().for_each(|(_, known)| known.person = person.map(str::to_owned));
        walked
    };
    // Two children at a parent's number; one of them twice; somebody whom a store of before knows nothing of; one with a number of their own.
    let people =
        [(1, 1, Some("maya")), (2, 1, Some("noah")), (3, 1, Some("maya")), (4, 1, None), (5, 2, Some("trevor")), (6, 2, Some("trevor"))];
    store.outbox.apply(walk(people.map(|(session, number, person)| told(session, number, person)).into())).await.unwrap();
    let of = |session: i64, number: u32| {
        let (outbox, id) = (&store.outbox, SessionId(session));
        async move { outbox.known("clinic", &[id]).await.unwrap()[&(id, ParticipationId(session * 10 + 1))].number(&text(number)) }
    };
    let is = |answered, shared| Number { answered, shared };
    for (session, number, wanted) in [(1, 1, is(false, true)), (2, 1, is(false, true)), (4, 1, is(false, false)), (5, 2, is(false, false))]
    {
        assert_eq!(of(session, number).await, wanted, "session {session}");
    }
    assert_eq!(of(1, 2).await, Number::default(), "a number that they have no text to");
    store.hear(1, taken("SM1", Word::Other, Changes::Nothing, Answer::NotUnderstood)).await;
    assert_eq!((of(1, 1).await, of(5, 2).await), (is(true, true), is(false, false)), "a reply of any kind");
    let claims = store.outbox.claim(ClaimRequest { channel: Channel::Sms, ..request(1) }).await.unwrap();
    assert!(claims.iter().all(|claim| claim.known.number(&claim.entry.notice.address).answered == (claim.entry.notice.session.0 < 5)));
}
