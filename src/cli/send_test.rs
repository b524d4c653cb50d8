//! `send-test`: one sample message through the real transport.

use std::sync::Arc;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use clap::Args;

use super::accounts::account;
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::contact::{Address, Channel, ConnectCode, PersonName};
use crate::daemon::{open_store, store_exists};
use crate::deliver::{NoRecord, Transport};
use crate::ledger::Event;
use crate::notice::{Identity, Notice, NoticeKey, Occasion};
use crate::outcome::Outcome;
use crate::render::{Facts, Number, Renderer};
use crate::session::{
    AutoDeliver, Participant, ParticipationId, Presence, RawContact, Role, Rsvp, Session, SessionId, SourceRecord, Standing,
};

#[derive(Debug, Args)]
pub(super) struct SendTestArgs {
    /// An e-mail address or a telephone number.
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// What is sent.
    #[arg(long, value_name = "OCCASION", default_value_t = Occasion::Invite)]
    occasion: Occasion,
    /// In this language: es-US. Default: the practice's own.
    #[arg(long, value_name = "LOCALE")]
    locale: Option<String>,
}

/// The sample's connect code: nobody's.
const CODE: &str = "123456789";

pub(super) fn send_test(config: Config, args: &SendTestArgs, json: bool) -> anyhow::Result<Exit> {
    let address = super::address(&super::typed(&args.to)?, &config).map_err(|why| super::Usage(format!("--to: {why}")))?;
    let now = WallClock.now();
    let session = sample(&config, now + TimeDelta::hours(1));
    let participant = session.participants.last().context("the sample has a participant")?;
    let zone = config.policy.zones.resolve(&participant.time_zone).map_err(anyhow::Error::msg)?;
    let notice = notice((&session, participant), address.clone(), args.occasion, now);
    let mut reference_key = [0; 32];
    getrandom::fill(&mut reference_key).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    let settings = crate::render::Settings { reference_key, ..as_a_test(config.render.clone()) };
    let renderer = Renderer::new(settings).map_err(|m| anyhow::anyhow!("{}", m.join("\n")))?;
    let facts = Facts {
        notice: &notice,
        session: &session,
        participant,
        zone: &zone,
        locale: args.locale.as_deref(),
        meet_now: false,
        was: Some(session.start - TimeDelta::days(1)),
        sequence: 0,
        number: Number::default(),
    };
    let rendered = renderer.render(&facts, now)?;
    let language = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    if let Some(asked) = args.locale.as_deref().filter(|asked| language(asked) != language(&rendered.locale)) {
        bail!("--locale: there are no templates for {asked}; see `punctual templates list`");
    }
    let message = rendered.message;
    let transport = transport(&config, address.channel())?;
    let outcome = runtime()?.block_on(async {
        let outcome = transport.deliver(&message, &NoRecord).await;
        if store_exists(&config) {
            open_store(&config, false)?
                .record_event(now, Event::SendTest, &format!("{} over {}, by {}", address.channel(), transport.name(), account()))
                .await?;
        }
        anyhow::Ok(outcome)
    })?;
    let (said, exit) = match outcome {
        Outcome::Accepted { reply, .. } => (format!("accepted: {reply}"), Exit::Done),
        Outcome::Rejected { reply, .. } => (format!("rejected: {reply}"), Exit::Failed),
        Outcome::Retry { why, .. } => (format!("not sent: {why}"), Exit::Failed),
        Outcome::ChannelFault { why, .. } => (format!("not sent, the channel is at fault: {why}"), Exit::Failed),
        Outcome::Unknown { why } => (format!("in doubt: {why}"), Exit::Failed),
        Outcome::Fenced => ("not sent".to_owned(), Exit::Failed),
    };
    if json {
        out!("{}", serde_json::json!({ "transport": transport.name(), "accepted": exit == Exit::Done, "said": said }));
    } else {
        out!("{}: {said}", transport.name());
    }
    Ok(exit)
}

/// Whoever gets it sees that it is none of theirs: it comes from "TEST: Lakeside".
fn as_a_test(mut settings: crate::render::Settings) -> crate::render::Settings {
    for name in [&mut settings.practice_name, &mut settings.from_name].into_iter().chain(settings.short_name.as_mut()) {
        name.insert_str(0, "TEST: ");
    }
    settings
}

fn transport(config: &Config, channel: Channel) -> anyhow::Result<Arc<dyn Transport>> {
    let first = match channel {
        Channel::Email => config.relays.first().map(crate::config::Relay::transport),
        Channel::Sms => config.gateways.first().map(crate::config::Gateway::transport),
    };
    match first {
        Some(transport) => transport.map_err(anyhow::Error::msg),
        None if channel == Channel::Email => bail!("no [[email.relay]] is configured"),
        None => bail!("no [[sms.gateway]] is configured"),
    }
}

fn sample(config: &Config, start: chrono::DateTime<chrono::Utc>) -> Session {
    let practice = &config.raw.practice;
    let zone = practice.time_zone.clone().or(practice.fallback_time_zone.clone()).unwrap_or_else(|| "Etc/UTC".to_owned());
    let person = |id, role, name: &str, code| Participant {
        id: ParticipationId(id),
        role,
        path: "sample".to_owned(),
        name: PersonName::clean(name),
        auto_deliver: AutoDeliver::Email,
        email: RawContact::default(),
        sms_number: RawContact::default(),
        time_zone: zone.clone(),
        locale: None,
        external_id: String::new(),
        code,
        passkey: None,
        connected_at: None,
        expires_at: None,
        has_account: false,
        rsvp: Rsvp::Unknown,
        rsvp_unknown: false,
        deposit: None,
        ambiguous: None,
        presence: Presence::Listed,
    };
    Session {
        id: SessionId(0),
        start,
        cancelled: false,
        standing: Standing::Live,
        presence: Presence::Listed,
        code: None,
        duration: None,
        topic: String::new(),
        participants: vec![
            person(1, Role::Host, &config.raw.practice.name, None),
            person(2, Role::Participant, "Test", ConnectCode::parse(CODE)),
        ],
        faults: Vec::new(),
        unread: Vec::new(),
        twice: String::new(),
        held_until: None,
        record: SourceRecord::default(),
    }
}

fn notice((session, person): (&Session, &Participant), address: Address, occasion: Occasion, now: chrono::DateTime<chrono::Utc>) -> Notice {
    let rule = (occasion == Occasion::Reminder).then(|| "1h".to_owned());
    let identity = Identity {
        practice: "send-test",
        session: session.id,
        participation: person.id,
        occasion,
        rule: rule.as_deref(),
        start: session.start,
        address: &address,
        content: "",
    };
    let key = NoticeKey::of(&identity);
    Notice {
        key,
        session: session.id,
        participation: person.id,
        role: person.role,
        occasion,
        rule,
        address: address.clone(),
        start: session.start,
        due_at: now,
        useful_until: session.start,
    }
}
