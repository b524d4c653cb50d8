//! The ledger for auditors: a chain over its rows, and what it looks like outside of the store.
//!
//! Each row carries the SHA-256 of the row before it and of its own content, so that a row that is changed, taken out or put in between breaks
//! every link after it. The content is the row's line of `ledger export` without `chain` and `notice`, byte for byte, so that anybody can
//! recompute the chain from an export (docs/security.md shows how).
//!
//! A chain alone does not show that its end was cut off, or that somebody recomputed all of it. In a sealed store nobody can do the latter without
//! its key ([`KeyedPart`]); for the rest an earlier [`Anchor`] must be kept elsewhere. `punctual` keeps one beside the store and logs one each hour; [`ChainReader`] holds the chain against it.
//!
//! Pure: rows in, findings out.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::zeroize::Zeroizing;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::entry::State;
use crate::notice::Reason;
use crate::session::{ParticipationId, SessionId};

pub mod chains;
pub mod csv;
pub mod event;

pub use event::Event;

/// One row of the append-only ledger: a notice's transition, or an operator's deed. Written in the transaction of what it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LedgerRow {
    /// Rises by one with each row of its chain.
    pub seq: i64,
    /// Of which chain of several it is (see [`chains`]); `None`: of the first, or the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_id: Option<i32>,
    /// Where it stands among the rows of all chains, the store's: rises, may leave numbers out, and is no part of the row's link.
    #[serde(skip)]
    pub place: i64,
    /// When, by the caller's clock; `doubted` and `rerouted`: by the store's, which measures the lease.
    pub at: DateTime<Utc>,
    /// Which notice, in 32 hexadecimal digits; `None`: not about one.
    pub key: Option<String>,
    /// Its session.
    pub session_id: Option<SessionId>,
    /// Its participation.
    pub participation_id: Option<ParticipationId>,
    /// What it tells of.
    #[schema(value_type = String)]
    pub event: Event,
    /// The state before.
    pub from_state: Option<State>,
    /// The state after.
    pub to_state: Option<State>,
    /// Why it is there.
    pub reason: Option<Reason>,
    /// Redacted: the outcome, the server's text, a new due time, a transport.
    pub detail: Option<String>,
    /// Its link to the row before it, the store's; `None`: not stored yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<Link>,
}

impl LedgerRow {
    /// An operator's deed that is about no notice.
    pub(crate) fn about(at: DateTime<Utc>, event: Event, detail: &str, about: Option<(SessionId, ParticipationId)>) -> Self {
        let (session_id, participation_id) = about.unzip();
        Self { session_id, participation_id, ..Self::new(at, event, detail) }
    }

    /// For people: `4711`, or `2/4711` of another chain than the first.
    pub(crate) fn number(&self) -> String {
        self.chain_id.map_or_else(|| self.seq.to_string(), |chain| format!("{chain}/{}", self.seq))
    }

    pub(crate) fn new(at: DateTime<Utc>, event: Event, detail: &str) -> Self {
        Self {
            seq: 0,
            chain_id: None,
            place: 0,
            at,
            key: None,
            session_id: None,
            participation_id: None,
            event,
            from_state: None,
            to_state: None,
            reason: None,
            detail: Some(detail.to_owned()),
            chain: None,
        }
    }
}

/// The link of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, utoipa::ToSchema)]
#[schema(value_type = String)]
pub struct Link(pub [u8; 32]);

impl Link {
    /// What the first row is chained to.
    pub const START: Self = Self([0; 32]);

    /// The link of the row that follows this one: SHA-256 over this link in 64 hexadecimal digits, a line feed, and the row in JSON.
    #[must_use]
    pub fn next(self, row: &LedgerRow) -> Self {
        self.follow(None, row)
    }

