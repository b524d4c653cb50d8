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

mod base64;
mod bytes;
mod digits;
mod entities;
mod hosts;
mod parts;
mod reading;
mod tags;
mod text;
mod things;
mod words;

use std::cell::OnceCell;
use std::sync::Arc;

use mailparse::{MailHeader, ParsedMail};

use self::digits::Digits;
use self::parts::Part;
use self::tags::Markup;
use self::text::Text;
use self::things::Thing;
use super::context::{TITLES, View};
use super::look::{Color, Logo};
use super::templates::shipped;
use super::{Facts, RenderError, Settings};
use crate::contact::{ConnectCode, Passkey, PersonName};
use crate::message::Content;
use crate::session::live::LiveCodes;
use crate::session::{Participant, ParticipationId, RawContact, Role, Session};

/// A date or an id of fewer digits makes up nothing together with what stands beside it.
const RECKONED_MIN: usize = 5;
/// A name of more words than this is none: something else stands in its field.
const NAME_MAX: usize = 10;
/// `Alice Patient 2`, who has a second device.
const NAME_DIGITS_MAX: usize = 2;
/// Headers that hold what we reckoned or drew, and nothing that somebody wrote.
const OURS: [&str; 4] = ["Date", "Message-ID", "Content-Type", "DKIM-Signature"];
/// Likewise those that say the same in every message.
const SAID_ALWAYS: [(&str, &str); 3] = [("MIME-Version", "1.0"), ("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")];

/// What everybody is shown anyway.
pub(super) struct Gate {
    /// The practice's name, sender, contact, footer and links.
    practice: Text<'static>,
    /// The digits of each of them.
    digits: Vec<Digits>,
    /// What the templates say of themselves.
    templates: Text<'static>,
    markup: Markup,
    /// The same in every message.
    logo: Option<Arc<Logo>>,
    /// Whose code is whose, over all sessions.
    live: LiveCodes,
}

impl Gate {
    pub(super) fn new<'s>(settings: &Settings, templates: impl Iterator<Item = &'s str>) -> Self {
        let reply_to = settings.reply_to.as_ref().map_or("", |address| address.expose());
        let links = [settings.join_url.as_str(), settings.account_join_url.as_deref().unwrap_or_default()];
        let names = [settings.practice_name.as_str(), settings.short_name.as_deref().unwrap_or_default(), &settings.from_name];
        let look = &settings.look;
        let footer = look.footer.join("\n");
        let links = links.into_iter().chain(look.camera_test.as_deref()).chain([footer.as_str()]);
        let all = names.into_iter().chain(links).chain([settings.practice_contact.as_str(), settings.from.expose(), reply_to]);
        let all: Vec<&str> = all.collect();
        Self {
            practice: shown(all.iter().copied()),
            digits: all.iter().map(|text| Digits::of(&reading::plain(text))).collect(),
            markup: Markup::of(shipped().into_iter().map(|(_, source)| source), &settled(&Color::pair(look.color))),
            templates: shown(templates),
            logo: look.logo.clone(),
            live: LiveCodes::default(),
        }
    }

    /// Whose code is whose.
    pub(super) fn live(&self) -> &LiveCodes {
        &self.live
    }

    /// Passes a message, or names what it would have shown. (Never inlined: `benches/gate` counts it by its name.)
    #[inline(never)]
    pub(super) fn check(&self, content: &Content, facts: &Facts<'_>, view: &View, settings: &Settings) -> Result<(), RenderError> {
        let mut strangers = strangers(facts, settings);
        strangers.iter_mut().for_each(|one| one.as_a_word(view));
        let search = Search { gate: self, facts, view, strangers, own: Own::of(facts, view), free: OnceCell::new() };
        match content {
            Content::Email { bytes, .. } => search.mail(bytes),
            Content::Sms { text, .. } => search.text(text),
        }
    }

    /// Nobody's secret.
    fn is_shown(&self, thing: &Thing) -> bool {
        match thing {
            // A code that stands in a template was pasted into it.
            Thing::Code(code) => self.digits.iter().any(|digits| digits.contain(code.as_bytes())),
            Thing::Passkey(passkey) if passkey.bytes().any(|b| b.is_ascii_digit()) => self.practice.holds(thing),
            _ => self.practice.holds(thing) || self.templates.holds(thing),
        }
    }
}

