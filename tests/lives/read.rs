//! A message as its reader has it: decoded from the final bytes by other means than those that made them.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use mailparse::MailHeaderMap;
use punctual::message::{Content, Message};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Invite,
    Reminder,
    Rescheduled,
    Updated,
    Cancelled,
    /// It runs, and they have not joined.
    NotJoined,
}

/// What somebody has before them.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) to: String,
    pub(super) by_text: bool,
    pub(super) kind: Kind,
    /// All that can be read in it.
    pub(super) words: String,
    /// The same once more, as a mail program shows it.
    html: Vec<u8>,
    /// The start in its calendar entry.
    pub(super) entry: Option<DateTime<Utc>>,
    /// The codes in it.
    pub(super) codes: Vec<i64>,
}

pub(super) fn read(message: &Message) -> Letter {
    match &message.content {
        Content::Email { to, bytes, .. } => {
            let mail = mailparse::parse_mail(bytes).expect("a mail program can read it");
            let subject = mail.headers.get_first_value("Subject").unwrap_or_default();
            let (mut words, mut html) = (subject.clone(), Vec::new());
            gather(&mail, &mut words, &mut html);
            let words = plain(&words);
            let entry = words.lines().find_map(|l| l.strip_prefix("DTSTART:")).and_then(|at| instant(at.trim()));
            let kind = match () {
                () if words.contains("METHOD:CANCEL") || subject.starts_with("Cancelled") => Kind::Cancelled,
                () if subject.starts_with("Reminder") => Kind::Reminder,
                () if subject.starts_with("New time") => Kind::Rescheduled,
                () if subject.starts_with("Updated") => Kind::Updated,
                () if subject.contains("session has started:") => Kind::NotJoined,
                () => Kind::Invite,
            };
            Letter { to: to.expose().to_lowercase(), by_text: false, kind, codes: codes(&words), words, html, entry }
        }
        Content::Sms { to, text, .. } => {
            let words = plain(text);
            let kind = match () {
                () if words.contains("has been cancelled") => Kind::Cancelled,
                () if words.contains("reminder,") || words.contains("reminder for ") => Kind::Reminder,
                () if words.contains("has moved to") => Kind::Rescheduled,
                () if words.contains("new details") => Kind::Updated,
                () if words.contains("session started at") => Kind::NotJoined,
                () => Kind::Invite,
            };
            Letter { to: to.expose().to_owned(), by_text: true, kind, codes: codes(&words), words, html: Vec::new(), entry: None }
        }
    }
}

fn gather(part: &mailparse::ParsedMail<'_>, words: &mut String, html: &mut Vec<u8>) {
    if part.ctype.mimetype == "text/html" {
        html.extend(part.get_body_raw().unwrap_or_default());
    } else if part.subparts.is_empty() {
        words.push('\n');
        let body = part.get_body().unwrap_or_default();
        // A calendar's lines are folded.
        let folds = part.ctype.mimetype == "text/calendar";
        words.push_str(&if folds { body.replace("\r\n ", "") } else { body });
    }
    part.subparts.iter().for_each(|part| gather(part, words, html));
}

/// Without the spaces that only typesetters see.
fn plain(text: &str) -> String {
    text.replace(['\u{202f}', '\u{a0}'], " ").replace('\r', "")
}

fn instant(stamp: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%SZ").ok().map(|at| at.and_utc())
}

/// Nine digits, or three groups of three.
fn codes(words: &str) -> Vec<i64> {
    let digit = |c: char| c.is_ascii_digit();
    let mut found: Vec<i64> = words
        .split(|c: char| !digit(c) && c != '-')
        .filter(|run| run.len() == 9 || (run.len() == 11 && run.as_bytes()[3] == b'-' && run.as_bytes()[7] == b'-'))
        .filter_map(|run| run.replace('-', "").parse().ok())
        .filter(|code| (400_000_000..500_000_000).contains(code))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

impl Letter {
    /// That stands in it, in any part.
    pub(super) fn holds(&self, text: &str) -> bool {
        memchr::memmem::find(self.words.as_bytes(), text.as_bytes()).is_some()
            || memchr::memmem::find(&self.html, text.as_bytes()).is_some()
    }

    pub(super) fn holds_code(&self, code: i64) -> bool {
        let digits = code.to_string();
        self.codes.contains(&code) || self.holds(&digits) || self.holds(&format!("{}-{}-{}", &digits[..3], &digits[3..6], &digits[6..]))
    }

    /// It names that start, on the clock of that zone, to whoever reads it now.
    pub(super) fn names(&self, start: DateTime<Utc>, zone: Tz, now: DateTime<Utc>) -> bool {
        let there = start.with_timezone(&zone);
        let time = there.format("%-I:%M %p").to_string();
        if !self.by_text {
            let date = there.format("%A, %B %-d, %Y").to_string();
            return self.entry.is_none_or(|entry| entry == start)
                && self.words.contains(&date)
                && self.words.contains(&format!("      {time}"));
        }
        let today = now.with_timezone(&zone).date_naive();
        let days = (there.date_naive() - today).num_days();
        let relative = match days {
            0 => Some(format!("today at {time}")),
            1 => Some(format!("tomorrow at {time}")),
            _ => None,
        };
        let relative_is_said = self.words.contains("today at") || self.words.contains("tomorrow at");
        if relative_is_said {
            return relative.is_some_and(|words| self.words.contains(&words));
        }
        self.words.contains(&there.format("%a, %b %-d, ").to_string()) && self.words.contains(&format!(" {time}"))
    }
}
