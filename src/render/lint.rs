//! Every template, rendered with difficult samples: what `check` says about the messages before any is sent.
//!
//! In: a [`Renderer`]. Out: problems, each named once with the first sample that shows it: a variable that does not exist, a
//! text message that is too long or leaves the GSM alphabet, a message without its code, link or time, a code or a topic in a
//! subject, a word that carriers take for an opt-out, a leak. Our answers to people's texts are among them.
//!
//! Never fails: what cannot be rendered is a problem like the others.

mod opt_out;

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use self::opt_out::opt_out_instruction;
use super::{Facts, Number, Parts, RenderError, Rendered, Renderer, context, one_line, sms, templates};
use crate::contact::{Address, Channel, ConnectCode, Passkey, PersonName, clean_line};
use crate::feedback::answer::Answer;
use crate::message::SmsEncoding;
use crate::notice::{Notice, NoticeKey, Occasion};
use crate::session::{
    AutoDeliver, Participant, ParticipationId, Presence, RawContact, Role, Rsvp, Session, SessionId, SourceRecord, Standing,
};
use crate::zone::{Resolved, Settings as ZoneSettings, Zones};

/// Larger than this and mail programs hide the end of a message, in bytes of HTML (Gmail cuts at 102 KB).
const HTML_MAX: usize = 100 * 1024;
/// RFC 5322 2.1.1, without CRLF.
const LINE_MAX: usize = 998;
/// A topic that no message should hold by default: it may say what the session is about.
const TOPIC: &str = "Topic-that-nobody-is-shown";

/// Renders what is wanted, by locale and folder; all problems, and those of the answers.
pub(super) fn run(renderer: &Renderer, wanted: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let zones = match Zones::load(&ZoneSettings::default()) {
        Ok(zones) => zones,
        Err(errors) => return errors,
    };
    let Ok(zone) = zones.resolve("America/New_York") else { return vec!["America/New_York is no known zone".to_owned()] };
    let mut problems = Problems::default();
    problems.found.extend(answers(renderer));
    for locale in renderer.library.locales() {
        let all = Occasion::ALL.map(|o| (o, false)).into_iter().chain([(Occasion::Invite, true)]);
        for (occasion, meet_now) in all.filter(|(occasion, meet_now)| wanted(locale, templates::folder(*occasion, *meet_now))) {
            for role in [Role::Participant, Role::Host] {
                for channel in [Channel::Email, Channel::Sms] {
                    for sample in SAMPLES {
                        let case = LintCase { locale, occasion, meet_now, role, channel, sample };
                        case.examine(renderer, &zone, &mut problems);
                    }
                }
            }
        }
    }
    problems.found
}

/// A message to somebody with a usual name.
pub(super) fn sample(
    renderer: &Renderer,
    locale: &str,
    (occasion, meet_now): (Occasion, bool),
    (role, channel): (Role, Channel),
) -> Result<Rendered, RenderError> {
    let unknown = |why: String| RenderError::Template { file: "a sample".to_owned(), why };
    let zones = Zones::load(&ZoneSettings::default()).map_err(|errors| unknown(errors.join("; ")))?;
    let zone = zones.resolve("America/New_York").map_err(|_| unknown("America/New_York is no known zone".to_owned()))?;
    let case = LintCase { locale, occasion, meet_now, role, channel, sample: SAMPLES[0] };
    case.with_facts(renderer, &zone, |facts, now| renderer.rendered(facts, now))
}

/// What is wrong with our answers to people's texts, as they will go out.
fn answers(renderer: &Renderer) -> Vec<String> {
    let mut problems = Vec::new();
    let name = context::PracticeView::in_texts(&renderer.settings).name;
    for (locale, texts) in &renderer.answers {
        for (answer, text) in Answer::ALL.into_iter().zip(texts) {
            let mut report = |problem: String| problems.push(format!("template {locale}/{}: {problem}", templates::answer_file(answer)));
            let (load, limit) = (sms::load(text), renderer.settings.max_segments);
            if text.is_empty() {
                report("the text is empty".to_owned());
            }
            if !text.contains(&name) && !text.contains(&sms::fold(&name)) {
                report("the text does not say who answers: the practice's name is missing".to_owned());
            }
            if load.segments > limit {
                report(format!("the text needs {} segments, {limit} are allowed", load.segments));
            }
            if let Some(culprit) = sms::first_outside(text).filter(|_| name.is_ascii()) {
                report(needless(culprit));
            }
            if let Some(word) = opt_out_instruction(text) {
                report(format!("carriers take the word {word:?} for an opt-out"));
            }
        }
    }
    problems
}