/// What the templates call the practice's colours, and what those are.
fn settled([light, dark]: &[String; 2]) -> [(&'static str, &str); 2] {
    [("{{ practice.color }}", light), ("{{ practice.color_in_dark }}", dark)]
}

/// Texts apart from each other.
fn shown<'s>(texts: impl Iterator<Item = &'s str>) -> Text<'static> {
    let mut all = String::new();
    texts.for_each(|text| reading::each_shown(text, &mut |reading| all.extend([reading, "\nand\n"])));
    Text::owned(&all)
}

/// Something of somebody else's.
struct Stranger<'a> {
    sought: Sought<'a>,
    /// `connect code`
    kind: &'static str,
    whose: Whose,
}

/// What is searched for. What its source has is read only where it may stand: that takes long.
enum Sought<'a> {
    Read(Thing),
    Address(&'a str),
    Number(&'a str),
}

#[derive(Clone, Copy)]
enum Whose {
    Session,
    Person(Role, ParticipationId),
    /// A record at fault.
    Unread(Option<ParticipationId>),
}

impl Sought<'_> {
    /// Whether a text holds one of these that is somebody's secret.
    fn is_held_by(&self, text: &Text<'_>, is_secret: impl Fn(&Thing) -> bool) -> bool {
        let read = match self {
            Self::Read(thing) => return text.holds(thing) && is_secret(thing),
            Self::Address(raw) if text.may_hold_address(raw) => Thing::addresses(raw),
            Self::Number(raw) if text.may_hold_number(raw) => Thing::numbers(raw),
            Self::Address(_) | Self::Number(_) => return false,
        };
        read.iter().any(|thing| text.holds(thing) && is_secret(thing))
    }
}

impl Stranger<'_> {
    /// A passkey that is a word which this message says anyway ("december" in its date) is searched for where passkeys stand: in links.
    fn as_a_word(&mut self, view: &View) {
        let Sought::Read(Thing::Passkey(passkey)) = &self.sought else { return };
        let (session, pass) = (&view.session, &view.pass);
        let said = [
            &session.date,
            &session.date_short,
            &session.was_date,
            &session.zone,
            &session.topic,
            &session.host_name,
            &pass.date,
            &pass.zone,
            &view.recipient.name,
        ];
        let is_a_word = passkey.chars().all(char::is_alphabetic);
        if is_a_word && said.into_iter().any(|text| words::alphanumeric(text).contains(passkey.as_str())) {
            self.sought = Sought::Read(Thing::ShortPasskey(passkey.clone()));
        }
    }

    /// `the connect code of another participant (18620)`
    fn what(&self) -> String {
        let whose = match self.whose {
            Whose::Session => "the session itself".to_owned(),
            Whose::Person(Role::Host, id) => format!("the host ({id})"),
            Whose::Person(Role::Participant, id) => format!("another participant ({id})"),
            Whose::Unread(id) => format!("a participant whose record is at fault{}", in_brackets(id)),
        };
        format!("the {} of {whose}", self.kind)
    }
}

/// All that the session knows of others. What a host is called and called at is no secret.
fn strangers<'a>(facts: &Facts<'a>, settings: &Settings) -> Vec<Stranger<'a>> {
    let (session, me) = (facts.session, facts.participant);
    let names_shown = me.role == Role::Host && settings.show_participant_names_to_host;
    let code = |code: Option<ConnectCode>| ("connect code", code.map(|code| Sought::Read(Thing::Code(code.expose()))));
    let passkey = |passkey: &Option<Passkey>| ("passkey", passkey.as_ref().and_then(|key| Thing::passkey(key.expose())).map(Sought::Read));
    let address = |raw: &'a RawContact| ("e-mail address", Some(Sought::Address(&raw.0)));
    let number = |raw: &'a RawContact| ("telephone number", Some(Sought::Number(&raw.0)));
    let names = |name: Option<&PersonName>| -> Vec<_> {
        // What a host is called, is no secret of a patient who is called the same.
        let is_a_hosts = |name: &PersonName| session.participants.iter().any(|p| p.role == Role::Host && p.name == *name);
        let secret = name.filter(|name| !names_shown && !is_a_hosts(name)).map(|name| Thing::names(name.expose(), &TITLES));
        secret.into_iter().flatten().map(|name| ("name", Some(Sought::Read(name)))).collect()
    };
    let mut all = Vec::new();
    let mut add = |whose: Whose, (kind, sought): (&'static str, Option<Sought<'a>>)| {
        all.extend(sought.map(|sought| Stranger { sought, kind, whose }));
    };
    add(Whose::Session, code(session.code));
    for person in session.participants.iter().filter(|p| p.id != me.id) {
        let whose = Whose::Person(person.role, person.id);
        add(whose, code(person.code));
        add(whose, passkey(&person.passkey));
        if person.role != Role::Host {
            [address(&person.email), number(&person.sms_number)]
                .into_iter()
                .chain(names(Some(&person.name)))
                .for_each(|one| add(whose, one));
        }
    }
    for unread in session.unread.iter().filter(|unread| unread.id != Some(me.id)) {
        let whose = Whose::Unread(unread.id);
        let all = [code(unread.code), passkey(&unread.passkey), address(&unread.email), number(&unread.sms_number)];
        all.into_iter().chain(names(unread.name.as_ref())).for_each(|one| add(whose, one));
    }
    all
}

