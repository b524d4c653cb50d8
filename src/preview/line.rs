//! What a preview says of one participant and occasion.

use serde::Serialize;

use crate::entry::State;
use crate::message::SmsEncoding;
use crate::notice::{Notice, Occasion, Omission};
use crate::session::Role;
use crate::zone::rfc3339;

/// One participant and occasion, as `--format json` prints it. The order of the fields is a contract.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewLine {
    /// SessionId.
    pub session_id: Option<i64>,
    /// ParticipationId.
    pub participation_id: Option<i64>,
    /// `host` or `participant`.
    pub role: Option<Role>,
    /// `null`: a quarantined record, which stands for all occasions.
    pub occasion: Option<&'static str>,
    pub rule: Option<String>,
    /// `email` or `sms`.
    pub channel: Option<&'static str>,
    /// `send` or `omit`.
    pub verdict: &'static str,
    pub reason: Option<&'static str>,
    /// RFC 3339, UTC.
    pub due_at: Option<String>,
    /// RFC 3339, UTC.
    pub useful_until: Option<String>,
    /// IANA name.
    pub time_zone: Option<&'static str>,
    /// RFC 3339 with the participant's offset.
    pub local_start: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
    /// Masked, unless revealed.
    pub to: Option<String>,
    /// With angle brackets.
    pub message_id: Option<String>,
    /// `None`: it is a text message.
    pub subject: Option<String>,
    /// E-mail: the text part.
    pub text: Option<String>,
    /// E-mail: the HTML part.
    pub html: Option<String>,
    /// The text; `None`: it is an e-mail.
    pub sms: Option<String>,
    /// `gsm7` or `ucs2`.
    pub encoding: Option<SmsEncoding>,
    /// Parts on the air.
    pub segments: Option<u32>,
    /// The place of a fault, for people.
    pub detail: Option<String>,
    /// The final bytes of an e-mail or text, for `--format eml`.
    #[serde(skip)]
    pub bytes: Option<std::sync::Arc<[u8]>>,
}

pub(super) fn held(notice: &Notice, (state, reason): (State, &'static str)) -> PreviewLine {
    PreviewLine {
        verdict: "omit",
        reason: Some(reason),
        detail: (state == State::Held).then(|| "it is held, and waits for somebody who releases it".to_owned()),
        ..PreviewLine::of(notice)
    }
}

pub(super) fn omit(o: &Omission) -> PreviewLine {
    PreviewLine {
        session_id: o.session.map(|s| s.0),
        participation_id: o.participation.map(|p| p.0),
        role: o.role,
        occasion: o.occasion.map(Occasion::as_str),
        rule: o.rule.clone(),
        channel: o.channel.map(crate::contact::Channel::as_str),
        verdict: "omit",
        reason: Some(o.reason.as_str()),
        due_at: o.due_at.map(rfc3339),
        detail: o.detail.clone(),
        ..PreviewLine::empty()
    }
}

impl PreviewLine {
    /// `reminder 24h`
    pub fn what(&self) -> String {
        let occasion = self.occasion.unwrap_or("everything");
        self.rule.as_ref().map_or_else(|| occasion.to_owned(), |rule| format!("{occasion} {rule}"))
    }

    /// The reason, and the detail if there is one.
    pub fn why(&self) -> String {
        let reason = self.reason.unwrap_or_default();
        self.detail.as_ref().map_or_else(|| reason.to_owned(), |detail| format!("{reason} ({detail})"))
    }

    /// What a line says of a notice, whatever becomes of it.
    pub(super) fn of(notice: &Notice) -> Self {
        Self {
            session_id: Some(notice.session.0),
            participation_id: Some(notice.participation.0),
            role: Some(notice.role),
            occasion: Some(notice.occasion.as_str()),
            rule: notice.rule.clone(),
            channel: Some(notice.address.channel().as_str()),
            due_at: Some(rfc3339(notice.due_at)),
            ..Self::empty()
        }
    }

    fn empty() -> Self {
        Self {
            session_id: None,
            participation_id: None,
            role: None,
            occasion: None,
            rule: None,
            channel: None,
            verdict: "omit",
            reason: None,
            due_at: None,
            useful_until: None,
            time_zone: None,
            local_start: None,
            locale: None,
            to: None,
            message_id: None,
            subject: None,
            text: None,
            html: None,
            sms: None,
            encoding: None,
            segments: None,
            detail: None,
            bytes: None,
        }
    }
}