/// Problems in the order in which they were found, each once per template.
#[derive(Default)]
struct Problems {
    found: Vec<String>,
    seen: BTreeSet<String>,
}

/// What is difficult about a message.
#[derive(Clone, Copy)]
struct LintSample {
    label: &'static str,
    name: &'static str,
    /// Repeats of `name`: 1, or enough to reach the longest name there is.
    times: usize,
    kind: LintKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LintKind {
    Usual,
    /// A deposit, a pass that ends, a passkey.
    Extras,
    /// The hour happens twice.
    Overlap,
    /// The practice's zone stands in.
    FallbackZone,
    /// They join from an account of their own.
    Account,
}

const SAMPLES: [LintSample; 10] = [
    LintSample { label: "a usual name", name: "Trevor", times: 1, kind: LintKind::Usual },
    LintSample { label: "a deposit, a pass that ends and a passkey", name: "Trevor", times: 1, kind: LintKind::Extras },
    LintSample { label: "an hour that happens twice", name: "Trevor", times: 1, kind: LintKind::Overlap },
    LintSample { label: "the practice's zone standing in", name: "Trevor", times: 1, kind: LintKind::FallbackZone },
    LintSample { label: "an account of their own", name: "Trevor", times: 1, kind: LintKind::Account },
    LintSample { label: "no name", name: "", times: 1, kind: LintKind::Usual },
    LintSample { label: "the longest name", name: "Wolfeschlegel ", times: 9, kind: LintKind::Usual },
    LintSample { label: "a right-to-left name", name: "מרים כהן", times: 1, kind: LintKind::Usual },
    LintSample { label: "a Chinese name", name: "歐陽文山", times: 1, kind: LintKind::Usual },
    LintSample { label: "an emoji in the name", name: "Trevor 👩🏽‍🚀 {{ x }} <b>", times: 1, kind: LintKind::Usual },
];

/// What makes a text longest.
const FIRST_TEXT: Number = Number { answered: false, shared: true };

/// The rule whose texts may be shortest.
fn strictest_rule(renderer: &Renderer) -> String {
    let settings = &renderer.settings;
    let shortest = settings.rule_segments.iter().min_by_key(|(_, limit)| **limit).filter(|(_, limit)| **limit < settings.max_segments);
    shortest.map_or_else(|| "24h".to_owned(), |(rule, _)| rule.clone())
}

/// One message to look at.
#[derive(Clone, Copy)]
struct LintCase<'a> {
    locale: &'a str,
    occasion: Occasion,
    meet_now: bool,
    role: Role,
    channel: Channel,
    sample: LintSample,
}

