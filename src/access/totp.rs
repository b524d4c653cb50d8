//! One-time codes of an authenticator app (RFC 6238): beside the password, for those who want it. Pure: `now` is an argument.
//!
//! HMAC-SHA-1, six digits, 30 seconds: what every app knows. (SHA-1 is not broken in an HMAC, RFC 6151 and RFC 6238 1.2.)

use chrono::{DateTime, TimeDelta, Utc};
use data_encoding::BASE32_NOPAD;
use totp_rs::{Builder, Totp};

/// Seconds that a code lasts.
const STEP: i64 = 30;
/// Steps before and after the present one that are taken: clocks differ, and people type (RFC 6238 5.2).
const SKEW: i64 = 1;
/// Digits of a code.
const DIGITS: u8 = 6;

/// So long after a moment, a code that was taken then would be taken again.
pub const LIFE: TimeDelta = TimeDelta::seconds(STEP * (2 * SKEW + 1));

/// The last step whose code may have been taken at a moment.
pub fn last_taken(at: DateTime<Utc>) -> i64 {
    step(at) + SKEW
}

/// A new secret of 160 random bits, in base32.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_secret() -> Result<String, String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(|e| format!("the system gives no random numbers: {e}"))?;
    Ok(BASE32_NOPAD.encode(&bytes))
}

/// Whether it is a secret, in base32, and long enough (RFC 4226 4, R6).
pub fn is_secret(text: &str) -> bool {
    of_secret(text, DIGITS).is_some()
}

/// The step that a moment is in.
pub fn step(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(STEP)
}

/// The step whose code was given, if it is one of those around `now` and later than `after`: a code that was used is worth nothing.
pub fn matching(secret: &str, given: &str, now: DateTime<Utc>, after: i64) -> Option<i64> {
    let totp = of_secret(secret, DIGITS)?;
    // As apps show it: `123 456`.
    let given: String = given.chars().filter(|c| !c.is_whitespace()).collect();
    let is_it = |of: &i64| begin(*of).is_some_and(|at| totp.check(&given, at).is_some());
    (step(now) - SKEW..=step(now) + SKEW).filter(is_it).find(|of| *of > after)
}

/// What an app shows in a step; `None`: it is no secret.
pub fn shown(secret: &str, step: i64) -> Option<String> {
    Some(of_secret(secret, DIGITS)?.generate(begin(step)?).to_string())
}

/// The codes of a secret, each of its own step alone: which steps are taken is said here.
fn of_secret(base32: &str, digits: u8) -> Option<Totp> {
    let secret = BASE32_NOPAD.decode(base32.as_bytes()).ok()?;
    Builder::new().with_secret(secret).with_digits(digits).with_step_duration(STEP as u64).with_skew(0).build().ok()
}

/// When a step begins, as a Unix time in seconds; `None`: before 1970.
fn begin(step: i64) -> Option<u64> {
    u64::try_from(step * STEP).ok()
}

/// What an authenticator app reads, as a QR code: the Key URI Format that all of them know.
pub fn uri(practice: &str, user: &str, secret: &str) -> String {
    let practice = encoded(practice);
    let user = encoded(user);
    format!("otpauth://totp/{practice}:{user}?secret={secret}&issuer={practice}&algorithm=SHA1&digits={DIGITS}&period={STEP}")
}

/// Percent-encoded (RFC 3986 2.1): some apps show a plus as one.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// RFC 6238, appendix B, the rows of SHA-1.
    #[test]
    fn the_vectors_of_the_standard() {
        let secret = &BASE32_NOPAD.encode(b"12345678901234567890");
        for (seconds, want) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let eight = of_secret(secret, 8).unwrap().generate(seconds as u64);
            assert_eq!(eight.to_string(), want, "{seconds}");
            assert_eq!(matching(secret, &want[2..], at(seconds), 0), Some(step(at(seconds))), "six digits are its last");
        }
    }

    #[test]
    fn one_step_of_skew_and_each_code_once() {
        let (secret, now) = (BASE32_NOPAD.encode(b"12345678901234567890"), at(1_234_567_890));
        let of = |step: i64| shown(&secret, step).unwrap();
        let this = step(now);
        for (shift, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            assert_eq!(matching(&secret, &of(this + shift), now, 0).is_some(), taken, "{shift}");
        }
        assert_eq!(matching(&secret, &of(this), now, this), None, "it was used");
        assert_eq!(matching(&secret, &of(this - 1), now, this), None, "and so are those before it");
        assert_eq!(matching(&secret, &of(this + 1), now, this), Some(this + 1));
        let typed = format!(" {} {}", &of(this)[..3], &of(this)[3..]);
        assert_eq!(matching(&secret, &typed, now, 0), Some(this));
        for wrong in ["", "000000", "12345", "no code", &of(this)[..5]] {
            assert_eq!(matching(&secret, wrong, now, 0), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let secret = new_secret().unwrap();
        assert!(is_secret(&secret) && secret != new_secret().unwrap());
        for text in ["", "JBSWY3DPEHPK3PXP", "no base32 at all", "0189"] {
            assert!(!is_secret(text), "{text}");
        }
    }

    #[test]
    fn what_an_app_reads() {
        assert_eq!(
            uri("Lakeside & Søn", "jane", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
            "otpauth://totp/Lakeside%20%26%20S%C3%B8n:jane?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Lakeside%20%26%20S%C3%B8n&algorithm=SHA1&digits=6&period=30"
        );
    }
}
