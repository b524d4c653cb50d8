//! The gate fires: whatever of another person a template shows, wherever and however, nothing goes out.

use proptest::prelude::*;
use punctual::contact::{ConnectCode, Passkey, PersonName};
use punctual::notice::Occasion;
use punctual::render::{RenderError, Renderer};
use punctual::session::{ParticipationId, RawContact, Unread};

use super::{Case, settings, templates::with_templates};

/// Ray Chalk's, in a message to Trevor.
const STRANGE_CODE: &str = "347409115";
const PASSKEY: &str = "9BFF60DF-2fe6-4c33-9b49-0123456789ab";

fn case(sms: bool) -> Case {
    let mut case = Case::new(Occasion::Invite, "en-US");
    case.sms = sms;
    case.session.participants[2].passkey = Passkey::parse(PASSKEY).unwrap();
    case.session.participants[2].sms_number = RawContact("13125550199".to_owned());
    case.session.unread = [("516273849", Some(ParticipationId(18999))), ("627384951", None)]
        .map(|(code, id)| Unread { id, code: ConnectCode::parse(code), ..Unread::default() })
        .to_vec();
    case
}

fn leak(result: Result<punctual::render::Rendered, RenderError>) -> String {
    match result {
        Err(RenderError::Leak { what }) => what,
        Err(other) => panic!("expected a leak, got {other}"),
        Ok(_) => panic!("expected a leak, and it passed"),
    }
}

#[test]
fn what_a_template_shows_of_others_never_leaves() {
    const CODE: &str = "the connect code of another participant (18784)";
    const KEY: &str = "the passkey of another participant (18784)";
    const MAIL: &str = "the e-mail address of another participant (18784)";
    const NUMBER: &str = "the telephone number of another participant (18784)";
    for (file, shown, what) in [
        ("body.txt", "347409115", CODE),
        ("body.txt", "347-409-115", CODE),
        ("body.txt", "347 409 115", CODE),
        ("body.txt", "347.409.115", CODE),
        ("body.txt", "(347) 409\n115", CODE),
        ("body.txt", "0347409115", CODE),
        ("body.txt", "378174671347409115", CODE),
        ("body.txt", "https://x.example/%33%34%37409115", CODE),
        ("body.txt", "３４７４０９１１５", CODE),
        ("body.txt", "701-678-455", "the connect code of the host (18619)"),
        ("body.txt", "981342223", "the connect code of the session itself"),
        ("body.txt", "516-273-849", "the connect code of a participant whose record is at fault (18999)"),
        ("body.txt", "627384951", "the connect code of a participant whose record is at fault"),
        ("body.html", "<b>347</b><i>409</i>115", CODE),
        ("body.html", "<!-- 347409115 -->", CODE),
        ("body.html", "347&#45;409&#x2D;115", CODE),
        ("body.html", "&#51;47409115", CODE),
        ("body.html", "347&nbsp;409&shy;115", CODE),
        ("body.html", "<a href=\"https://x.example/347409115\">x</a>", CODE),
        ("body.html", "rc<b></b>@anotheremail.com", MAIL),
        ("body.html", "<a href=\"mailto:rc%40anotheremail.com\">x</a>", MAIL),
        ("body.html", "9bff60df2fe64c339b490123456789ab", KEY),
        ("subject.txt", "Séance 347-409-115", CODE),
        ("subject.txt", "RC@AnotherEmail.com", MAIL),
        ("body.txt", "?passkey=9bff60df-2FE6-4c33-9b49-0123456789AB", KEY),
        ("body.txt", "(312) 555-0199", NUMBER),
        ("body.txt", "+1 312 555 0199", NUMBER),
        ("body.txt", "write to rc@anotheremail.com.", MAIL),
        ("../calendar/description.txt", "a long line to be folded, so that the code is split in two: 347-409-115", CODE),
        ("../calendar/summary.txt", "347409115", CODE),
        ("sms.txt", "347409115", CODE),
        ("sms.txt", "347-409-115", CODE),
        ("sms.txt", "rc@anotheremail.com", MAIL),
        ("sms.txt", "3125550199", NUMBER),
    ] {
        let path = format!("en-US/invite/{file}").replace("invite/../", "");
        // As a value; a code and a passkey, too, as somebody pasted it into the template.
        let (_dir, settings) = with_templates(&[(&path, "{{ session.topic | safe }}")]);
        let mut case = case(file == "sms.txt");
        case.session.topic = shown.to_owned();
        assert_eq!(leak(case.render(&Renderer::new(settings).unwrap())), what, "{path}: {shown}");
        if ![MAIL, NUMBER].contains(&what) {
            let (_dir, settings) = with_templates(&[(&path, shown)]);
            assert_eq!(leak(case.render(&Renderer::new(settings).unwrap())), what, "{path}: {shown}");
        }
    }
}