/// What the recipient may be shown: all that is their own, each as what it is; and what the hosts are called and called at.
fn free(session: &Session, me: &Participant, told: &str) -> Vec<Thing> {
    let hosts = session.participants.iter().filter(|p| p.role == Role::Host);
    let contacts = hosts.chain([me]).flat_map(|p| {
        let mut names = Thing::names(p.name.expose(), &TITLES);
        // Of a host, what they are called in full: a patient of a name like it is another one.
        names.truncate(if p.id == me.id { names.len() } else { 1 });
        [Thing::addresses(&p.email.0), Thing::numbers(&p.sms_number.0), names].concat()
    });
    let own = [me.code.map(|code| Thing::Code(code.expose())), me.passkey.as_ref().and_then(|passkey| Thing::passkey(passkey.expose()))];
    let told = if told.contains('@') { Thing::addresses(told) } else { Thing::numbers(told) };
    contacts.chain(own.into_iter().flatten()).chain(told).collect()
}

/// What is taken out before digits are looked at, and whose codes may be shown.
struct Own {
    digits: Vec<Vec<u8>>,
    code: Option<ConnectCode>,
}

impl Own {
    fn of(facts: &Facts<'_>, view: &View) -> Self {
        let code = facts.participant.code;
        let reckoned = [&view.session.date, &view.session.date_short, &view.session.was_date, &view.pass.date, &view.session.id];
        let reckoned = reckoned.into_iter().flat_map(|text| Digits::of(text).runs()).filter(|digits| digits.len() >= RECKONED_MIN);
        Self { digits: code.map(|code| code.expose().into_bytes()).into_iter().chain(reckoned).collect(), code }
    }
}

/// The recipient's name, folded, if it reads like one: another one may be part of it (`Ann and Bob Smith`).
fn own_name(me: &Participant) -> Option<String> {
    let name = words::folded(me.name.expose());
    let like_one = name.split_whitespace().count() <= NAME_MAX && name.bytes().filter(u8::is_ascii_digit).count() <= NAME_DIGITS_MAX;
    Some(name).filter(|_| like_one)
}

/// One message under search.
struct Search<'a> {
    gate: &'a Gate,
    facts: &'a Facts<'a>,
    view: &'a View,
    strangers: Vec<Stranger<'a>>,
    own: Own,
    /// What the recipient may be shown. Asked for only of what was found.
    free: OnceCell<Vec<Thing>>,
}

