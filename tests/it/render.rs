//! The renderer, seen from outside: the vendor's public example in each language, as a clinician would read it, and the bytes.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it render` writes the files under `golden/` anew; read them before they are committed.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so

mod calendar;
mod gate;
mod look;
mod mail;
mod promise;
mod templates;
mod texts;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use punctual::contact::{Address, ConnectCode, EmailAddress, PersonName, PhoneNumber};
use punctual::feedback::answer::Answer;
use punctual::message::SmsEncoding;
use punctual::notice::{Identity, Notice, NoticeKey, Occasion};
use punctual::render::look::MailLook;
use punctual::render::{Facts, Number, Parts, RenderError, Rendered, Renderer, Settings};
use punctual::session::{
    AutoDeliver, Participant, ParticipationId, Presence, RawContact, Role, Rsvp, Session, SessionId, SourceRecord, Standing,
};
use punctual::zone::{Resolved, Zones};

fn at(rfc3339: &str) -> DateTime<Utc> {
    rfc3339.parse().unwrap()
}

fn zone(id: &str) -> Resolved {
    static ZONES: std::sync::LazyLock<Zones> = std::sync::LazyLock::new(|| Zones::load(&punctual::zone::Settings::default()).unwrap());
    ZONES.resolve(id).unwrap_or_else(|e| panic!("{id}: {e}"))
}

pub(crate) fn settings() -> Settings {
    Settings {
        return_path: None,
        practice_name: "Elm Street Counseling".to_owned(),
        short_name: None,
        look: MailLook::default(),
        practice_contact: "(555) 555-0142".to_owned(),
        locale: "en-US".to_owned(),
        join_url: "https://hub.securevideo.com/Pass/Join/{{ code }}{% if passkey %}?passkey={{ passkey }}{% endif %}".to_owned(),
        account_join_url: None,
        from_name: "Elm Street Counseling".to_owned(),
        from: EmailAddress::parse("sessions@elmstreet.example").unwrap(),
        reply_to: Some(EmailAddress::parse("desk@elmstreet.example").unwrap()),
        template_dir: None,
        show_participant_names_to_host: false,
        max_segments: 2,
        rule_segments: BTreeMap::new(),
        replies_read: false,
        default_duration: TimeDelta::minutes(50),
        calendar_code: true,
        reference_key: [7; 32],
        dkim: None,
    }
}

fn person(id: i64, role: Role, name: &str, email: &str, number: &str, code: &str) -> Participant {
    Participant {
        id: ParticipationId(id),
        role,
        path: format!("[0].Participants[{id}]"),
        name: PersonName::clean(name),
        auto_deliver: AutoDeliver::Email,
        email: RawContact(email.to_owned()),
        sms_number: RawContact(number.to_owned()),
        time_zone: "Eastern Standard Time".to_owned(),
        locale: None,
        external_id: String::new(),
        code: ConnectCode::parse(code),
        passkey: None,
        connected_at: None,
        expires_at: None,
        has_account: false,
        rsvp: Rsvp::Unknown,
        rsvp_unknown: false,
        deposit: None,
        ambiguous: None,
        presence: Presence::Listed,
    }
}

/// Sessions 9636 and 9718 of the vendor's public example, in one.
fn sample() -> Session {
    let mut ray = person(18784, Role::Participant, "Ray Chalk", "rc@anotheremail.com", "", "347409115");
    ray.deposit = Some("20.00".parse().unwrap());
    Session {
        id: SessionId(9636),
        start: at("2014-04-16T15:00:00Z"),
        cancelled: false,
        standing: Standing::Live,
        presence: Presence::Listed,
        code: ConnectCode::parse("981342223"),
        duration: None,
        topic: "Topic that nobody is shown".to_owned(),
        participants: vec![
            person(18619, Role::Host, "A. MacGuffin", "real@mccoy.com", "", "701678455"),
            person(18620, Role::Participant, "Trevor", "trevor@geemail.com", "4045550133", "378174671"),
            ray,
        ],
        faults: vec![],
        unread: vec![],
        twice: String::new(),
        held_until: None,
        record: SourceRecord::default(),
    }
}

/// One notice about one participant of a session, and what it is rendered with.
pub(crate) struct Case {
    pub(crate) session: Session,
    pub(crate) participant: i64,
    pub(crate) occasion: Occasion,
    pub(crate) sms: bool,
    pub(crate) meet_now: bool,
    pub(crate) zone: Resolved,
    pub(crate) locale: Option<&'static str>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) number: Number,
}

impl Case {
    pub(crate) fn new(occasion: Occasion, locale: &'static str) -> Self {
        let now = match occasion {
            Occasion::Reminder => at("2014-04-15T15:00:00Z"),
            Occasion::NotJoined => at("2014-04-16T15:05:00Z"),
            _ => at("2014-04-14T12:00:00Z"),
        };
        let zone = zone("Eastern Standard Time");
        let number = Number { answered: true, shared: false };
        Self { session: sample(), participant: 18620, occasion, sms: false, meet_now: false, zone, locale: Some(locale), now, number }
    }

