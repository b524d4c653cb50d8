//! Passwords: argon2id, with the parameters that OWASP's password storage cheat sheet names first (19 MiB, two passes, one lane).

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::oneshot;

/// Shortest password, in characters: NIST SP 800-63B asks for 8 or more, and for 15 where it stands alone.
pub const MIN: usize = 12;
/// Longest, in bytes: a longer one is no password, but work for us.
pub const MAX: usize = 1024;

/// Kibibytes, passes, lanes.
const PARAMS: (u32, u32, u32) = (19 * 1024, 2, 1);

fn argon2id() -> Argon2<'static> {
    let (memory, passes, lanes) = PARAMS;
    let params = Params::new(memory, passes, lanes, None).expect("constants within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What a password is known by again: PHC form, with a salt of its own.
///
/// # Errors
/// It is too short or too long, or the system gives no random numbers.
pub fn hash(password: &str) -> Result<String, String> {
    if password.chars().count() < MIN {
        return Err(format!("a password has {MIN} characters or more"));
    }
    if password.len() > MAX {
        return Err(format!("a password has {MAX} bytes at most"));
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|e| format!("the system gives no random numbers: {e}"))?;
    let salt = SaltString::encode_b64(&salt).map_err(|e| e.to_string())?;
    argon2id().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string()).map_err(|e| e.to_string())
}

/// Whether it is that password. Without a hash, because there is no such user, it takes the same time to say no. Blocks: some 30 ms.
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    /// Of no password that anybody knows.
    static NOBODY: OnceLock<Option<String>> = OnceLock::new();
    // What is too long is nobody's: to say no takes as long as ever, so that guesses in vain cost their time, too.
    let hash = hash.filter(|_| password.len() <= MAX);
    let nobody = NOBODY.get_or_init(|| super::new_token().and_then(|token| self::hash(&token)).ok());
    let Some(parsed) = hash.or(nobody.as_deref()).and_then(|h| PasswordHash::new(h).ok()) else { return false };
    let read = password.len().min(MAX);
    let same = Argon2::default().verify_password(&password.as_bytes()[..read], &parsed).is_ok();
    same && hash.is_some()
}

/// A password to look at, its hash, and who waits for the answer.
type Question = (String, Option<String>, oneshot::Sender<bool>);

/// Like [`verify`], on one thread that is there for it: each of a pool's would keep the 19 MiB that it once took.
pub async fn verify_apart(password: String, hash: Option<String>) -> bool {
    static ASKED: OnceLock<Option<Sender<Question>>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| {
        let (asked, questions) = channel::<Question>();
        let looks = move || {
            for (password, hash, answer) in questions.into_iter().filter(|(_, _, answer)| !answer.is_closed()) {
                // Nobody who went away in between is missed.
                let _ = answer.send(verify(&password, hash.as_deref()));
            }
        };
        std::thread::Builder::new().name("passwords".to_owned()).spawn(looks).ok().map(|_| asked)
    });
    let (answer, says) = oneshot::channel();
    let sent = asked.as_ref().is_some_and(|asked| asked.send((password, hash, answer)).is_ok());
    sent && says.await.unwrap_or(false)
}

/// Whether that is a hash of argon2id.
pub(super) fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|h| h.algorithm == argon2::ARGON2ID_IDENT && h.hash.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let hashed = hash("correct horse battery").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && is_hash(&hashed), "{hashed}");
        assert!(verify("correct horse battery", Some(&hashed)));
        assert!(!verify("correct horse batterz", Some(&hashed)));
        assert!(!verify("correct horse battery", None), "nobody has that name");
        assert_ne!(hash("correct horse battery").unwrap(), hashed, "a salt of its own");
        for not in ["", "correct horse battery", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(!is_hash(not), "{not}");
        }
    }

    #[test]
    fn the_length_is_bounded() {
        assert!(hash("eleven char").is_err());
        assert!(hash(&"x".repeat(MAX + 1)).is_err());
        assert!(!verify(&"x".repeat(MAX + 1), None));
    }
}
