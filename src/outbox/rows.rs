//! A store, whole, as rows that every kind of store reads and writes: what `store copy` carries, and what another key seals anew.
//!
//! Names and order are those of SQLite's tables; a table stands behind those that its rows refer to. What is sealed is carried as it is: the same key
//! seals the same columns in every store, bound to the same places.

use chrono::{DateTime, Utc};
use data_encoding::BASE64;

use wide::{LOOK, NOTICE, OUTGOING, TRANSPORT};

use super::Result;
use super::key::Keys;
use crate::ledger::Anchor;

mod wide;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// A number, or a time in milliseconds.
    Int,
    Text,
    Bytes,
    /// Yes or no: 1 or 0.
    Flag,
    /// A time by the store's own clock, in milliseconds.
    Lease,
}

/// How a column is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seal {
    /// For its row alone: the place, and the columns that name the row.
    Row(&'static str, &'static [&'static str]),
    /// The same value is the same each time.
    Alike(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: ColumnKind,
    pub(super) seal: Option<Seal>,
}

/// A table, and what its rows are known by.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) key: &'static [&'static str],
    pub(super) columns: &'static [Column],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SqlValue {
    /// SQL's NULL.
    None,
    /// See [`ColumnKind::Int`], [`ColumnKind::Flag`] and [`ColumnKind::Lease`].
    Int(i64),
    /// See [`ColumnKind::Text`].
    Text(String),
    /// See [`ColumnKind::Bytes`].
    Bytes(Vec<u8>),
}

/// The values of a row, in the order of its table's columns.
pub(super) type Cells = Vec<SqlValue>;

impl Table {
    pub(super) fn place_of(&self, name: &str) -> usize {
        self.columns.iter().position(|column| column.name == name).expect("a table's key is of its columns")
    }

    /// What a row is known by.
    pub(super) fn key_of(&self, row: &[SqlValue]) -> Cells {
        self.key.iter().map(|name| row[self.place_of(name)].clone()).collect()
    }

    /// What stands in a sealed value; an empty one: nothing does, or it is not sealed. `None`: the key does not open it.
    pub(super) fn opened(&self, keys: &Keys, row: &[SqlValue], column: usize) -> Option<Vec<u8>> {
        let Some(seal) = self.columns[column].seal else { return Some(Vec::new()) };
        let sealed = match &row[column] {
            SqlValue::None | SqlValue::Int(_) => return Some(Vec::new()),
            SqlValue::Text(text) if text.is_empty() => return Some(Vec::new()),
            SqlValue::Text(text) => BASE64.decode(text.as_bytes()).ok()?,
            SqlValue::Bytes(bytes) => bytes.clone(),
        };
        keys.open(&sealed, &self.bound(seal, row))
    }

    /// What a sealed value is bound to: its column, and its row.
    pub(super) fn bound(&self, seal: Seal, row: &[SqlValue]) -> Vec<u8> {
        let (place, row) = match seal {
            Seal::Row(place, names) => (place, self.named(names, row)),
            Seal::Alike(place) => (place, Vec::new()),
        };
        [&(place.len() as u64).to_be_bytes()[..], place.as_bytes(), &row].concat()
    }

    fn named(&self, names: &[&str], row: &[SqlValue]) -> Vec<u8> {
        let bytes = |name: &&str| match &row[self.place_of(name)] {
            SqlValue::None => Vec::new(),
            SqlValue::Int(number) => number.to_string().into_bytes(),
            SqlValue::Text(text) => text.clone().into_bytes(),
            SqlValue::Bytes(bytes) => bytes.clone(),
        };
        names.iter().map(bytes).collect::<Vec<_>>().join(&b'/')
    }
}

/// What a store says of itself.
pub(super) struct StoreIdentity {
    /// The key that it drew, as it stands there.
    pub(super) reference_key: Vec<u8>,
    pub(super) head: Anchor,
    /// It was left for the same place before.
    pub(super) was_left: bool,
}

/// A store that is left. Dropped before [`CopyFrom::left`], it is as it was.
pub(super) trait CopyFrom {
    /// Asked once all its rows were.
    fn own(&mut self) -> Result<StoreIdentity>;

    /// The next rows behind that key; of nothing: the first ones.
    fn rows(&mut self, table: &'static Table, after: Cells) -> Result<Vec<Cells>>;

    /// From here on it is not used any more.
    fn left(self: Box<Self>) -> Result<()>;
}

/// A store that is filled. Dropped before [`CopyTo::settle`], it is empty; a database says so, and is refused until it is filled.
pub(super) trait CopyTo {
    fn put(&mut self, table: &'static Table, rows: Vec<Cells>) -> Result<()>;

    /// All is there: it is looked at, and noted where it came from.
    fn ready(&mut self, own: &StoreIdentity, from: &str, now: DateTime<Utc>) -> Result<()>;

    /// From here on it is used.
    fn settle(self: Box<Self>) -> Result<()>;
}

const fn of(name: &'static str, kind: ColumnKind) -> Column {
    Column { name, kind, seal: None }
}

const fn int(name: &'static str) -> Column {
    of(name, ColumnKind::Int)
}

const fn text(name: &'static str) -> Column {
    of(name, ColumnKind::Text)
}

const fn bytes(name: &'static str) -> Column {
    of(name, ColumnKind::Bytes)
}

const fn flag(name: &'static str) -> Column {
    of(name, ColumnKind::Flag)
}

const fn sealed(column: Column, place: &'static str, row: &'static [&'static str]) -> Column {
    Column { seal: Some(Seal::Row(place, row)), ..column }
}

const fn alike(name: &'static str, place: &'static str) -> Column {
    Column { seal: Some(Seal::Alike(place)), ..text(name) }
}

const SESSION: &[&str] = &["source", "id"];
const OF_SESSION: &[&str] = &["source", "session_id"];
const PERSON: &[&str] = &["source", "session_id", "participation_id"];
const GUARDED: &[&str] = &["source", "session_id", "kind"];

pub(super) const TABLES: [Table; 27] = [
    Table {
        name: "source",
        key: &["name"],
        columns: &[
            text("name"),
            int("last_snapshot_at"),
            text("policy_digest"),
            flag("filled"),
            text("adopting"),
            int("gone_at"),
            int("whole_at"),
        ],
    },
    Table { name: "expected", key: &["name"], columns: &[text("name"), int("since")] },
    Table { name: "part", key: &["source", "name"], columns: &[text("source"), text("name"), int("read_at"), text("sessions")] },
    Table {
        name: "session",
        key: SESSION,
        columns: &[
            text("source"),
            int("id"),
            int("revision"),
            sealed(text("digest"), "digest", SESSION),
            int("start_at"),
            text("ambiguous"),
            sealed(text("record"), "record", SESSION),
            text("presence"),
            int("replan"),
            text("taken_for"),
        ],
    },
    Table {
        name: "also_listed",
        key: OF_SESSION,
        columns: &[text("source"), int("session_id"), int("start_at"), sealed(text("record"), "also", OF_SESSION), text("taken_for")],
    },
    Table {
        name: "participant",
        key: PERSON,
        columns: &[
            text("source"),
            int("session_id"),
            int("participation_id"),
            int("first_seen"),
            int("session_seen"),
            int("start_at"),
            int("start_known_at"),
            flag("adopted"),
            sealed(text("facts"), "facts", PERSON),
            int("facts_known_at"),
            flag("cancelled"),
            int("absent_since"),
            int("absences"),
            text("said"),
            int("said_of"),
            alike("person", "who"),
            text("presence"),
            text("role"),
            sealed(text("record"), "person", PERSON),
        ],
    },
    Table {
        name: "rsvp",
        key: PERSON,
        columns: &[text("source"), int("session_id"), int("participation_id"), text("says"), text("over"), int("at"), int("start_at")],
    },
    Table { name: "notice", key: &["id"], columns: NOTICE },
    Table {
        name: "content",
        key: &["notice_id"],
        columns: &[int("notice_id"), sealed(bytes("packed"), "message", &["notice_id"]), int("size"), int("sample")],
    },
    Table {
        name: "delivery",
        key: &["notice_id", "attempt"],
        columns: &[
            int("notice_id"),
            int("attempt"),
            int("epoch"),
            int("started_at"),
            text("phase"),
            int("ended_at"),
            text("outcome"),
            text("transport"),
            text("reply"),
            text("receipt"),
            int("receipt_at"),
            text("receipt_detail"),
        ],
    },
    Table {
        name: "omission",
        key: &["source", "session_id", "position"],
        columns: &[
            text("source"),
            int("session_id"),
            int("position"),
            int("participation_id"),
            text("role"),
            text("occasion"),
            text("rule"),
            text("channel"),
            int("due_at"),
            text("reason"),
            text("detail"),
        ],
    },
    Table {
        name: "fault",
        key: &["source", "position"],
        columns: &[text("source"), int("position"), text("path"), text("reason"), int("session_id"), int("participation_id")],
    },
    Table {
        name: "guard",
        key: GUARDED,
        columns: &[
            text("source"),
            int("session_id"),
            text("kind"),
            int("people"),
            sealed(text("says"), "guard", GUARDED),
            int("since"),
            text("standing"),
        ],
    },
    Table { name: "guard_passed", key: GUARDED, columns: &[text("source"), int("session_id"), text("kind"), int("at")] },
    Table {
        name: "lately",
        key: OF_SESSION,
        columns: &[text("source"), int("session_id"), int("until"), sealed(text("items"), "lately", &["session_id"])],
    },
    Table { name: "restored", key: &["source"], columns: &[text("source"), int("first_walk_at")] },
    Table {
        name: "suppression",
        key: &["address_key"],
        columns: &[alike("address_key", "suppression"), text("kind"), int("since"), text("shown"), bytes("notice_key"), text("said_by")],
    },
    Table { name: "heard", key: &["address_key"], columns: &[alike("address_key", "suppression"), int("at")] },
    Table { name: "reply", key: &["id"], columns: &[text("id"), int("at"), text("word")] },
    Table { name: "outgoing", key: &["key"], columns: OUTGOING },
    Table {
        name: "said",
        key: &["reply_id"],
        columns: &[text("reply_id"), int("at"), text("shown"), sealed(text("text"), "said", &["reply_id"]), text("about"), int("read_at")],
    },
    Table { name: "look", key: &["source"], columns: LOOK },
    Table { name: "transport", key: &["channel", "name"], columns: TRANSPORT },
    Table { name: "alert", key: &["key"], columns: &[text("key"), int("since"), text("text")] },
    Table { name: "visit", key: &["digest"], columns: &[bytes("digest"), text("name"), bytes("mark"), int("began"), int("seen")] },
    Table { name: "ledger_key", key: &["from_seq"], columns: &[int("from_seq"), sealed(bytes("key"), "ledger_key", &["from_seq"])] },
    Table {
        name: "ledger",
        key: &["seq"],
        columns: &[
            int("seq"),
            int("at"),
            bytes("notice_key"),
            int("session_id"),
            int("participation_id"),
            text("event"),
            text("from_state"),
            text("to_state"),
            text("reason"),
            text("detail"),
            bytes("chain"),
        ],
    },
];