impl Search<'_> {
    /// An e-mail: the headers that carry values, and each part.
    fn mail(&self, bytes: &[u8]) -> Result<(), RenderError> {
        let (headers, body) = mailparse::parse_headers(bytes).map_err(|_| unreadable())?;
        for header in headers.iter().filter(|header| !self.is_ours(header)) {
            self.text(&header.get_value())?;
        }
        let parse = |bytes| mailparse::parse_mail(bytes).map_err(|_| unreadable());
        let Some(parts) = parts::split(&headers, &bytes[body..]) else { return self.parts(&parse(bytes)?) };
        parts.into_iter().try_for_each(|part| match Part::of_our_form(part) {
            Some(Part { kind, body }) => self.part(kind, &parts::decoded(body).ok_or_else(unreadable)?),
            None => self.parts(&parse(part)?),
        })
    }

    /// Nothing in it is somebody's.
    fn is_ours(&self, header: &MailHeader<'_>) -> bool {
        let (key, value) = (header.get_key_raw(), header.get_value_raw());
        let is = |name: &str| key.eq_ignore_ascii_case(name.as_bytes());
        let says = |(name, said): &(&str, &str)| is(name) && value == said.as_bytes();
        OURS.iter().any(|ours| is(ours)) || SAID_ALWAYS.iter().any(says) || says(&("Content-Language", &self.view.locale))
    }

    fn parts(&self, mail: &ParsedMail<'_>) -> Result<(), RenderError> {
        let is_logo = |logo: &Arc<Logo>| mail.ctype.mimetype == logo.kind && mail.get_body_raw().is_ok_and(|body| body == logo.bytes);
        if self.gate.logo.as_ref().is_some_and(is_logo) {
            return Ok(());
        }
        if mail.subparts.is_empty() {
            self.part(&mail.ctype.mimetype, &parts::body_of(mail).ok_or_else(unreadable)?)
        } else {
            mail.subparts.iter().try_for_each(|part| self.parts(part))
        }
    }

    fn part(&self, kind: &str, body: &str) -> Result<(), RenderError> {
        match kind {
            "text/html" => reading::each_of_html(body, &self.gate.markup, &mut |reading| self.one(reading)),
            "text/calendar" => self.text(&reading::unfolded(body)),
            _ => self.text(body),
        }
    }

    fn text(&self, text: &str) -> Result<(), RenderError> {
        reading::each_of_text(text, &mut |reading| self.one(reading))
    }

    /// One reading of one text.
    fn one(&self, reading: &str) -> Result<(), RenderError> {
        let text = Text::of_plain(reading, &self.own.digits);
        for stranger in &self.strangers {
            if stranger.sought.is_held_by(&text, |thing| !self.is_shown(thing) && !self.is_of_a_host(thing, &text)) {
                return Err(RenderError::Leak { what: stranger.what() });
            }
        }
        let codes: Vec<ConnectCode> = text.digits.nines().filter_map(ConnectCode::of).filter(|code| Some(*code) != self.own.code).collect();
        if codes.is_empty() {
            return Ok(());
        }
        let is_shown = |code: ConnectCode| self.gate.is_shown(&Thing::Code(code.expose()));
        match self.gate.live.holders(&codes).into_iter().find(|(code, _)| !is_shown(*code)) {
            Some((_, (session, person))) => {
                let what = format!("the connect code of somebody{} of session {session}", in_brackets(person));
                Err(RenderError::Leak { what })
            }
            None => Ok(()),
        }
    }

    /// Nobody's secret, or the recipient's own.
    fn is_shown(&self, thing: &Thing) -> bool {
        let Facts { session, participant: me, notice, .. } = self.facts;
        let free = self.free.get_or_init(|| free(session, me, notice.address.expose()));
        let in_own_name = |orders: &[String]| own_name(me).is_some_and(|name| orders.iter().any(|order| name.contains(order)));
        let own = || matches!(thing, Thing::Name(orders) if in_own_name(orders));
        free.iter().any(|own| own.shows(thing)) || own() || self.gate.is_shown(thing) || self.is_by_accident(thing)
    }

    /// Words that make up a name where one value ends and the template goes on: `Hello Mallory` is nobody's secret, though somebody is called so.
    /// Whatever was hidden stands in one of the values.
    fn is_by_accident(&self, thing: &Thing) -> bool {
        let is_of_words = match thing {
            Thing::Name(_) => true,
            Thing::Passkey(passkey) => passkey.bytes().all(|byte| byte.is_ascii_alphabetic()),
            _ => false,
        };
        let View { session, recipient, .. } = self.view;
        let values =
            [&session.topic, &session.host_name, &recipient.name, &recipient.join_url].into_iter().chain(&session.participant_names);
        let values: Vec<&str> = values.map(String::as_str).collect();
        let look = &mut |reading: &str| if Text::of_plain(reading, &[]).holds(thing) { Err(()) } else { Ok(()) };
        is_of_words && reading::each_of_text(&values.join("\nand\n"), look).is_ok()
    }

    /// A name that stands in the text only as a part of what a host is called: `John Smith, PhD`, who is a patient, too.
    fn is_of_a_host(&self, thing: &Thing, text: &Text<'_>) -> bool {
        let Thing::Name(orders) = thing else { return false };
        let holders: Vec<String> =
            hosts::names(self.facts.session).filter(|name| orders.iter().any(|order| name.contains(order))).collect();
        !holders.is_empty() && !text.without_names(&holders).holds(thing)
    }
}

fn in_brackets(id: Option<ParticipationId>) -> String {
    id.map_or_else(String::new, |id| format!(" ({id})"))
}

fn unreadable() -> RenderError {
    RenderError::Leak { what: "something that cannot be read back, and so cannot be checked".to_owned() }
}
