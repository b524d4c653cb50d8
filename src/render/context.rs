//! What a template sees: this practice, this recipient, this session, and nobody else.
//!
//! In: the [`Facts`] of one notice. Out: a [`View`], plain values ready to print. `docs/templates.md` lists each of them,
//! and a test holds the page against this file.
//!
//! Invariants: the only other person in it is the host, by name, for those who meet the host; other participants are in it
//! only for the host, by name, and only where the practice says so. What there is none of is an empty text (or list), so a
//! template asks `{% if session.host_name %}`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use super::dates::{Dates, DayDistance, ShownMoment};
use super::look::Color;
use super::{Facts, Settings, money};
use crate::contact::{Channel, EmailAddress, clean_line};
use crate::notice::Occasion;
use crate::session::{Participant, Role, Rsvp};

/// The root of what a template sees.
#[derive(Debug, Clone, Serialize)]
pub(super) struct View {
    pub(super) locale: String,
    pub(super) occasion: &'static str,
    pub(super) practice: PracticeView,
    pub(super) recipient: RecipientView,
    pub(super) session: SessionView,
    pub(super) text: TextNeeds,
    /// Empty: none.
    pub(super) deposit: String,
    pub(super) pass: Pass,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct PracticeView {
    /// In texts: the short one.
    pub(super) name: String,
    pub(super) short_name: String,
    pub(super) contact: String,
    /// What the contact opens when it is touched; empty: it is no number and no address.
    pub(super) contact_link: String,
    /// Of buttons and links.
    pub(super) color: String,
    /// The same in the dark.
    pub(super) color_in_dark: String,
    /// The address of the picture within the message; empty: there is none.
    pub(super) logo: String,
    /// In pixels.
    pub(super) logo_width: String,
    pub(super) logo_height: String,
    /// Lines below the message.
    pub(super) footer: Vec<String>,
    /// Where a camera can be tried; empty: nowhere.
    pub(super) camera_test: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct RecipientView {
    pub(super) name: String,
    pub(super) first_name: String,
    /// In a text to a number that others share: the first name; else empty.
    pub(super) called: String,
    pub(super) is_host: bool,
    pub(super) has_account: bool,
    /// In groups; empty: none.
    pub(super) code: String,
    pub(super) join_url: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct SessionView {
    pub(super) id: String,
    pub(super) date: String,
    pub(super) date_short: String,
    pub(super) time: String,
    pub(super) zone: String,
    pub(super) zone_short: String,
    pub(super) offset: String,
    pub(super) is_today: bool,
    pub(super) is_tomorrow: bool,
    pub(super) zone_is_fallback: bool,
    pub(super) meet_now: bool,
    pub(super) host_name: String,
    pub(super) participant_names: Vec<String>,
    pub(super) topic: String,
    /// Of a session that was moved: when they would have come; empty: nobody knows.
    pub(super) was_date: String,
    pub(super) was_time: String,
}

/// What a text must say beside its news. (All false in e-mails.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct TextNeeds {
    /// How to stop: nobody answered from this number yet.
    pub(super) opt_out: bool,
    /// Whom to call.
    pub(super) contact: bool,
    /// That an answer is read.
    pub(super) confirm: bool,
}

impl TextNeeds {
    fn of(facts: &Facts<'_>, settings: &Settings) -> Self {
        if facts.notice.address.channel() != Channel::Sms {
            return Self::default();
        }
        let first = !facts.number.answered;
        let asks = facts.notice.occasion == Occasion::Invite && !facts.meet_now && facts.participant.role == Role::Participant;
        Self {
            opt_out: first,
            contact: first && !settings.practice_contact.trim().is_empty(),
            confirm: asks && settings.replies_read && facts.participant.rsvp == Rsvp::Unknown,
        }
    }
}

/// When the meeting pass ends, on the recipient's clock; empty: it does not.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Pass {
    pub(super) date: String,
    pub(super) time: String,
    pub(super) zone: String,
}

impl View {
    /// The same to a reader who has neither code nor link.
    pub(super) fn without_code(&self) -> Self {
        let recipient = RecipientView { code: String::new(), join_url: String::new(), ..self.recipient.clone() };
        Self { recipient, ..self.clone() }
    }

