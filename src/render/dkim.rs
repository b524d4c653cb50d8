//! DKIM (RFC 6376, RFC 8463): a signature over the final bytes, in front of them.
//!
//! In: a message as it goes over the wire, and its Date. Out: the same bytes behind a DKIM-Signature header. The same message gets the same
//! signature (both algorithms are deterministic, and the time is the message's own), so that a resend stays identical.
//! Canonicalization is relaxed/relaxed: relays fold headers anew.

use std::fmt;

use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

/// What is signed. Those that a reader sees or acts on; twice, where a second one that somebody adds must break the signature (RFC 6376 8.15).
const SIGNED: [&str; 14] = [
    "from",
    "from",
    "to",
    "to",
    "subject",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "reply-to",
    "mime-version",
    "content-type",
    "auto-submitted",
    "content-language",
];
/// Characters of a line of base64.
const LINE: usize = 72;

/// Who signs, and with what.
pub struct Dkim {
    /// `d=`: the signing domain.
    domain: String,
    /// `s=`: the key's name below `_domainkey` of that domain.
    selector: String,
    key: SigningKey,
}

enum SigningKey {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for Dkim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dkim({}, {})", self.record_name(), self.algorithm())
    }
}

impl Dkim {
    /// Takes a private key in PEM: RSA of 2,048 bits or more (PKCS #1 or #8), or Ed25519 (PKCS #8). The error says what is wrong, and repeats
    /// nothing of the key.
    pub fn new(domain: &str, selector: &str, pem: &str) -> Result<Self, String> {
        for (name, text) in [("domain", domain), ("selector", selector)] {
            let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !text.split('.').all(label) {
                return Err(format!("{name} {text:?} is no domain name"));
            }
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "there is no private key in PEM in it".to_owned())?;
        let rsa = |e: ring::error::KeyRejected| format!("the RSA key is refused ({e}); expected 2048 bits or more");
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => SigningKey::Rsa(Box::new(RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(rsa)?)),
            PrivateKeyDer::Pkcs8(der) => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()) {
                Ok(key) => SigningKey::Ed25519(key),
                Err(_) => SigningKey::Rsa(Box::new(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(rsa)?)),
            },
            _ => return Err("the key is neither RSA nor Ed25519".to_owned()),
        };
        Ok(Self { domain: domain.to_ascii_lowercase(), selector: selector.to_owned(), key })
    }

    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Where the public key must stand in the DNS, as a TXT record.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What must stand there (RFC 6376 3.6.1): for whoever sets it up, and for `check --online`.
    pub fn record(&self) -> String {
        let (kind, public) = match &self.key {
            SigningKey::Rsa(key) => ("rsa", spki(key.public_key().as_ref())),
            SigningKey::Ed25519(key) => ("ed25519", key.public_key().as_ref().to_vec()),
        };
        format!("v=DKIM1; k={kind}; p={}", BASE64.encode(&public))
    }

    /// As `a=` names it, without the hash.
    fn algorithm(&self) -> &'static str {
        match self.key {
            SigningKey::Rsa(_) => "rsa",
            SigningKey::Ed25519(_) => "ed25519",
        }
    }

    /// The message with its signature in front.
    pub(super) fn sign(&self, message: &[u8], date: DateTime<Utc>) -> Result<Vec<u8>, String> {
        let text = std::str::from_utf8(message).map_err(|_| "the message is not ASCII".to_owned())?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("the message has no body")?;
        let body_hash = BASE64.encode(&Sha256::digest(relaxed_body(body)));
        let header = format!(
            "v=1; a={}-sha256; c=relaxed/relaxed; d={};\r\n\ts={}; t={};\r\n\th={};\r\n\tbh={body_hash};\r\n\tb=",
            self.algorithm(),
            self.domain,
            self.selector,
            date.timestamp(),
            folded_names(),
        );
        let mut signed = relaxed_headers(head);
        signed.push_str(&relaxed_header("dkim-signature", &header));
        let signature = self.signature(signed.as_bytes())?;
        let folded: Vec<&str> = signature.as_bytes().chunks(LINE).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
        Ok(format!("DKIM-Signature: {header}{}\r\n{text}", folded.join("\r\n\t")).into_bytes())
    }

    fn signature(&self, signed: &[u8]) -> Result<String, String> {
        Ok(match &self.key {
            // RFC 8463 3: what is signed is the hash.
            SigningKey::Ed25519(key) => BASE64.encode(key.sign(&Sha256::digest(signed)).as_ref()),
            SigningKey::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // The random numbers only blind the computation: its result is the same each time.
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature)
                    .map_err(|_| "the key does not sign".to_owned())?;
                BASE64.encode(&signature)
            }
        })
    }
}

