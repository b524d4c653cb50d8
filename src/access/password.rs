//! Passwords: argon2id, with the parameters that OWASP's password storage cheat sheet names first (19 MiB, two passes, one lane).

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

/// Shortest password, in characters: NIST SP 800-63B asks for 8 or more, and for 15 where it stands alone.
pub const MIN: usize = 12;
/// Longest, in bytes: a longer one is no password, but work for us.
pub const MAX: usize = 1024;

/// Kibibytes, passes, lanes.
const PARAMS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Room in bytes, more than the 32 MiB that an allocator may keep for later (`mallopt`, M_MMAP_THRESHOLD): it is mapped for one password, and given
/// back to the system after it. What is not written to takes no memory.
const ROOM: usize = 33 << 20;

/// What a password makes with that salt.
fn output(argon2: &Argon2<'_>, password: &[u8], salt: Salt<'_>) -> Option<Output> {
    let mut bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut bytes).ok()?;
    let params = argon2.params();
    let mut blocks = Vec::with_capacity(params.block_count().max(ROOM / Block::SIZE));
    blocks.resize(params.block_count(), Block::new());
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    Output::init_with(length, |out| Ok(argon2.hash_password_into_with_memory(password, salt, out, &mut blocks)?)).ok()
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
    let (memory, passes, lanes) = PARAMS;
    let params = Params::new(memory, passes, lanes, None).map_err(|e| e.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = Some(output(&argon2, password.as_bytes(), salt.as_salt()).ok_or("the password cannot be hashed")?);
    let params = ParamsString::try_from(argon2.params()).map_err(|e| e.to_string())?;
    let version = Some(Version::V0x13.into());
    Ok(PasswordHash { algorithm: argon2::ARGON2ID_IDENT, version, params, salt: Some(salt.as_salt()), hash }.to_string())
}

/// Whether that password made it: compared in constant time.
fn made(password: &[u8], hash: &PasswordHash<'_>) -> bool {
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from);
    let (Ok(algorithm), Ok(version), Ok(params)) = (Algorithm::try_from(hash.algorithm), version, Params::try_from(hash)) else {
        return false;
    };
    let again = hash.salt.and_then(|salt| output(&Argon2::new(algorithm, version, params), password, salt));
    again.zip(hash.hash).is_some_and(|(again, hash)| again == hash)
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
    let same = made(&password.as_bytes()[..read], &parsed);
    same && hash.is_some()
}

/// A password to look at, its hash, and who waits for the answer.
type Question = (String, Option<String>, oneshot::Sender<bool>);

/// Like [`verify`], on one thread that is there for it: many at once take no more than the 19 MiB of one.
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
