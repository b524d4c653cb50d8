//! Reasons and states in the words of a front desk, and what somebody can do about them.

use chrono::{DateTime, Utc};

use crate::contact::Channel;
use crate::entry::State;
use crate::notice::Reason;
use crate::outcome::PAUSES;
use crate::receipt::Fate;
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

/// What became of a message that was sent, as the provider or a mail server said later.
pub fn fate(fate: Fate, channel: Channel) -> &'static str {
    match (fate, channel) {
        (Fate::Sent, _) => "On its way",
        (Fate::Undelivered | Fate::Failed, Channel::Email) => "Came back",
        (Fate::Undelivered | Fate::Failed, Channel::Sms) => "Did not arrive",
        (Fate::Delivered, _) => "Arrived",
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

/// What a row of the ledger tells of, in words.
pub fn event(word: &str) -> &str {
    match word {
        "added" => "planned",
        "moved" => "planned anew",
        "ended" => "not sent after all",
        "claimed" => "picked up",
        "begun" => "made",
        "rerouted" => "given to another server",
        "doubted" => "handed to the server",
        "settled" => "answer came",
        "taken_back" => "taken back: the refusal was about us",
        "recovered" => "found after a crash",
        "resolved" => "doubt ended",
        "receipt" => "receipt came",
        "reply" => "they wrote",
        "reply_read" => "text read",
        "answer" => "text answered",
        "rsvp" => "they answered",
        "suppress" | "suppressed" => "address blocked",
        "unsuppress" | "unsuppressed" => "address unblocked",
        "purged" => "old things removed",
        "staff_letter" => "daily letter",
        "checkpoint" => "ledger shortened",
        "chain" => "another program writes",
        "seal" | "was_seal" => "ledger sealed",
        "merged" => "ledger put together",
        "restored" => "store restored",
        "keyed" => "new key",
        "cancel" => "not to be sent",
        "cancel_told" => "told by phone",
        "retry" => "tried at once",
        "hold" => "held",
        "release" => "released",
        "restore" => "to be sent after all",
        "resend" => "sent again",
        "remind" => "reminded",
        "log_in" => "logged in",
        "log_out" => "logged out",
        "log_in_refused" => "log-in refused",
        "reveal" => "code shown",
        "looked" => "looked",
        "called" => "called",
        "alert" => "staff alerted",
        "alert_over" => "alert over",
        "template" => "text of a message changed",
        "user_added" => "user added",
        "user_role" => "user may do something else",
        "user_password" => "password changed",
        "user_totp" => "one-time codes",
        "user_removed" => "user removed",
        "token_added" => "token added",
        "token_removed" => "token removed",
        "send_test" => "test message",
        "source_renamed" => "source renamed",
        "webhook" => "booking system called",
        other => other,
    }
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