    /// The same for the engine; `practice`: as it was made before.
    pub(super) fn context(&self, practice: &tera::Value) -> tera::Context {
        let Self { locale, occasion, practice: _, recipient, session, text, deposit, pass } = self;
        let mut all = tera::Context::new();
        all.insert_value("practice", practice.clone());
        all.insert("locale", locale);
        all.insert("occasion", occasion);
        all.insert("recipient", recipient);
        all.insert("session", session);
        all.insert("text", text);
        all.insert("deposit", deposit);
        all.insert("pass", pass);
        all
    }

    /// Everything that one message may show.
    pub(super) fn of(
        facts: &Facts<'_>,
        settings: &Settings,
        (dates, locale): (&Dates, &str),
        join_url: String,
        now: DateTime<Utc>,
    ) -> Self {
        let person = facts.participant;
        let by_text = facts.notice.address.channel() == Channel::Sms;
        let first_name = first_name(person.name.expose());
        let at = |moment| dates.when(moment, &facts.zone.zone, now);
        let moved = facts.notice.occasion == Occasion::Rescheduled;
        Self {
            locale: locale.to_owned(),
            occasion: facts.notice.occasion.as_str(),
            practice: if by_text { PracticeView::in_texts(settings) } else { PracticeView::of(settings) },
            recipient: RecipientView {
                name: person.name.expose().to_owned(),
                called: if by_text && facts.number.shared { first_name.clone() } else { String::new() },
                first_name,
                has_account: person.has_account,
                is_host: person.role == Role::Host,
                code: person.code.map(crate::contact::ConnectCode::expose_grouped).unwrap_or_default(),
                join_url,
            },
            session: SessionView::of(facts, settings, at(start(facts)), facts.was.filter(|_| moved).map(at)),
            text: TextNeeds::of(facts, settings),
            deposit: person.deposit.filter(|d| !d.is_zero()).map(|d| money::us_dollars(d, locale)).unwrap_or_default(),
            pass: person.expires_at.map(|end| Pass::of(at(end))).unwrap_or_default(),
        }
    }

    /// The same with names of at most so many graphemes, which is all that may be cut to make a text message fit.
    pub(super) fn with_short_names(&self, graphemes: usize, rewrite: fn(&str) -> String) -> Self {
        let short = |name: &str| shorten(&rewrite(name), graphemes);
        let mut view = self.clone();
        view.practice.name = short(&view.practice.name);
        view.practice.short_name = short(&view.practice.short_name);
        view.recipient.name = short(&view.recipient.name);
        view.recipient.first_name = short(&view.recipient.first_name);
        view.recipient.called = short(&view.recipient.called);
        view.session.host_name = short(&view.session.host_name);
        view.session.participant_names = view.session.participant_names.iter().map(|n| short(n)).collect();
        view
    }
}

impl PracticeView {
    pub(super) fn of(settings: &Settings) -> Self {
        let contact = clean_line(&settings.practice_contact);
        let name = clean_line(&settings.practice_name);
        let short_name = settings.short_name.as_deref().map(clean_line).filter(|short| !short.is_empty());
        let look = &settings.look;
        let [color, color_in_dark] = Color::pair(look.color);
        let (logo_width, logo_height) = look.logo.as_ref().map(|logo| logo.size).map(|(w, h)| (w.to_string(), h.to_string())).unzip();
        Self {
            short_name: short_name.unwrap_or_else(|| name.clone()),
            name,
            contact_link: contact_link(&contact),
            contact,
            color,
            color_in_dark,
            logo: look.logo.as_ref().map(|_| format!("cid:{}", logo_id(settings))).unwrap_or_default(),
            logo_width: logo_width.unwrap_or_default(),
            logo_height: logo_height.unwrap_or_default(),
            footer: look.footer.clone(),
            camera_test: look.camera_test.clone().unwrap_or_default(),
        }
    }

