//! The gate: no message leaves with something of another person in it.
//!
//! In: the final bytes, the session that they speak of, and the codes of all others. Out: nothing, or a [`RenderError::Leak`] that names the kind of
//! thing and whose it is, never the thing.
//!
//! The bytes are taken apart again by another library than the one that wrote them, as a reader's program would, and then in every way in which
//! somebody may have hidden something in a field of a record ([`reading`]). Searched for are the code of any other live participation; and of the
//! same session passkeys, addresses, numbers and full names, also those of records at fault. docs/security.md says what is promised, and a
//! property test in tests/it/render/promise.rs holds that.
//!
//! It must not be a way to silence a practice. What the practice shows everybody is no secret: what its templates say of themselves, its name,
//! sender, contact and links. Nor is what a host is called and called at. Short numbers count only as numbers, and dates are none. The recipient's
//! own code, and what we reckoned (dates, the session's id), is taken out before digits are looked at.

mod digits;
mod reading;
mod text;

use mailparse::ParsedMail;
use mailparse::body::Body;

use self::digits::Digits;
use self::text::{Text, Thing};
use super::context::{TITLES, View};
use super::{Facts, RenderError, Settings, quoted};
use crate::contact::ConnectCode;
use crate::message::Content;
use crate::session::live::LiveCodes;
use crate::session::{Participant, ParticipationId, Role, Session};

/// A date or an id of fewer digits makes up nothing together with what stands beside it.
const RECKONED_MIN: usize = 5;
/// A name of more words than this is none: something else stands in its field.
const NAME_MAX: usize = 6;
/// Headers that hold what we reckoned or drew, and nothing that somebody wrote.
const OURS: [&str; 4] = ["Date", "Message-ID", "Content-Type", "DKIM-Signature"];

/// What everybody is shown anyway.
pub(super) struct Gate {
    /// The practice's name, sender, contact and links, and the digits of its contact.
    practice: Text<'static>,
    contact: Digits,
    /// What the templates say of themselves.
    templates: Text<'static>,
    /// Whose code is whose, over all sessions.
    live: LiveCodes,
}

impl Gate {
    pub(super) fn new<'s>(settings: &Settings, templates: impl Iterator<Item = &'s str>) -> Self {
        let reply_to = settings.reply_to.as_ref().map_or("", |address| address.expose());
        let links = [settings.join_url.as_str(), settings.account_join_url.as_deref().unwrap_or_default()];
        let names = [settings.practice_name.as_str(), settings.short_name.as_deref().unwrap_or_default(), &settings.from_name];
        let all = names.into_iter().chain(links).chain([settings.practice_contact.as_str(), settings.from.expose(), reply_to]);
        Self {
            practice: shown(all),
            contact: Digits::of(&reading::plain(&settings.practice_contact)),
            templates: shown(templates),
            live: LiveCodes::default(),
        }
    }

    /// Whose code is whose.
    pub(super) fn live(&self) -> &LiveCodes {
        &self.live
    }

    /// Passes a message, or names what it would have shown.
    pub(super) fn check(&self, content: &Content, facts: &Facts<'_>, view: &View, settings: &Settings) -> Result<(), RenderError> {
        let search = Search { gate: self, strangers: strangers(facts, settings), own: Own::of(facts, view) };
        match content {
            Content::Email { bytes, .. } => search.mail(bytes),
            Content::Sms { text, .. } => search.text(text),
        }
    }

    /// Nobody's secret.
    fn is_shown(&self, thing: &Thing) -> bool {
        match thing {
            // A code that stands in a template was pasted into it.
            Thing::Code(code) => self.contact.contain(code.as_bytes()),
            Thing::Passkey(passkey) if passkey.bytes().any(|b| b.is_ascii_digit()) => self.practice.holds(thing),
            _ => self.practice.holds(thing) || self.templates.holds(thing),
        }
    }
}

/// Texts apart from each other.
fn shown<'s>(texts: impl Iterator<Item = &'s str>) -> Text<'static> {
    let mut all = String::new();
    texts.for_each(|text| reading::each_shown(text, &mut |reading| all.extend([reading, "\nand\n"])));
    Text::owned(&all)
}

/// Something of somebody else's.
struct Stranger {
    thing: Thing,
    /// `the connect code of another participant (18620)`
    what: String,
}

/// All that the session knows of others.
fn strangers(facts: &Facts<'_>, settings: &Settings) -> Vec<Stranger> {
    let (session, me) = (facts.session, facts.participant);
    let names_shown = me.role == Role::Host && settings.show_participant_names_to_host;
    let free = free(session, me, facts.notice.address.expose());
    let mut all = Vec::new();
    let mut add = |thing: Option<Thing>, what: &str, whose: &str| {
        if let Some(thing) = thing.filter(|thing| !free.contains(thing)) {
            all.push(Stranger { thing, what: format!("the {what} of {whose}") });
        }
    };
    let code = |code: Option<ConnectCode>| code.map(|code| Thing::Code(code.expose()));
    add(code(session.code), "connect code", "the session itself");
    for person in session.participants.iter().filter(|p| p.id != me.id) {
        let whose = whose(person);
        add(code(person.code), "connect code", &whose);
        add(person.passkey.as_ref().and_then(|p| Thing::passkey(p.expose())), "passkey", &whose);
        add(Thing::address(&person.email.0), "e-mail address", &whose);
        add(Thing::number(&person.sms_number.0), "telephone number", &whose);
        if !names_shown {
            add(Thing::name(person.name.expose(), &TITLES), "name", &whose);
        }
    }
    for unread in session.unread.iter().filter(|unread| unread.id != Some(me.id)) {
        let whose = format!("a participant whose record is at fault{}", in_brackets(unread.id));
        add(code(unread.code), "connect code", &whose);
        add(unread.passkey.as_ref().and_then(|p| Thing::passkey(p.expose())), "passkey", &whose);
        add(Thing::address(&unread.email.0), "e-mail address", &whose);
        add(Thing::number(&unread.sms_number.0), "telephone number", &whose);
        if !names_shown {
            add(unread.name.as_ref().and_then(|name| Thing::name(name.expose(), &TITLES)), "name", &whose);
        }
    }
    all
}

