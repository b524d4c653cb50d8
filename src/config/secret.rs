//! Secrets: typed into the file, or better in a file of their own, or best in a systemd credential.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret in the configuration file. Prints as asterisks.
#[derive(Debug, Clone)]
pub struct Secret(pub SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(SecretVisitor)
    }
}

/// Takes a text, and repeats nothing of what is none: a password of digits without its quotation marks is a number.
struct SecretVisitor;

const EXPECTED: &str = "is no text; expected the secret in quotation marks";

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret in quotation marks")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(text.into()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(EXPECTED))
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("********")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// Where the running service's credentials are, for a command that its user runs beside it.
const OF_THE_SERVICE: &str = "/run/credentials/punctual.service";

/// Reads a secret's file: a systemd credential of that name if there is one, else the path. One trailing line end is not part of it.
pub(super) fn read(path: &Path, resolved: &Path) -> Result<SecretString, String> {
    let file = credential(path).unwrap_or_else(|| resolved.to_path_buf());
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    let secret: SecretString = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).into();
    if secret.expose_secret().is_empty() {
        return Err(format!("{} is empty", file.display()));
    }
    Ok(secret)
}

/// The systemd credential of that name.
fn credential(path: &Path) -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map_or_else(|| PathBuf::from(OF_THE_SERVICE), PathBuf::from);
    Some(folder.join(path)).filter(|c| path.components().count() == 1 && c.exists())
}

/// The file of a secret that others than its owner can read. Credentials are systemd's to guard.
pub(super) fn open_to_others(path: &Path, resolved: &Path) -> Option<PathBuf> {
    Some(resolved.to_path_buf()).filter(|file| credential(path).is_none() && is_open_to_others(file))
}

/// Whether others than the owner can read a file.
pub(super) fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o077 != 0)
}