    pub(crate) fn render(&self, renderer: &Renderer) -> Result<Rendered, RenderError> {
        let participant = self.session.participant(ParticipationId(self.participant)).unwrap();
        let address = if self.sms {
            Address::Sms(PhoneNumber::parse(&participant.sms_number.0, "US").unwrap())
        } else {
            Address::Email(EmailAddress::parse(&participant.email.0).unwrap())
        };
        let rule = (self.occasion == Occasion::Reminder).then(|| "24h".to_owned());
        let key = NoticeKey::of(&Identity {
            practice: "elm",
            session: self.session.id,
            participation: participant.id,
            occasion: self.occasion,
            rule: rule.as_deref(),
            start: self.session.start,
            address: &address,
            content: "",
        });
        let notice = Notice {
            key,
            session: self.session.id,
            participation: participant.id,
            role: participant.role,
            occasion: self.occasion,
            rule,
            address,
            start: self.session.start,
            due_at: self.now,
            useful_until: self.session.start,
        };
        let sequence = u32::from(self.occasion != Occasion::Invite && !self.occasion.repeats());
        let (session, zone, locale, number) = (&self.session, &self.zone, self.locale, self.number);
        let facts = Facts {
            notice: &notice,
            session,
            participant,
            zone,
            locale,
            meet_now: self.meet_now,
            was: Some(self.session.start - TimeDelta::hours(22)),
            sequence,
            number,
        };
        renderer.render(&facts, self.now)
    }
}

fn email(rendered: &Rendered) -> (&str, &str, &str) {
    match &rendered.parts {
        Parts::Email { subject, text, html, .. } => (subject, text, html),
        Parts::Sms { .. } => panic!("expected an e-mail"),
    }
}

fn sms(rendered: &Rendered) -> (&str, SmsEncoding, u32) {
    match &rendered.parts {
        Parts::Sms { text, encoding, segments } => (text, *encoding, *segments),
        Parts::Email { .. } => panic!("expected a text message"),
    }
}

fn bytes(rendered: &Rendered) -> &[u8] {
    rendered.message.content.bytes()
}

pub(crate) fn golden(name: &str, found: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; UPDATE_GOLDEN=1 writes it", path.display()));
    assert!(expected == found, "{name} reads differently now:\n{}", String::from_utf8_lossy(found));
}

const LOCALES: [&str; 5] = ["en-US", "es-US", "fr-CA", "de-DE", "pt-BR"];

/// The kinds of message: the occasions, and the invite of a Meet Now session.
fn kinds() -> impl Iterator<Item = (String, Occasion, bool)> {
    Occasion::ALL.into_iter().map(|o| (o.to_string(), o, false)).chain([("meet_now".to_owned(), Occasion::Invite, true)])
}

#[test]
fn every_message_reads_as_it_should() {
    let renderer = Renderer::new(settings()).unwrap();
    for locale in LOCALES {
        for (kind, occasion, meet_now) in kinds() {
            let mut case = Case::new(occasion, locale);
            if meet_now {
                case.meet_now = true;
                case.now = case.session.start;
            }
            let mail = case.render(&renderer).unwrap();
            let (subject, text, html) = email(&mail);
            golden(&format!("{locale}/{kind}.txt"), format!("Subject: {subject}\n\n{text}").as_bytes());
            golden(&format!("{locale}/{kind}.html"), html.as_bytes());
            case.sms = true;
            let (text, encoding, segments) = {
                let r = case.render(&renderer).unwrap();
                let (t, e, s) = sms(&r);
                (t.to_owned(), e, s)
            };
            golden(&format!("{locale}/{kind}.sms.txt"), format!("{text}\n").as_bytes());
            assert_eq!(encoding, SmsEncoding::Gsm7, "{locale}/{kind}: {text}");
            assert!(segments <= 2, "{locale}/{kind}: {text}");
        }
        let answers = Answer::ALL.map(|answer| format!("{}\n    {}\n", answer.as_str(), renderer.answer(answer, locale)));
        golden(&format!("{locale}/answers.txt"), answers.concat().as_bytes());
    }
    golden("invite.eml", bytes(&Case::new(Occasion::Invite, "en-US").render(&renderer).unwrap()));
    golden("cancelled.fr-CA.eml", bytes(&Case::new(Occasion::Cancelled, "fr-CA").render(&renderer).unwrap()));
}

#[test]
fn the_shipped_templates_have_no_problems() {
    assert_eq!(Renderer::new(settings()).unwrap().lint(), Vec::<String>::new());
}
