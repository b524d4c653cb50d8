//! A practice's own look: its logo, its colour, the words below each e-mail, and a page on which people try their camera.
//!
//! In: what the configuration says. Out: values that every message can use as they are: a colour on which white letters can be read, a picture that
//! mail programs show. Errors say what was found and what is expected.

use std::fmt;
use std::sync::Arc;

/// What a practice decides about how its e-mails look. The default is the look of the program.
#[derive(Debug, Clone, Default)]
pub struct MailLook {
    /// In place of the practice's name.
    pub logo: Option<Arc<Logo>>,
    /// Of buttons and links; `None`: the program's own.
    pub color: Option<Color>,
    /// Lines below each message.
    pub footer: Vec<String>,
    /// Where a camera can be tried.
    pub camera_test: Option<String>,
}

impl MailLook {
    /// The logo under that name, if a page shows it: templates of one's own need not.
    pub(super) fn shown_in<'a>(&'a self, html: &str, id: &'a str) -> Option<(&'a Logo, &'a str)> {
        self.logo.as_deref().filter(|_| html.contains(&format!("cid:{id}"))).map(|logo| (logo, id))
    }
}

/// A colour for buttons and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color([u8; 3]);

impl Color {
    /// Without a wish: a dark cyan.
    const OURS: Self = Self([0x0b, 0x66, 0x6c]);
    /// The same in the dark.
    const OURS_IN_DARK: Self = Self([0x6c, 0xc5, 0xcb]);
    /// What dark mode has behind it: see `layout/page.html`.
    const DARK: Self = Self([0x1b, 0x22, 0x28]);
    const WHITE: Self = Self([0xff; 3]);
    /// WCAG 2.2, 1.4.3: so much more light.
    const CONTRAST_MIN: f64 = 4.5;

    /// `#0b666c`: white letters can be read on it, and it can be read on white.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, rgb @ ..] = number.ok_or_else(|| format!("{text:?} is no colour; expected one such as \"#0b666c\""))?.to_be_bytes();
        let contrast = Self(rgb).contrast(Self::WHITE);
        if contrast < Self::CONTRAST_MIN {
            return Err(format!("{text} is too light: white letters on it have a contrast of {contrast:.1}; expected 4.5 at least"));
        }
        Ok(Self(rgb))
    }

    /// That colour, or ours: in the light and in the dark.
    pub(super) fn pair(wanted: Option<Self>) -> [String; 2] {
        let (light, dark) = wanted.map_or((Self::OURS, Self::OURS_IN_DARK), |color| (color, color.in_dark()));
        [light, dark].map(|color| color.to_string())
    }

    /// As much white in it as it takes to be read in the dark.
    fn in_dark(self) -> Self {
        let mixed = |share: u16| Self(self.0.map(|c| (u16::from(c) + (255 - u16::from(c)) * share / 20) as u8));
        (0..20).map(mixed).find(|color| color.contrast(Self::DARK) >= Self::CONTRAST_MIN + 1.0).unwrap_or(Self::WHITE)
    }

    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        a.max(b) / a.min(b)
    }

    fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = self.0.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

/// A picture that stands in every e-mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    /// `image/png`
    pub(super) kind: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Pixels in which it is shown.
    pub(super) size: (u32, u32),
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.kind, self.bytes.len())
    }
}

/// The largest logo, in bytes: each e-mail holds it, and the store keeps what was sent.
pub const LOGO_MAX: usize = 32 * 1024;
/// The longest side of a picture that is a logo, in pixels.
const SIDE_MAX: u32 = 2_000;
/// The room that it has above a message, in pixels.
const ROOM: (u32, u32) = (240, 64);

impl Logo {
    /// Whether so many bytes are few enough: asked before they are read.
    pub fn fits(bytes: u64) -> Result<(), String> {
        if bytes <= LOGO_MAX as u64 {
            Ok(())
        } else {
            Err(format!("has {bytes} bytes; expected {LOGO_MAX} at most, since each e-mail holds it"))
        }
    }

