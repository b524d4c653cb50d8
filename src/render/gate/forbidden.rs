//! What is searched for in one message: what the session knows of others, and what its reader may be shown.
//!
//! In: the session, its reader, and what the message says anyway. Out: [`Forbidden`]s, each with a kind and whose it is; the reader's own things.

use super::identifiers::Identifier;
use super::text::Text;
use super::{digits::Digits, words};
use crate::contact::{ConnectCode, Passkey, PersonName};
use crate::render::context::{TITLES, View};
use crate::render::{Facts, Settings};
use crate::session::{Participant, ParticipationId, RawContact, Role, Session};

/// A date or an id of fewer digits makes up nothing together with what stands beside it.
const RECKONED_MIN: usize = 5;
/// A name of more words than this is none: something else stands in its field.
const NAME_MAX: usize = 10;
/// `Alice Patient 2`, who has a second device.
const NAME_DIGITS_MAX: usize = 2;

/// Something of somebody else's.
pub(super) struct Forbidden<'a> {
    pub(super) sought: Sought<'a>,
    /// `connect code`
    kind: &'static str,
    whose: Whose,
}

/// What is searched for. What its source has is read only where it may stand: that takes long.
pub(super) enum Sought<'a> {
    Read(Identifier),
    Address(&'a str),
    Number(&'a str),
    Name(&'a str),
}

#[derive(Clone, Copy)]
pub(super) enum Whose {
    Session,
    Person(Role, ParticipationId),
    /// A record at fault.
    Unread(Option<ParticipationId>),
}

impl Sought<'_> {
    /// Whether a text holds one of these that is somebody's secret.
    pub(super) fn is_held_by(&self, text: &Text<'_>, is_secret: impl Fn(&Identifier) -> bool) -> bool {
        let read = match self {
            Self::Read(identifier) => return text.holds(identifier) && is_secret(identifier),
            Self::Address(raw) if text.may_hold_address(raw) => Identifier::addresses(raw),
            Self::Number(raw) if text.may_hold_number(raw) => Identifier::numbers(raw),
            Self::Name(raw) if text.may_hold_name(raw) => Identifier::names(raw, &TITLES),
            Self::Address(_) | Self::Number(_) | Self::Name(_) => return false,
        };
        read.iter().any(|identifier| text.holds(identifier) && is_secret(identifier))
    }
}

impl Forbidden<'_> {
    /// A passkey that is a word which this message says anyway ("december" in its date) is searched for where passkeys stand: in links.
    pub(super) fn as_a_word(&mut self, view: &View) {
        let Sought::Read(Identifier::Passkey(passkey)) = &self.sought else { return };
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
            self.sought = Sought::Read(Identifier::ShortPasskey(passkey.clone()));
        }
    }

    /// `the connect code of another participant (18620)`
    pub(super) fn what(&self) -> String {
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
pub(super) fn forbidden<'a>(facts: &Facts<'a>, settings: &Settings) -> Vec<Forbidden<'a>> {
    let (session, me) = (facts.session, facts.participant);
    let names_shown = me.role == Role::Host && settings.show_participant_names_to_host;
    let code = |code: Option<ConnectCode>| ("connect code", code.map(|code| Sought::Read(Identifier::Code(code.expose()))));
    let passkey =
        |passkey: &Option<Passkey>| ("passkey", passkey.as_ref().and_then(|key| Identifier::passkey(key.expose())).map(Sought::Read));
    let address = |raw: &'a RawContact| ("e-mail address", Some(Sought::Address(&raw.0)));
    let number = |raw: &'a RawContact| ("telephone number", Some(Sought::Number(&raw.0)));
    let name = |name: Option<&'a PersonName>| {
        // What a host is called, is no secret of a patient who is called the same.
        let is_a_hosts = |name: &PersonName| session.participants.iter().any(|p| p.role == Role::Host && p.name == *name);
        ("name", name.filter(|name| !names_shown && !is_a_hosts(name)).map(|name| Sought::Name(name.expose())))
    };
    let mut all = Vec::new();
    let mut add = |whose: Whose, (kind, sought): (&'static str, Option<Sought<'a>>)| {
        all.extend(sought.map(|sought| Forbidden { sought, kind, whose }));
    };
    add(Whose::Session, code(session.code));
    for person in session.participants.iter().filter(|p| p.id != me.id) {
        let whose = Whose::Person(person.role, person.id);
        add(whose, code(person.code));
        add(whose, passkey(&person.passkey));
        if person.role != Role::Host {
            let all = [address(&person.email), number(&person.sms_number), name(Some(&person.name))];
            all.into_iter().for_each(|one| add(whose, one));
        }
    }
    for unread in session.unread.iter().filter(|unread| unread.id != Some(me.id)) {
        let whose = Whose::Unread(unread.id);
        let contact = [address(&unread.email), number(&unread.sms_number), name(unread.name.as_ref())];
        [code(unread.code), passkey(&unread.passkey)].into_iter().chain(contact).for_each(|one| add(whose, one));
    }
    all
}

/// What the recipient may be shown: all that is their own, each as what it is; and what the hosts are called and called at.
pub(super) fn free(session: &Session, me: &Participant, told: &str) -> Vec<Identifier> {
    let hosts = session.participants.iter().filter(|p| p.role == Role::Host);
    let contacts = hosts.chain([me]).flat_map(|p| {
        let mut names = Identifier::names(p.name.expose(), &TITLES);
        // Of a host, what they are called in full: a patient of a name like it is another one.
        names.truncate(if p.id == me.id { names.len() } else { 1 });
        [Identifier::addresses(&p.email.0), Identifier::numbers(&p.sms_number.0), names].concat()
    });
    let own = [
        me.code.map(|code| Identifier::Code(code.expose())),
        me.passkey.as_ref().and_then(|passkey| Identifier::passkey(passkey.expose())),
    ];
    let told = if told.contains('@') { Identifier::addresses(told) } else { Identifier::numbers(told) };
    contacts.chain(own.into_iter().flatten()).chain(told).collect()
}

/// What is taken out before digits are looked at, and whose codes may be shown.
pub(super) struct Allowed {
    pub(super) digits: Vec<Vec<u8>>,
    pub(super) code: Option<ConnectCode>,
}

impl Allowed {
    pub(super) fn of(facts: &Facts<'_>, view: &View) -> Self {
        let code = facts.participant.code;
        let reckoned = [&view.session.date, &view.session.date_short, &view.session.was_date, &view.pass.date, &view.session.id];
        let reckoned = reckoned.into_iter().flat_map(|text| Digits::of(text).runs()).filter(|digits| digits.len() >= RECKONED_MIN);
        Self { digits: code.map(|code| code.expose().into_bytes()).into_iter().chain(reckoned).collect(), code }
    }
}

/// The recipient's name, folded, if it reads like one: another one may be part of it (`Ann and Bob Smith`).
pub(super) fn own_name(me: &Participant) -> Option<String> {
    let name = words::folded(me.name.expose());
    let like_one = name.split_whitespace().count() <= NAME_MAX && name.bytes().filter(u8::is_ascii_digit).count() <= NAME_DIGITS_MAX;
    Some(name).filter(|_| like_one)
}

/// ` (18620)`, or nothing.
pub(super) fn in_brackets(id: Option<ParticipationId>) -> String {
    id.map_or_else(String::new, |id| format!(" ({id})"))
}
