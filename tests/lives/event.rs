//! What happens in a life, and how it is drawn.

use chrono::{DateTime, TimeDelta, Utc};

use super::servers::{GATEWAYS, Mood, RELAYS};
use super::source::{Column, PersonFault, SessionFault};
use super::store::Point;
use super::world::Feed;

/// One life in so many has its store in a file.
const FILES: usize = 20;
/// Days on which lives begin: an ordinary one, and two before a change of the clocks.
const BEGINNINGS: [&str; 3] = ["2026-11-24T14:00:00Z", "2026-10-30T13:00:00Z", "2027-03-12T16:00:00Z"];

/// How a practice begins.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) beginning: usize,
    pub(super) configured: usize,
    pub(super) sources: usize,
    pub(super) connections: usize,
    /// Its store is a file; the others' is in memory, for they are many.
    pub(super) file: bool,
    /// Source, start, channels of the participants.
    pub(super) sessions: Vec<(usize, usize, &'static str)>,
}

impl Setup {
    pub(super) fn beginning(&self) -> DateTime<Utc> {
        BEGINNINGS[self.beginning % BEGINNINGS.len()].parse().unwrap()
    }
}

/// Something that is done at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Deed {
    /// The lanes go round.
    HandOver,
    /// The sources are asked.
    Poll,
    /// Staff cancels, holds or releases the nth notice that can be.
    Cancel(usize),
    Hold(usize),
    Release(usize),
    /// Staff go through what may have gone out before a backup was put back.
    AsksTheLog,
    /// An operator lets pass what waits.
    Accept,
    /// Or says that it is wrong: what was said before holds.
    Reject,
    /// Staff asks that somebody is reminded now; perhaps in quiet hours, too.
    Remind(usize, bool),
    /// Staff sends the nth message that is over again.
    Resend(usize, Named),
    /// Staff puts somebody's address on the list, or takes it off.
    Suppress(usize),
    Unsuppress(usize),
    /// Somebody writes.
    Text(usize, usize),
    /// A receipt of the nth accepted text: delivered, or not.
    Receipt(usize, bool),
}

