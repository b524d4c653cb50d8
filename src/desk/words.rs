//! Reasons and states in the words of a front desk, and what somebody can do about them.

use chrono::{DateTime, Utc};

use crate::contact::Channel;
use crate::entry::{AttemptEnd, State};
use crate::ledger::Event;
use crate::notice::Reason;
use crate::outcome::PAUSES;
use crate::receipt::DeliveryStatus;
use crate::staff::reasons;
use crate::zone::Zone;

/// What a reason means, in a sentence without a period.
pub fn reason(reason: Reason) -> &'static str {
    reasons::of(reason).what
}

/// `Too much changed at once [guard]`: for whoever may look the word up, or give it to a program.
pub fn with_code(code: &str, detail: Option<&str>) -> String {
    let words = code.parse().map_or_else(|_| code.to_owned(), |known| format!("{} [{code}]", reason(known)));
    detail.map_or_else(|| words.clone(), |detail| format!("{words} ({detail})"))
}

/// What to do; `None`: nothing, or nothing here.
pub fn remedy(reason: Reason) -> Option<&'static str> {
    reasons::of(reason).remedy
}

/// The word of a state.
pub fn state(state: State) -> &'static str {
    match state {
        State::Waiting => "Planned",
        State::Claimed | State::Sending => "Being sent",
        State::Accepted => "Sent",
        State::Rejected => "Refused",
        State::Unknown => "Not certain",
        State::Held => "Held",
        State::Cancelled => "Cancelled",
        State::Superseded => "Replaced",
        State::Lapsed => "Too late",
        State::Suppressed => "Not sent",
    }
}

/// How an attempt ended: as the state that follows, if one does.
pub fn end(end: &AttemptEnd) -> &str {
    match end {
        AttemptEnd::Accepted => state(State::Accepted),
        AttemptEnd::Rejected => state(State::Rejected),
        AttemptEnd::Unknown => state(State::Unknown),
        AttemptEnd::Ended(into) => state(*into),
        AttemptEnd::Retry
        | AttemptEnd::ChannelFault
        | AttemptEnd::Fenced
        | AttemptEnd::Moved
        | AttemptEnd::Stopped
        | AttemptEnd::Crashed
        | AttemptEnd::Other(_) => end.as_str(),
    }
}

/// What became of a message that was sent, as the provider or a mail server said later.
pub fn delivery(status: DeliveryStatus, channel: Channel) -> &'static str {
    match (status, channel) {
        (DeliveryStatus::Sent, _) => "On its way",
        (DeliveryStatus::Undelivered | DeliveryStatus::Failed, Channel::Email) => "Came back",
        (DeliveryStatus::Undelivered | DeliveryStatus::Failed, Channel::Sms) => "Did not arrive",
        (DeliveryStatus::Delivered, _) => "Arrived",
    }
}

/// What it means that a message did not arrive, and what to do.
pub fn lost(channel: Channel) -> (&'static str, &'static str) {
    match channel {
        Channel::Email => {
            ("The mail came back: they have not got it", "Correct the address where sessions are booked, and send it again; or call them.")
        }
        Channel::Sms => (
            "The text did not arrive: they have not got it",
            "Correct the number where sessions are booked, and send it again; or call them.",
        ),
    }
}

/// The word of a state, for a message that should have left and did not.
pub const OVERDUE: &str = "Overdue";

/// `10:43 PM` on the clock of a zone; on another day than now: `Sat, Nov 28, 10:43 PM`.
pub fn clock(at: DateTime<Utc>, zone: &Zone, now: DateTime<Utc>) -> String {
    let (local, today) = (zone.local(at).civil, zone.local(now).civil.date());
    let time = local.format("%-I:%M %p");
    if local.date() == today { time.to_string() } else { format!("{}, {time}", local.format("%a, %b %-d")) }
}

