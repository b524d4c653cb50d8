//! What a person hands over again, at the last look: the planner is asked as if the first one had not been told, and its word holds for the new one.

use crate::known::Known;
use crate::known::resend::{original, reminds_later};
use crate::notice::{Notice, Reason};
use crate::outbox::Claim;
use crate::plan::Suppressions;
use crate::suppression::Suppression;

/// The notice that the claimed one hands over again; `None`: it stands for itself.
pub(super) fn first(claim: &Claim) -> Option<Notice> {
    original(&claim.entry.notice, &claim.known.notices).map(|first| first.notice.clone())
}

/// The list that it is held against: one that goes to another address minds that one's entry, and not the own address's.
pub(super) fn listed<'a>(
    notice: &Notice,
    first: Option<&Notice>,
    all: &'a Suppressions,
    none: &'a Suppressions,
) -> Result<&'a Suppressions, Reason> {
    if first.is_none_or(|first| first.address == notice.address) {
        return Ok(all);
    }
    match all.of(&notice.address) {
        Some(Suppression::OptedOut) => Err(Reason::OptedOut),
        Some(Suppression::Bounced) => Err(Reason::Bounced),
        None => Ok(none),
    }
}

/// The history without what was handed over again of it, and without reminders that came later: they keep no invite from going again.
pub(super) fn without_resends(known: Known, first: Option<&Notice>) -> Known {
    let Some(first) = first else { return known };
    let of_it = |notice: &Notice| original(notice, &known.notices).is_some_and(|one| one.notice.key == first.key);
    let comes_before = |notice: &Notice| notice.key == first.key || (!of_it(notice) && !reminds_later(notice, first.due_at));
    let notices = known.notices.iter().filter(|one| comes_before(&one.notice)).cloned().collect();
    Known { notices, ..known }
}

/// What was decided of the first one, as the claimed one.
pub(super) fn decided(decided: Notice, first: Option<&Notice>, claimed: &Notice) -> Notice {
    match first {
        Some(_) => Notice { key: claimed.key, address: claimed.address.clone(), due_at: claimed.due_at, ..decided },
        None => decided,
    }
}
