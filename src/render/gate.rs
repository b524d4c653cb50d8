//! The gate: no message leaves with something of another person in it.
//!
//! In: the final bytes, the session that they speak of, and the codes of all others. Out: nothing, or a [`RenderError::Leak`] that names the kind of
//! identifier and whose it is, never the identifier.
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
mod digits;
mod entities;
mod forbidden;
mod hosts;
mod identifiers;
mod parts;
mod reading;
mod tags;
mod text;
mod words;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::{Arc, OnceLock};

use mailparse::{MailHeader, ParsedMail};

use self::digits::Digits;
use self::forbidden::{Allowed, Forbidden, free, in_brackets, own_name};
use self::identifiers::Identifier;
use self::parts::MimePart;
use self::tags::Markup;
use self::text::Text;
use super::context::View;
use super::look::{Color, Logo};
use super::mail::{REFERENCE, mailbox};
use super::templates::shipped;
use super::{Facts, RenderError, Settings};
use crate::contact::ConnectCode;
use crate::message::Content;
use crate::session::live::LiveCodes;

/// Headers that hold what we reckoned or drew, and nothing that somebody wrote.
const OURS: [&str; 5] = ["Date", "Message-ID", REFERENCE, "Content-Type", "DKIM-Signature"];
/// Likewise those that say the same in every message.
const SAID_ALWAYS: [(&str, &str); 3] = [("MIME-Version", "1.0"), ("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")];

/// Stands between two readings. No name, number or address goes on across it; a passkey that might is looked for in each reading alone.
const APART: &str = "\n#zqxj#\n";
/// As much as all readings of a message usually have, in bytes.
const TOGETHER: usize = 16 * 1024;

/// What is done with each reading.
type Visit<'v> = &'v mut dyn FnMut(&str) -> Result<(), RenderError>;

/// What everybody is shown anyway.
pub(super) struct Gate {
    /// The practice's name, sender, contact, footer and links.
    practice: Text<'static>,
    /// The digits of each of them.
    digits: Vec<Digits>,
    /// What the templates say of themselves, read when something is found first: nearly all runs find nothing.
    templates: (Vec<String>, OnceLock<Text<'static>>),
    markup: Markup,
    /// The header From, as it stands in every message.
    sender: Vec<u8>,
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
            templates: (templates.map(str::to_owned).collect(), OnceLock::new()),
            sender: sender(settings),
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
        let mut forbidden = forbidden::forbidden(facts, settings);
        forbidden.iter_mut().for_each(|one| one.as_a_word(view));
        let search = Search { gate: self, facts, view, forbidden, own: Allowed::of(facts, view), free: OnceCell::new() };
        // Nearly all messages hold nothing: all that can be read of one is looked through at once.
        let mut together = String::with_capacity(TOGETHER);
        search.each(content, &mut |reading| {
            together.extend([reading, APART]);
            Ok(())
        })?;
        // What stands in none of the readings alone was made up of two.
        search.one(&together).or_else(|_| search.each(content, &mut |reading| search.one(reading)))
    }

    fn templates(&self) -> &Text<'static> {
        let (sources, read) = &self.templates;
        read.get_or_init(|| shown(sources.iter().map(String::as_str)))
    }

    /// Nobody's secret.
    fn is_shown(&self, identifier: &Identifier) -> bool {
        match identifier {
            // A code that stands in a template was pasted into it.
            Identifier::Code(code) => self.digits.iter().any(|digits| digits.contain(code.as_bytes())),
            Identifier::Passkey(passkey) if passkey.bytes().any(|b| b.is_ascii_digit()) => self.practice.holds(identifier),
            _ => self.practice.holds(identifier) || self.templates().holds(identifier),
        }
    }
}

/// The header From that every message has.
fn sender(settings: &Settings) -> Vec<u8> {
    let mut written = Vec::new();
    let said = mailbox(&mut written, "From", (&settings.from_name, &settings.from)).ok().and_then(|()| written.strip_prefix(b"From: "));
    said.and_then(|said| said.strip_suffix(b"\r\n")).unwrap_or_default().to_vec()
}