    /// Likewise; with a key, HMAC-SHA-256 over the same: without it nobody makes the link of a row.
    #[must_use]
    pub fn follow(self, key: Option<&[u8; 32]>, row: &LedgerRow) -> Self {
        let bare = if row.chain.is_none() { Cow::Borrowed(row) } else { Cow::Owned(LedgerRow { chain: None, ..row.clone() }) };
        let text = format!("{self}\n{}", serde_json::to_string(&bare).expect("a row is always JSON"));
        let Some(key) = key else { return Self(Sha256::digest(text).into()) };
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        Self(mac.finalize().into_bytes().into())
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl FromStr for Link {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(s.as_bytes()).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or_else(|| format!("{s:?} is no link; expected 64 hexadecimal digits"))
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How far a ledger had got at some time: `4711:9f86d0...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Anchor {
    /// The last row's number; 0: there was none.
    pub seq: i64,
    pub link: Link,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.link)
    }
}

impl FromStr for Anchor {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let parts = s.trim().split_once(':').and_then(|(seq, link)| Some((seq.parse().ok()?, link.parse().ok()?)));
        parts
            .map(|(seq, link)| Self { seq, link })
            .ok_or_else(|| format!("{s:?} is no anchor; expected a row's number, a colon, and its link"))
    }
}

impl Serialize for Anchor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A part of a ledger that is chained with a key: up to the next one, or to the end.
pub struct KeyedPart {
    pub from: i64,
    /// What its rows are chained with.
    pub key: Zeroizing<[u8; 32]>,
}

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Finding {
    /// The row's content or link is not what was written.
    #[error("row {seq} does not follow from the row before it: it, or its link, was changed")]
    Altered { seq: i64 },
    /// Numbers are missing.
    #[error("rows {from} to {to} are missing")]
    Missing { from: i64, to: i64 },
    /// The anchor is of another history.
    #[error("row {seq} is not the one that was noted elsewhere")]
    NotAnchored { seq: i64 },
    /// The mark beside a sealed store is not its own.
    #[error("the mark beside the store was not written with its key: somebody without the key wrote it")]
    Mark,
    /// Nothing beside the store says how far its ledger had got.
    #[error(
        "the mark beside the store is {is}: nothing here shows whether rows were cut off at the end. Hold it against an anchor that was kept elsewhere (--anchor)"
    )]
    NoMark {
        /// `missing`, `damaged`, or `another store's`.
        is: &'static str,
    },
    /// What refuses changes of rows is gone, or was changed.
    #[error("the triggers that keep the ledger's rows are not there")]
    Unguarded,
    /// In the chain of a writer.
    #[error("in chain {chain_id}: {finding}")]
    InChain { chain_id: i32, finding: Box<Finding> },
    /// A chain has rows, and the first chain neither opened nor sealed it.
    #[error("chain {chain_id} was put in: the ledger never opened it")]
    PutIn { chain_id: i32 },
    /// The first chain opened or sealed a chain that is not there.
    #[error("chain {chain_id} is gone, which the ledger has opened")]
    Gone { chain_id: i32 },
    /// A daemon ran, and nobody sealed a chain.
    #[error(
        "chain {chain_id} has had rows without a seal for more than a minute, although a daemon ran: whether all of them are there is not known"
    )]
    Unsealed { chain_id: i32 },
    /// The file has a trigger, or a view, that the program did not make.
    #[error("{name:?} is in the file, a trigger or a view that punctual did not make: it can keep rows out of the ledger")]
    Planted {
        /// What it is called.
        name: String,
    },
}

/// What a verification saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Rows looked at.
    pub rows: u64,
    /// The last row that was pruned; 0: none was.
    pub pruned_to: i64,
    /// From which row on it is chained with the key of the store, as far as it was not pruned; `None`: it is not sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyed_from: Option<i64>,
    /// It says that it is a copy, and no start has gone on with it: it was held against nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copy: bool,
    /// Chains of writers beside the first one, whose rows are counted, too.
    #[serde(skip_serializing_if = "is_none")]
    pub chains: u64,
    /// The last row, of the first chain, to be kept elsewhere.
    pub head: Anchor,
    /// What is wrong, in order; at most [`FINDINGS`].
    pub findings: Vec<Finding>,
}

/// (As serde asks.)
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_none(number: &u64) -> bool {
    *number == 0
}

/// Findings that are told: after so many, nobody learns more.
pub const FINDINGS: usize = 100;

/// Walks a ledger, oldest row first, and holds each row against the one before it.
pub struct ChainReader {
    verified: Verified,
    anchor: Option<Anchor>,
    /// The oldest first.
    parts: Vec<KeyedPart>,
}

