//! Letters: bounces in a server's own words (qmail, old Exim, gateways, older Exchange), in the languages that servers are set up in.
//!
//! A letter that names a message of ours and comes from a mail system, or says that something was not delivered, is a message that did not arrive:
//! [`DeliveryStatus::Undelivered`]. It never suppresses an address. One that only tells of a delay says that it is under way.

use mailparse::{MailHeader, MailHeaderMap};

use super::Leaf;
use crate::feedback::DeliveryReport;
use crate::outcome::redacted;
use crate::receipt::DeliveryStatus;

/// Bytes of a letter's text in which the server's own words are looked for: they come before what it returns.
const WORDS_MAX: usize = 16 << 10;

/// Whom mail systems write as: the local part of From, or a name in it.
const SYSTEMS: [&str; 14] = [
    "mailer-daemon",
    "mailer_daemon",
    "mailerdaemon",
    "maildaemon",
    "mail-daemon",
    "postmaster",
    "mail delivery",
    "mail system",
    "delivery subsystem",
    "system administrator",
    "systemadministrator",
    "mail administrator",
    "microsoftexchange",
    "mdaemon",
];

/// Subjects, and words, of what did not arrive.
const FAILED: [&str; 47] = [
    // English: qmail, Exim, Postfix, sendmail, Exchange, Gmail, Domino.
    "failure notice",
    "delivery failed",
    "delivery failure",
    "delivery has failed",
    "delivery notification (failure)",
    "delivery status notification (failure)",
    "failed permanently",
    "undeliver",
    "undelivered",
    "not deliver",
    "n't deliver",
    "not be deliver",
    "n't be deliver",
    "was not delivered",
    "wasn't delivered",
    "could not send",
    "returned mail",
    "returned to sender",
    "returning message to sender",
    "returning your message",
    "did not reach",
    "not listed in",
    "address not found",
    "user unknown",
    "no such user",
    "permanent error",
    "permanent fatal error",
    "this is permanent",
    "given up",
    "giving up",
    "i give up",
    "rejected",
    // German.
    "unzustellbar",
    "nicht zugestellt",
    "nicht zustellbar",
    "zustellung fehlgeschlagen",
    "konnte nicht",
    "fehlgeschlagen",
    // French.
    "non remis",
    "non distribu",
    "échec de la remise",
    "n'a pas pu être",
    "n’a pas pu être",
    // Spanish.
    "no entregado",
    "no se pudo entregar",
    "no se ha podido entregar",
    "error de entrega",
];

/// What waits: it may arrive yet.
const DELAYED: [&str; 20] = [
    "delayed",
    "(delay)",
    "not yet been deliver",
    "not been delivered yet",
    "still being retried",
    "will be retried",
    "will keep trying",
    "keep trying",
    "delivery incomplete",
    "warning: could not send message for past",
    "verzöger",
    "noch nicht zugestellt",
    "retard",
    "différé",
    "pas encore été",
    "retras",
    "demora",
    "aún no se ha entregado",
    "todavía no se ha entregado",
    "seguirá intentando",
];

/// Words of reports that say that the mail arrived.
const ARRIVED: [&str; 8] = [
    "delivery notification (success)",
    "delivery status notification (success)",
    "(relay)",
    "successful mail delivery",
    "successfully delivered",
    "has been delivered",
    "delivered:",
    "zustellung erfolgreich",
];

/// How the subject of an answer begins.
const ANSWERS: [&str; 9] = ["re:", "re :", "aw:", "antw:", "sv:", "rv:", "res:", "fwd:", "fw:"];

/// Subjects of what answers by itself.
const AUTOMATIC: [&str; 26] = [
    "out of office",
    "out of the office",
    "out-of-office",
    "automatic reply",
    "auto reply",
    "auto-reply",
    "autoreply",
    "autoresponse",
    "auto response",
    "automated reply",
    "automated response",
    "vacation",
    "on leave",
    "away from my",
    "abwesen",
    "automatische antwort",
    "nicht im büro",
    "réponse automatique",
    "absence",
    "absent",
    "respuesta automática",
    "fuera de la oficina",
    "ausencia",
    "ausente",
    "confirm your",
    "verify your",
];

