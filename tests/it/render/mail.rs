//! An e-mail's bytes, as a server and a reader's program meet them.

use mailparse::{MailHeaderMap, ParsedMail};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use punctual::contact::PersonName;
use punctual::message::Content;
use punctual::notice::Occasion;
use punctual::render::{Parts, Renderer, Settings};

use super::{Case, LOCALES, at, bytes, email, kinds, settings, zone};

const NAMES: [&str; 7] = [
    "Wolfeschlegelsteinhausenbergerdorff Wolfeschlegelsteinhausenbergerdorff Wolfeschlegelsteinhausenbergerdorff Senior",
    "Trevor",
    "",
    "Zoë \"Zed\" O'Neil, <x@example.com> (the 2nd)",
    "מרים כהן",
    "Nguyễn Thị Bích Ngọc Wolfeschlegelsteinhausenbergerdorff-Hohenzollern-Sigmaringen y Fernández de la Vega y Sáenz de Santamaría",
    "👩🏽‍🚀🏳️‍🌈👨‍👩‍👧‍👦",
];

/// RFC 5322 2.1.1 and 2.2, RFC 2047 2: what holds for every message, whatever its values are.
fn assert_fit_for_the_wire(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_ascii());
    assert!(text.ends_with("\r\n"));
    for line in text.split("\r\n") {
        assert!(!line.contains(['\r', '\n']), "a bare CR or LF: {line:?}");
        let limit = if line.contains("=?") { 76 } else { 78 };
        assert!(line.len() <= limit, "{} bytes: {line}", line.len());
    }
    let (headers, _) = text.split_once("\r\n\r\n").unwrap();
    for word in headers.split([' ', '\r', '\n', '\t']).filter(|w| w.starts_with("=?")) {
        assert!(word.len() <= 75 && word.ends_with("?="), "{word}");
    }
    for name in
        ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted", "X-Punctual-Ref"]
    {
        let found = headers.split("\r\n").filter(|l| l.to_lowercase().starts_with(&format!("{}:", name.to_lowercase()))).count();
        assert_eq!(found, 1, "{name} in {headers}");
    }
    for absent in ["Bcc", "Cc", "Sender"] {
        assert!(!headers.contains(&format!("\r\n{absent}:")), "{headers}");
    }
}

fn header(mail: &ParsedMail<'_>, name: &str) -> String {
    mail.headers.get_first_value(name).unwrap_or_default()
}

#[test]
fn a_header_of_our_own_names_the_message() {
    let rendered = Case::new(Occasion::Invite, "en-US").render(&Renderer::new(settings()).unwrap()).unwrap();
    let mail = mailparse::parse_mail(rendered.message.content.bytes()).unwrap();
    assert_eq!(header(&mail, "Message-ID"), format!("<{}@elmstreet.example>", header(&mail, "X-Punctual-Ref")));
}

#[test]
fn every_message_is_fit_for_the_wire() {
    for practice in ["Elm Street Counseling", "Clínica de la Calle del Olmo\r\nBcc: x@example.com", "歐陽診所"] {
        let renderer =
            Renderer::new(Settings { practice_name: practice.to_owned(), from_name: practice.to_owned(), ..settings() }).unwrap();
        for locale in LOCALES {
            for (_, occasion, meet_now) in kinds() {
                for name in NAMES {
                    let mut case = Case::new(occasion, locale);
                    case.meet_now = meet_now;
                    case.session.participants[1].name = PersonName::clean(name);
                    assert_fit_for_the_wire(bytes(&case.render(&renderer).unwrap()));
                }
            }
        }
    }
}

#[test]
fn whatever_a_name_is_the_bytes_are_fit_and_hold_it() {
    let renderer = Renderer::new(settings()).unwrap();
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) });
    let input = ("\\PC{0,130}", any::<String>(), 0..LOCALES.len());
    runner
        .run(&input, |(name, host, locale)| {
            let mut case = Case::new(Occasion::Reminder, LOCALES[locale]);
            case.session.participants[1].name = PersonName::clean(&name);
            case.session.participants[0].name = PersonName::clean(&host);
            let rendered = case.render(&renderer).unwrap();
            assert_fit_for_the_wire(bytes(&rendered));
            let mail = mailparse::parse_mail(bytes(&rendered)).unwrap();
            let text = mail.subparts[0].get_body().unwrap();
            prop_assert!(text.contains(case.session.participants[1].name.expose()));
            prop_assert!(text.contains(case.session.participants[0].name.expose()));
            let to = mailparse::addrparse_header(mail.headers.get_first_header("To").unwrap()).unwrap().extract_single_info().unwrap();
            prop_assert_eq!(to.addr, "trevor@geemail.com");
            Ok(())
        })
        .unwrap();
}