impl ChainReader {
    /// From the last checkpoint on; without one, from the first row. `anchor`: an earlier head, noted elsewhere.
    pub fn new(checkpoint: Option<Anchor>, anchor: Option<Anchor>) -> Self {
        let from = checkpoint.unwrap_or_default();
        // What was pruned since it was noted can be held against nothing any more.
        let anchor = anchor.filter(|a| a.seq > from.seq);
        Self { verified: Verified { pruned_to: from.seq, head: from, ..Verified::default() }, anchor, parts: Vec::new() }
    }

    /// These parts of it are chained with keys, the oldest first.
    #[must_use]
    pub fn keyed(mut self, parts: Vec<KeyedPart>) -> Self {
        self.parts = parts;
        self
    }

    /// Its first row follows this link; of one that was pruned, or has begun, nothing changes.
    pub fn starts(&mut self, link: Link) {
        if self.verified.head.seq == 0 {
            self.verified.head.link = link;
        }
    }

    /// The last row that was looked at.
    pub fn head(&self) -> Anchor {
        self.verified.head
    }

    /// Whether a prune took that row, or was about to.
    pub fn is_pruned(&self, seq: i64) -> bool {
        seq <= self.verified.pruned_to
    }

    /// The next row. One that a prune was about to take is passed over.
    pub fn step(&mut self, row: &LedgerRow) {
        let v = &mut self.verified;
        if row.seq <= v.pruned_to {
            return;
        }
        v.rows += 1;
        let part = self.parts.iter().rfind(|part| part.from <= row.seq);
        if part.is_some() {
            v.keyed_from.get_or_insert(row.seq);
        }
        let expected = v.head.link.follow(part.map(|part| &*part.key), row);
        let here = row.chain.unwrap_or_default();
        let next = v.head.seq + 1;
        if row.seq != next {
            self.find(Finding::Missing { from: next, to: row.seq - 1 });
        } else if here != expected {
            self.find(Finding::Altered { seq: row.seq });
        }
        if self.anchor.is_some_and(|a| a.seq == row.seq && a.link != here) {
            self.find(Finding::NotAnchored { seq: row.seq });
        }
        // Onwards from what stands there: one changed row is told once, not with every row after it.
        self.verified.head = Anchor { seq: row.seq, link: here };
    }

    /// After the last row. `given` is the highest number that was ever given to a row.
    pub fn end(mut self, given: i64) -> Verified {
        let last = self.verified.head.seq;
        // A part begins with a row that says so; in a store that was made with a key, with the first one, whenever that comes.
        let begun = self.parts.last().map_or(0, |part| if part.from > 1 { part.from } else { 0 });
        let given = given.max(self.anchor.map_or(0, |a| a.seq)).max(begun);
        if given > last {
            self.find(Finding::Missing { from: last + 1, to: given });
        }
        self.verified
    }

