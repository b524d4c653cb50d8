//! Contacts, names and codes: the values that may reach one person only.
//!
//! Every type here prints masked (`Display` and `Debug`), so that a log line, an error or a table cannot
//! leak one by accident. [`expose`](ConnectCode::expose) gives the value itself: it is for rendering,
//! for handing over, and for the store, and nowhere else.
//!
//! The constructors check and clean: what has one of these types is fit for use.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// How a participant is told: decided by ShouldAutoDeliverCode alone, never by which contacts exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// ShouldAutoDeliverCode "E".
    Email,
    /// ShouldAutoDeliverCode "S".
    Sms,
}

impl Channel {
    /// The word used in the outbox, in JSON and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Channel {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "email" => Ok(Self::Email),
            "sms" => Ok(Self::Sms),
            other => Err(format!("{other:?} is no channel; expected email or sms")),
        }
    }
}

/// An e-mail address that parses (RFC 5321 4.1.2, dot-string local parts), its domain in ASCII (IDNA).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// RFC 5321 4.5.3.1.1: octets in a local part.
const LOCAL_PART_MAX: usize = 64;
/// RFC 5321 4.5.3.1.3, less the angle brackets: octets in an address.
const ADDRESS_MAX: usize = 254;

impl EmailAddress {
    /// Parses an address. The error says what is wrong with it, and does not repeat it.
    pub fn parse(raw: &str) -> Result<Self, &'static str> {
        let raw = raw.trim();
        let (local, domain) = raw.rsplit_once('@').ok_or("there is no @ in it")?;
        if local.is_empty() || domain.is_empty() {
            return Err("a part beside the @ is empty");
        }
        if !local.is_ascii() {
            return Err("the part before the @ is not ASCII: that needs SMTPUTF8, which is not supported; ask for another address");
        }
        if local.len() > LOCAL_PART_MAX {
            return Err("the part before the @ is longer than 64 characters");
        }
        if !local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext)) {
            return Err("the part before the @ has a character or a dot that may not stand there");
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| "the domain is no domain name")?;
        if !domain.contains('.') || domain.bytes().next_back().is_some_and(|b| b == b'.') {
            return Err("the domain is not complete");
        }
        if domain.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
            return Err("the domain is an IP address");
        }
        let address = format!("{local}@{domain}");
        if address.len() > ADDRESS_MAX {
            return Err("it is longer than 254 characters");
        }
        Ok(Self(address))
    }

    /// The address itself, domain in ASCII.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The domain alone, in ASCII.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// RFC 5322 3.2.3 atext.
fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

impl fmt::Display for EmailAddress {
    /// `t*****@geemail.com`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.chars().next().unwrap_or('*');
        write!(f, "{first}*****@{}", self.domain())
    }
}

/// A telephone number in E.164 form (`+14041113333`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as people of `region` (ISO 3166-1 alpha-2) write it. The error does not repeat it.
    ///
    /// A number must be *possible* (right length for its country), not assigned: numbering plans change
    /// faster than programs do. Short and emergency numbers are never possible.
    pub fn parse(raw: &str, region: &str) -> Result<Self, &'static str> {
        use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
        let raw = raw.trim();
        let digits = raw.chars().filter(char::is_ascii_digit).count();
        if digits < 7 {
            return Err("it has fewer than 7 digits");
        }
        let number = PHONE_NUMBER_UTIL.parse(raw, region.parse().ok()).map_err(|_| "it is no telephone number")?;
        if !number.extension().is_empty() {
            return Err("it has an extension, which cannot receive a text message");
        }
        if !PHONE_NUMBER_UTIL.is_possible_number(&number) {
            return Err("it has the wrong length for its country");
        }
        let e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
        Ok(Self(e164.into_owned()))
    }

    /// The number itself, in E.164.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PhoneNumber {
    /// `+1*******3333`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = (self.0.get(..2).unwrap_or(""), self.0.len().saturating_sub(4));
        write!(f, "{head}*****{}", self.0.get(tail..).unwrap_or(""))
    }
}