#[test]
fn what_is_the_recipients_own_or_the_practices_passes() {
    for (file, shown) in [
        ("body.txt", "378174671 378-174-671 378 174 671 trevor@geemail.com (404) 555-0133"),
        ("body.txt", "347409 116 34740911x5 347409116 47409115"),
        ("body.txt", "src@anotheremail.com rc@anotheremail.com.au rc@anotheremail.community"),
        ("body.txt", "+1 (555) 555-0142 sessions@elmstreet.example desk@elmstreet.example"),
        ("body.html", "<b>378</b>174<i>671</i> <a href=\"tel:4045550133\">x</a>"),
        ("sms.txt", "378-174-671378174671 4045550133"),
    ] {
        let (_dir, settings) = with_templates(&[(&format!("en-US/invite/{file}"), shown)]);
        let renderer = Renderer::new(settings).unwrap();
        let rendered = case(file == "sms.txt").render(&renderer);
        assert!(rendered.is_ok(), "{shown}: {:?}", rendered.err());
    }
}

#[test]
fn a_practice_of_one_person_may_show_its_own_address_and_number() {
    let mut settings = settings();
    settings.practice_contact = "Call (312) 555-0142 or 555-0143, or write to A.MacGuffin@example.com.".to_owned();
    let mut case = case(false);
    case.session.participants[0].email = RawContact("Sessions@elmstreet.example".to_owned());
    case.session.participants[0].sms_number = RawContact("13125550142".to_owned());
    let renderer = Renderer::new(settings).unwrap();
    assert!(case.render(&renderer).is_ok());
    case.session.participants[0].email = RawContact("a.macguffin@example.com".to_owned());
    assert!(case.render(&renderer).is_ok());
}

#[test]
fn the_own_code_beside_other_digits_makes_up_nobody_elses() {
    let (_dir, renderer) = showing_its_topic();
    let mut case = case(false);
    for (other, shown, passes) in [
        ("174671378", "378174671 378-174-671", true),
        ("671201437", "378-174-671 2014-37", true),
        ("137817467", "1378174671", false),
        ("781746710", "3781746710", false),
    ] {
        case.session.participants[2].code = ConnectCode::parse(other);
        case.session.topic = shown.to_owned();
        assert_eq!(case.render(&renderer).is_ok(), passes, "{shown}");
    }
}

/// A passkey that is a word which stands in the message anyway silences nobody; in a link it is one.
#[test]
fn a_passkey_that_is_a_word_of_the_message_holds_nothing() {
    let (_dir, renderer) = showing_its_topic();
    let mut case = case(false);
    case.session.topic = "Motivational interviewing".to_owned();
    let date = case.session.start.format("%A %B").to_string();
    let words: Vec<&str> = date.split(' ').chain(["Motivational", "interviewing"]).collect();
    let mut long = 0;
    for word in words {
        case.session.participants[2].passkey = Passkey::parse(word).unwrap();
        assert!(case.render(&renderer).is_ok(), "{word}");
        long += usize::from(word.len() >= 8);
        let topic = std::mem::replace(&mut case.session.topic, format!("https://example.com/join?passkey={word}"));
        assert_eq!(leak(case.render(&renderer)), "the passkey of another participant (18784)", "{word}");
        case.session.topic = topic;
    }
    assert!(long >= 2, "short ones are looked for in links in any case");
}