    fn find(&mut self, finding: Finding) {
        if self.verified.findings.len() < FINDINGS {
            self.verified.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::entry::State;
    use crate::notice::Reason;
    use crate::session::{ParticipationId, SessionId};

    fn row(seq: i64, detail: &str) -> LedgerRow {
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap() + TimeDelta::milliseconds(seq);
        LedgerRow { seq, ..LedgerRow::new(at, Event::Reveal, detail) }
    }

    /// Five rows, linked.
    fn ledger() -> Vec<LedgerRow> {
        let mut link = Link::START;
        let linked = (1..=5).map(|seq| {
            let row = row(seq, "session 9636");
            link = link.next(&row);
            LedgerRow { chain: Some(link), ..row }
        });
        linked.collect()
    }

    fn verify(rows: &[LedgerRow], checkpoint: Option<Anchor>, anchor: Option<Anchor>) -> Verified {
        let mut walker = ChainReader::new(checkpoint, anchor);
        rows.iter().for_each(|row| walker.step(row));
        walker.end(5)
    }

    fn anchor_of(row: &LedgerRow) -> Anchor {
        Anchor { seq: row.seq, link: row.chain.unwrap() }
    }

    /// What a row's link is made of is a contract with every ledger that was ever written.
    #[test]
    fn the_link_of_a_row_never_changes() {
        let row = LedgerRow {
            seq: 7,
            chain_id: None,
            place: 7,
            at: DateTime::from_timestamp_millis(1_795_000_000_123).unwrap(),
            key: Some("0123456789abcdef0123456789abcdef".to_owned()),
            session_id: Some(SessionId(9636)),
            participation_id: Some(ParticipationId(18620)),
            event: Event::Settled,
            from_state: Some(State::Sending),
            to_state: Some(State::Held),
            reason: Some(Reason::InDoubt),
            detail: Some("retry: 451 \"später\"\r\n\u{7f}".to_owned()),
            chain: Some(Link([9; 32])),
        };
        let expected = concat!(
            r#"{"seq":7,"at":"2026-11-18T11:06:40.123Z","key":"0123456789abcdef0123456789abcdef","session_id":9636,"participation_id":18620,"#,
            r#""event":"settled","from_state":"sending","to_state":"held","reason":"in_doubt","detail":"retry: 451 \"später\"\r\n"#,
            "\u{7f}\"}"
        );
        let bare = LedgerRow { chain: None, ..row.clone() };
        assert_eq!(serde_json::to_string(&bare).unwrap(), expected);
        let digest: [u8; 32] = Sha256::digest(format!("{}\n{expected}", "0".repeat(64))).into();
        assert_eq!(Link::START.next(&row), Link(digest));
    }

    #[test]
    fn a_sound_ledger_is_verified() {
        let rows = ledger();
        let verified = verify(&rows, None, Some(anchor_of(&rows[2])));
        assert_eq!(verified, Verified { rows: 5, head: anchor_of(&rows[4]), ..Verified::default() });
        let pruned = verify(&rows[2..], Some(anchor_of(&rows[1])), Some(anchor_of(&rows[0])));
        assert_eq!(pruned, Verified { rows: 3, pruned_to: 2, ..verified.clone() });
        assert_eq!(verify(&rows[1..], Some(anchor_of(&rows[2])), None), Verified { rows: 2, pruned_to: 3, ..verified });
    }

    #[test]
    fn each_deed_against_it_is_found() {
        let sound = ledger();
        type Fraud = fn(&mut Vec<LedgerRow>);
        let cases: [(&str, Fraud, Vec<Finding>); 6] = [
            ("a word is changed", |r| r[2].detail = Some("session 9637".to_owned()), vec![Finding::Altered { seq: 3 }]),
            ("a time is changed", |r| r[2].at += TimeDelta::milliseconds(1), vec![Finding::Altered { seq: 3 }]),
            ("a row is taken out", |r| drop(r.remove(2)), vec![Finding::Missing { from: 3, to: 3 }]),
            ("the end is cut off", |r| r.truncate(3), vec![Finding::Missing { from: 4, to: 5 }]),
            ("the beginning is cut off", |r| drop(r.drain(..2)), vec![Finding::Missing { from: 1, to: 2 }]),
            (
                "two rows change places",
                |r| {
                    r.swap(1, 2);
                    (r[1].seq, r[2].seq) = (2, 3);
                },
                vec![Finding::Altered { seq: 2 }, Finding::Altered { seq: 3 }, Finding::Altered { seq: 4 }],
            ),
        ];
        for (name, deed, findings) in cases {
            let mut rows = sound.clone();
            deed(&mut rows);
            assert_eq!(verify(&rows, None, None).findings, findings, "{name}");
        }
    }

    /// Somebody changes a row and recomputes all that follows: only what was noted elsewhere shows it.
    #[test]
    fn an_anchor_shows_a_rewritten_chain() {
        let (sound, mut forged) = (ledger(), ledger());
        forged[1].detail = Some("session 1".to_owned());
        let mut link = forged[0].chain.unwrap();
        for row in &mut forged[1..] {
            link = link.next(row);
            row.chain = Some(link);
        }
        assert_eq!(verify(&forged, None, None).findings, []);
        assert_eq!(verify(&forged, None, Some(anchor_of(&sound[3]))).findings, [Finding::NotAnchored { seq: 4 }]);
        let cut = ChainReader::new(None, Some(anchor_of(&sound[3]))).end(0);
        assert_eq!(cut.findings, [Finding::Missing { from: 1, to: 4 }], "also when all of it is gone");
    }

    #[test]
    fn anchors_are_read_as_they_are_printed() {
        let anchor = Anchor { seq: 4711, link: Link([0xAB; 32]) };
        assert_eq!(anchor.to_string().parse(), Ok(anchor));
        for wrong in ["", "4711", "x:00", "4711:ab"] {
            assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
        }
    }
}
