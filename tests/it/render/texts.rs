//! Text messages: what fits, what is shortened, and what never is.

use punctual::contact::{Passkey, PersonName};
use punctual::message::SmsEncoding;
use punctual::notice::Occasion;
use punctual::render::{Number, Parts, RenderError, Renderer, Settings};
use punctual::session::Rsvp;

use super::{Case, LOCALES, kinds, settings, sms, templates::with_templates};

#[test]
fn the_vendors_example_fits_one_segment_in_every_language() {
    let renderer = Renderer::new(settings()).unwrap();
    for locale in LOCALES {
        for (kind, occasion, meet_now) in kinds() {
            let mut case = Case { sms: true, ..Case::new(occasion, locale) };
            case.meet_now = meet_now;
            let rendered = case.render(&renderer).unwrap();
            assert_eq!((sms(&rendered).1, sms(&rendered).2), (SmsEncoding::Gsm7, 1), "{locale}/{kind}: {}", sms(&rendered).0);
        }
    }
}

/// The text of each kind in each language, the first to a number that two share, where answers are read.
fn first_texts(settings: Settings) -> Vec<(&'static str, String, String)> {
    let renderer = Renderer::new(settings).unwrap();
    let mut texts = Vec::new();
    for locale in LOCALES {
        for (kind, occasion, meet_now) in kinds() {
            let number = Number { answered: false, shared: true };
            let mut case = Case { sms: true, number, ..Case::new(occasion, locale) };
            case.meet_now = meet_now;
            let rendered = case.render(&renderer).unwrap_or_else(|e| panic!("{locale}/{kind}: {e}"));
            let (text, encoding, segments) = sms(&rendered);
            assert!(encoding == SmsEncoding::Gsm7 && segments <= 2, "{locale}/{kind}: {segments} of {text}");
            texts.push((locale, kind, text.to_owned()));
        }
    }
    texts
}

#[test]
fn the_first_text_says_who_how_to_stop_and_whom_to_call() {
    for (locale, kind, text) in first_texts(Settings { replies_read: true, ..settings() }) {
        println!("{locale}/{kind}: {text}");
        assert!(text.starts_with("Elm Street Counseling"), "{text}");
        assert!(text.contains("STOP") && text.matches("(555) 555-0142").count() == 1 && text.contains("Trevor"), "{text}");
        let words = ["Reply Y to", "Responda SI para", "Répondez OUI pour", "JA antworten", "Responda SIM para"];
        let asks = words.iter().any(|asks| text.contains(asks));
        assert_eq!(asks, kind == "invite", "{text}");
    }
}

#[test]
fn who_answered_and_who_has_a_number_of_their_own_is_told_the_news_alone() {
    let renderer = Renderer::new(settings()).unwrap();
    let mut case = Case { sms: true, ..Case::new(Occasion::Invite, "en-US") };
    assert!(sms(&case.render(&renderer).unwrap()).0.ends_with("Code: 378-174-671"));
    case.number = Number { answered: false, shared: false };
    let first = case.render(&renderer).unwrap();
    assert!(sms(&first).0.ends_with("Code: 378-174-671. Reply STOP to opt out. Questions? (555) 555-0142"), "{}", sms(&first).0);
    assert!(!sms(&first).0.contains("Trevor"));
    let asks = Renderer::new(Settings { replies_read: true, ..settings() }).unwrap();
    case.number.answered = true;
    assert!(sms(&case.render(&asks).unwrap()).0.ends_with("Code: 378-174-671. Reply Y to confirm."));
    case.session.participants[1].rsvp = Rsvp::Confirmed;
    assert!(sms(&case.render(&asks).unwrap()).0.ends_with("Code: 378-174-671"));
}

#[test]
fn the_short_name_stands_in_texts() {
    let settings =
        Settings { short_name: Some("Elm St".to_owned()), practice_name: "Elm Street STOP Smoking of Palo ALTO".to_owned(), ..settings() };
    for (_, _, text) in first_texts(settings.clone()) {
        assert!(text.starts_with("Elm St") && !text.contains("Smoking") && text.contains("STOP"), "{text}");
    }
    for (_, _, text) in first_texts(Settings { short_name: None, ..settings }) {
        assert_eq!(text.matches("STOP").count(), 2, "its own name says not how to stop: {text}");
    }
    let mail = Case::new(Occasion::Invite, "en-US").render(&Renderer::new(super::settings()).unwrap()).unwrap();
    assert!(super::email(&mail).1.contains("Elm Street Counseling"));
}

