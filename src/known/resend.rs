//! What staff hand over again: a new notice beside the one that is over, of the same session, occasion and rule. Pure.
//!
//! Its key is computed from the other's ([`NoticeKey::resent`]), so no store needs a column for it. At the moment of sending the planner is asked as
//! if the other had not been told: what holds no more does not go.

use chrono::{DateTime, Utc};

use crate::contact::Address;
use crate::entry::State;
use crate::known::KnownNotice;
use crate::notice::{Notice, NoticeKey, Occasion, RESENDS_MAX};

/// What became of a wish to hand a notice over again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resent {
    /// It waits under this key.
    As(NoticeKey),
    /// There is no such notice.
    Missing,
    /// It is not over: only what was accepted or rejected is handed over again.
    NotOver(State),
    /// It is of no more use.
    Late,
    /// It is being handed over again already.
    UnderWay,
    /// It was handed over again too often.
    TooOften,
    /// The other address is of another channel.
    OtherChannel,
}

/// The notice that this one hands over again; `None`: it stands for itself.
pub fn original<'a>(notice: &Notice, known: &'a [KnownNotice]) -> Option<&'a KnownNotice> {
    let alike = known.iter().filter(|one| {
        (one.notice.occasion, &one.notice.rule, one.notice.start) == (notice.occasion, &notice.rule, notice.start)
            && one.notice.key != notice.key
    });
    alike.into_iter().find(|one| (1..=RESENDS_MAX).any(|n| one.notice.key.resent(n, &notice.address) == notice.key))
}

/// It only reminds of what was told by then: as if it had not been, what came before may go again.
pub fn reminds_later(notice: &Notice, due_at: DateTime<Utc>) -> bool {
    matches!(notice.occasion, Occasion::Reminder | Occasion::NotJoined) && notice.due_at > due_at
}

/// The new notice. `known`: the participant's notices, this one among them.
pub(crate) fn again(
    notice: &Notice,
    state: State,
    known: &[KnownNotice],
    to: Option<&Address>,
    now: DateTime<Utc>,
) -> Result<Notice, Resent> {
    if !matches!(state, State::Accepted | State::Rejected) {
        return Err(Resent::NotOver(state));
    }
    if notice.useful_until <= now {
        return Err(Resent::Late);
    }
    let address = to.unwrap_or(&notice.address);
    if address.channel() != notice.address.channel() {
        return Err(Resent::OtherChannel);
    }
    let root = original(notice, known).map_or(notice.key, |first| first.notice.key);
    let of_it = |one: &&KnownNotice| original(&one.notice, known).is_some_and(|first| first.notice.key == root);
    let over = |state: State| !state.pending() && !matches!(state, State::Claimed | State::Sending | State::Unknown);
    if known.iter().filter(of_it).any(|one| !over(one.state)) {
        return Err(Resent::UnderWay);
    }
    let free = (1..=RESENDS_MAX).map(|n| root.resent(n, address)).find(|key| known.iter().all(|one| one.notice.key != *key));
    let key = free.ok_or(Resent::TooOften)?;
    Ok(Notice { key, address: address.clone(), due_at: now, ..notice.clone() })
}