/// Whoever writes the day or the zone into the field of their own name keeps nobody from their message.
#[test]
fn a_name_of_the_words_that_say_when_silences_nobody() {
    let renderer = Renderer::new(settings()).unwrap();
    let mut said = 0;
    for name in ["Wednesday April", "April 16", "Eastern Daylight", "Daylight Time", "AM Eastern", "Eastern Daylight Time"] {
        for sms in [false, true] {
            let mut case = case(sms);
            case.session.participants[2].name = PersonName::clean(name);
            let rendered = case.render(&renderer).unwrap_or_else(|e| panic!("{name}: {e}"));
            let bytes = rendered.message.content.bytes().to_vec();
            said += usize::from(String::from_utf8(bytes).unwrap().contains(name));
        }
    }
    assert!(said >= 3, "the messages say such words: {said}");
    // And no more than those.
    let (_dir, renderer) = showing_its_topic();
    let mut case = case(false);
    case.session.participants[2].name = PersonName::clean("April Daylight");
    case.session.topic = "with April Daylight".to_owned();
    assert_eq!(leak(case.render(&renderer)), "the name of another participant (18784)");
}

/// Where a value ends and the template goes on, words stand beside each other that nobody wrote: whoever is called so silences nobody.
#[test]
fn a_name_that_the_template_makes_up_silences_nobody() {
    let renderer = Renderer::new(super::settings()).unwrap();
    for (name, me) in [("Time With", "Mallory"), ("Hello Mallory", "Mallory"), ("Hi Mallory", "Mallory"), ("Mallory Your", "Mallory")] {
        for sms in [false, true] {
            let mut case = case(sms);
            case.session.participants[1].name = PersonName::clean(me);
            case.session.participants[2].name = PersonName::clean(name);
            assert!(case.render(&renderer).is_ok(), "{name}");
        }
    }
}

/// Everybody meets the host, whatever a patient is called.
#[test]
fn a_hosts_name_that_holds_a_patients_silences_nobody() {
    let shown = "With {{ session.host_name }}: {{ session.topic }}";
    let files = ["subject.txt", "body.txt", "body.html", "sms.txt"].map(|file| (format!("en-US/invite/{file}"), shown));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, shown)| (path.as_str(), *shown)).collect();
    let (_dir, settings) = with_templates(&files);
    let renderer = Renderer::new(settings).unwrap();
    for (host, patient, topic, passes) in [
        ("John Smith, PhD", "John Smith", "", true),
        ("John Smith, Ph.D., LCSW", "John Smith", "", true),
        ("Dr. Mary Ann Smith", "Mary Ann", "", true),
        ("Prof. Dr. Juan de la Cruz", "Juan de la Cruz", "", true),
        ("Smith, John, M.D.", "John Smith", "", true),
        ("Siobhán O'Brien-Doe (she/her)", "Siobhán O'Brien-Doe", "", true),
        ("John Smith, PhD", "John Smith", "John Smith comes, too", false),
        ("John Smith, PhD", "John Smith", "with John Smith, PhD", true),
        ("Dr. John Smith", "Jane Smith", "Jane Smith comes, too", false),
        ("Kay Smith | Elm Clinic", "Kay Smith", "", true),
        ("kay smith, lcsw", "Kay Smith", "", true),
        ("Kay Smith - Therapist", "Kay Smith", "", true),
        ("Kay Smith #2", "Kay Smith", "", true),
        ("Kay Smith & Bob Jones", "Kay Smith", "", true),
        ("Kay Smith (Licensed Clinical Social Worker)", "Kay Smith", "", true),
        ("Kay Smith | Elm Clinic", "Kay Smith", "Kay Smith comes, too", true),
        ("Dr. Kay | Jane Smith", "Jane Smith", "", false),
        ("Group of Jane Smith and others", "Jane Smith", "", false),
        ("today Jane Smith", "Jane Smith", "", false),
    ] {
        for sms in [false, true] {
            let mut case = case(sms);
            case.session.participants[0].name = PersonName::clean(host);
            case.session.participants[2].name = PersonName::clean(patient);
            case.session.topic = topic.to_owned();
            assert_eq!(case.render(&renderer).is_ok(), passes, "{host}, {patient}: {topic}");
        }
    }
}

