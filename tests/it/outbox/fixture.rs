//! Sessions, notices and claims for tests: small, and the same each time.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use punctual::contact::{Address, Channel, EmailAddress, PhoneNumber};
use punctual::entry::{Change, Entry};
use punctual::guard::GuardChange;
use punctual::known::Known;
use punctual::ledger::{Event, LedgerRow};
use punctual::notice::{Identity, Notice, NoticeKey, Occasion};
use punctual::outbox::{Applied, Begin, Claim, ClaimRequest, Filter, Lease, Outbox, Returned, Settlement, Walk, WalkedSession};
use punctual::session::{ParticipationId, Presence, Role, SessionId};

/// A store under test.
pub(crate) struct Store {
    pub(crate) outbox: Arc<dyn Outbox>,
    /// Removed at the end.
    pub(crate) _folder: Option<tempfile::TempDir>,
}

/// Minutes after a time long past, by which all fixtures are dated: a store's own clock is later.
pub(crate) fn minute(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::minutes(n)
}

/// When the fixtures' sessions start.
pub(crate) const START: i64 = 600;

pub(crate) fn mail(name: &str) -> Address {
    Address::Email(EmailAddress::parse(&format!("{name}@example.com")).unwrap())
}

pub(crate) fn text(last: u32) -> Address {
    Address::Sms(PhoneNumber::parse(&format!("404-555-01{last:02}"), "US").unwrap())
}

/// A notice of that session, for participant `10 * session + 1`, due at that minute.
pub(crate) fn notice(session: i64, occasion: Occasion, due: i64) -> Notice {
    addressed(session, occasion, due, mail("trevor"))
}

pub(crate) fn addressed(session: i64, occasion: Occasion, due: i64, address: Address) -> Notice {
    let (id, participation) = (SessionId(session), ParticipationId(session * 10 + 1));
    let rule = (occasion == Occasion::Reminder).then(|| format!("{due}m"));
    let identity = Identity {
        practice: "test",
        session: id,
        participation,
        occasion,
        rule: rule.as_deref(),
        start: minute(START),
        address: &address,
        content: "",
    };
    Notice {
        key: NoticeKey::of(&identity),
        session: id,
        participation,
        role: Role::Participant,
        occasion,
        rule,
        address,
        start: minute(START),
        due_at: minute(due),
        useful_until: minute(START),
    }
}

pub(crate) fn known() -> Known {
    Known { session_seen: minute(-11), facts: "facts".to_owned(), facts_known_at: minute(-9), ..Known::new(minute(START), minute(-10)) }
}

