//! Reports: fields that machines read (RFC 3464).

use mailparse::{MailHeaderMap, parse_headers};

use super::judged::{self, Words};
use crate::feedback::Report;
use crate::outbox::receipt::Fate;
use crate::outcome::{Suppression, redacted};
use crate::session::RawContact;

/// Recipients of a report that are looked at: our mail has one, and an alias may lead to some more.
const RECIPIENTS_MAX: usize = 50;

/// What is said of one recipient.
struct Status {
    fate: Fate,
    remember: Option<Suppression>,
    detail: String,
    /// The mailbox that failed.
    recipient: Option<RawContact>,
}

/// What the parts of a report say. `in_report`: they stand in a multipart/report. Anything else may have been made of one, so that nobody can say
/// what was left out: it is believed in what became of the message alone. `None`: no recipient's fields can be read.
pub(super) fn said<'m>(parts: impl Iterator<Item = &'m [u8]>, in_report: bool) -> Option<Report> {
    let statuses: Vec<Status> = parts.flat_map(of_part).collect();
    let some_arrived = statuses.iter().any(|s| s.fate == Fate::Delivered);
    // A mail that reached one mailbox of several has arrived; else the worst counts.
    let said = statuses.into_iter().max_by_key(|s| s.fate)?;
    Some(Report {
        reference: None,
        ours: None,
        fate: said.fate,
        detail: Some(said.detail),
        remember: said.remember.filter(|_| in_report && !some_arrived),
        recipient: said.recipient,
    })
}

/// Groups of fields (RFC 3464 2.1): one of the message, then one for each recipient.
fn of_part(part: &[u8]) -> Vec<Status> {
    let text = String::from_utf8_lossy(part).replace("\r\n", "\n");
    let groups = text.trim_start_matches('\n').split("\n\n").skip(1).take(RECIPIENTS_MAX);
    groups.filter_map(|group| of_recipient(format!("{}\n\n", group.trim_matches('\n')).as_bytes())).collect()
}

fn of_recipient(group: &[u8]) -> Option<Status> {
    let (fields, _) = parse_headers(group).ok()?;
    let status = fields.get_first_value("Status").unwrap_or_default();
    let fate = match fields.get_first_value("Action")?.trim().to_ascii_lowercase().as_str() {
        "failed" => Fate::Undelivered,
        "delivered" | "expanded" => Fate::Delivered,
        "delayed" | "relayed" => Fate::Sent,
        _ => return None,
    };
    let said = fields.get_first_value("Diagnostic-Code").unwrap_or_default();
    let recipient = fields.get_first_value("Final-Recipient").and_then(|field| mailbox(&field));
    // Whose mailbox it is must be said: a mail that was forwarded says nothing of the address that it was sent to.
    let is_gone = |recipient: &RawContact| judged::is_gone(&Words { status: &status, said: &said, recipient: &recipient.0 });
    let gone = fate == Fate::Undelivered && recipient.as_ref().is_some_and(is_gone);
    let remember = gone.then_some(Suppression::Bounced);
    let code = status.split_whitespace().next().unwrap_or_default();
    Some(Status { fate, remember, detail: redacted(format!("{code} {said}").trim()), recipient })
}

/// Of `rfc822; trevor@example.com` (RFC 3464 2.3.2), the address.
fn mailbox(field: &str) -> Option<RawContact> {
    let (kind, address) = field.split_once(';')?;
    let known = ["rfc822", "utf-8"].iter().any(|k| kind.trim().eq_ignore_ascii_case(k));
    let address = address.trim().trim_start_matches('<').trim_end_matches('>');
    (known && address.contains('@')).then(|| RawContact(address.to_owned()))
}