#[test]
fn wherever_a_calendar_line_is_folded_an_address_is_found() {
    let shown = "{{ session.topic }}";
    let (_dir, settings) = with_templates(&[("en-US/calendar/description.txt", shown)]);
    let renderer = Renderer::new(settings).unwrap();
    for padding in 0..80 {
        let mut case = case(false);
        case.session.topic = format!("{},rc@anotheremail.com", "x".repeat(padding));
        assert_eq!(leak(case.render(&renderer)), "the e-mail address of another participant (18784)", "{padding}");
    }
}

#[test]
fn an_error_names_the_kind_and_never_the_thing() {
    let (_dir, settings) = with_templates(&[("en-US/invite/body.txt", "347-409-115")]);
    let error = case(false).render(&Renderer::new(settings).unwrap()).unwrap_err().to_string();
    assert_eq!(error, "the message would have shown the connect code of another participant (18784)");
    assert!(!error.contains("347") && !error.contains(STRANGE_CODE));
}

/// How a code may be written into a message.
fn written(code: &str, style: u8) -> String {
    let (a, b, c) = (&code[..3], &code[3..6], &code[6..]);
    match style % 6 {
        0 => code.to_owned(),
        1 => format!("{a}-{b}-{c}"),
        2 => format!("{a} {b} {c}"),
        3 => format!("{a}.{b}.{c}"),
        4 => format!("{a}\u{2011}{b}\u{2011}{c}"),
        _ => code.chars().map(String::from).collect::<Vec<_>>().join(" "),
    }
}

fn showing_its_topic() -> (tempfile::TempDir, Renderer) {
    let shown = "{{ session.topic }} {{ recipient.code }} {{ recipient.join_url }}";
    let files = ["subject.txt", "body.txt", "body.html", "sms.txt"].map(|file| (format!("en-US/invite/{file}"), shown));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, shown)| (path.as_str(), *shown)).collect();
    let (dir, settings) = with_templates(&files);
    (dir, Renderer::new(settings).unwrap())
}

#[test]
fn another_participants_code_is_always_caught_and_the_own_one_never() {
    let (_dir, renderer) = showing_its_topic();
    let codes = (1u32..1_000_000_000).prop_map(|n| format!("{n:09}"));
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) });
    let input = (codes.clone(), codes, 0..6u8, "[a-zA-Z ,:/=]{0,12}", "[a-zA-Z ,:/?]{0,12}", any::<bool>());
    runner
        .run(&input, |(own, other, style, before, after, sms)| {
            prop_assume!(own != other);
            let mut case = case(sms);
            case.session.participants[1].code = ConnectCode::parse(&own);
            case.session.participants[2].code = ConnectCode::parse(&other);
            case.session.topic = format!("{before}{}{after}", written(&other, style));
            prop_assert!(matches!(case.render(&renderer), Err(RenderError::Leak { .. })), "{}", case.session.topic);
            case.session.topic = format!("{before}{}{after}", written(&own, style));
            prop_assert!(case.render(&renderer).is_ok(), "{}", case.session.topic);
            Ok(())
        })
        .unwrap();
}