/// What the templates call the practice's colours, and what those are; and the direction in which all languages that they come in are written.
fn settled([light, dark]: &[String; 2]) -> [(&'static str, &str); 3] {
    [("{{ practice.color }}", light), ("{{ practice.color_in_dark }}", dark), ("{% block direction %}ltr{% endblock %}", "ltr")]
}

/// Texts apart from each other.
fn shown<'s>(texts: impl Iterator<Item = &'s str>) -> Text<'static> {
    let mut all = String::new();
    texts.for_each(|text| reading::each_shown(text, &mut |reading| all.extend([reading, "\nand\n"])));
    Text::owned(&all)
}

/// One message under search.
struct Search<'a> {
    gate: &'a Gate,
    facts: &'a Facts<'a>,
    view: &'a View,
    forbidden: Vec<Forbidden<'a>>,
    own: Allowed,
    /// What the recipient may be shown. Asked for only of what was found.
    free: OnceCell<Vec<Identifier>>,
}

impl Search<'_> {
    /// Every reading of what carries values, until one visit fails.
    fn each(&self, content: &Content, visit: Visit<'_>) -> Result<(), RenderError> {
        match content {
            Content::Email { bytes, .. } => self.mail(bytes, visit),
            Content::Sms { text, .. } => reading::each_of_text(text, visit),
        }
    }

    /// An e-mail: the headers that carry values, and each part.
    fn mail(&self, bytes: &[u8], visit: Visit<'_>) -> Result<(), RenderError> {
        let (headers, body) = mailparse::parse_headers(bytes).map_err(|_| unreadable())?;
        for header in headers.iter().filter(|header| !self.is_ours(header)) {
            reading::each_of_text(&said_by(header), visit)?;
        }
        let parse = |bytes| mailparse::parse_mail(bytes).map_err(|_| unreadable());
        let Some(parts) = parts::split(&headers, &bytes[body..]) else { return self.parts(&parse(bytes)?, visit) };
        parts.into_iter().try_for_each(|part| match MimePart::of_our_form(part) {
            Some(MimePart { kind, body }) => self.part(kind, &parts::decoded(body).ok_or_else(unreadable)?, visit),
            None => self.parts(&parse(part)?, visit),
        })
    }

    /// Nothing in it is somebody's.
    fn is_ours(&self, header: &MailHeader<'_>) -> bool {
        let (key, value) = (header.get_key_raw(), header.get_value_raw());
        let is = |name: &str| key.eq_ignore_ascii_case(name.as_bytes());
        let says = |(name, said): &(&str, &str)| is(name) && value == said.as_bytes();
        if is("From") && value == self.gate.sender {
            return true;
        }
        OURS.iter().any(|ours| is(ours)) || SAID_ALWAYS.iter().any(says) || says(&("Content-Language", &self.view.locale))
    }

    fn parts(&self, mail: &ParsedMail<'_>, visit: Visit<'_>) -> Result<(), RenderError> {
        let is_logo = |logo: &Arc<Logo>| mail.ctype.mimetype == logo.kind && mail.get_body_raw().is_ok_and(|body| body == logo.bytes);
        if self.gate.logo.as_ref().is_some_and(is_logo) {
            return Ok(());
        }
        if mail.subparts.is_empty() {
            self.part(&mail.ctype.mimetype, &parts::body_of(mail).ok_or_else(unreadable)?, visit)
        } else {
            mail.subparts.iter().try_for_each(|part| self.parts(part, visit))
        }
    }

    fn part(&self, kind: &str, body: &str, visit: Visit<'_>) -> Result<(), RenderError> {
        match kind {
            "text/html" => reading::each_of_html(body, &self.gate.markup, visit),
            "text/calendar" => reading::each_of_text(&reading::unfolded(body), visit),
            _ => reading::each_of_text(body, visit),
        }
    }

    /// One reading of one text, or several [`APART`].
    fn one(&self, reading: &str) -> Result<(), RenderError> {
        let text = Text::of_plain(reading, &self.own.digits);
        for forbidden in &self.forbidden {
            if forbidden.sought.is_held_by(&text, |identifier| !self.is_shown(identifier) && !self.is_of_a_host(identifier, &text)) {
                return Err(RenderError::Leak { what: forbidden.what() });
            }
        }
        let codes: Vec<ConnectCode> = text.digits.nines().filter_map(ConnectCode::of).filter(|code| Some(*code) != self.own.code).collect();
        if codes.is_empty() {
            return Ok(());
        }
        let is_shown = |code: ConnectCode| self.gate.is_shown(&Identifier::Code(code.expose()));
        match self.gate.live.holders(&codes).into_iter().find(|(code, _)| !is_shown(*code)) {
            Some((_, (session, person))) => {
                let what = format!("the connect code of somebody{} of session {session}", in_brackets(person));
                Err(RenderError::Leak { what })
            }
            None => Ok(()),
        }
    }

    /// Nobody's secret, or the recipient's own.
    fn is_shown(&self, identifier: &Identifier) -> bool {
        let Facts { session, participant: me, notice, .. } = self.facts;
        let free = self.free.get_or_init(|| free(session, me, notice.address.expose()));
        let in_own_name = |orders: &[String]| own_name(me).is_some_and(|name| orders.iter().any(|order| name.contains(order)));
        let own = || matches!(identifier, Identifier::Name(orders) if in_own_name(orders));
        free.iter().any(|own| own.shows(identifier)) || own() || self.gate.is_shown(identifier) || self.is_by_accident(identifier)
    }

    /// Words that make up a name where one value ends and the template goes on: `Hello Mallory` is nobody's secret, though somebody is called so.
    /// Whatever was hidden stands in one of the values.
    fn is_by_accident(&self, identifier: &Identifier) -> bool {
        let is_of_words = match identifier {
            Identifier::Name(_) => true,
            Identifier::Passkey(passkey) => passkey.bytes().all(|byte| byte.is_ascii_alphabetic()),
            _ => false,
        };
        let View { session, recipient, .. } = self.view;
        let values =
            [&session.topic, &session.host_name, &recipient.name, &recipient.join_url].into_iter().chain(&session.participant_names);
        let values: Vec<&str> = values.map(String::as_str).collect();
        let look = &mut |reading: &str| if Text::of_plain(reading, &[]).holds(identifier) { Err(()) } else { Ok(()) };
        is_of_words && reading::each_of_text(&values.join("\nand\n"), look).is_ok()
    }

    /// A name that stands in the text only as a part of what a host is called: `John Smith, PhD`, who is a patient, too.
    fn is_of_a_host(&self, identifier: &Identifier, text: &Text<'_>) -> bool {
        let Identifier::Name(orders) = identifier else { return false };
        let holders: Vec<String> =
            hosts::names(self.facts.session).filter(|name| orders.iter().any(|order| name.contains(order))).collect();
        !holders.is_empty() && !text.without_names(&holders).holds(identifier)
    }
}

/// A header's value, decoded.
fn said_by<'h>(header: &'h MailHeader<'_>) -> Cow<'h, str> {
    let raw = header.get_value_raw();
    // Nothing in it is folded, and no word is encoded.
    let plain = raw.iter().all(|byte| matches!(byte, b' '..=b'~')) && memchr::memmem::find(raw, b"=?").is_none();
    std::str::from_utf8(raw).ok().filter(|_| plain).map_or_else(|| Cow::Owned(header.get_value()), Cow::Borrowed)
}

fn unreadable() -> RenderError {
    RenderError::Leak { what: "something that cannot be read back, and so cannot be checked".to_owned() }
}