/// Whether numbers of this region (ISO 3166-1 alpha-2) are known.
pub fn is_region(region: &str) -> bool {
    region.parse::<rlibphonenumber::Region>().is_ok()
}

/// Where a notice goes: one address of one person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// By SMTP.
    Email(EmailAddress),
    /// By an SMS gateway.
    Sms(PhoneNumber),
}

impl Address {
    /// The channel that this address belongs to.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
            Self::Sms(_) => Channel::Sms,
        }
    }

    /// The address itself.
    pub fn expose(&self) -> &str {
        match self {
            Self::Email(a) => a.expose(),
            Self::Sms(n) => n.expose(),
        }
    }

    /// Reads back what [`expose`](Self::expose) gave (for the store).
    pub fn restore(channel: Channel, exposed: &str) -> Self {
        match channel {
            Channel::Email => Self::Email(EmailAddress(exposed.to_owned())),
            Channel::Sms => Self::Sms(PhoneNumber(exposed.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Email(a) => a.fmt(f),
            Self::Sms(n) => n.fmt(f),
        }
    }
}

/// A nine-digit code with which one participant joins or answers. It may reach that participant only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectCode(u32);

impl ConnectCode {
    /// Takes up to nine digits; shorter codes are padded with zeros on the left.
    pub fn parse(raw: &str) -> Option<Self> {
        let ok = !raw.is_empty() && raw.len() <= 9 && raw.bytes().all(|b| b.is_ascii_digit());
        raw.parse().ok().filter(|&n| ok && n > 0).map(Self)
    }

    /// All nine digits, as links need them: `701678455`.
    pub fn expose(self) -> String {
        format!("{:09}", self.0)
    }

    /// In groups, as people read it: `701-678-455`.
    pub fn expose_grouped(self) -> String {
        let all = self.expose();
        format!("{}-{}-{}", &all[..3], &all[3..6], &all[6..])
    }
}

impl fmt::Display for ConnectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***-***-***")
    }
}

/// The second secret of a join link, where the practice uses them: a GUID.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Passkey(String);

/// The longest passkey taken: a GUID has 36 characters.
const PASSKEY_MAX: usize = 64;

impl Passkey {
    /// Takes letters, digits and hyphens; an empty one is none at all.
    pub fn parse(raw: &str) -> Result<Option<Self>, &'static str> {
        if raw.is_empty() {
            return Ok(None);
        }
        if raw.len() > PASSKEY_MAX || !raw.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err("expected letters, digits and hyphens, 64 at most");
        }
        Ok(Some(Self(raw.to_owned())))
    }

    /// The passkey itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Passkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// A person's name: NFC, without control and bidirectional characters, 120 graphemes at most.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PersonName(String);

/// Graphemes of a name that are kept.
const NAME_MAX: usize = 120;
/// Combining marks kept on one letter: more than any orthography writes, fewer than a tower of them.
const MARKS_MAX: usize = 8;

impl PersonName {
    /// Cleans a name. What is left may be empty.
    pub fn clean(raw: &str) -> Self {
        Self(clean_line(raw))
    }

    /// The name itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// One clean line of text: NFC; control, bidirectional and invisible format characters removed; space folded and trimmed;
/// at most 120 graphemes.
pub fn clean_line(raw: &str) -> String {
    if is_plain(raw) {
        return raw.to_owned();
    }
    let kept: String = raw
        .nfc()
        .map(|c| if matches!(c, '\u{2028}' | '\u{2029}') || (c.is_control() && c.is_whitespace()) { ' ' } else { c })
        .filter(|&c| !c.is_control() && !is_format(c))
        .collect();
    let folded = kept.split_whitespace().collect::<Vec<_>>().join(" ");
    let trimmed: String = folded.graphemes(true).take(NAME_MAX).flat_map(|g| g.chars().take(MARKS_MAX)).collect();
    trimmed.trim().to_owned()
}

/// Nearly every line: printable ASCII, short enough, with nothing to fold or to trim.
fn is_plain(raw: &str) -> bool {
    let printable = raw.len() <= NAME_MAX && raw.bytes().all(|b| matches!(b, b' '..=b'~'));
    printable && !raw.starts_with(' ') && !raw.ends_with(' ') && !raw.contains("  ")
}

/// Bidirectional controls and invisible format characters that can disguise a text. The zero-width joiner stays:
/// Persian, Indic scripts and emoji need it.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(name)")
    }
}