/// Where staff send something again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Named {
    /// Where it went.
    Own,
    /// To another address of theirs.
    Corrected(usize),
    /// To somebody else's.
    Anothers(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// So many minutes pass, and the daemon runs.
    Wait(i64),
    Does(Deed),
    /// The next time that the store comes there, something else happens first.
    Meanwhile(Point, Deed),
    Book(usize, usize, &'static str),
    Move(usize, usize),
    Status(usize, &'static str),
    List(usize, bool),
    ListPerson(usize, usize, bool),
    Code(usize, usize, usize),
    Address(usize, usize, usize),
    Channel(usize, usize, char),
    Zone(usize, usize, usize),
    Name(usize, usize, usize),
    Rsvp(usize, usize, &'static str),
    Spelling(usize),
    PersonFault(usize, usize, Option<PersonFault>),
    SessionFault(usize, Option<SessionFault>),
    Twice(usize, bool),
    Slips(Column),
    Swaps(Column, usize, usize),
    /// Another source lists the session from now on.
    GoesTo(usize, usize),
    /// Another source lists it too, with the same words or others.
    Also(usize, Option<(usize, bool)>),
    SourceIs(usize, Feed),
    ServerIs(usize, Mood),
    Restart,
    Kill,
    /// The store is copied: by the command, or its bare files.
    BacksUp(bool),
    /// The last copy takes the store's place, with the mark of the store that ran last or without.
    PutsBack(bool),
    /// The clock is set by so many minutes.
    Jump(i64),
    /// The machine sleeps so many minutes.
    Sleep(i64),
    Configured(usize),
}

/// Numbers that are the same for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64, life: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ life.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// Below `n`.
    pub(super) fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

const CHANNELS: [&str; 5] = ["E", "E", "S", "EE", "ES"];
const WAITS: [i64; 9] = [1, 3, 3, 11, 11, 31, 120, 540, 1500];

pub(super) fn setup(dice: &mut Dice) -> Setup {
    let sources = dice.of(&[1, 1, 1, 2, 2, 3]);
    let sessions = dice.of(&[1, 1, 2, 2, 3, 5, 6]);
    Setup {
        beginning: dice.of(&[0, 0, 1, 2]),
        configured: dice.of(&[0, 0, 0, 1, 2, 3, 4]),
        sources,
        connections: dice.of(&[1, 1, 4]),
        file: dice.once_in(FILES),
        sessions: (0..sessions)
            .map(|_| (dice.roll(sources), dice.roll(8), if sessions > 3 { dice.of(&["E", "S"]) } else { dice.of(&CHANNELS) }))
            .collect(),
    }
}

/// The events of a life. Each life dwells on some kinds of events, so that they meet each other.
pub(super) fn events(dice: &mut Dice, file: bool) -> Vec<Event> {
    let mut weights: Vec<usize> = Vec::new();
    for _ in KINDS {
        weights.push(if dice.once_in(3) { 1 + dice.roll(4) } else { 0 });
    }
    weights[0] += 1;
    let total: usize = weights.iter().sum();
    let n = 3 + dice.roll(12);
    let mut events = Vec::new();
    while events.len() < n {
        if dice.once_in(2) {
            events.push(Event::Wait(dice.of(&WAITS)));
        }
        let mut left = dice.roll(total);
        let of_kind = |weight: &usize| {
            let is = left < *weight;
            left = left.saturating_sub(*weight);
            is
        };
        let kind = weights.iter().position(of_kind).unwrap_or(0);
        events.push(KINDS[kind].1(dice));
    }
    if file && !dice.once_in(3) {
        is_put_back(dice, &mut events);
    }
    events
}

/// Somewhere in it the store is copied, and later the copy is put back; staff may do what is to be done then.
fn is_put_back(dice: &mut Dice, events: &mut Vec<Event>) {
    let copied = dice.roll(events.len());
    events.insert(copied, Event::BacksUp(dice.once_in(4)));
    let back = copied + 1 + dice.roll(events.len() - copied);
    events.insert(back, Event::PutsBack(dice.once_in(2)));
    if dice.once_in(2) {
        let asks = back + 1 + dice.roll(events.len() - back);
        events.insert(asks, Event::Does(Deed::AsksTheLog));
    }
}

/// A kind of event: its name, and what draws one.
type Kind = (&'static str, fn(&mut Dice) -> Event);

/// The kinds.
const KINDS: [Kind; 31] = [
    ("wait", |d| Event::Wait(d.of(&WAITS))),
    ("moves", |d| Event::Move(d.roll(6), d.roll(8))),
    ("cancels", |d| Event::Status(d.roll(6), d.of(&["Cancelled", "Scheduled", ""]))),
    ("words", |d| {
        Event::Status(d.roll(6), d.of(&["Canceled", "CANCELLED", "Deleted", "Removed", "Rescheduled", "Completed", "Postponed"]))
    }),
    ("lists", |d| Event::List(d.roll(6), d.once_in(2))),
    ("people listed", |d| Event::ListPerson(d.roll(6), d.roll(2), d.once_in(2))),
    ("codes", |d| Event::Code(d.roll(6), d.roll(2), d.roll(3))),
    ("address", |d| Event::Address(d.roll(6), d.roll(2), d.roll(3))),
    ("channel", |d| Event::Channel(d.roll(6), d.roll(2), d.of(&['E', 'S', 'N']))),
    ("zone", |d| Event::Zone(d.roll(6), d.roll(2), d.roll(4))),
    ("names", |d| Event::Name(d.roll(6), d.roll(2), d.roll(3))),
    ("rsvp", |d| Event::Rsvp(d.roll(6), d.roll(2), d.of(&["Confirmed", "Declined", "Unknown", "declined", "Accepted"]))),
    ("spelling", |d| Event::Spelling(d.roll(3))),
    ("person at fault", |d| Event::PersonFault(d.roll(6), d.roll(2), d.of(&PERSON_FAULTS))),
    ("session at fault", |d| Event::SessionFault(d.roll(6), d.of(&SESSION_FAULTS))),
    ("twice", |d| Event::Twice(d.roll(6), d.once_in(2))),
    ("slips", |d| Event::Slips(d.of(&COLUMNS))),
    ("swaps", |d| Event::Swaps(d.of(&COLUMNS), d.roll(6), d.roll(6))),
    ("goes", |d| Event::GoesTo(d.roll(6), d.roll(3))),
    ("also", |d| Event::Also(d.roll(6), d.of(&[None, Some((0, true)), Some((1, true)), Some((1, false)), Some((2, false))]))),
    ("feeds", |d| Event::SourceIs(d.roll(3), feed(d))),
    ("moods", |d| Event::ServerIs(d.roll(4), mood(d))),
    ("well", |d| Event::ServerIs(d.roll(4), Mood::Takes)),
    ("deeds", |d| Event::Does(deed(d))),
    ("polls between", |d| Event::Meanwhile(d.of(&POINTS), d.of(&[Deed::HandOver, Deed::Poll, Deed::Poll]))),
    ("deeds between", |d| Event::Meanwhile(d.of(&POINTS), deed(d))),
    ("ends", |d| if d.once_in(2) { Event::Restart } else { Event::Kill }),
    ("clock", |d| Event::Jump(d.of(&[-2, 3, 70, -70, 600, -600, 2_000, -3_000]))),
    ("sleep", |d| Event::Sleep(d.of(&[10, 100, 600, 1_600]))),
    ("reload", |d| Event::Configured(d.roll(5))),
    ("books", |d| Event::Book(d.roll(3), d.roll(8), d.of(&CHANNELS))),
];

const COLUMNS: [Column; 4] = [Column::Email, Column::Code, Column::Name, Column::Zone];
const POINTS: [Point; 4] = [Point::Apply, Point::Begin, Point::Doubt, Point::Settle];
const PERSON_FAULTS: [Option<PersonFault>; 6] = [
    None,
    Some(PersonFault::Code),
    Some(PersonFault::Channel),
    Some(PersonFault::Nameless),
    Some(PersonFault::Number),
    Some(PersonFault::Address),
];
const SESSION_FAULTS: [Option<SessionFault>; 4] =
    [None, Some(SessionFault::Nameless), Some(SessionFault::Start), Some(SessionFault::Garbage)];

fn feed(d: &mut Dice) -> Feed {
    match d.roll(6) {
        0 | 1 => Feed::Good,
        2 => Feed::Empty,
        3 => Feed::Part(d.roll(4)),
        4 => Feed::Silent,
        _ => Feed::Late(1 + d.roll(3)),
    }
}

fn mood(d: &mut Dice) -> Mood {
    let after_the_dot = d.once_in(2);
    match d.roll(7) {
        0 => Mood::Down,
        1 | 2 => {
            let whom = if d.once_in(3) { None } else { Some(d.roll(6)) };
            Mood::Says { words: d.roll(RELAYS.len().max(GATEWAYS.len())), whom, after_the_dot }
        }
        3 => Mood::LosesAnswers,
        4 => Mood::Slow(d.of(&[4, 40, 200])),
        5 => Mood::Hangs { after_the_dot },
        _ => Mood::Kills { after_the_dot },
    }
}

fn deed(d: &mut Dice) -> Deed {
    match d.roll(16) {
        0 => Deed::Cancel(d.roll(9)),
        1 => Deed::Hold(d.roll(9)),
        2 => Deed::Release(d.roll(9)),
        3 => Deed::Accept,
        4 => Deed::Suppress(d.roll(6)),
        5 => Deed::Unsuppress(d.roll(6)),
        6 => Deed::Receipt(d.roll(9), d.once_in(2)),
        7 => Deed::HandOver,
        8 => Deed::Reject,
        9 | 10 => Deed::Remind(d.roll(6), d.once_in(3)),
        11 | 12 => Deed::Resend(d.roll(9), Named::Own),
        13 => Deed::Resend(d.roll(9), if d.once_in(4) { Named::Anothers(d.roll(6)) } else { Named::Corrected(d.roll(4)) }),
        _ => Deed::Text(d.roll(6), d.roll(super::people::WORDS.len())),
    }
}

/// For a story: minutes as people say them.
pub(super) fn length(minutes: i64) -> String {
    let time = TimeDelta::minutes(minutes.abs());
    match (time.num_hours(), time.num_minutes() % 60) {
        (0, m) => format!("{m} minutes"),
        (h, 0) => format!("{h} hours"),
        (h, m) => format!("{h} h {m} min"),
    }
}