#[test]
fn what_a_template_of_ones_own_says_is_not_said_again() {
    let call = "{{ practice.name }}: {{ recipient.code }} Text STOP to end these. Call {{ practice.contact }}";
    for (source, wanted) in [
        (call, "Trevor: Elm Street Counseling: 378-174-671 Text STOP to end these. Call (555) 555-0142"),
        (
            "Hi {{ recipient.first_name }}! {{ recipient.code }}",
            "Elm Street Counseling: Hi Trevor! 378-174-671. Reply STOP to opt out. Questions? (555) 555-0142",
        ),
        (
            "{{ recipient.join_url }}",
            "Elm Street Counseling: Trevor: https://hub.securevideo.com/Pass/Join/378174671 Reply STOP to opt out. Questions? (555) 555-0142",
        ),
    ] {
        let (_dir, settings) = with_templates(&[("en-US/reminder/sms.txt", source)]);
        let number = Number { answered: false, shared: true };
        let case = Case { sms: true, number, ..Case::new(Occasion::Reminder, "en-US") };
        assert_eq!(sms(&case.render(&Renderer::new(settings).unwrap()).unwrap()).0, wanted);
    }
}

#[test]
fn whom_to_call_gives_way_and_how_to_stop_does_not() {
    let contact =
        "the front desk of Elm Street Counseling, Monday to Friday from nine to five, (555) 555-0142 or desk@elmstreet.example, or come by";
    let settings = Settings { practice_contact: contact.to_owned(), ..settings() };
    let renderer = Renderer::new(settings).unwrap();
    let number = Number { answered: false, shared: false };
    let mut case = Case { sms: true, number, ..Case::new(Occasion::Invite, "en-US") };
    case.session.participants[1].passkey = Passkey::parse("9bff60df-2fe6-4c33-9b49-0123456789ab").unwrap();
    let rendered = case.render(&renderer).unwrap();
    assert!(sms(&rendered).0.ends_with("Code: 378-174-671. Reply STOP to opt out."), "{}", sms(&rendered).0);
    assert!(renderer.lint().iter().any(|problem| problem.contains("no room for practice.contact")), "check tells");
}

#[test]
fn a_name_in_another_alphabet_goes_before_the_ending() {
    let named =
        |short: Option<&str>| Settings { practice_name: "Клиника".to_owned(), short_name: short.map(str::to_owned), ..settings() };
    let number = Number { answered: false, shared: false };
    let case = Case { sms: true, number, ..Case::new(Occasion::Invite, "en-US") };
    let renderer = Renderer::new(named(None)).unwrap();
    let rendered = case.render(&renderer).unwrap();
    assert!(sms(&rendered).0.starts_with("Клиника: ") && sms(&rendered).2 == 2, "{}", sms(&rendered).0);
    assert!(renderer.lint().iter().any(|problem| problem.contains("no room for how to stop")), "check tells");
    let short = case.render(&Renderer::new(named(Some("Klinika"))).unwrap()).unwrap();
    assert!(sms(&short).0.starts_with("Klinika: ") && sms(&short).0.contains("STOP"), "{}", sms(&short).0);
}

#[test]
fn each_rule_may_have_its_own_limit() {
    let limits = [("24h".to_owned(), 1)].into();
    let renderer = Renderer::new(Settings { rule_segments: limits, ..settings() }).unwrap();
    let mut case = Case { sms: true, ..Case::new(Occasion::Reminder, "en-US") };
    case.session.participants[1].passkey = Passkey::parse("9bff60df-2fe6-4c33-9b49-0123456789ab").unwrap();
    assert!(matches!(case.render(&renderer), Err(RenderError::TooLong { limit: 1, .. })));
    let problems = renderer.lint();
    assert!(problems.iter().any(|p| p.contains("en-US/reminder") && p.contains("1 are allowed")), "{problems:?}");
    assert!(!problems.iter().any(|p| p.contains("en-US/invite")), "{problems:?}");
}

