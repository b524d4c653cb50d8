//! Addresses that get no messages: why, and by what they are remembered.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::contact::Address;

/// What a rejection says about the address, for later messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// A 5yz to RCPT, or a bounce: the mailbox does not exist or does not take mail.
    Bounced,
    /// The person asked for no more messages (STOP; Twilio 21610).
    OptedOut,
}

impl Suppression {
    /// The reason as the plan names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounced => "bounced",
            Self::OptedOut => "opted_out",
        }
    }
}

/// An address that gets no messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SuppressedAddress {
    /// See [`suppression_key`].
    pub key: String,
    /// Why.
    pub kind: Suppression,
    /// When that became known.
    pub since: DateTime<Utc>,
    /// The address as it prints, masked: for staff who know whom they look for.
    pub shown: String,
    /// Who said so.
    pub said_by: SaidBy,
    /// The notice whose rejection or receipt said so, in 32 hexadecimal digits; `None`: a person did.
    pub notice: Option<String>,
}

/// Who said that an address gets no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SaidBy {
    /// A server or gateway, when it refused a message.
    Refusal,
    /// A gateway's receipt, or a mail that came back, of a message that had been taken.
    Receipt,
    /// Its owner, by text.
    Reply,
    /// Somebody at the practice.
    Person,
}

impl SaidBy {
    const ALL: [Self; 4] = [Self::Refusal, Self::Receipt, Self::Reply, Self::Person];

    /// The word used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            Self::Receipt => "receipt",
            Self::Reply => "reply",
            Self::Person => "person",
        }
    }
}

impl FromStr for SaidBy {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|who| who.as_str() == s).ok_or_else(|| format!("{s:?} is nobody who says so"))
    }
}

/// How the ledger names an address of the suppression list: 32 hexadecimal digits that nobody without the store's own key can try.
pub fn keyed_name(reference_key: &[u8; 32], suppression_key: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(reference_key).expect("HMAC takes keys of any length");
    mac.update(b"suppression ");
    mac.update(suppression_key.as_bytes());
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
}

/// What an address is remembered by in the suppression list: a digest, so that the list itself tells nobody's address.
pub fn suppression_key(address: &Address) -> String {
    use sha2::{Digest, Sha256};
    let text = format!("{}:{}", address.channel(), address.canonical());
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..16])
}
