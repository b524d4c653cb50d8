//! Text messages: what fits, what is shortened, and what never is.

use punctual::contact::{Passkey, PersonName};
use punctual::message::SmsEncoding;
use punctual::notice::Occasion;
use punctual::render::{RenderError, Renderer, Settings};

use super::{Case, LOCALES, kinds, settings, sms, templates::with_templates};

#[test]
fn the_vendors_example_fits_one_segment_in_every_language() {
    let renderer = Renderer::new(settings()).unwrap();
    for locale in LOCALES {
        for (kind, occasion, meet_now) in kinds() {
            let mut case = Case { sms: true, ..Case::new(occasion, locale) };
            case.session.meet_now = meet_now;
            let rendered = case.render(&renderer).unwrap();
            assert_eq!((sms(&rendered).1, sms(&rendered).2), (SmsEncoding::Gsm7, 1), "{locale}/{kind}: {}", sms(&rendered).0);
        }
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
                case.session.meet_now = meet_now;
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
