//! Reports: fields that machines read (RFC 3464).

use mailparse::{MailHeader, MailHeaderMap, parse_headers};

use super::judged::{self, ReportWords};
use crate::feedback::DeliveryReport;
use crate::outcome::{EnhancedStatus, redacted};
use crate::receipt::DeliveryStatus;
use crate::session::RawContact;
use crate::suppression::Suppression;

/// Recipients of a report that are looked at: our mail has one, and an alias may lead to some more.
const RECIPIENTS_MAX: usize = 50;

/// What is said of one recipient.
struct RecipientStatus {
    status: DeliveryStatus,
    remember: Option<Suppression>,
    detail: String,
    /// The mailbox that failed.
    recipient: Option<RawContact>,
}

/// What the parts of a report say, decoded. `in_report`: they stand in a multipart/report. Anything else may have been made of one, so that nobody can
/// say what was left out: it is believed in what became of the message alone. `None`: no recipient's fields can be read.
pub(super) fn said(parts: impl Iterator<Item = String>, in_report: bool) -> Option<DeliveryReport> {
    let statuses: Vec<RecipientStatus> = parts.flat_map(|part| of_part(&part)).collect();
    let some_arrived = statuses.iter().any(|s| s.status == DeliveryStatus::Delivered);
    // A mail that reached one mailbox of several has arrived; else the worst counts.
    let said = statuses.into_iter().max_by_key(|s| s.status)?;
    Some(DeliveryReport {
        reference: None,
        ours: None,
        status: said.status,
        detail: Some(said.detail),
        remember: said.remember.filter(|_| in_report && !some_arrived),
        recipient: said.recipient,
    })
}

/// Groups of fields (RFC 3464 2.1): one of the message, then one for each recipient. Some servers leave the first out, or the line between them: a
/// group is a recipient's by its fields.
fn of_part(part: &str) -> Vec<RecipientStatus> {
    let mut groups = vec![String::new()];
    for line in part.lines() {
        match groups.last_mut() {
            Some(group) if !line.trim().is_empty() => group.extend([line.trim_end(), "\n"]),
            Some(group) if group.is_empty() => {}
            _ => groups.push(String::new()),
        }
    }
    groups.iter().take(RECIPIENTS_MAX + 1).flat_map(|group| of_group(format!("{group}\n").as_bytes())).collect()
}

/// What one group says: of one recipient, or of several where the line between them is left out. Then nobody can say whose field is whose.
fn of_group(group: &[u8]) -> Vec<RecipientStatus> {
    let Ok((fields, _)) = parse_headers(group) else { return Vec::new() };
    let count = |name: &str| fields.get_all_values(name).len();
    let is_one = ["Action", "Status", "Final-Recipient", "Diagnostic-Code"].iter().all(|name| count(name) <= 1);
    let status = fields.get_first_value("Status").unwrap_or_default();
    let actions = fields.get_all_values("Action");
    if actions.is_empty() {
        return by_status(&status).map(|status| of_recipient(&fields, status, false)).into_iter().collect();
    }
    actions.iter().take(RECIPIENTS_MAX).filter_map(|action| by_action(action)).map(|status| of_recipient(&fields, status, is_one)).collect()
}

/// `failed`, also with a comment behind it.
fn by_action(action: &str) -> Option<DeliveryStatus> {
    let word: String = action.trim().chars().take_while(char::is_ascii_alphabetic).collect();
    match word.to_ascii_lowercase().as_str() {
        "failed" | "failure" => Some(DeliveryStatus::Undelivered),
        "delivered" | "expanded" => Some(DeliveryStatus::Delivered),
        "delayed" | "relayed" => Some(DeliveryStatus::Sent),
        _ => None,
    }
}

/// Without an action: 5.y.z did not arrive, 2.y.z did. 4.y.z may be tried again, or be given up: the words around it must tell.
fn by_status(status: &str) -> Option<DeliveryStatus> {
    match status.split_whitespace().next().and_then(EnhancedStatus::parse)?.0 {
        5 => Some(DeliveryStatus::Undelivered),
        2 => Some(DeliveryStatus::Delivered),
        _ => None,
    }
}

/// `is_whole`: no field of it is missing, or there twice.
fn of_recipient(fields: &[MailHeader<'_>], status: DeliveryStatus, is_whole: bool) -> RecipientStatus {
    let enhanced = fields.get_first_value("Status").unwrap_or_default();
    let said = fields.get_first_value("Diagnostic-Code").unwrap_or_default();
    let recipient = fields.get_first_value("Final-Recipient").and_then(|field| mailbox(&field));
    // Whose mailbox it is must be said: a mail that was forwarded says nothing of the address that it was sent to.
    let is_gone = |recipient: &RawContact| judged::is_gone(&ReportWords { status: &enhanced, said: &said, recipient: &recipient.0 });
    let gone = is_whole && status == DeliveryStatus::Undelivered && recipient.as_ref().is_some_and(is_gone);
    let remember = gone.then_some(Suppression::Bounced);
    let code = enhanced.split_whitespace().next().unwrap_or_default();
    RecipientStatus { status, remember, detail: redacted(format!("{code} {said}").trim()), recipient }
}

/// Of `rfc822; trevor@example.com` (RFC 3464 2.3.2), the address.
fn mailbox(field: &str) -> Option<RawContact> {
    let (kind, address) = field.split_once(';')?;
    let known = ["rfc822", "utf-8"].iter().any(|k| kind.trim().eq_ignore_ascii_case(k));
    let address = address.trim().trim_start_matches('<').trim_end_matches('>');
    (known && address.contains('@')).then(|| RawContact(address.to_owned()))
}
