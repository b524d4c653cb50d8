//! Each reason in words: what happened, and what to do about it, on the pages and at the command line. One table: pages, API, letter and commands
//! take theirs from it. English: staff of a practice read it.

use crate::notice::Reason;

/// A reason in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonWords {
    /// What happened: a sentence without a period.
    pub what: &'static str,
    /// What somebody at the front desk can do, on the pages; `None`: nothing, or nothing there.
    pub remedy: Option<&'static str>,
    /// What an administrator can do, in the letter and at the command line.
    pub advice: &'static str,
}

/// The words for a reason.
pub fn of(reason: Reason) -> ReasonWords {
    let row = TABLE.iter().find(|(of, _)| *of == reason);
    row.map_or(ReasonWords { what: reason.as_str(), remedy: None, advice: LOOK }, |(_, words)| *words)
}

/// What to do about a guard.
pub(super) const GUARD: &str = "Is that right? Then run `punctual guard accept`. If not, correct it in the scheduling system.";
/// Where no staff need act.
const LOOK: &str = "Look with `punctual why`.";

const fn row(reason: Reason, what: &'static str, remedy: Option<&'static str>, advice: &'static str) -> (Reason, ReasonWords) {
    (reason, ReasonWords { what, remedy, advice })
}

const TABLE: [(Reason, ReasonWords); 38] = [
    row(
        Reason::Quarantined,
        "This booking has an error",
        Some("Correct the record where sessions are booked; until then, call them."),
        "Correct the field in the scheduling system. Until then this person is told nothing.",
    ),
    row(
        Reason::Ambiguous,
        "The same id or code stands for two people",
        Some("Correct the record where sessions are booked; until then, call them."),
        "A code must reach one person only. Give each a record and a code of their own, or call them.",
    ),
    row(
        Reason::UnknownStatus,
        "A word in the record is not known",
        Some("Tell your administrator what the word means ([source.status]), or correct it where sessions are booked."),
        "Say what it means in [source.status], or correct it in the scheduling system; until then, call them.",
    ),
    row(Reason::HostDelivers, "The host, or another system, tells them", None, LOOK),
    row(Reason::HostsOff, "Hosts get no messages here", None, LOOK),
    row(
        Reason::NoEmail,
        "There is no e-mail address",
        Some("Correct the e-mail address where sessions are booked, or call them."),
        "Enter an address in the session, choose text messages, or call them.",
    ),
    row(
        Reason::InvalidEmail,
        "The e-mail address cannot be used",
        Some("Correct the e-mail address where sessions are booked, or call them."),
        "Correct the address in the session, or call them.",
    ),
    row(
        Reason::NoNumber,
        "There is no telephone number",
        Some("Correct the telephone number where sessions are booked, or call them."),
        "Enter a number in the session, choose e-mail, or call them.",
    ),
    row(
        Reason::InvalidNumber,
        "The telephone number cannot be used",
        Some("Correct the telephone number where sessions are booked, or call them."),
        "Correct the number in the session, or call them.",
    ),
    row(
        Reason::DoNotContact,
        "Marked as: do not contact",
        Some("Do not write to them; call, if that is agreed."),
        "Nothing is sent. Call them if they should come.",
    ),
    row(
        Reason::OptedOut,
        "They asked for no more messages",
        Some("Do not write to them; call, if that is agreed."),
        "Nothing is sent. Call them, or agree on another way.",
    ),
    row(
        Reason::Bounced,
        "An earlier message came back",
        Some("Ask for another address. If this one is right, take it off the list of bounced addresses."),
        "Correct the address. If it is right after all: `punctual suppress list`, then `punctual suppress remove`.",
    ),
    row(
        Reason::NoConnectCode,
        "There is no connect code to join with",
        Some("Open the session where it was booked: it has to give a code."),
        "Without a code there is nothing to join with. Save the session again, or call support.",
    ),
    row(Reason::Cancelled, "The session is cancelled", None, LOOK),
    row(Reason::Declined, "They declined", None, LOOK),
    row(Reason::AlreadyConnected, "They have connected already", None, LOOK),
    row(
        Reason::PassExpired,
        "The meeting pass expires before",
        Some("Extend the meeting pass where the session was booked."),
        "Extend the pass in the scheduling system.",
    ),
    row(Reason::MeetNow, "Meet Now sessions get no reminders", None, LOOK),
    row(Reason::Started, "The session begins before it would be due", None, LOOK),
    row(Reason::BookedLate, "Booked too late for this reminder", None, LOOK),
    row(Reason::TooClose, "Too soon after the invite", None, LOOK),
    row(Reason::Frequency, "Enough reminders of other sessions went to this number", None, LOOK),
    row(Reason::Superseded, "A later message took its place", None, LOOK),
    row(Reason::QuietHours, "Only quiet hours are left", None, LOOK),
    row(Reason::Adopted, "Existed before Punctual started", None, LOOK),
    row(Reason::NeverInvited, "Never invited", None, LOOK),
    row(
        Reason::Absent,
        "No longer in the schedule",
        Some("If the session takes place, look whether the source still lists it."),
        "Nothing is sent. If the session takes place, look why it left the list.",
    ),
    row(Reason::Guard, "Too much changed at once", Some("Compare with the booking system. If it is right, accept the change."), GUARD),
    row(Reason::SourceStale, "The source has not answered for too long", Some("Look whether the booking system can be reached."), LOOK),
    row(
        Reason::SourceGone,
        "Its source is not in the configuration any more",
        Some("Tell your administrator: a source was taken out of the configuration, or has another name now."),
        "Nothing is sent. If it has another name now, give it `was = \"old-name\"`; else tell them yourself.",
    ),
    row(Reason::Lapsed, "Its time passed before it could go", Some("Call them."), LOOK),
    row(
        Reason::Leak,
        "It would have shown something of another person",
        Some("Nothing was sent. Tell your administrator: a template or a record is at fault."),
        LOOK,
    ),
    row(Reason::Outdated, "The session says something else by now", None, LOOK),
    row(Reason::Template, "The template could not be used", Some("Tell your administrator: a template is at fault."), LOOK),
    row(Reason::InDoubt, "Nobody knows whether it arrived", Some("Ask whether it arrived, before you send it again."), LOOK),
    row(
        Reason::Restored,
        "The store was restored, and it may have gone out already",
        Some("Ask whether it arrived, before you send it again."),
        LOOK,
    ),
    row(Reason::Operator, "Somebody here decided so", None, LOOK),
    row(Reason::Told, "Somebody here told them in another way", None, LOOK),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_words_and_each_form_is_one() {
        for reason in Reason::all() {
            assert_eq!(TABLE.iter().filter(|(of, _)| *of == reason).count(), 1, "{reason}");
            let words = of(reason);
            assert!(words.what.starts_with(char::is_uppercase) && !words.what.ends_with('.'), "{reason}: {}", words.what);
            for advice in words.remedy.into_iter().chain([words.advice]) {
                assert!(advice.starts_with(char::is_uppercase) && advice.ends_with('.'), "{reason}: {advice}");
            }
            assert!(words.remedy.is_none_or(|remedy| !remedy.contains('`')), "{reason}: nobody at a front desk types commands");
        }
        assert_eq!(TABLE.len(), Reason::all().count());
    }
}