#[test]
fn headers_say_who_what_and_when() {
    let renderer = Renderer::new(settings()).unwrap();
    let mut case = Case::new(Occasion::Invite, "fr-CA");
    case.session.participants[1].name = PersonName::clean("Zoë O'Neil, 2nd");
    let rendered = case.render(&renderer).unwrap();
    let mail = mailparse::parse_mail(bytes(&rendered)).unwrap();
    let Parts::Email { message_id, subject, .. } = &rendered.parts else { panic!("an e-mail") };
    for (name, value) in [
        ("From", "Elm Street Counseling <sessions@elmstreet.example>"),
        ("Subject", "Votre séance vidéo : mer. 16 avr., 11 h HAE"),
        ("Date", "Mon, 14 Apr 2014 12:00:00 +0000"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("Content-Language", "fr-CA"),
        ("MIME-Version", "1.0"),
        ("Message-ID", message_id.as_str()),
    ] {
        assert_eq!(header(&mail, name).replace('"', ""), value);
    }
    assert_eq!(header(&mail, "Subject"), *subject);
    let to = mailparse::addrparse_header(mail.headers.get_first_header("To").unwrap()).unwrap().extract_single_info().unwrap();
    assert_eq!((to.display_name.as_deref(), to.addr.as_str()), (Some("Zoë O'Neil, 2nd"), "trevor@geemail.com"));
    assert_eq!(*message_id, format!("<{}@elmstreet.example>", rendered.message.reference));
    assert_eq!(rendered.message.reference.len(), 32);
    let Content::Email { from, to, .. } = &rendered.message.content else { panic!("an e-mail") };
    assert_eq!((from.expose(), to.expose()), ("sessions@elmstreet.example", "trevor@geemail.com"));
}

#[test]
fn the_parts_are_what_preview_shows_plainest_first() {
    let renderer = Renderer::new(settings()).unwrap();
    let rendered = Case::new(Occasion::Invite, "es-US").render(&renderer).unwrap();
    let mail = mailparse::parse_mail(bytes(&rendered)).unwrap();
    assert_eq!(mail.ctype.mimetype, "multipart/alternative");
    let kinds: Vec<&str> = mail.subparts.iter().map(|p| p.ctype.mimetype.as_str()).collect();
    assert_eq!(kinds, ["text/plain", "text/html", "text/calendar"]);
    let (_, text, html) = email(&rendered);
    let same = |part: &ParsedMail<'_>, shown: &str| assert_eq!(part.get_body().unwrap().replace("\r\n", "\n").trim_end(), shown.trim_end());
    same(&mail.subparts[0], text);
    same(&mail.subparts[1], html);
}

#[test]
fn the_same_inputs_give_the_same_bytes_and_the_clock_only_moves_the_date() {
    let case = Case::new(Occasion::Reminder, "en-US");
    let one = case.render(&Renderer::new(settings()).unwrap()).unwrap();
    let two = case.render(&Renderer::new(settings()).unwrap()).unwrap();
    assert_eq!(bytes(&one), bytes(&two));
    let later = Case { now: at("2014-04-15T15:00:01Z"), ..case };
    let later = later.render(&Renderer::new(settings()).unwrap()).unwrap();
    assert_eq!(later.message.reference, one.message.reference);
    assert_ne!(bytes(&later), bytes(&one));
}

#[test]
fn the_message_id_is_the_notices_and_keyed() {
    let of = |case: &Case, settings| case.render(&Renderer::new(settings).unwrap()).unwrap().message.reference;
    let (invite, reminder) = (Case::new(Occasion::Invite, "en-US"), Case::new(Occasion::Reminder, "en-US"));
    assert_ne!(of(&invite, settings()), of(&reminder, settings()));
    assert_ne!(of(&invite, settings()), of(&invite, Settings { reference_key: [8; 32], ..settings() }));
    let key = invite.render(&Renderer::new(settings()).unwrap()).unwrap().message.key.to_string();
    assert!(!of(&invite, settings()).contains(&key[..8]));
}

#[test]
fn the_html_is_light_accessible_and_takes_nothing_from_elsewhere() {
    let renderer = Renderer::new(settings()).unwrap();
    for locale in LOCALES {
        for (kind, occasion, meet_now) in kinds() {
            let mut case = Case::new(occasion, locale);
            case.meet_now = meet_now;
            let rendered = case.render(&renderer).unwrap();
            let (_, text, html) = email(&rendered);
            assert!(html.len() < 20_000, "{locale}/{kind}: {} bytes", html.len());
            assert!(html.contains(&format!("<html lang=\"{locale}\"")));
            for outside in ["<img", "<link", "<script", "@import", "url(", "http://"] {
                assert!(!html.contains(outside), "{locale}/{kind}: {outside}");
            }
            assert_eq!(html.matches("<table").count(), html.matches("<table role=\"presentation\"").count());
            for space in ['\u{202F}', '\u{00A0}', '\u{2009}'] {
                assert!(!html.contains(space) && !text.contains(space), "{locale}/{kind}: {space:?}");
            }
            let joins = usize::from(occasion != Occasion::Cancelled);
            assert_eq!(html.matches("class=\"button\" href=").count(), joins, "{locale}/{kind}");
        }
    }
}

#[test]
fn the_time_is_the_recipients_and_says_when_it_is_not() {
    let renderer = Renderer::new(settings()).unwrap();
    let mut case = Case::new(Occasion::Invite, "en-US");
    let text = |case: &Case| email(&case.render(&renderer).unwrap()).1.to_owned();
    assert!(text(&case).contains("Wednesday, April 16, 2014\n      11:00 AM Eastern Daylight Time\n"));
    case.zone = zone("Pacific Standard Time");
    assert!(text(&case).contains("8:00 AM Pacific Daylight Time\n"));
    case.zone.fallback = true;
    assert!(text(&case).contains("8:00 AM Pacific Daylight Time (time zone of the practice)\n"));
    let html = case.render(&renderer).unwrap();
    assert!(email(&html).2.contains("(time zone of the practice)"));
    case.zone = zone("Eastern Standard Time");
    case.session.start = at("2026-11-01T06:30:00Z");
    assert!(text(&case).contains("1:30 AM Eastern Standard Time (UTC-5)\n"));
    case.zone = zone("America/Vancouver");
    case.session.start = at("2027-01-15T18:00:00Z");
    assert!(text(&case).contains("11:00 AM Vancouver Time (UTC-7)\n"));
}

#[test]
fn a_deposit_and_the_end_of_a_pass_are_told() {
    let renderer = Renderer::new(settings()).unwrap();
    let mut case = Case { participant: 18784, ..Case::new(Occasion::Invite, "en-US") };
    case.session.participants[2].expires_at = Some(at("2014-04-16T21:00:00Z"));
    for (locale, deposit, pass) in [
        ("en-US", "$20.00", "Wednesday, April 16, 2014, 5:00 PM Eastern Daylight Time"),
        ("es-US", "$20.00", "miércoles 16 de abril de 2014, 5:00 p.m., hora de verano oriental"),
        ("fr-CA", "20,00 $ US", "mercredi 16 avril 2014, 17 h, heure avancée de l’Est"),
    ] {
        case.locale = Some(locale);
        let rendered = case.render(&renderer).unwrap();
        let (_, text, html) = email(&rendered);
        assert!(text.contains(deposit) && text.contains(pass), "{text}");
        assert!(html.contains(deposit) && html.contains(pass), "{html}");
    }
}

#[test]
fn a_host_hosts_and_is_told_no_names_unless_the_practice_says_so() {
    for shown in [false, true] {
        let renderer = Renderer::new(Settings { show_participant_names_to_host: shown, ..settings() }).unwrap();
        for locale in LOCALES {
            for (kind, occasion, meet_now) in kinds() {
                let mut case = Case { participant: 18619, ..Case::new(occasion, locale) };
                case.meet_now = meet_now;
                let rendered = case.render(&renderer).unwrap();
                let (_, text, html) = email(&rendered);
                for part in [text, html] {
                    assert_eq!(part.contains("Trevor"), shown, "{locale}/{kind}: {part}");
                    assert_eq!(part.contains("Ray Chalk"), shown, "{locale}/{kind}: {part}");
                }
                let to_trevor = Case { participant: 18620, ..case }.render(&renderer).unwrap();
                assert_ne!(email(&to_trevor).1.replace("Trevor", ""), text.replace("A. MacGuffin", ""));
                assert!(!email(&to_trevor).1.contains("Ray Chalk"));
            }
        }
    }
}

#[test]
fn a_renderer_is_shared_by_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let renderer = Renderer::new(settings()).unwrap();
    shared(&renderer);
    let expected = bytes(&Case::new(Occasion::Invite, "fr-CA").render(&renderer).unwrap()).to_vec();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(bytes(&Case::new(Occasion::Invite, "fr-CA").render(&renderer).unwrap()), expected);
                }
            });
        }
    });
}
