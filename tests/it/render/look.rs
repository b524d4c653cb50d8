//! A practice's own look: its logo goes with the message, its colour, its footer and its link to try a camera are in all languages.

use mailparse::{MailHeaderMap, ParsedMail};
use punctual::notice::Occasion;
use punctual::render::look::{Color, Logo, MailLook};
use punctual::render::{RenderError, Renderer, Settings};

use super::templates::with_templates;
use super::{Case, LOCALES, at, bytes, email, golden, kinds, settings};

const LOGO: &[u8] = include_bytes!("logo.png");
const CAMERA: &str = "https://elmstreet.example/camera";

pub(super) fn own_look() -> MailLook {
    MailLook {
        logo: Some(Logo::read(LOGO.to_vec()).unwrap().into()),
        color: Some(Color::parse("#7a1fa2").unwrap()),
        footer: vec!["12 Elm Street, Springfield".to_owned(), "Licensed since 1998".to_owned()],
        camera_test: Some(CAMERA.to_owned()),
    }
}

fn renderer() -> Renderer {
    Renderer::new(Settings { look: own_look(), ..settings() }).unwrap()
}

/// The parts of a mail, however deep: type and Content-ID.
fn leaves<'a>(mail: &'a ParsedMail<'a>, found: &mut Vec<(&'a ParsedMail<'a>, String)>) {
    if mail.subparts.is_empty() {
        found.push((mail, mail.ctype.mimetype.clone()));
    }
    mail.subparts.iter().for_each(|part| leaves(part, found));
}

#[test]
fn a_practice_has_a_look_of_its_own() {
    let renderer = renderer();
    assert_eq!(renderer.lint(), Vec::<String>::new());
    for locale in LOCALES {
        for (kind, occasion, meet_now) in kinds() {
            let mut case = Case::new(occasion, locale);
            if meet_now {
                (case.meet_now, case.now) = (true, case.session.start);
            }
            let rendered = case.render(&renderer).unwrap();
            let (_, text, html) = email(&rendered);
            assert!(html.contains("cid:logo@elmstreet.example") && html.contains("alt=\"Elm Street Counseling\""), "{locale}/{kind}");
            assert!(!html.contains("#0b666c") && !html.contains("#6cc5cb"), "{locale}/{kind}: the colour is theirs alone");
            for part in [text, html] {
                assert!(part.contains("12 Elm Street, Springfield") && part.contains("Licensed since 1998"), "{locale}/{kind}");
                let links = matches!(kind.as_str(), "invite" | "reminder" | "rescheduled" | "updated");
                let part = html_escape::decode_html_entities(part);
                assert_eq!(part.contains(CAMERA), links, "{locale}/{kind}: who joins later can try the camera");
            }
            // As a mail program takes it apart: the picture stands beside the page that shows it.
            let mail = mailparse::parse_mail(bytes(&rendered)).unwrap();
            let mut found = Vec::new();
            leaves(&mail, &mut found);
            let types: Vec<&str> = found.iter().map(|(_, kind)| kind.as_str()).collect();
            assert_eq!(types, ["text/plain", "text/html", "image/png", "text/calendar"], "{locale}/{kind}");
            let picture = found[2].0;
            assert_eq!(picture.get_body_raw().unwrap(), LOGO);
            assert_eq!(picture.headers.get_first_value("Content-ID").unwrap(), "<logo@elmstreet.example>");
            assert_eq!(mail.subparts[1].ctype.mimetype, "multipart/related");
            if kind == "rescheduled" {
                golden(&format!("{locale}/look.html"), html.as_bytes());
                golden(&format!("{locale}/look.txt"), text.as_bytes());
            }
        }
    }
}

/// Whoever reads the mail on a page of ours sees the picture, too.
#[test]
fn a_page_shows_the_logo_that_the_message_holds() {
    let renderer = renderer();
    let rendered = Case::new(Occasion::Invite, "en-US").render(&renderer).unwrap();
    let shown = renderer.pictured(email(&rendered).2);
    assert!(shown.contains("src=\"data:image/png;base64,iVBOR") && !shown.contains("cid:"), "{shown}");
}

#[test]
fn a_moved_session_says_the_time_that_held() {
    let renderer = Renderer::new(settings()).unwrap();
    for (locale, date, time) in [
        ("en-US", "Tuesday, April 15, 2014", "1:00 PM"),
        ("es-US", "martes 15 de abril de 2014", "1:00 p.m."),
        ("de-DE", "Dienstag, 15. April 2014", "13:00"),
    ] {
        for (occasion, says) in [(Occasion::Rescheduled, true), (Occasion::Updated, false), (Occasion::Cancelled, false)] {
            let rendered = Case::new(occasion, locale).render(&renderer).unwrap();
            let (_, text, html) = email(&rendered);
            let line = |part: &str| part.lines().any(|line| line.contains(date) && line.replace('\u{a0}', " ").contains(time));
            assert_eq!((line(text), line(html)), (says, says), "{locale} {occasion}: {text}");
        }
    }
}

/// The picture is passed for what it is; what stands beside it is looked at as ever.
#[test]
fn what_is_hidden_beside_the_logo_is_found() {
    let page = "<img src=\"{{ practice.logo }}\">{{ session.topic }} {{ recipient.join_url }} {{ recipient.code }}";
    let (_dir, settings) = with_templates(&[("en-US/invite/body.html", page)]);
    let renderer = Renderer::new(Settings { look: own_look(), ..settings }).unwrap();
    let mut case = Case::new(Occasion::Invite, "en-US");
    assert!(case.render(&renderer).is_ok());
    case.session.topic = "347 409 115".to_owned();
    assert!(matches!(case.render(&renderer), Err(RenderError::Leak { .. })), "Ray's code");
}

/// The footer stands in every message: a patient who is called as its lines read keeps nobody's mail back.
#[test]
fn a_footer_holds_nobodys_mail() {
    let footer = vec!["Desk: Robin".to_owned(), "Gondor Building".to_owned()];
    let (_dir, settings) = with_templates(&[("en-US/invite/subject.txt", "{{ session.topic }}")]);
    let renderer = Renderer::new(Settings { look: MailLook { footer, ..own_look() }, ..settings }).unwrap();
    let mut case = Case::new(Occasion::Invite, "en-US");
    case.session.participants[2].name = punctual::contact::PersonName::clean("Robin Gondor");
    assert!(case.render(&renderer).is_ok());
    case.session.topic = "With Robin Gondor".to_owned();
    assert!(case.render(&renderer).is_ok(), "everybody reads that name");
    case.session.topic = "347 409 115".to_owned();
    assert!(matches!(case.render(&renderer), Err(RenderError::Leak { .. })), "Ray's code");
}

/// A template of one's own that shows no logo has none to carry.
#[test]
fn a_logo_that_no_page_shows_is_not_sent() {
    let (_dir, settings) =
        with_templates(&[("en-US/invite/body.html", "{{ recipient.join_url }} {{ recipient.code }} {{ session.time }}")]);
    let renderer = Renderer::new(Settings { look: own_look(), ..settings }).unwrap();
    let mut case = Case::new(Occasion::Invite, "en-US");
    case.now = at("2014-04-14T12:00:00Z");
    let rendered = case.render(&renderer).unwrap();
    assert!(!String::from_utf8_lossy(bytes(&rendered)).contains("image/png"));
}