impl LintCase<'_> {
    fn examine(self, renderer: &Renderer, zone: &Resolved, problems: &mut Problems) {
        let report = self.with_facts(renderer, zone, |facts, now| match renderer.rendered(facts, now) {
            Ok(rendered) => Ok(self.read(renderer, facts, &rendered, now)),
            Err(RenderError::Template { file, why }) => Err((file, why)),
            Err(error) => Ok(vec![error.to_string()]),
        });
        let file = format!("{}/{}", self.locale, templates::folder(self.occasion, self.meet_now));
        match report {
            Ok(found) => found.iter().for_each(|problem| self.report(problems, &file, problem)),
            Err((file, why)) => self.report(problems, &file, &why),
        }
    }

    /// What the message is made of, a day before its session.
    fn with_facts<T>(self, renderer: &Renderer, zone: &Resolved, look: impl FnOnce(&Facts<'_>, DateTime<Utc>) -> T) -> T {
        let session = self.session();
        let person = &session.participants[usize::from(self.role == Role::Participant)];
        let notice = self.notice(&session, person, renderer);
        let zone = Resolved { zone: zone.zone.clone(), fallback: self.sample.kind == LintKind::FallbackZone };
        let facts = Facts {
            notice: &notice,
            session: &session,
            participant: person,
            zone: &zone,
            locale: Some(self.locale),
            meet_now: self.meet_now,
            was: Some(session.start - TimeDelta::days(1)),
            sequence: 1,
            number: FIRST_TEXT,
        };
        look(&facts, session.start - TimeDelta::hours(24))
    }

    fn report(self, problems: &mut Problems, file: &str, problem: &str) {
        let role = if self.role == Role::Host { "to a host" } else { "to a participant" };
        if problems.seen.insert(format!("{file} {role} {} {problem}", self.channel)) {
            problems.found.push(format!("template {file}, {} {role}, {}: {problem}", self.channel, self.sample.label));
        }
    }

    /// What is wrong with a rendered message.
    fn read(self, renderer: &Renderer, facts: &Facts<'_>, rendered: &Rendered, now: DateTime<Utc>) -> Vec<String> {
        let time = renderer.dates[self.locale].when(context::start(facts), &facts.zone.zone, now).time;
        let link = renderer.join_link(facts.session.id, facts.participant).unwrap_or_default();
        let wanted = self.wanted(facts, link, time);
        match &rendered.parts {
            Parts::Email { text, html, subject, .. } => {
                let mut problems = read_email(facts, subject, html, rendered.message.content.bytes());
                problems.extend(not_shown("text", text, &wanted));
                problems.extend(not_shown("HTML", &html_escape::decode_html_entities(html), &wanted));
                problems
            }
            Parts::Sms { text, encoding, .. } => {
                let mut problems: Vec<String> = not_shown("text message", text, &wanted).collect();
                problems.extend(opt_out_instruction(text).map(|word| format!("carriers take the word {word:?} for an opt-out")));
                problems.extend(self.needless_ucs2(text, *encoding));
                problems.extend(self.ending(renderer, text));
                if text.contains(TOPIC) {
                    problems.push("it shows the topic, which may say what the session is about".to_owned());
                }
                problems
            }
        }
    }

    /// What a message must show to be of use, and what it is called.
    fn wanted(self, facts: &Facts<'_>, link: String, time: String) -> Vec<(&'static str, String)> {
        let code = facts.participant.code.map(ConnectCode::expose_grouped).unwrap_or_default();
        let (code, link, time) = (("the recipient's code", code), ("the join link", link), ("the time", time));
        match (self.occasion, self.meet_now) {
            (Occasion::Cancelled, _) => vec![time],
            (_, true) => vec![code, link],
            (_, false) => vec![code, link, time],
        }
    }

    /// The first text to a number leaves nothing out that it must say.
    fn ending(self, renderer: &Renderer, text: &str) -> Option<String> {
        if !text.contains("STOP") && !text.contains("ALTO") && !text.contains("ARRET") {
            let problem = "the first text to a number has no room for how to stop: it is left out; set practice.short_name in letters of the GSM \
                           alphabet, or allow more segments";
            return Some(problem.to_owned());
        }
        let contact = clean_line(&renderer.settings.practice_contact);
        let room = self.sample.times > 1 || text.contains(&contact) || text.contains(&sms::fold(&contact));
        (!room).then(|| "the first text to a number has no room for practice.contact: it is left out".to_owned())
    }

    /// Names may need UCS-2; with a plain one, it is the template that does.
    fn needless_ucs2(self, text: &str, encoding: SmsEncoding) -> Option<String> {
        let plain_name = self.sample.name.is_ascii();
        let culprit = sms::first_outside(text).filter(|_| plain_name && encoding == SmsEncoding::Ucs2)?;
        Some(needless(culprit))
    }

    fn notice(self, session: &Session, person: &Participant, renderer: &Renderer) -> Notice {
        let address = match self.channel {
            Channel::Email => Address::restore(Channel::Email, &person.email.0),
            Channel::Sms => Address::restore(Channel::Sms, &format!("+1{}", person.sms_number.0)),
        };
        Notice {
            key: NoticeKey([0; 16]),
            session: session.id,
            participation: person.id,
            role: self.role,
            occasion: self.occasion,
            rule: (self.occasion == Occasion::Reminder).then(|| strictest_rule(renderer)),
            address,
            start: session.start,
            due_at: session.start - TimeDelta::hours(24),
            useful_until: session.start,
        }
    }

    /// 1 November 2026, 1:30 in New York, is the later of two; the other day is one of the longest to write.
    fn session(self) -> Session {
        let start = if self.sample.kind == LintKind::Overlap { "2026-11-01T06:30:00Z" } else { "2026-09-30T16:30:00Z" };
        let name = self.sample.name.repeat(self.sample.times);
        Session {
            id: SessionId(9636),
            start: start.parse().expect("a constant, and RFC 3339"),
            cancelled: self.occasion == Occasion::Cancelled,
            standing: Standing::Live,
            presence: Presence::Listed,
            code: ConnectCode::parse("981342223"),
            duration: None,
            topic: TOPIC.to_owned(),
            participants: vec![
                self.person(18619, Role::Host, &name, "701678455"),
                self.person(18620, Role::Participant, &name, "378174671"),
                self.person(18621, Role::Participant, "Ray Chalk", "347409115"),
            ],
            faults: vec![],
            unread: vec![],
            twice: String::new(),
            held_until: None,
            record: SourceRecord::default(),
        }
    }

    fn person(self, id: i64, role: Role, name: &str, code: &str) -> Participant {
        let (extras, account) = (self.sample.kind == LintKind::Extras, self.sample.kind == LintKind::Account && role == Role::Participant);
        Participant {
            id: ParticipationId(id),
            role,
            path: String::new(),
            name: PersonName::clean(name),
            auto_deliver: AutoDeliver::Email,
            email: RawContact(format!("person{id}@example.com")),
            sms_number: RawContact(format!("55555{id}")),
            time_zone: "America/New_York".to_owned(),
            locale: None,
            external_id: String::new(),
            code: ConnectCode::parse(code),
            passkey: extras.then(|| Passkey::parse(&format!("9bff60df-2fe6-4c33-9b49-1234567{id}")).ok().flatten()).flatten(),
            connected_at: None,
            expires_at: extras.then(|| "2026-10-30T16:30:00Z".parse().expect("a constant, and RFC 3339")),
            has_account: account,
            rsvp: Rsvp::Unknown,
            rsvp_unknown: false,
            deposit: extras.then(|| rust_decimal::Decimal::new(2000, 2)),
            ambiguous: None,
            presence: Presence::Listed,
        }
    }
}