/// Debug prints what Display prints: masked.
macro_rules! debug_is_masked {
    ($($t:ty),*) => { $(impl fmt::Debug for $t {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(self, f)
        }
    })* };
}
debug_is_masked!(EmailAddress, PhoneNumber, Address, ConnectCode, Passkey, PersonName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["trevor@geemail.com", " rc@anotheremail.com ", "a+b@x.example.org", "o'brien@example.com", "x@bücher.example"] {
            assert!(EmailAddress::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "trevor",
            "@x.com",
            "a@",
            "a@b@c.com",
            "a b@x.com",
            "a@x",
            ".a@x.com",
            "a..b@x.com",
            "a@x..com",
            "a@1.2.3.4",
            "a@x.com\r\nBcc: e@x.com",
            "josé@x.com",
            "\"a b\"@x.com",
            "a@-x.com",
            "a<b@x.com",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
        assert!(EmailAddress::parse(&format!("{}@x.com", "a".repeat(65))).is_err());
        assert_eq!(EmailAddress::parse("x@Bücher.example").unwrap().expose(), "x@xn--bcher-kva.example");
    }

    #[test]
    fn numbers() {
        for (raw, e164) in [
            ("4041113333", "+14041113333"),
            ("13334446666", "+13334446666"),
            ("(404) 111-3333", "+14041113333"),
            ("+44 20 7946 0018", "+442079460018"),
        ] {
            assert_eq!(PhoneNumber::parse(raw, "US").map(|n| n.expose().to_owned()), Ok(e164.to_owned()), "{raw}");
        }
        for bad in ["", "911", "1", "12345678", "404111333344445555", "not a number", "404-111-3333 x12"] {
            assert!(PhoneNumber::parse(bad, "US").is_err(), "{bad}");
        }
    }

    #[test]
    fn codes() {
        assert_eq!(ConnectCode::parse("701678455").unwrap().expose_grouped(), "701-678-455");
        assert_eq!(ConnectCode::parse("1234567").unwrap().expose(), "001234567");
        for bad in ["", "0", "7016784551", "70167845x", "-1", "+1"] {
            assert!(ConnectCode::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_are_cleaned() {
        for (raw, clean) in [
            ("  Trevor  ", "Trevor"),
            ("Eve\r\nBcc: x@example.com", "Eve Bcc: x@example.com"),
            ("\u{202E}Trevor\u{202C}", "Trevor"),
            ("Jose\u{301}", "José"),
            ("a\u{0}b\u{7f}c", "abc"),
            ("one\u{2028}two", "one two"),
            ("<script>{{ 7*7 }}", "<script>{{ 7*7 }}"),
            ("\u{FEFF}", ""),
        ] {
            assert_eq!(PersonName::clean(raw).expose(), clean);
        }
        assert_eq!(PersonName::clean(&"x".repeat(500)).expose().len(), 120);
        assert!(PersonName::clean(&format!("Z{}", "\u{335}".repeat(5000))).expose().chars().count() < 20);
    }

    #[test]
    fn everything_prints_masked() {
        let mail = EmailAddress::parse("trevor@geemail.com").unwrap();
        let number = PhoneNumber::parse("4041113333", "US").unwrap();
        let printed = format!(
            "{mail} {mail:?} {number} {number:?} {:?} {:?} {:?}",
            ConnectCode::parse("701678455").unwrap(),
            Passkey::parse("9bff60df-2fe6").unwrap(),
            PersonName::clean("Trevor")
        );
        for secret in ["trevor", "Trevor", "404111", "701678455", "9bff"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert_eq!(mail.to_string(), "t*****@geemail.com");
    }
}
