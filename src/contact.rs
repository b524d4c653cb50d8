//! Contacts, names and codes: the values that may reach one person only.
//!
//! Every type here prints masked (`Display` and `Debug`), so that a log line, an error or a table cannot
//! leak one by accident. [`expose`](ConnectCode::expose) gives the value itself: it is for rendering,
//! for handing over, and for the store, and nowhere else.
//!
//! The constructors check and clean: what has one of these types is fit for use.
//!
//! Contacts are compared by meaning: two spellings of one address or number are equal, and have one [`canonical`](Address::canonical) form. A
//! message goes to the address as its source spells it.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

mod line;
mod number;

pub use line::clean_line;
pub(crate) use line::is_invisible;
pub use number::decimal;

/// How a participant is told: decided by ShouldAutoDeliverCode alone, never by which contacts exist.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema, utoipa::ToSchema,
)]
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
///
/// Equal are two spellings of one mailbox: case counts neither in the domain nor, with any server that people have mail at, before the @.
#[derive(Clone)]
pub struct EmailAddress(String);

/// RFC 5321 4.5.3.1.1: octets in a local part.
const LOCAL_PART_MAX: usize = 64;
/// RFC 5321 4.5.3.1.3, less the angle brackets: octets in an address.
const ADDRESS_MAX: usize = 254;

impl EmailAddress {
    /// Parses an address. The error says what is wrong with it, and does not repeat it.
    pub fn parse(raw: &str) -> Result<Self, &'static str> {
        let raw = raw.trim_matches(|c: char| c.is_whitespace() || line::is_invisible(c));
        let (local, domain) = raw.rsplit_once('@').ok_or("there is no @ in it")?;
        // The root of the DNS, or the end of a sentence.
        let domain = domain.strip_suffix('.').unwrap_or(domain);
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
        if !domain.contains('.') {
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

    /// The one spelling of all that are equal to it.
    pub fn canonical(&self) -> Cow<'_, str> {
        if self.0.bytes().any(|b| b.is_ascii_uppercase()) { Cow::Owned(self.0.to_ascii_lowercase()) } else { Cow::Borrowed(&self.0) }
    }

    /// The domain alone, in ASCII.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for EmailAddress {}

impl Hash for EmailAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical().hash(state);
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

/// A telephone number in E.164 form (`+14045550133`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number as people of `region` (ISO 3166-1 alpha-2) write it, to tell something to. The error does not repeat it.
    ///
    /// It must be *valid*: of the right length, and in a range that its country gives out. Short and emergency numbers never are.
    pub fn parse(raw: &str, region: &str) -> Result<Self, &'static str> {
        Self::read(raw, region, |number| {
            let valid = rlibphonenumber::PHONE_NUMBER_UTIL.is_valid_number(number);
            valid.then_some(()).ok_or("it is no number that its country gives out")
        })
    }

    /// Reads the number of somebody who wrote to us, or whom staff name. Possible is enough (the right length for its country): a STOP counts,
    /// whatever a table of numbering plans says.
    pub fn possible(raw: &str, region: &str) -> Result<Self, &'static str> {
        Self::read(raw, region, |_| Ok(()))
    }

    fn read(
        raw: &str,
        region: &str,
        check: impl Fn(&rlibphonenumber::PhoneNumber) -> Result<(), &'static str>,
    ) -> Result<Self, &'static str> {
        use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};
        let dialled = number::dialled(raw)?;
        let number = PHONE_NUMBER_UTIL.parse(&dialled, region.parse().ok()).map_err(|_| "it is no telephone number")?;
        if !PHONE_NUMBER_UTIL.is_possible_number(&number) {
            return Err("it has the wrong length for its country");
        }
        check(&number)?;
        Ok(Self(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned()))
    }

    /// The number itself, in E.164.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is dialled within its country, without what stands before it there.
    pub fn national(&self) -> String {
        use rlibphonenumber::PHONE_NUMBER_UTIL;
        let parsed = PHONE_NUMBER_UTIL.parse(&self.0, None);
        parsed.map_or_else(|_| self.0.trim_start_matches('+').to_owned(), |number| number.get_national_significant_number())
    }
}

impl fmt::Display for PhoneNumber {
    /// `+1*******3333`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = (self.0.get(..2).unwrap_or(""), self.0.len().saturating_sub(4));
        write!(f, "{head}*****{}", self.0.get(tail..).unwrap_or(""))
    }
}

