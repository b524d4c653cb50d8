//! All that a source said at one moment, and what of it cannot be used.

use std::fmt;

use super::{ParticipationId, Session, SessionId};

/// All that a source said at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// In the order of the source.
    pub sessions: Vec<Session>,
    /// Sessions that could not be read at all. (A participant's fault is in its [`Session::faults`].)
    pub faults: Vec<Fault>,
    /// Of those beyond the first [`FAULTS_MAX`].
    pub more: MoreFaults,
    /// What stands in those that could not be read, for staff who correct them: never logged, never stored.
    pub unread: Vec<UnreadRecord>,
    /// What it says of the sessions that it does not list.
    pub kind: SnapshotKind,
    /// Of a source that is read in parts (the files of a folder, the lists of hosts): each of them.
    pub parts: Vec<SnapshotPart>,
    /// What the source was asked for, where the configuration says only a part of what it has; empty: all.
    pub asked: String,
}

/// A part of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPart {
    /// The file's name in its folder; the path that was asked for.
    pub name: String,
    /// What it does not list does not stand in it: it was read, and each record in it says which session it is of.
    pub whole: bool,
    /// The sessions in it, those that cannot be read among them.
    pub sessions: Vec<SessionId>,
}

/// The record of a session that could not be read.
#[derive(Clone)]
pub struct UnreadRecord {
    /// Of which session; `None`: that could not be read either.
    pub session: Option<SessionId>,
    /// As its source said it.
    pub record: String,
}

impl fmt::Debug for UnreadRecord {
    /// Not the record: it holds names and codes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnreadRecord({:?}, {} bytes)", self.session, self.record.len())
    }
}

/// Longest record that is kept for that, in bytes.
const UNREAD_MAX: usize = 64 << 10;

/// So many faults of a snapshot are kept, shown and answered; of more, their number.
pub const FAULTS_MAX: usize = 200;

/// Sessions that could not be read, beyond those that are told one by one.
#[derive(Debug, Clone, Default)]
pub struct MoreFaults {
    pub count: usize,
    /// Which sessions, as far as that could be read.
    pub sessions: Vec<SessionId>,
    /// That could not be read of all of them.
    pub nameless: bool,
}

/// What could not be used: what is told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first [`FAULTS_MAX`].
    pub first: Vec<Fault>,
    /// How many there are.
    pub count: usize,
}

impl Snapshot {
    /// A session that could not be read.
    pub fn fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.more.count += 1;
            self.more.nameless |= fault.session.is_none();
            self.more.sessions.extend(fault.session.filter(|_| !fault.is_word()));
        }
    }

    /// The record of a session that could not be read.
    pub fn keep_unread(&mut self, session: Option<SessionId>, record: &str) {
        if self.unread.len() < FAULTS_MAX && record.len() <= UNREAD_MAX {
            self.unread.push(UnreadRecord { session, record: record.to_owned() });
        }
    }

    /// Adds a part of the same source.
    pub fn join(&mut self, name: String, part: Self) {
        let sessions = part.sessions.iter().map(|session| session.id).chain(part.unreadable()).collect();
        self.parts.push(SnapshotPart { name, whole: part.is_whole(), sessions });
        part.unread.iter().for_each(|one| self.keep_unread(one.session, &one.record));
        self.sessions.extend(part.sessions);
        part.faults.into_iter().for_each(|fault| self.fault(fault));
        self.more.count += part.more.count;
        self.more.nameless |= part.more.nameless;
        self.more.sessions.extend(part.more.sessions);
        if part.kind != SnapshotKind::Full {
            self.kind = part.kind;
        }
    }

    /// A part that could not be read.
    pub fn lost(&mut self, name: String, reason: String) {
        self.kind = SnapshotKind::Partial;
        self.parts.push(SnapshotPart { name: name.clone(), whole: false, sessions: Vec::new() });
        self.fault(Fault { path: name, reason, session: None, participation: None });
    }

    /// Sessions whose records could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = SessionId> {
        let at_fault = self.faults.iter().filter(|fault| !fault.is_word());
        at_fault.filter_map(|fault| fault.session).chain(self.more.sessions.iter().copied())
    }

    /// There is a record of which not even the SessionId could be read.
    pub fn is_nameless(&self) -> bool {
        self.more.nameless || self.faults.iter().any(|fault| fault.session.is_none())
    }

    /// What it does not list is there no more: it is whole, and each record in it says which session it is of.
    pub fn is_whole(&self) -> bool {
        self.kind == SnapshotKind::Full && !self.is_nameless()
    }

    /// All that could not be used, of sessions and of their people.
    pub fn told(&self) -> Faults {
        let people = || self.sessions.iter().flat_map(|session| &session.faults);
        let first = self.faults.iter().chain(people()).take(FAULTS_MAX).cloned().collect();
        Faults { first, count: self.faults.len() + self.more.count + people().count() }
    }
}

impl Faults {
    /// One by one, and of the rest how many they are.
    pub fn lines(&self) -> Vec<Fault> {
        let more = self.count - self.first.len();
        let rest = (more > 0).then(|| Fault {
            path: "[...]".to_owned(),
            reason: format!("and {} more records cannot be used", grouped(more)),
            session: None,
            participation: None,
        });
        self.first.iter().cloned().chain(rest).collect()
    }
}

/// `999,800`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// What a snapshot says of the sessions that it does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotKind {
    /// They are there no more.
    #[default]
    Full,
    /// A part of the source could not be read: they may still be there. They count as unchanged, as long as a silent source is believed.
    Partial,
    /// They are as they were: it tells of a change only.
    Delta,
}

/// A record, or a field of one, that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Fault {
    /// The field's path: `[3].Participants[1].ConnectCode`.
    pub path: String,
    /// What was found and what was expected; repeats no contact, name or code.
    pub reason: String,
    /// Whose record it is, where that could be read.
    pub session: Option<SessionId>,
    /// Likewise.
    pub participation: Option<ParticipationId>,
}

impl Fault {
    /// It is a word that is not known, in a record that can be read otherwise.
    pub fn is_word(&self) -> bool {
        let of_word = self.path.ends_with("ScheduleType") || self.path.ends_with("RSVP");
        // A key that stands twice, or a text without end, is no word.
        of_word && self.reason.starts_with("found ")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}