/// What the recipient may be shown: all that is their own, each as what it is; and what the hosts are called and called at.
fn free(session: &Session, me: &Participant, told: &str) -> Vec<Thing> {
    let hosts = session.participants.iter().filter(|p| p.role == Role::Host);
    let contacts = hosts.chain([me]).flat_map(|p| {
        let name = Thing::name(p.name.expose(), &TITLES);
        [Thing::address(&p.email.0), Thing::number(&p.sms_number.0), name]
    });
    let own = [
        me.code.map(|code| Thing::Code(code.expose())),
        me.passkey.as_ref().and_then(|passkey| Thing::passkey(passkey.expose())),
        Thing::address(told),
        Thing::number(told).filter(|_| !told.contains('@')),
    ];
    contacts.chain(own).flatten().collect()
}

/// What is taken out before digits are looked at, and whose codes may be shown.
struct Own {
    digits: Vec<Vec<u8>>,
    code: Option<ConnectCode>,
    /// The recipient's name, folded, if it reads like one: another one may be part of it (`Ann and Bob Smith`).
    name: Option<String>,
}

impl Own {
    fn of(facts: &Facts<'_>, view: &View) -> Self {
        let code = facts.participant.code;
        let reckoned = [&view.session.date, &view.session.date_short, &view.pass.date, &view.session.id];
        let reckoned = reckoned.into_iter().flat_map(|text| Digits::of(text).runs()).filter(|digits| digits.len() >= RECKONED_MIN);
        let name = text::folded(facts.participant.name.expose());
        let like_one = name.split_whitespace().count() <= NAME_MAX && !name.bytes().any(|b| b.is_ascii_digit());
        Self {
            digits: code.map(|code| code.expose().into_bytes()).into_iter().chain(reckoned).collect(),
            code,
            name: Some(name).filter(|_| like_one),
        }
    }

    fn has(&self, thing: &Thing) -> bool {
        matches!(thing, Thing::Name(orders) if orders.iter().any(|order| self.name.as_ref().is_some_and(|name| name.contains(order))))
    }
}

/// One message under search.
struct Search<'a> {
    gate: &'a Gate,
    strangers: Vec<Stranger>,
    own: Own,
}

impl Search<'_> {
    /// An e-mail: the headers that carry values, and each part.
    fn mail(&self, bytes: &[u8]) -> Result<(), RenderError> {
        let mail = mailparse::parse_mail(bytes).map_err(|_| unreadable())?;
        for header in &mail.headers {
            if !OURS.iter().any(|ours| header.get_key_ref().eq_ignore_ascii_case(ours)) {
                self.text(&header.get_value())?;
            }
        }
        self.parts(&mail)
    }

    fn parts(&self, mail: &ParsedMail<'_>) -> Result<(), RenderError> {
        mail.subparts.iter().try_for_each(|part| if part.subparts.is_empty() { self.part(part) } else { self.parts(part) })
    }

    fn part(&self, part: &ParsedMail<'_>) -> Result<(), RenderError> {
        let body = body_of(part)?;
        match part.ctype.mimetype.as_str() {
            "text/html" => reading::each_of_html(&body, &mut |reading| self.one(reading)),
            "text/calendar" => self.text(&reading::unfolded(&body)),
            _ => self.text(&body),
        }
    }

    fn text(&self, text: &str) -> Result<(), RenderError> {
        reading::each(text, &mut |reading| self.one(reading))
    }

    /// One reading of one text.
    fn one(&self, reading: &str) -> Result<(), RenderError> {
        let text = Text::of(reading, &self.own.digits);
        let is_shown = |thing: &Thing| self.own.has(thing) || self.gate.is_shown(thing);
        if let Some(stranger) = self.strangers.iter().find(|s| text.holds(&s.thing) && !is_shown(&s.thing)) {
            return Err(RenderError::Leak { what: stranger.what.clone() });
        }
        let codes: Vec<ConnectCode> = text.digits.nines().filter_map(ConnectCode::of).filter(|code| Some(*code) != self.own.code).collect();
        let held = self.gate.live.holders(&codes).into_iter().find(|(code, _)| !is_shown(&Thing::Code(code.expose())));
        match held {
            Some((_, (session, person))) => {
                let what = format!("the connect code of somebody{} of session {session}", in_brackets(person));
                Err(RenderError::Leak { what })
            }
            None => Ok(()),
        }
    }
}

/// A part's body as a reader's program would decode it.
fn body_of(part: &ParsedMail<'_>) -> Result<String, RenderError> {
    match part.get_body_encoded() {
        Body::QuotedPrintable(body) => quoted::read(body.get_raw()).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable),
        _ => part.get_body().map_err(|_| unreadable()),
    }
}

fn whose(person: &Participant) -> String {
    match person.role {
        Role::Host => format!("the host ({})", person.id),
        Role::Participant => format!("another participant ({})", person.id),
    }
}

fn in_brackets(id: Option<ParticipationId>) -> String {
    id.map_or_else(String::new, |id| format!(" ({id})"))
}

fn unreadable() -> RenderError {
    RenderError::Leak { what: "something that cannot be read back, and so cannot be checked".to_owned() }
}