/// Whether it is the answer of a machine that got the message: an absence, a receipt of a desk, a challenge. Exim marks its bounces so, too; but
/// those come from a mail system.
pub(super) fn is_automatic(headers: &[MailHeader<'_>]) -> bool {
    let value = |name: &str| headers.get_first_value(name).unwrap_or_default().to_lowercase();
    let subject = value("Subject");
    let by_subject = AUTOMATIC.iter().any(|word| subject.contains(word));
    let marked = value("Auto-Submitted").starts_with("auto-replied")
        || ["auto_reply", "auto-reply"].contains(&value("Precedence").trim())
        || ["X-Autoreply", "X-Autorespond", "X-Autorespond-Subject"].iter().any(|name| headers.get_first_value(name).is_some());
    let failed = headers.get_first_value("X-Failed-Recipients").is_some() || FAILED.iter().any(|word| subject.contains(word));
    !failed && ((marked && !is_system(headers)) || by_subject)
}

/// It comes from a mail system.
fn is_system(headers: &[MailHeader<'_>]) -> bool {
    let from = headers.get_first_value("From").unwrap_or_default().to_lowercase();
    from.trim() == "<>" || SYSTEMS.iter().any(|name| from.contains(name))
}

/// What a letter says. `Err`: why it is none.
pub(super) fn said(headers: &[MailHeader<'_>], leaves: &[Leaf<'_>]) -> Result<DeliveryReport, &'static str> {
    let subject = headers.get_first_value("Subject").unwrap_or_default().to_lowercase();
    let text = words(leaves);
    let has = |list: &[&str], text: &str| list.iter().any(|word| text.contains(word));
    let failed = headers.get_first_value("X-Failed-Recipients").is_some();
    let (system, lower) = (is_system(headers), text.to_lowercase());
    // Somebody answers, and speaks of a letter of their own.
    let answers = !system && !failed && ANSWERS.iter().any(|word| subject.trim_start().starts_with(word));
    let status = match () {
        () if has(&FAILED, &subject) && !answers => DeliveryStatus::Undelivered,
        () if system && has(&DELAYED, &subject) => DeliveryStatus::Sent,
        () if has(&ARRIVED, &subject) => return Err("it says that the message arrived, in words of its own"),
        () if !system && !failed => return Err("it comes from no mail system, and does not say that the message did not arrive"),
        () if failed || has(&FAILED, &lower) => DeliveryStatus::Undelivered,
        () if has(&DELAYED, &lower) => DeliveryStatus::Sent,
        () if has(&ARRIVED, &lower) => return Err("it says that the message arrived, in words of its own"),
        // A mail system that writes back about one of our messages, in words that nobody knows here.
        () => DeliveryStatus::Undelivered,
    };
    Ok(DeliveryReport { reference: None, ours: None, status, detail: Some(detail(&text)), remember: None, recipient: None })
}

/// The server's own words: the first parts that are text, up to what it returns.
fn words(leaves: &[Leaf<'_>]) -> String {
    let mut text = String::new();
    let is_text = |leaf: &&Leaf<'_>| leaf.kind.mimetype.starts_with("text/") || leaf.is_status();
    for leaf in leaves.iter().take_while(|leaf| !leaf.is_returned()).filter(is_text) {
        text.extend(leaf.text().chars().take(WORDS_MAX.saturating_sub(text.len())));
        text.push('\n');
    }
    text
}

/// The first line with an SMTP reply in it: a code of three digits, the first of them a 4 or a 5.
fn detail(text: &str) -> String {
    let is_code = |word: &str| {
        let digits = word.get(..3).is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit()));
        digits && word.starts_with(['4', '5']) && word.get(3..).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':']))
    };
    let line = text.lines().find(|line| line.split_whitespace().any(is_code));
    line.map_or_else(|| "a letter that says no code".to_owned(), |line| redacted(line.trim()))
}
