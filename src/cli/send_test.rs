//! `send-test`: one sample message through the real transport.

use std::sync::Arc;

use anyhow::{Context, bail};
use async_trait::async_trait;
use chrono::TimeDelta;

use super::accounts::account;
use super::{Exit, runtime};
use crate::clock::{Clock, WallClock};
use crate::config::Config;
use crate::contact::{Address, Channel, ConnectCode, PersonName};
use crate::daemon::{open_store, store_exists};
use crate::deliver::{PointOfNoReturn, Transport};
use crate::notice::{Identity, Notice, NoticeKey, Occasion};
use crate::outcome::Outcome;
use crate::render::{Facts, Number, Renderer};
use crate::session::{
    AutoDeliver, Participant, ParticipationId, Presence, RawContact, Role, Rsvp, Session, SessionId, SourceRecord, Standing,
};

/// The sample's connect code: nobody's.
const CODE: &str = "123456789";

/// A test message has no history: there is nothing to make durable.
struct NoDoubt;

#[async_trait]
impl PointOfNoReturn for NoDoubt {
    async fn cross(&self) -> bool {
        true
    }
}

pub(super) fn send_test(config: Config, to: &str, json: bool) -> anyhow::Result<Exit> {
    let address = super::address(&super::typed(to)?, &config).context("--to")?;
    let now = WallClock.now();
    let session = sample(&config, now + TimeDelta::hours(1));
    let participant = session.participants.last().context("the sample has a participant")?;
    let zone = config.policy.zones.resolve(&participant.time_zone).map_err(anyhow::Error::msg)?;
    let notice = notice(&session, participant, address.clone(), now);
    let mut reference_key = [0; 32];
    getrandom::fill(&mut reference_key).map_err(|e| anyhow::anyhow!("the system gives no random numbers: {e}"))?;
    let renderer = Renderer::new(crate::render::Settings { reference_key, ..config.render.clone() })
        .map_err(|m| anyhow::anyhow!("{}", m.join("\n")))?;
    let facts = Facts {
        notice: &notice,
        session: &session,
        participant,
        zone: &zone,
        locale: None,
        meet_now: false,
        sequence: 0,
        number: Number::default(),
    };
    let message = renderer.render(&facts, now)?.message;
    let transport = transport(&config, address.channel())?;
    let outcome = runtime()?.block_on(async {
        let outcome = transport.deliver(&message, &NoDoubt).await;
        if store_exists(&config) {
            open_store(&config, false)?
                .note(now, "send_test", &format!("{} over {}, by {}", address.channel(), transport.name(), account()))
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
        println!("{}", serde_json::json!({ "transport": transport.name(), "accepted": exit == Exit::Done, "said": said }));
    } else {
        println!("{}: {said}", transport.name());
    }
    Ok(exit)
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
    let zone = config.raw.practice.fallback_time_zone.clone().unwrap_or_else(|| "Etc/UTC".to_owned());
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
        record: SourceRecord::default(),
    }
}

fn notice(session: &Session, person: &Participant, address: Address, now: chrono::DateTime<chrono::Utc>) -> Notice {
    let identity = Identity {
        practice: "send-test",
        session: session.id,
        participation: person.id,
        occasion: Occasion::Invite,
        rule: None,
        start: session.start,
        address: &address,
        content: "",
    };
    Notice {
        key: NoticeKey::of(&identity),
        session: session.id,
        participation: person.id,
        role: person.role,
        occasion: Occasion::Invite,
        rule: None,
        address: address.clone(),
        start: session.start,
        due_at: now,
        useful_until: session.start,
    }
}