/// What is known of a number beside whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Number {
    /// Somebody answered from it: they know whom the texts are from, and how to stop them.
    pub answered: bool,
    /// Somebody else is told at it, too.
    pub shared: bool,
}

/// Whether numbers of this region (ISO 3166-1 alpha-2) are known.
pub fn is_region(region: &str) -> bool {
    region.parse::<rlibphonenumber::Region>().is_ok()
}

/// Where a notice goes: one address of one person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
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

    /// The address itself: for rendering, handing over and the store.
    pub fn expose(&self) -> &str {
        match self {
            Self::Email(a) => a.expose(),
            Self::Sms(n) => n.expose(),
        }
    }

    /// The one spelling of all that are equal to it: what addresses are told apart and remembered by.
    pub fn canonical(&self) -> Cow<'_, str> {
        match self {
            Self::Email(a) => a.canonical(),
            // E.164 is one spelling.
            Self::Sms(n) => Cow::Borrowed(n.expose()),
        }
    }

    /// It is written in its canonical form.
    pub fn is_canonical(&self) -> bool {
        matches!(self.canonical(), Cow::Borrowed(_))
    }

    /// An address as somebody types it: with an @ it is for e-mail, else a telephone number, which must be valid in its region.
    pub fn parse(raw: &str, region: &str) -> Result<Self, &'static str> {
        if raw.contains('@') { EmailAddress::parse(raw).map(Self::Email) } else { PhoneNumber::parse(raw, region).map(Self::Sms) }
    }

    /// The same, of any number that may be one: for a list that keeps messages away.
    pub fn possible(raw: &str, region: &str) -> Result<Self, &'static str> {
        if raw.contains('@') { EmailAddress::parse(raw).map(Self::Email) } else { PhoneNumber::possible(raw, region).map(Self::Sms) }
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

    /// The code of that number.
    pub fn of(number: u32) -> Option<Self> {
        (1..1_000_000_000).contains(&number).then_some(Self(number))
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

    /// The passkey itself: for rendering and the store.
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

impl PersonName {
    /// Cleans a name. What is left may be empty.
    pub fn clean(raw: &str) -> Self {
        Self(clean_line(raw))
    }

    /// The name itself: for rendering and the store.
    pub fn expose(&self) -> &str {
        &self.0
    }
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
    fn spellings_of_one_mailbox_are_one_address() {
        let address = |raw: &str| EmailAddress::parse(raw).map(Address::Email).unwrap();
        for (one, other, same) in [
            ("Pat.Doe@Example.com", "pat.doe@example.com", true),
            ("pat@example.com", " pat@EXAMPLE.COM.\u{200B}", true),
            ("pat@bücher.example", "Pat@XN--BCHER-KVA.example", true),
            ("pat@ｅxample.com", "pat@example.com", true),
            ("pat@example.com", "pat@example.org", false),
            ("pat@example.com", "p.at@example.com", false),
            ("pat@example.com", "pat+1@example.com", false),
        ] {
            assert_eq!(address(one) == address(other), same, "{one} {other}");
            assert_eq!(address(one).canonical() == address(other).canonical(), same, "{one} {other}");
            let set: std::collections::HashSet<Address> = [address(one), address(other)].into();
            assert_eq!(set.len() == 1, same, "{one} {other}");
        }
        assert_eq!(address("Pat.Doe@Example.com").expose(), "Pat.Doe@example.com", "a message goes to the address as it is spelt");
    }

    #[test]
    fn numbers() {
        for (raw, region, e164) in [
            ("4045550133", "US", "+14045550133"),
            ("14045550133", "US", "+14045550133"),
            ("(404) 555-0133", "US", "+14045550133"),
            ("1 (404) 555.0133", "CA", "+14045550133"),
            ("+1 404-555-0133", "GB", "+14045550133"),
            ("(+1) 404 555 0133", "FR", "+14045550133"),
            ("+44 20 7946 0018", "US", "+442079460018"),
            ("+44 (0)20 7946 0018", "US", "+442079460018"),
            ("07911 123456", "GB", "+447911123456"),
            // As they are pasted: a word processor's dashes and spaces, a messenger's marks, another keyboard's digits.
            ("404–555—0133", "US", "+14045550133"),
            ("404\u{2011}555\u{2212}0133", "US", "+14045550133"),
            ("\u{202A}+1\u{A0}404\u{202F}555\u{2009}0133\u{202C}", "US", "+14045550133"),
            ("＋１　（４０４）　５５５－０１３３", "US", "+14045550133"),
            ("٤٠٤٥٥٥٠١٣٣", "US", "+14045550133"),
            ("४०४५५५०१३३", "US", "+14045550133"),
            ("404·555·0133.", "US", "+14045550133"),
            ("404-555-0133 x12", "US", "+14045550133"),
            ("404-555-0133x12", "US", "+14045550133"),
            ("404-555-0133 ext 5", "US", "+14045550133"),
            ("404-555-0133, Ext. 5", "US", "+14045550133"),
            ("404-555-0133 extension 12345", "US", "+14045550133"),
            ("404-555-0133 #5", "US", "+14045550133"),
            ("404-555-0133 (ext 5)", "US", "+14045550133"),
            ("+14045550133;ext=5", "US", "+14045550133"),
            ("514 555-0133 poste 12", "CA", "+15145550133"),
        ] {
            assert_eq!(PhoneNumber::parse(raw, region).map(|n| n.expose().to_owned()), Ok(e164.to_owned()), "{raw}");
        }
        for bad in [
            "",
            "911",
            "1",
            "12345678",
            "404111333344445555",
            "not a number",
            "4.04555012E9",
            "404555012 9th",
            "404-555-012O",
            "1 (404) 555-O123",
            "555-0133",
            "000-000-0000",
            "999-999-9999",
            "911-555-0133",
            "404-111-3333",
            "404-555-0133 / 404-555-0134",
            "404-555-0133, 404-555-0134",
            "404-555-0133 404-555-0134",
            "+1 404-555-0133 +1 404-555-0134",
            "4045550133 or 4045550134",
            "4045550133.0",
            "+14045550133.00",
            "404-555-0133 (mother)",
            "cell: 404-555-0133",
            "404-555-0133 ext",
            "x12",
            "404*555*0133",
            "~4045550133",
            "404_555_0133",
            "1-800-FLOWERS",
            "404-555-01+33",
            "-4045550133e0",
            "404½5550133",
        ] {
            assert!(PhoneNumber::parse(bad, "US").is_err(), "{bad}");
        }
        assert!(PhoneNumber::parse("49301234567.0", "DE").is_err(), "the zero that a spreadsheet adds would make up another number");
        assert!(PhoneNumber::possible("404-111-3333", "US").is_ok(), "a table of numbering plans does not keep a STOP away");
        for bad in ["", "911", "12345678", "404-555-0133 / 404-555-0134"] {
            assert!(PhoneNumber::possible(bad, "US").is_err(), "{bad}");
        }
    }

    #[test]
    fn digits_of_any_script_have_their_value() {
        for (text, value) in [("0", 0), ("9", 9), ("٣", 3), ("۴", 4), ("९", 9), ("๗", 7), ("９", 9), ("𞥙", 9), ("꧹", 9), ("𖭙", 9), ("𞓱", 1)]
        {
            assert_eq!(text.chars().next().and_then(decimal), Some(value), "{text}");
        }
        for none in ["a", "٪", "²", "Ⅳ", "零", "\u{66A}", "/", ":"] {
            assert_eq!(none.chars().next().and_then(decimal), None, "{none}");
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
            ("Jose\u{200B}\u{301}", "José"),
            ("\u{3164}\u{2066}Tre\u{AD}vor\u{2069}", "Trevor"),
            ("👩🏽\u{200D}❤️\u{200D}💋\u{200D}👨🏿", "👩🏽\u{200D}❤️\u{200D}💋\u{200D}👨🏿"),
            ("می\u{200C}خواهم", "می\u{200C}خواهم"),
        ] {
            assert_eq!(PersonName::clean(raw).expose(), clean);
        }
        assert_eq!(PersonName::clean(&"x".repeat(500)).expose().len(), 120);
        assert!(PersonName::clean(&format!("Z{}", "\u{335}".repeat(5000))).expose().chars().count() < 20);
    }

    #[test]
    fn everything_prints_masked() {
        let mail = EmailAddress::parse("trevor@geemail.com").unwrap();
        let number = PhoneNumber::parse("4045550133", "US").unwrap();
        let printed = format!(
            "{mail} {mail:?} {number} {number:?} {:?} {:?} {:?}",
            ConnectCode::parse("701678455").unwrap(),
            Passkey::parse("9bff60df-2fe6").unwrap(),
            PersonName::clean("Trevor")
        );
        for secret in ["trevor", "Trevor", "404555", "701678455", "9bff"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert_eq!(mail.to_string(), "t*****@geemail.com");
    }
}
