//! Who may look, and who may act: staff with passwords, programs with tokens. They stand in one file, beside the configuration, or in the store.
//!
//! In: the users file ([`mod@file`]), or its text in the store. Out: whose password or token it is, and what that one may do. Invariants: neither a password nor a token is
//! kept, only what it is known by again (argon2id; SHA-256, since a token is random); a wrong one costs the same time whoever is named.
//! [`attempts`], [`totp`] and [`logins`] are pure: `now` is an argument.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub mod attempts;
pub mod file;
pub mod logins;
pub mod password;
pub mod totp;

/// What a member of staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// Look at everything but codes and contacts.
    Viewer,
    /// Also decide about notices, and reveal.
    Operator,
}

/// What a program may do with its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read what the API tells.
    Read,
    /// Act: on notices, the guard, the suppression list.
    Write,
    /// Push sessions to any source of kind push.
    Push,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Push];

    /// The word in the file and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Push => "push",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where users and tokens stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsersAt {
    /// In a file of this machine.
    File(PathBuf),
    /// In the store, for all nodes.
    Store,
}

/// One of the staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What they log in with, and what the ledger calls them.
    pub name: Name,
    /// What they may do.
    pub role: UserRole,
    /// The hash of their password, in PHC form: `$argon2id$...`
    pub argon2id: String,
    /// The secret of their one-time codes, in base32; `None`: the password is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totp: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What the ledger calls it.
    pub name: Name,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the token, in hexadecimal digits.
    pub sha256: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessList {
    pub user: Vec<User>,
    pub token: Vec<Token>,
}

impl AccessList {
    /// The user of that name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.user.iter().find(|u| u.name.0 == name)
    }

    /// Whose token it is, in a time that tells nothing of which one.
    pub fn token(&self, given: &str) -> Option<&Token> {
        let given = digest(given);
        let theirs: Vec<&Token> = self.token.iter().filter(|t| t.sha256.as_bytes().ct_eq(given.as_bytes()).into()).collect();
        theirs.first().copied()
    }

    /// From the text of a users file.
    ///
    /// # Errors
    /// A mistake, by its line: the parser's own message shows the line itself, and with it a hash.
    pub fn parse(text: &str) -> Result<Self, String> {
        let access: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |s| text[..s.start].bytes().filter(|b| *b == b'\n').count() + 1);
            format!("line {line}: {}", e.message())
        })?;
        access.check()?;
        Ok(access)
    }

    /// As the text of a users file.
    ///
    /// # Errors
    /// A name stands twice.
    pub fn to_text(&self) -> Result<String, String> {
        self.check()?;
        toml::to_string(self).map_err(|e| e.to_string())
    }

    /// Two of one name would be one in the ledger.
    fn check(&self) -> Result<(), String> {
        let names = self.user.iter().map(|u| &u.name).chain(self.token.iter().map(|t| &t.name));
        let mut seen = std::collections::HashSet::new();
        for name in names {
            if !seen.insert(name) {
                return Err(format!("{} stands twice; expected a name of its own for each user and each token", name.0));
            }
        }
        if let Some(user) = self.user.iter().find(|u| !password::is_hash(&u.argon2id)) {
            return Err(format!("{}: argon2id is no hash of argon2id; make it with `punctual user add`", user.name.0));
        }
        if let Some(user) = self.user.iter().find(|u| u.totp.as_deref().is_some_and(|secret| !totp::is_secret(secret))) {
            return Err(format!("{}: totp is none of base32, or too short; make it with `punctual user totp`", user.name.0));
        }
        Ok(())
    }
}

/// What a token is known by again. It is random, so that a plain digest is enough: there is nothing to guess.
pub fn digest(token: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(token))
}

/// A token of 256 random bits.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_token() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| format!("the system gives no random numbers: {e}"))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// The name of a user or a token: it stands in the ledger, so it is short and plain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// Letters of a name.
const NAME_MAX: usize = 40;

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        if (1..=NAME_MAX).contains(&s.len()) && s.bytes().all(plain) {
            return Ok(Self(s.to_owned()));
        }
        Err(format!("a name has 1 to {NAME_MAX} of a-z, 0-9 and . _ -"))
    }
}

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_digest_alone() {
        let token = new_token().unwrap();
        assert_eq!((token.len(), new_token().unwrap() == token), (64, false));
        let sha256 = digest(&token);
        let access =
            AccessList { token: vec![Token { name: "ehr".parse().unwrap(), scopes: vec![Scope::Read], sha256 }], user: Vec::new() };
        assert_eq!(access.token(&token).map(|t| t.name.as_str()), Some("ehr"));
        for other in ["", &token[1..], &access.token[0].sha256] {
            assert_eq!(access.token(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for (name, good) in [("jane", true), ("jane.doe-2", true), ("", false), ("Jane", false), ("jane doe", false), ("<b>", false)] {
            assert_eq!(name.parse::<Name>().is_ok(), good, "{name}");
        }
        assert!("a".repeat(NAME_MAX + 1).parse::<Name>().is_err());
    }
}
