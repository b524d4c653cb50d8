//! The users file: read when it changed, written whole and privately.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::AccessList;

/// What stands above what the program writes.
const HEADER: &str =
    "# Who may use Punctual's pages and API. Written by `punctual user` and `punctual token`; it takes effect at once.\n\n";

/// Reads it. A missing one is an empty one.
///
/// # Errors
/// It cannot be read, others can read it, or it has a mistake: what, and where.
pub fn read(path: &Path) -> Result<AccessList, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(AccessList::default()),
        Err(e) => return Err(told(format!("cannot be read: {e}"))),
    };
    let mode = path.metadata().map_err(|e| told(e.to_string()))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(told(format!("others can read it (mode {mode:o}); chmod 0600 it")));
    }
    AccessList::parse(&text).map_err(told)
}

/// Writes it anew, with mode 0600: whole, or not at all. Whoever owned it before owns it then.
///
/// # Errors
/// A name stands twice, or it cannot be written.
pub fn write(path: &Path, access: &AccessList) -> Result<(), String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let text = format!("{HEADER}{}", access.to_text().map_err(told)?);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let put = || -> std::io::Result<()> {
        std::fs::remove_file(&new).or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        if let Ok(before) = path.metadata() {
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    put().map_err(|e| told(format!("cannot be written: {e}")))
}

/// The file, as the daemon follows it: who is taken out of it is out at once.
pub struct Followed {
    path: PathBuf,
    last: Mutex<(Option<Stamp>, Arc<AccessList>)>,
}

/// By what a change of the file is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Followed {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::new((None, Arc::default())) }
    }

    /// Who stands in it now. One with a mistake is told, and lets nobody in: who was taken out must not stay for a slip of the pen.
    pub fn current(&self) -> Arc<AccessList> {
        let stamp = self.path.metadata().ok().map(|m| Stamp { inode: m.ino(), length: m.len(), changed: (m.ctime(), m.ctime_nsec()) });
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp.is_none() || last.0 != stamp {
            let access = read(&self.path).unwrap_or_else(|why| {
                tracing::error!(%why, "the users file cannot be used: nobody is let in");
                AccessList::default()
            });
            *last = (stamp, Arc::new(access));
        }
        Arc::clone(&last.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Scope, Token, User, UserRole, digest, password};

    fn someone() -> AccessList {
        let argon2id = password::hash("correct horse battery").unwrap();
        AccessList {
            user: vec![User { name: "jane".parse().unwrap(), role: UserRole::Viewer, argon2id, totp: None }],
            token: vec![Token { name: "ehr".parse().unwrap(), scopes: vec![Scope::Read, Scope::Push], sha256: digest("t") }],
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        assert_eq!(read(&path), Ok(AccessList::default()), "there is none yet");
        write(&path, &someone()).unwrap();
        assert_eq!(read(&path).unwrap().user[0].name.as_str(), "jane");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().contains("chmod 0600"));
    }

    #[test]
    fn mistakes_are_told_without_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        for (text, says) in [
            ("[[user]]\nname = \"jane\"\nrole = \"boss\"\nargon2id = \"secret\"\n", "line 3"),
            ("[[user]]\nname = \"Jane Doe\"\nrole = \"viewer\"\nargon2id = \"secret\"\n", "a-z"),
            ("[[user]]\nname = \"jane\"\nrole = \"viewer\"\nargon2id = \"secret\"\n", "punctual user add"),
            ("[[user]]\nname = \"jane\"\nrole = \"viewer\"\nargon2id = \"HASH\"\ntotp = \"secret\"\n", "punctual user totp"),
            ("[[users]]\n", "unknown field"),
        ] {
            std::fs::write(&path, text.replace("HASH", &someone().user[0].argon2id)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let why = read(&path).unwrap_err();
            assert!(why.contains(says) && !why.contains("secret"), "{why}");
        }
        let mut twice = someone();
        twice.token[0].name = "jane".parse().unwrap();
        assert!(write(&path, &twice).unwrap_err().contains("stands twice"));
    }

    #[test]
    fn a_change_holds_at_once_and_a_mistake_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.toml");
        let followed = Followed::new(path.clone());
        assert!(followed.current().user("jane").is_none());
        write(&path, &someone()).unwrap();
        assert!(followed.current().user("jane").is_some() && followed.current().token("t").is_some());
        std::fs::write(&path, "nonsense").unwrap();
        assert!(followed.current().user("jane").is_none());
        write(&path, &someone()).unwrap();
        assert!(followed.current().user("jane").is_some());
        std::fs::remove_file(&path).unwrap();
        assert!(followed.current().user("jane").is_none());
    }
}
