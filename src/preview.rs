//! What would be sent, and what not and why: the live path without a transport. Pure: what sources said in, lines out.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::contact::{Address, ConnectCode, Passkey, PersonName};
use crate::entry::State;
use crate::known::{KnownMap, KnownNotice};
use crate::notice::{Decision, Notice, Reason};
use crate::plan::{self, Policy, Suppressions, diff};
use crate::render::{Facts, Number, Parts, RenderError, Rendered, Renderer};
use crate::session::{Participant, Role, Session, Snapshot, SourceRecord};
use crate::zone::rfc3339;

mod line;

pub use line::PreviewLine;
use line::{held, omit};

pub struct PreviewRequest<'a> {
    /// What the sources said.
    pub snapshot: &'a Snapshot,
    /// What the store knows; empty: all sessions are new.
    pub known: KnownMap,
    pub policy: &'a Policy,
    /// Addresses that get nothing.
    pub suppressed: &'a Suppressions,
    pub renderer: &'a Renderer,
    /// The time that it pretends to be.
    pub now: DateTime<Utc>,
    /// Nothing due after this.
    pub until: Option<DateTime<Utc>>,
    pub session: Option<i64>,
    pub participant: Option<i64>,
    /// Show addresses and codes.
    pub reveal: bool,
}

/// A session and its decision.
struct Decided<'a> {
    session: Option<&'a Session>,
    meet_now: bool,
    /// The start that they know.
    was: Option<DateTime<Utc>>,
    number: Number,
    /// It waits for a person, or somebody called it off: the reason's word.
    held: Option<(State, &'static str)>,
    decision: Decision,
}

/// Lines that are made together before the first of them is handed on.
const BATCH: usize = 2048;

/// All lines, in due order; what has no due time comes last.
pub fn lines(request: PreviewRequest<'_>) -> Vec<PreviewLine> {
    let mut all = Vec::new();
    let Ok(()) = each_line(request, |line| {
        all.push(line);
        Ok::<(), std::convert::Infallible>(())
    });
    all
}

/// Hands on each line, in the same order: made on all cores, and never more of them at once than a batch, so that memory does not grow with
/// what is shown.
pub fn each_line<E>(mut request: PreviewRequest<'_>, mut each: impl FnMut(PreviewLine) -> Result<(), E>) -> Result<(), E> {
    let known = std::mem::take(&mut request.known);
    let mut decided: Vec<Decided<'_>> = request
        .snapshot
        .faults
        .iter()
        .filter(|f| !f.is_word())
        .map(|f| Decided {
            session: None,
            meet_now: false,
            was: None,
            number: Number::default(),
            held: None,
            decision: plan::quarantined(f),
        })
        .collect();
    let mut by_session = crate::known::by_session(known);
    for session in &request.snapshot.sessions {
        let known = plan::observe(session, by_session.remove(&session.id).unwrap_or_default(), request.policy, false, request.now);
        let plan = plan::plan_session(session, &known, request.policy, request.suppressed, request.now);
        let open = plan.into_decisions().filter(|d| !is_told(d, &known));
        let of_it = |decision| {
            let sent = if let Decision::Send(n) = &decision { known.get(&(n.session, n.participation)).zip(Some(n)) } else { None };
            let meet_now = sent.is_some_and(|(one, n)| plan::joins_now(session, one, Some(&n.address)));
            let number = sent.map(|(one, n)| one.number(&n.address)).unwrap_or_default();
            let was = sent.and_then(|(one, _)| one.knows_another_start(session.start));
            let kept =
                sent.and_then(|(one, n)| one.notices.iter().find(|k| k.notice.key == n.key && (k.state == State::Held || is_off(k))));
            let held = kept.map(|k| (k.state, k.reason.map_or(k.state.as_str(), Reason::as_str)));
            Decided { session: Some(session), meet_now, was, number, held, decision }
        };
        decided.extend(open.map(of_it));
    }
    tell_apart(&mut decided);
    decided.retain(|d| request.wants(&d.decision));
    decided.sort_by(|a, b| diff::due_order(&a.decision, &b.decision));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for batch in decided.chunks(BATCH) {
        let share = batch.len().div_ceil(cores);
        let made: Vec<Vec<PreviewLine>> = std::thread::scope(|scope| {
            let workers: Vec<_> = batch
                .chunks(share)
                .map(|part| scope.spawn(|| part.iter().map(|d| request.line(d)).collect::<Vec<PreviewLine>>()))
                .collect();
            workers.into_iter().map(|w| w.join().expect("rendering does not panic")).collect()
        });
        made.into_iter().flatten().try_for_each(&mut each)?;
    }
    Ok(())
}