fn needless(culprit: char) -> String {
    format!("{culprit:?} (U+{:04X}) is not in the GSM alphabet, so a segment holds 70 characters and not 160", u32::from(culprit))
}

/// What of it a part does not show.
fn not_shown<'a>(part: &'a str, text: &str, wanted: &'a [(&'static str, String)]) -> impl Iterator<Item = String> + use<'a> {
    let text = one_line(text);
    wanted.iter().filter(move |(_, value)| !text.contains(value)).map(move |(what, _)| format!("the {part} does not show {what}"))
}

/// What is wrong with an e-mail's subject, its size and its lines.
fn read_email(facts: &Facts<'_>, subject: &str, html: &str, bytes: &[u8]) -> Vec<String> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let mut problems = Vec::new();
    if subject.is_empty() {
        problems.push("the subject is empty".to_owned());
    }
    if facts.participant.code.is_some_and(|code| digits(subject).contains(&code.expose())) {
        problems.push("the subject shows the code, and subjects show on locked screens".to_owned());
    }
    if subject.contains(TOPIC) {
        problems.push("the subject shows the topic, which may say what the session is about".to_owned());
    }
    if html.len() > HTML_MAX {
        problems.push(format!("the HTML has {} bytes; mail programs cut it off at {HTML_MAX}", html.len()));
    }
    if bytes.split(|&b| b == b'\n').any(|line| line.len() > LINE_MAX + 1) {
        problems.push(format!("a line is longer than {LINE_MAX} bytes"));
    }
    problems
}