    /// Of a file's bytes.
    pub fn read(bytes: Vec<u8>) -> Result<Self, String> {
        Self::fits(bytes.len() as u64)?;
        let expected = "is no picture that mail programs show; expected a PNG, JPEG or GIF";
        let (kind, size) = measured(&bytes).ok_or(expected)?;
        let (width, height) = size;
        if width == 0 || height == 0 || width > SIDE_MAX || height > SIDE_MAX {
            return Err(format!("has {width} × {height} pixels; expected 1 to {SIDE_MAX} each"));
        }
        let fits = |of: u32| (of * ROOM.0 / width).min(of * ROOM.1 / height).min(of).max(1);
        Ok(Self { kind, bytes, size: (fits(width), fits(height)) })
    }

    /// `data:image/png;base64,...`: for a page that shows a message.
    pub(super) fn as_data(&self) -> String {
        format!("data:{};base64,{}", self.kind, data_encoding::BASE64.encode(&self.bytes))
    }

    /// `logo.png`
    pub(super) fn file(&self) -> &'static str {
        match self.kind {
            "image/png" => "logo.png",
            "image/gif" => "logo.gif",
            _ => "logo.jpg",
        }
    }
}

/// What kind of picture it is, by what stands in it, and its pixels.
fn measured(bytes: &[u8]) -> Option<(&'static str, (u32, u32))> {
    let big = |at: usize| Some(u32::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16)? == b"IHDR" {
        let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        return Some(("image/png", (side(16)?, side(20)?)));
    }
    if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        let side = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
        return Some(("image/gif", (side(6)?, side(8)?)));
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    // Segment by segment, to the one that begins a frame.
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else { return None };
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some(("image/jpeg", (big(at + 7)?, big(at + 5)?)));
        }
        at += 2 + big(at + 2)? as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_can_be_read_with_white_and_in_the_dark() {
        for (text, says) in [
            ("#0b666c", Ok("#0b666c")),
            ("#7A1FA2", Ok("#7a1fa2")),
            ("#000000", Ok("#000000")),
            ("#6cc5cb", Err("too light")),
            ("#ffffff", Err("too light")),
            ("0b666c", Err("is no colour")),
            ("#fff", Err("is no colour")),
            ("teal", Err("is no colour")),
            ("#0b66é", Err("is no colour")),
        ] {
            match (Color::parse(text), says) {
                (Ok(color), Ok(says)) => {
                    assert_eq!(color.to_string(), says);
                    assert!(color.in_dark().contrast(Color::DARK) >= Color::CONTRAST_MIN, "{text}");
                }
                (Err(why), Err(says)) => assert!(why.contains(says), "{text}: {why}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        assert_eq!(Color::pair(None), ["#0b666c", "#6cc5cb"].map(str::to_owned));
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let [head, ihdr] = [&b"\x89PNG\r\n\x1a\n\0\0\0\r"[..], b"IHDR"];
        [head, ihdr, &width.to_be_bytes(), &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat()
    }

    #[test]
    fn a_logo_is_a_small_picture() {
        let jpeg = [&[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 17, 8, 0, 50, 0, 100][..], &[0; 9]].concat();
        let gif = [&b"GIF89a"[..], &[120, 0, 32, 0, 0, 0, 0]].concat();
        for (bytes, shows) in [
            (png(480, 128), Ok(("image/png", (240, 64)))),
            (png(1000, 100), Ok(("image/png", (240, 24)))),
            (png(60, 30), Ok(("image/png", (60, 30)))),
            (png(2000, 1), Ok(("image/png", (240, 1)))),
            (jpeg, Ok(("image/jpeg", (100, 50)))),
            (gif, Ok(("image/gif", (120, 32)))),
            (png(0, 30), Err("0 × 30 pixels")),
            (png(4000, 30), Err("4000 × 30 pixels")),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), Err("expected a PNG")),
            (vec![0xff, 0xd8], Err("expected a PNG")),
            (vec![0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff], Err("expected a PNG")),
            (b"\x89PNG\r\n\x1a\n".to_vec(), Err("expected a PNG")),
            (Vec::new(), Err("expected a PNG")),
            (vec![0; LOGO_MAX + 1], Err("32769 bytes")),
        ] {
            let size = bytes.len();
            match (Logo::read(bytes), shows) {
                (Ok(logo), Ok(shows)) => assert_eq!((logo.kind, logo.size), shows),
                (Err(why), Err(says)) => assert!(why.contains(says), "{why}"),
                (found, shows) => panic!("{size} bytes: {found:?}, {shows:?}"),
            }
        }
    }
}
