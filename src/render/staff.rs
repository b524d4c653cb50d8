//! The daily letter to the practice: concerns become an e-mail with the look of the others.
//!
//! In: [`DigestMail`]: what the staff must know ([`crate::staff`]), the practice's clock, the recipient. Out: the final bytes. Sees no name, no whole
//! contact and no code, so that it can show none. English: staff read it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::context::{PracticeView, logo_id};
use super::dates::Dates;
use super::draft::tidy;
use super::{Parts, RenderError, Rendered, Renderer, mail, one_line};
use crate::contact::EmailAddress;
use crate::message::{Content, Message};
use crate::notice::NoticeKey;
use crate::staff::{Concern, ConcernKind, by_start, words};
use crate::zone::Zone;

/// The language of the letter.
const LOCALE: &str = "en-US";
/// Rows of one group that are shown: the whole letter stays within what mail programs show.
const ROWS_MAX: usize = 40;

/// What a letter says to whom.
pub struct DigestMail<'a> {
    /// Which letter it is: what the Message-ID is made of.
    pub key: NoticeKey,
    pub to: &'a EmailAddress,
    pub concerns: &'a [Concern],
    pub zone: &'a Zone,
    /// Sessions that start later are not in it.
    pub until: DateTime<Utc>,
}

#[derive(Serialize)]
struct DigestView {
    locale: &'static str,
    practice: PracticeView,
    date: String,
    until: String,
    zone: String,
    count: usize,
    people: usize,
    sections: Vec<Section>,
}

#[derive(Serialize)]
struct Section {
    heading: &'static str,
    groups: Vec<Group>,
}

/// Concerns with the same words.
#[derive(Serialize)]
struct Group {
    what: &'static str,
    advice: &'static str,
    count: usize,
    rows: Vec<Row>,
    /// How many are not shown.
    more: usize,
}

/// One concern. What there is none of is an empty text.
#[derive(Serialize)]
struct Row {
    when: String,
    session: String,
    person: String,
    contact: String,
    message: String,
    detail: String,
}

impl Renderer {
    /// Renders the letter. The same letter at the same `now` gives the same bytes.
    pub fn staff_letter(&self, letter: &DigestMail<'_>, now: DateTime<Utc>) -> Result<Rendered, RenderError> {
        if let Some(next) = self.successor() {
            return next.staff_letter(letter, now);
        }
        let settings = &self.settings;
        let view = self.staff_view(letter, now);
        let context = tera::Context::from_serialize(&view).expect("a view is a map of texts, numbers and lists");
        let [subject, text, html] = self.library.render_staff(&context)?;
        let (subject, text) = (one_line(&subject), tidy(&text));
        let reference = self.derive(&[b"staff", &letter.key.0]);
        let message_id = format!("<{reference}@{}>", settings.from.domain());
        let logo_id = logo_id(settings);
        let bytes = mail::write(&mail::MailParts {
            from: (&settings.from_name, &settings.from),
            reply_to: None,
            to: ("", letter.to),
            subject: &subject,
            date: now,
            message_id: &message_id,
            reference: &reference,
            boundary: &self.derive(&[b"boundary", &letter.key.0]),
            locale: LOCALE,
            text: &text,
            html: &html,
            logo: settings.look.shown_in(&html, &logo_id),
            calendar: None,
        })
        .map_err(|why| RenderError::Template { file: "staff".to_owned(), why })?;
        let content = Content::Email { from: settings.from.clone(), to: letter.to.clone(), bytes: bytes.into() };
        let message = Message { key: letter.key, reference, content };
        Ok(Rendered { message, locale: LOCALE.to_owned(), parts: Parts::Email { message_id, subject, text, html } })
    }

    fn staff_view(&self, letter: &DigestMail<'_>, now: DateTime<Utc>) -> DigestView {
        let dates = &self.dates[LOCALE];
        let (today, until) = (dates.when(now, letter.zone, now), dates.when(letter.until, letter.zone, now));
        let of_kind = |kind| letter.concerns.iter().filter(move |c| c.kind == kind);
        let sections = words::HEADINGS.into_iter().filter(|(kind, _)| of_kind(*kind).next().is_some());
        DigestView {
            locale: LOCALE,
            practice: PracticeView::of(&self.settings),
            date: today.date_short,
            until: format!("{}, {} {}", until.date, until.time, until.zone_short),
            zone: today.zone,
            count: letter.concerns.len(),
            people: of_kind(ConcernKind::Person).count(),
            sections: sections
                .map(|(kind, heading)| Section {
                    heading,
                    groups: groups(of_kind(kind).collect(), |at| moment(dates, at, letter.zone, now)),
                })
                .collect(),
        }
    }
}

/// `Thu, Nov 26, 10:00 AM EST`
fn moment(dates: &Dates, at: DateTime<Utc>, zone: &Zone, now: DateTime<Utc>) -> String {
    let when = dates.when(at, zone, now);
    format!("{}, {} {}", when.date_short, when.time, when.zone_short)
}

/// Those with the same words together; the group whose first session starts first comes first.
fn groups(mut concerns: Vec<&Concern>, moment: impl Fn(DateTime<Utc>) -> String) -> Vec<Group> {
    concerns.sort_by(|a, b| by_start(a, b));
    let mut groups: Vec<Group> = Vec::new();
    for concern in concerns {
        let words = words::of(concern);
        let place = groups.iter().position(|g| (g.what, g.advice) == (words.what, words.advice)).unwrap_or_else(|| {
            groups.push(Group { what: words.what, advice: words.advice, count: 0, rows: Vec::new(), more: 0 });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.count += 1;
        if group.rows.len() < ROWS_MAX { group.rows.push(row(concern, &moment)) } else { group.more += 1 }
    }
    groups
}

fn row(concern: &Concern, moment: impl Fn(DateTime<Utc>) -> String) -> Row {
    let id = concern.session.map(|s| s.to_string());
    // What has no start is named by its session, or by where it stands.
    let (when, session) = match (concern.start, id) {
        (Some(at), id) => (moment(at), id),
        (None, Some(id)) => (format!("Session {id}"), None),
        (None, None) if concern.kind == ConcernKind::Reply => ("Nobody that we texted lately".to_owned(), None),
        (None, None) => ("A session without an id".to_owned(), None),
    };
    Row {
        when,
        session: session.unwrap_or_default(),
        person: concern.participation.map(|p| p.to_string()).unwrap_or_default(),
        contact: concern.contact.clone().unwrap_or_default(),
        message: concern.what.clone().unwrap_or_default(),
        detail: concern.detail.clone().unwrap_or_default(),
    }
}