    /// In texts the short name stands for the name.
    pub(super) fn in_texts(settings: &Settings) -> Self {
        let practice = Self::of(settings);
        Self { name: practice.short_name.clone(), ..practice }
    }
}

impl SessionView {
    fn of(facts: &Facts<'_>, settings: &Settings, when: ShownMoment, was: Option<ShownMoment>) -> Self {
        let host = facts.participant.role == Role::Host;
        let host_name = facts.session.host_name().filter(|_| !host).map(|n| n.expose().to_owned());
        let names_shown = host && settings.show_participant_names_to_host;
        let (was_date, was_time) = was.map(|was| (was.date, was.time)).unzip();
        let others = facts.session.participants.iter().filter(|p| names_shown && p.role == Role::Participant);
        Self {
            id: facts.session.id.to_string(),
            is_today: when.day == DayDistance::Today,
            is_tomorrow: when.day == DayDistance::Tomorrow,
            date: when.date,
            date_short: when.date_short,
            time: when.time,
            zone: when.zone,
            zone_short: when.zone_short,
            offset: when.offset,
            zone_is_fallback: facts.zone.fallback,
            meet_now: facts.meet_now,
            host_name: host_name.unwrap_or_default(),
            participant_names: others.map(name).filter(|n| !n.is_empty()).collect(),
            topic: clean_line(&facts.session.topic),
            was_date: was_date.unwrap_or_default(),
            was_time: was_time.unwrap_or_default(),
        }
    }
}

/// What the logo is called within a message (RFC 2392).
pub(super) fn logo_id(settings: &Settings) -> String {
    format!("logo@{}", settings.from.domain())
}

impl Pass {
    fn of(when: ShownMoment) -> Self {
        Self { date: when.date, time: when.time, zone: when.zone }
    }
}

/// The start that a message speaks of: what the session says now; for a cancelled one the start that was told.
pub(super) fn start(facts: &Facts<'_>) -> DateTime<Utc> {
    if facts.notice.occasion == Occasion::Cancelled { facts.notice.start } else { facts.session.start }
}

fn name(person: &Participant) -> String {
    person.name.expose().to_owned()
}

/// Words before or behind a name that are none.
pub(super) const TITLES: [&str; 18] =
    ["dr", "mr", "mrs", "ms", "miss", "mx", "prof", "rev", "sr", "sra", "srta", "m", "mme", "mlle", "jr", "ii", "iii", "iv"];

/// What a person is called: `Trevor` of `Trevor Ohm`, of `Dr. Trevor Ohm` and of `Ohm, Trevor`. Empty: there is no name.
fn first_name(name: &str) -> String {
    let first = |part: &str| {
        let is_name = |word: &&str| !TITLES.contains(&word.trim_matches('.').to_lowercase().as_str());
        part.split_whitespace().find(is_name).map(|word| word.trim_end_matches(',').to_owned())
    };
    let behind_comma = name.split_once(',').and_then(|(_, behind)| first(behind));
    behind_comma.or_else(|| first(name)).unwrap_or_else(|| name.to_owned())
}

/// `tel:` for what is nothing but a telephone number, `mailto:` for an address (RFC 3966, RFC 6068).
fn contact_link(contact: &str) -> String {
    let digits: String = contact.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    if (7..=16).contains(&digits.len()) && contact.chars().all(|c| c.is_ascii_digit() || "+-. ()".contains(c)) {
        return format!("tel:{digits}");
    }
    EmailAddress::parse(contact).map(|address| format!("mailto:{}", address.expose())).unwrap_or_default()
}

/// At most so many graphemes, with three dots where something was cut.
fn shorten(name: &str, graphemes: usize) -> String {
    if name.graphemes(true).count() <= graphemes {
        return name.to_owned();
    }
    let kept: String = name.graphemes(true).take(graphemes.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_opens_what_it_is() {
        for (contact, link) in [
            ("(555) 555-0142", "tel:5555550142"),
            ("+1 555 555 0142", "tel:+15555550142"),
            ("desk@elmstreet.example", "mailto:desk@elmstreet.example"),
            ("Call us at 555-0142", ""),
            ("elmstreet.example/help", ""),
            ("", ""),
        ] {
            assert_eq!(contact_link(contact), link);
        }
    }

    #[test]
    fn a_person_is_called_by_the_first_name() {
        for (name, first) in [
            ("Trevor", "Trevor"),
            ("Trevor Ohm", "Trevor"),
            ("Dr. Trevor Ohm", "Trevor"),
            ("Ohm, Trevor J.", "Trevor"),
            ("Trevor Ohm, Jr.", "Trevor"),
            ("Sra. María José Ruiz", "María"),
            ("山田 太郎", "山田"),
            ("Dr.", "Dr."),
            ("", ""),
        ] {
            assert_eq!(first_name(name), first, "{name}");
        }
    }

    #[test]
    fn names_are_shortened_at_graphemes() {
        for (name, graphemes, short) in
            [("Trevor", 12, "Trevor"), ("The Practice of Long Names", 12, "The Pract..."), ("👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧👨‍👩‍👧", 4, "👨‍👩‍👧..."), ("", 4, "")]
        {
            assert_eq!(shorten(name, graphemes), short);
        }
    }

    /// Paths and types of a value's leaves: `session.is_today` is a flag.
    fn leaves(path: &str, value: &serde_json::Value, out: &mut Vec<(String, &'static str)>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, field) in fields {
                    leaves(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, field, out);
                }
            }
            serde_json::Value::Bool(_) => out.push((path.to_owned(), "flag")),
            serde_json::Value::Array(_) => out.push((path.to_owned(), "list of texts")),
            _ => out.push((path.to_owned(), "text")),
        }
    }