/// A session with participants `10 n + 1` and `10 n + 2`.
pub(crate) fn walked(session: i64, digest: &str, changes: Vec<Change>) -> WalkedSession {
    WalkedSession {
        presence: Presence::Listed,
        replan: false,
        of: None,
        from: None,
        departed: Vec::new(),
        was: None,
        id: SessionId(session),
        digest: digest.to_owned(),
        record: format!(r#"{{"SessionId":{session},"Digest":"{digest}"}}"#).into(),
        ambiguous: Vec::new(),
        lately: Vec::new(),
        start: minute(START),
        known: vec![(ParticipationId(session * 10 + 1), known()), (ParticipationId(session * 10 + 2), known())],
        ahead: Vec::new(),
        announced: Vec::new(),
        changes,
        omissions: Vec::new(),
    }
}

/// Not every store counts walks.
pub(crate) fn uncounted(applied: Applied) -> Applied {
    Applied { walks: 0, ..applied }
}

pub(crate) fn walk(sessions: Vec<WalkedSession>) -> Walk {
    Walk {
        whole: true,
        source: "clinic".to_owned(),
        at: minute(-10),
        heard: true,
        policy_digest: "policy".to_owned(),
        sessions,
        faults: Vec::new(),
        guard: GuardChange::default(),
        filled: true,
        ..Walk::default()
    }
}

pub(crate) fn request(now: i64) -> ClaimRequest {
    ClaimRequest { owner: "one".to_owned(), now: minute(now), channel: Channel::Email, lease: TimeDelta::minutes(30), limit: 100 }
}

pub(crate) fn begin(claim: &Claim, at: i64) -> Begin {
    let bytes = format!("the bytes of {} at {at}", claim.entry.notice.key).into_bytes().into();
    Begin {
        lease: lease(claim),
        revision: claim.revision,
        facts: "facts".to_owned(),
        at: minute(at),
        transport: "folder".to_owned(),
        bytes,
    }
}

pub(crate) fn lease(claim: &Claim) -> Lease {
    claim.lease()
}

pub(crate) fn accepted() -> Settlement {
    Settlement::Accepted { reply: "250 2.0.0 Ok".to_owned(), reference: Some("4F1A22".to_owned()) }
}

pub(crate) fn retry(next: i64) -> Settlement {
    Settlement::Retry { why: "451 later".to_owned(), next_attempt_at: minute(next) }
}

pub(crate) fn returned(outcome: Returned, next: i64) -> Settlement {
    Settlement::Return { outcome, why: Some("535 log-in refused".to_owned()), next_attempt_at: minute(next) }
}

pub(crate) fn unknown(resend: Option<i64>) -> Settlement {
    Settlement::Unknown { why: "the connection ended after the dot".to_owned(), resend_at: resend.map(minute) }
}

impl Store {
    /// Applies one session with these new notices.
    pub(crate) async fn add(&self, session: i64, notices: &[Notice]) -> Applied {
        let changes = notices.iter().cloned().map(Change::Add).collect();
        uncounted(self.outbox.apply(walk(vec![walked(session, "first", changes)])).await.unwrap())
    }

    /// Applies one change to session 1, its record as it was.
    pub(crate) async fn change(&self, change: Change) -> Applied {
        uncounted(self.outbox.apply(walk(vec![walked(1, "first", vec![change])])).await.unwrap())
    }

    /// Adds one invite to session 1, due at minute 0.
    pub(crate) async fn one(&self) -> Notice {
        let invite = notice(1, Occasion::Invite, 0);
        self.add(1, std::slice::from_ref(&invite)).await;
        invite
    }

    /// Claims what is due.
    pub(crate) async fn claim(&self, now: i64) -> Vec<Claim> {
        self.outbox.claim(request(now)).await.unwrap()
    }

    /// Claims the one notice that is due.
    pub(crate) async fn claim_one(&self, now: i64) -> Claim {
        let mut claims = self.claim(now).await;
        assert_eq!(claims.len(), 1, "one is due");
        claims.remove(0)
    }

    /// Claims the one notice that is due, and freezes its bytes.
    pub(crate) async fn begin_one(&self, now: i64) -> Claim {
        let claim = self.claim_one(now).await;
        assert_eq!(self.outbox.begin(vec![begin(&claim, now)]).await.unwrap(), [true]);
        claim
    }

    /// Likewise, past the point of no return.
    pub(crate) async fn doubt_one(&self, now: i64) -> Claim {
        let claim = self.begin_one(now).await;
        assert!(self.outbox.doubt(lease(&claim), claim.revision, TimeDelta::minutes(1)).await.unwrap());
        claim
    }

    pub(crate) async fn settle(&self, at: i64, claim: &Claim, end: Settlement) -> bool {
        self.outbox.settle(minute(at), vec![(lease(claim), end)]).await.unwrap()[0]
    }

    pub(crate) async fn entry(&self, key: NoticeKey) -> Entry {
        let mut found = self.outbox.list(&Filter { keys: vec![key], ..Filter::default() }).await.unwrap();
        assert_eq!(found.len(), 1, "the notice is there once");
        found.remove(0)
    }

    /// Without what it says of its own chains.
    pub(crate) async fn ledger(&self) -> Vec<LedgerRow> {
        let rows = self.outbox.ledger(None, 0, usize::MAX).await.unwrap();
        rows.into_iter().filter(|row| !matches!(row.event, Event::Chain | Event::Seal)).collect()
    }

    pub(crate) async fn all(&self) -> Vec<Entry> {
        self.outbox.list(&Filter::default()).await.unwrap()
    }
}