/// SubjectPublicKeyInfo (RFC 5280 4.1.2.7) around an RSAPublicKey, which is what verifiers expect in `p=`.
fn spki(key: &[u8]) -> Vec<u8> {
    /// `AlgorithmIdentifier` rsaEncryption, with its NULL.
    const RSA: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = tagged(0x03, &[&[0], key].concat());
    tagged(0x30, &[&RSA, bits.as_slice()].concat())
}

/// A DER value with its tag and length.
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|&b| b == 0).collect();
    let mut out = vec![tag];
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        out.push(0x80 | significant.len() as u8);
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}

fn folded_names() -> String {
    let (first, second) = SIGNED.split_at(SIGNED.len() / 2);
    format!("{}:\r\n\t {}", first.join(":"), second.join(":"))
}

/// The signed headers, each with its CRLF (RFC 6376 3.7). Of a name that stands twice in the list and once in the message, the second is empty.
fn relaxed_headers(head: &str) -> String {
    let mut fields: Vec<(String, &str)> = Vec::new();
    let mut rest = head;
    while !rest.is_empty() {
        let end = rest.match_indices("\r\n").map(|(at, _)| at).find(|at| !rest[at + 2..].starts_with([' ', '\t'])).unwrap_or(rest.len());
        let (field, tail) = rest.split_at(end);
        rest = tail.strip_prefix("\r\n").unwrap_or(tail);
        if let Some((name, value)) = field.split_once(':') {
            fields.push((name.trim_end().to_ascii_lowercase(), value));
        }
    }
    let mut out = String::new();
    for name in SIGNED {
        // The last one that is not taken yet.
        if let Some(at) = fields.iter().rposition(|(n, _)| n == name) {
            let (name, value) = fields.remove(at);
            out.push_str(&relaxed_header(&name, value));
            out.push_str("\r\n");
        }
    }
    out
}

/// RFC 6376 3.4.2, without the CRLF.
fn relaxed_header(name: &str, value: &str) -> String {
    let words: Vec<&str> = value.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    format!("{name}:{}", words.join(" "))
}

/// RFC 6376 3.4.4.
fn relaxed_body(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    for line in body.strip_suffix("\r\n").unwrap_or(body).split("\r\n") {
        let trimmed = line.trim_end_matches([' ', '\t']);
        let mut gap = false;
        for c in trimmed.chars() {
            match c {
                ' ' | '\t' => gap = true,
                c => {
                    if gap {
                        out.push(' ');
                    }
                    gap = false;
                    out.push(c);
                }
            }
        }
        out.push_str("\r\n");
    }
    while out.ends_with("\r\n\r\n") {
        out.truncate(out.len() - 2);
    }
    if out == "\r\n" { String::new() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        // RFC 6376 3.4.5.
        assert_eq!(relaxed_body(" C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n");
        assert_eq!(relaxed_body("\r\n\r\n"), "");
        assert_eq!(relaxed_body("x"), "x\r\n");
        assert_eq!(relaxed_header("subject", " Y\t\r\n\tZ  "), "subject:Y Z");
        let head = "To: a\r\nFrom: first\r\nX-Other: no\r\nFROM : second\r\n folded\r\nSubject:s";
        assert_eq!(relaxed_headers(head), "from:second folded\r\nfrom:first\r\nto:a\r\nsubject:s\r\n");
    }

    #[test]
    fn lengths_of_der() {
        assert_eq!(tagged(0x30, &[7; 3]), [0x30, 3, 7, 7, 7]);
        assert_eq!(tagged(0x30, &[7; 200])[..3], [0x30, 0x81, 200]);
        assert_eq!(tagged(0x30, &[7; 300])[..4], [0x30, 0x82, 1, 44]);
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        for (domain, selector, pem, said) in [
            ("example.org", "a", "secret", "no private key"),
            ("example.org", "a b", "", "selector"),
            ("example..org", "a", "", "domain"),
            ("example.org", "a;x", "", "selector"),
            ("example.org", "a", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "refused"),
        ] {
            let refused = Dkim::new(domain, selector, pem).unwrap_err();
            assert!(refused.contains(said) && !refused.contains("secret") && !refused.contains("c2Vj"), "{refused}");
        }
    }
}