/// Two people who are told at one number: they will be known as such once the store has both.
fn tell_apart(decided: &mut [Decided<'_>]) {
    let text = |d: &Decided<'_>| match &d.decision {
        Decision::Send(Notice { address: Address::Sms(number), participation, .. }) => {
            d.session?.participant(*participation).map(|person| (number.expose().to_owned(), plan::person_key(person)))
        }
        _ => None,
    };
    let mut people: HashMap<String, HashSet<String>> = HashMap::new();
    for (number, person) in decided.iter().filter_map(text) {
        people.entry(number).or_default().insert(person);
    }
    for one in decided.iter_mut() {
        one.number.shared |= text(one).is_some_and(|(number, _)| people[&number].len() > 1);
    }
}

/// Somebody here decided that it is not sent.
fn is_off(row: &KnownNotice) -> bool {
    row.state == State::Cancelled && row.reason.is_some_and(|why| matches!(why, Reason::Operator | Reason::Told))
}

/// Handed over already, or refused for good.
fn is_told(decision: &Decision, known: &KnownMap) -> bool {
    let Decision::Send(n) = decision else { return false };
    let notices = known.get(&(n.session, n.participation)).map(|k| &k.notices);
    notices.is_some_and(|all| all.iter().any(|k| k.notice.key == n.key && !k.state.pending() && k.state != State::Claimed && !is_off(k)))
}

impl PreviewRequest<'_> {
    fn wants(&self, decision: &Decision) -> bool {
        let (session, participation, due) = match decision {
            Decision::Send(n) => (Some(n.session), Some(n.participation), Some(n.due_at)),
            Decision::Omit(o) => (o.session, o.participation, o.due_at),
        };
        self.session.is_none_or(|wanted| session.is_some_and(|s| s.0 == wanted))
            && self.participant.is_none_or(|wanted| participation.is_some_and(|p| p.0 == wanted))
            && self.until.is_none_or(|until| due.is_none_or(|due| due <= until))
    }

    fn line(&self, decided: &Decided<'_>) -> PreviewLine {
        let mut line = match &decided.decision {
            Decision::Send(notice) => decided.held.map_or_else(|| self.send(notice, decided), |why| held(notice, why)),
            Decision::Omit(omission) => omit(omission),
        };
        let id = match &decided.decision {
            Decision::Send(n) => Some(n.participation),
            Decision::Omit(o) => o.participation,
        };
        if let (Some(session), Some(id)) = (decided.session, id)
            && let Some(person) = session.participant(id)
            && let Ok(resolved) = plan::zone_of(person, self.policy)
        {
            let zone = &resolved.zone;
            line.time_zone = Some(zone.name());
            line.local_start = Some(session.start.with_timezone(zone).to_rfc3339_opts(SecondsFormat::Secs, false));
        }
        line
    }

    fn send(&self, notice: &Notice, decided: &Decided<'_>) -> PreviewLine {
        let mut line = PreviewLine {
            verdict: "send",
            useful_until: Some(rfc3339(notice.useful_until)),
            to: Some(if self.reveal { notice.address.expose().to_owned() } else { notice.address.to_string() }),
            ..PreviewLine::of(notice)
        };
        let Some((session, person)) = decided.session.and_then(|s| Some((s, s.participant(notice.participation)?))) else { return line };
        match self.render(decided, notice, session, person) {
            Ok(rendered) => {
                let shown = if self.reveal { None } else { Some(self.render_anonymously(decided, notice, session, person)) };
                show(&mut line, rendered, shown);
            }
            Err(error) => {
                line.verdict = "omit";
                line.reason = Some(if matches!(error, RenderError::Leak { .. }) { Reason::Leak } else { Reason::Template }.as_str());
                line.detail = Some(error.to_string());
            }
        }
        line
    }

    /// As it will be at its due time: "today" and "tomorrow" are those of that day.
    fn render(&self, of: &Decided<'_>, notice: &Notice, session: &Session, person: &Participant) -> Result<Rendered, RenderError> {
        let to = plan::reader(session, person, &notice.address, self.policy)
            .map_err(|why| RenderError::Template { file: String::new(), why })?;
        let facts = Facts {
            notice,
            session,
            participant: person,
            zone: &to.zone,
            locale: to.locale,
            meet_now: of.meet_now,
            was: of.was,
            sequence: 0,
            number: of.number,
        };
        self.renderer.render(&facts, notice.due_at.max(self.now))
    }

    /// The same message to nobody: no template can show what is not in it.
    fn render_anonymously(
        &self,
        of: &Decided<'_>,
        notice: &Notice,
        session: &Session,
        person: &Participant,
    ) -> Result<Rendered, RenderError> {
        let session = anonymous(session);
        let person = session.participant(person.id).expect("it has the participants of the session that it was made of");
        self.render(of, notice, &session, person)
    }
}