#[test]
fn whoever_has_an_account_joins_from_there() {
    let account = Some("https://hub.example.com/{{ session_id }}".to_owned());
    let renderer = Renderer::new(Settings { account_join_url: account, ..settings() }).unwrap();
    assert_eq!(renderer.lint(), [] as [&str; 0]);
    for is_sms in [true, false] {
        let mut case = Case { sms: is_sms, ..Case::new(Occasion::Invite, "en-US") };
        let link = |case: &Case| match case.render(&renderer).unwrap().parts {
            Parts::Sms { text, .. } | Parts::Email { text, .. } => text,
        };
        assert!(link(&case).contains("/Pass/Join/378174671"));
        case.session.participants[1].has_account = true;
        assert!(link(&case).contains("https://hub.example.com/9636") && !link(&case).contains("/Pass/Join/"), "{}", link(&case));
    }
    for wrong in ["ftp://hub.example.com", "{{ nothing }}", "hub"] {
        assert!(Renderer::new(Settings { account_join_url: Some(wrong.to_owned()), ..settings() }).is_err(), "{wrong}");
    }
}

#[test]
fn names_are_shortened_and_never_the_code_or_the_link() {
    for name in ["The Long and Winding Practice of ".repeat(4), "歐陽診所 ".repeat(20), "🏥".repeat(60), "مركز الرعاية ".repeat(9)]
    {
        let renderer = Renderer::new(Settings { practice_name: name.clone(), ..settings() }).unwrap();
        for locale in LOCALES {
            for (kind, occasion, meet_now) in kinds() {
                let mut case = Case { sms: true, ..Case::new(occasion, locale) };
                case.meet_now = meet_now;
                case.session.participants[1].passkey = Passkey::parse("9bff60df-2fe6-4c33-9b49-0123456789ab").unwrap();
                let rendered = case.render(&renderer).unwrap_or_else(|e| panic!("{locale}/{kind}: {e}"));
                let (text, _, segments) = sms(&rendered);
                assert!(segments <= 2, "{text}");
                if occasion != Occasion::Cancelled {
                    assert!(text.contains("378-174-671"), "{text}");
                    assert!(text.contains("/Pass/Join/378174671?passkey=9bff60df-2fe6-4c33-9b49-0123456789ab"), "{text}");
                }
            }
        }
    }
}

#[test]
fn accents_are_folded_only_where_that_gains_the_gsm_alphabet() {
    let shown = "{{ recipient.name }}: sábado, “où” l’été";
    let (_dir, settings) = with_templates(&[("en-US/invite/sms.txt", shown)]);
    let renderer = Renderer::new(settings).unwrap();
    let mut case = Case { sms: true, ..Case::new(Occasion::Invite, "en-US") };
    assert_eq!(sms(&case.render(&renderer).unwrap()), ("Trevor: sabado, \"où\" l'été", SmsEncoding::Gsm7, 1));
    case.session.participants[1].name = PersonName::clean("山田");
    assert_eq!(sms(&case.render(&renderer).unwrap()), ("山田: sábado, “où” l’été", SmsEncoding::Ucs2, 1));
}

#[test]
fn what_is_too_long_names_the_character_at_fault() {
    let long = "漢 {{ recipient.code }} ".to_owned() + &"x".repeat(130);
    for (source, error) in [
        (long.as_str(), "the text needs 3 segments (Ucs2), 2 are allowed; \"漢\" (U+6F22) is not in the GSM alphabet"),
        (&"x".repeat(307), "the text needs 3 segments (Gsm7), 2 are allowed"),
    ] {
        let (_dir, settings) = with_templates(&[("en-US/invite/sms.txt", source)]);
        let case = Case { sms: true, ..Case::new(Occasion::Invite, "en-US") };
        let found = case.render(&Renderer::new(settings).unwrap()).unwrap_err();
        assert!(matches!(found, RenderError::TooLong { segments: 3, limit: 2, .. }));
        assert_eq!(found.to_string(), error);
    }
}

#[test]
fn the_limit_is_the_settings() {
    let renderer = Renderer::new(Settings { max_segments: 1, ..settings() }).unwrap();
    let mut case = Case { sms: true, ..Case::new(Occasion::Invite, "en-US") };
    assert!(case.render(&renderer).is_ok());
    case.session.participants[1].passkey = Passkey::parse("9bff60df-2fe6-4c33-9b49-0123456789ab").unwrap();
    assert!(matches!(case.render(&renderer), Err(RenderError::TooLong { segments: 2, limit: 1, .. })));
}
