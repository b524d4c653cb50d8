//! What a message says beside the start: when one of these changes after a participant was told, they are told again.

use sha2::{Digest, Sha256};

use super::policy::Policy;
use super::recipient::zone_of;
use crate::contact::ConnectCode;
use crate::session::{AutoDeliver, Participant, Session};

/// Digest of a participant's code, passkey, address on their channel, and the start on their own clock (which zone data or configuration may move).
pub fn facts(session: &Session, person: &Participant, policy: &Policy) -> String {
    let zone = zone_of(person, policy).map(|z| format!("{} {}", z.zone.name(), z.zone.local(session.start).civil)).unwrap_or_default();
    let address = match person.auto_deliver {
        AutoDeliver::Email => &person.email.0,
        AutoDeliver::Sms => &person.sms_number.0,
        AutoDeliver::Nobody => "",
    };
    let fields = [
        person.code.map(ConnectCode::expose).unwrap_or_default(),
        person.passkey.as_ref().map(|p| p.expose().to_owned()).unwrap_or_default(),
        address.trim().to_owned(),
        zone,
    ];
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize()[..16])
}