/// With a capital letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What rows of the ledger tell of, in words; what is not here is shown by its own word.
const EVENTS: &[(Event, &str)] = &[
    (Event::Added, "planned"),
    (Event::Moved, "planned anew"),
    (Event::Ended, "not sent after all"),
    (Event::Claimed, "picked up"),
    (Event::Begun, "made"),
    (Event::Rerouted, "given to another server"),
    (Event::Doubted, "handed to the server"),
    (Event::Settled, "answer came"),
    (Event::TakenBack, "taken back: the refusal was about us"),
    (Event::Recovered, "found after a crash"),
    (Event::Resolved, "doubt ended"),
    (Event::Receipt, "receipt came"),
    (Event::Reply, "they wrote"),
    (Event::ReplyRead, "text read"),
    (Event::Answer, "text answered"),
    (Event::Rsvp, "they answered"),
    (Event::Suppress, "address blocked"),
    (Event::Suppressed, "address blocked"),
    (Event::Unsuppress, "address unblocked"),
    (Event::Unsuppressed, "address unblocked"),
    (Event::Purged, "old things removed"),
    (Event::DigestDelivery, "daily letter"),
    (Event::Checkpoint, "ledger shortened"),
    (Event::Chain, "another program writes"),
    (Event::Seal, "ledger sealed"),
    (Event::WasSeal, "ledger sealed"),
    (Event::Merged, "ledger put together"),
    (Event::Restored, "store restored"),
    (Event::Keyed, "new key"),
    (Event::Cancel, "not to be sent"),
    (Event::CancelTold, "told by phone"),
    (Event::Retry, "tried at once"),
    (Event::Hold, "held"),
    (Event::Release, "released"),
    (Event::Restore, "to be sent after all"),
    (Event::Resend, "sent again"),
    (Event::Remind, "reminded"),
    (Event::LogIn, "logged in"),
    (Event::LogOut, "logged out"),
    (Event::LogInRefused, "log-in refused"),
    (Event::Reveal, "code shown"),
    (Event::Looked, "looked"),
    (Event::Called, "called"),
    (Event::Alert, "staff alerted"),
    (Event::AlertOver, "alert over"),
    (Event::Template, "text of a message changed"),
    (Event::UserAdded, "user added"),
    (Event::UserRole, "user may do something else"),
    (Event::UserPassword, "password changed"),
    (Event::UserTotp, "one-time codes"),
    (Event::UserRemoved, "user removed"),
    (Event::TokenAdded, "token added"),
    (Event::TokenRemoved, "token removed"),
    (Event::SendTest, "test message"),
    (Event::SourceRenamed, "source renamed"),
    (Event::Webhook, "booking system called"),
];

/// What a row of the ledger tells of, in words.
pub fn event(event: &Event) -> &str {
    EVENTS.iter().find(|(known, _)| known == event).map_or(event.as_str(), |(_, words)| words)
}

/// A text with each time in it as people read it.
pub fn clocked(text: &str, time: &dyn Fn(DateTime<Utc>) -> String) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([':', ',', ';', '.']);
        bare.parse::<DateTime<Utc>>().map_or_else(|_| word.to_owned(), |at| format!("{}{}", time(at), &word[bare.len()..]))
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What a transport says of its fault, in words of everyday. Its own words, where none of ours fits.
pub fn fault(said: &str) -> String {
    let said = said.split_once(PAUSES).map_or(said, |(_, why)| why);
    let lower = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let known = if has(&["connection refused"]) {
        "the server refuses connections"
    } else if has(&["name or service not known", "failed to lookup", "dns error", "no such host"]) {
        "the server\u{2019}s name cannot be found"
    } else if has(&["unreachable", "no route"]) {
        "the server cannot be reached"
    } else if has(&["certificate", "tls"]) {
        "the server\u{2019}s encryption cannot be trusted"
    } else if has(&["auth", "535", "401"]) {
        "the server refuses our log-in"
    } else if has(&["cannot be written"]) {
        "the folder for messages cannot be written"
    } else if has(&["timed out", "time-out", "timeout", "no answer", "deadline"]) {
        "the server does not answer"
    } else {
        return format!("the server says {said}");
    };
    known.to_owned()
}

/// `12 seconds ago`, `3 minutes ago`.
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let span = (now - at).num_seconds().max(0);
    let (n, unit) = match span {
        0..120 => (span, "second"),
        120..7_200 => (span / 60, "minute"),
        7_200..172_800 => (span / 3_600, "hour"),
        _ => (span / 86_400, "day"),
    };
    format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
}