    fn empty_view() -> View {
        View {
            locale: String::new(),
            occasion: "",
            practice: PracticeView {
                name: String::new(),
                short_name: String::new(),
                contact: String::new(),
                contact_link: String::new(),
                color: String::new(),
                color_in_dark: String::new(),
                logo: String::new(),
                logo_width: String::new(),
                logo_height: String::new(),
                footer: vec![],
                camera_test: String::new(),
            },
            recipient: RecipientView {
                name: String::new(),
                first_name: String::new(),
                called: String::new(),
                is_host: false,
                has_account: false,
                code: String::new(),
                join_url: String::new(),
            },
            text: TextNeeds::default(),
            session: SessionView {
                id: String::new(),
                date: String::new(),
                date_short: String::new(),
                time: String::new(),
                zone: String::new(),
                zone_short: String::new(),
                offset: String::new(),
                is_today: false,
                is_tomorrow: false,
                zone_is_fallback: false,
                meet_now: false,
                host_name: String::new(),
                participant_names: vec![],
                topic: String::new(),
                was_date: String::new(),
                was_time: String::new(),
            },
            deposit: String::new(),
            pass: Pass::default(),
        }
    }

    #[test]
    fn the_page_lists_every_variable_with_its_type() {
        let page = include_str!("../../docs/templates.md");
        let mut documented: Vec<(String, String)> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>())
            .map(|cells| (cells[0].clone(), cells[1].clone()))
            .collect();
        let mut real = Vec::new();
        leaves("", &serde_json::to_value(empty_view()).unwrap(), &mut real);
        let mut real: Vec<(String, String)> = real.into_iter().map(|(path, kind)| (path, kind.to_owned())).collect();
        documented.sort();
        real.sort();
        assert_eq!(documented, real);
    }
}