/// `shown`: what is shown of the message in place of its own words.
fn show(line: &mut PreviewLine, rendered: Rendered, shown: Option<Result<Rendered, RenderError>>) {
    line.locale = Some(rendered.locale);
    if shown.is_none() {
        line.bytes = Some(rendered.message.content.bytes().into());
    }
    match &rendered.parts {
        Parts::Email { message_id, .. } => line.message_id = Some(message_id.clone()),
        Parts::Sms { encoding, segments, .. } => (line.encoding, line.segments) = (Some(*encoding), Some(*segments)),
    }
    let mask = if shown.is_some() { placeholders_as_stars } else { str::to_owned };
    match shown.map(|shown| shown.map(|rendered| rendered.parts)).unwrap_or(Ok(rendered.parts)) {
        Ok(Parts::Email { subject, text, html, .. }) => {
            (line.subject, line.text, line.html) = (Some(mask(&subject)), Some(mask(&text)), Some(mask(&html)));
        }
        Ok(Parts::Sms { text, .. }) => line.sms = Some(mask(&text)),
        Err(error) => line.detail = Some(format!("only --reveal can show it: {error}")),
    }
}

/// The code of nobody, in what a bystander may read.
const NOBODYS_CODE: u32 = 999_999_999;
/// The passkey of nobody, in what a bystander may read.
const NOBODYS_PASSKEY: &str = "00000000-0000-0000-0000-000000000000";

/// A session of which nobody's name, code, passkey or topic is known. The host's name is: it is whom the others meet.
fn anonymous(session: &Session) -> Session {
    let mut session = session.clone();
    if !session.topic.trim().is_empty() {
        "(topic)".clone_into(&mut session.topic);
    }
    (session.code, session.record) = (None, SourceRecord::default());
    session.unread.clear();
    let host = session.host_name().cloned();
    for person in &mut session.participants {
        if !person.name.expose().is_empty() && (person.role == Role::Participant || host.is_none()) {
            person.name = PersonName::clean("(name)");
        }
        person.code = person.code.and(ConnectCode::of(NOBODYS_CODE));
        person.passkey = person.passkey.as_ref().and_then(|_| Passkey::parse(NOBODYS_PASSKEY).ok().flatten());
    }
    session
}

/// As a masked code and passkey print.
fn placeholders_as_stars(text: &str) -> String {
    let Some(code) = ConnectCode::of(NOBODYS_CODE) else { return text.to_owned() };
    let stars = text.replace(&code.expose(), "*********").replace(&code.expose_grouped(), &code.to_string());
    stars.replace(NOBODYS_PASSKEY, "********")
}
